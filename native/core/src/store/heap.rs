//! How large the heap of garbage-collected objects is.
//!
//! Collecting such a heap, and moving it when it has grown, is done at once and takes time in
//! proportion to its size: whoever drives a store has to know where there is time for that.

use wasmtime::{AsContext, Extern};

use super::{Context, instance_export_at, instance_module};

/// In a store of more instances it takes too long to look.
const MAX_INSTANCES: usize = 1_000;

/// Tells how large the heap is, if that may have changed: what the limiter has counted as memory and is
/// in no memory of an instance.
pub(super) fn measure(context: &mut Context<'_>) {
    let counted = context.data().limiter.memory();
    let count = context.data().instances.len();
    if counted == std::mem::replace(&mut context.data_mut().measured, counted)
        || count > MAX_INSTANCES
    {
        return;
    }
    let mut heap = counted;
    // One that is imported from another instance is the same.
    let mut known = Vec::new();
    for instance in 0..count {
        let Some(module) = instance_module(context, instance) else {
            continue;
        };
        for item in &module.layout().memories {
            let size = match instance_export_at(context, instance, item.export) {
                Some(Extern::Memory(memory)) => {
                    let start = memory.data_ptr(context.as_context()).addr();
                    let size = memory.data_size(context.as_context());
                    if known.contains(&start) {
                        0
                    } else {
                        known.push(start);
                        size as u64
                    }
                }
                // It has grown without being counted.
                Some(Extern::SharedMemory(memory)) => {
                    let ty = memory.ty();
                    ty.minimum().saturating_mul(ty.page_size())
                }
                _ => 0,
            };
            heap = heap.saturating_sub(size);
        }
    }
    context.data().limiter.tell_heap(heap);
}
