//! Which pages of a memory can be other than zero.
//!
//! A memory is a private mapping without a file, but for what it began with: the image of the data
//! segments that wasmtime maps into it, which is not larger than the memory was then, or an
//! [image](super::image) of a state. Behind these a page that is not there was never written to, and
//! looking at it would cost as much as if it had been.

use std::ops::Range;

use wasmtime::{AsContext, Memory};

use super::PAGE;
use super::image::{Run, is_zero};
use crate::store::{Context, tracked_at};

/// The pages, in ascending order: at least those that are not zero.
pub(crate) fn touched(context: &Context<'_>, memory: Memory) -> Vec<Run> {
    let size = memory.data_size(context.as_context()) as u64;
    let address = memory.data_ptr(context.as_context()).addr();
    let ty = memory.ty(context.as_context());
    let begun_with = ty.minimum().saturating_mul(ty.page_size());
    let mapped = tracked_at(context, address).map_or(0, |image| image.mapped_bytes());
    let pages = size.div_ceil(PAGE as u64);
    // Whole pages of whichever machine.
    let known = begun_with.max(mapped).next_multiple_of(64 << 10) / PAGE as u64;
    if known >= pages {
        return all(0..pages);
    }
    let start = address + known as usize * PAGE;
    match resident(start..address + size as usize) {
        Some(resident) => {
            let mut runs = all(0..known);
            for page in resident {
                // The machine's last page may be larger than what is left.
                if known + page < pages {
                    Run::append(&mut runs, known + page);
                }
            }
            runs
        }
        None => all(0..pages),
    }
}

/// Makes all of `data` zero from `first` on, and touches no page of it but those in `touched`.
pub(crate) fn clear(data: &mut [u8], touched: &[Run], first: usize) {
    for page in touched.iter().flat_map(|run| run.first..run.end()) {
        let start = page as usize * PAGE;
        let end = (start + PAGE).min(data.len());
        if let Some(bytes) = data.get_mut(start.max(first)..end)
            && !is_zero(bytes)
        {
            bytes.fill(0);
        }
    }
}

fn all(pages: Range<u64>) -> Vec<Run> {
    let run = Run {
        first: pages.start,
        pages: pages.end - pages.start,
    };
    [run].into_iter().filter(|run| run.pages > 0).collect()
}

/// The pages that are in memory or on a disk instead, counted from the start of `addresses`. None if
/// the system does not tell.
fn resident(addresses: Range<usize>) -> Option<impl Iterator<Item = u64>> {
    #[cfg(target_os = "linux")]
    {
        let scale = (rustix::param::page_size() / PAGE) as u64;
        let resident = super::pagemap::resident(addresses)?;
        Some(
            resident
                .into_iter()
                .flat_map(move |page| page * scale..(page + 1) * scale),
        )
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = addresses;
        None::<std::iter::Empty<u64>>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    use {
        crate::store::{
            Begin, Coroutine, Instantiate, Step, StoreConfig, UnknownImports, Wasi,
            instances::first_memory,
        },
        crate::{Engine, EngineConfig, Error, MemorySelector, Module},
        std::sync::Arc,
    };

    const ONE: Run = Run { first: 1, pages: 1 };

    /// An instance with a memory of a gigabyte, of which it has touched the beginning.
    #[cfg(target_os = "linux")]
    fn large() -> Coroutine {
        let engine = Engine::get(EngineConfig::default()).unwrap();
        let text = r#"(module (memory (export "m") 1) (data (i32.const 9) "x"))"#;
        let module = Arc::new(Module::compile(&engine, text.as_bytes()).unwrap());
        let mut coroutine = Coroutine::new(&engine, &StoreConfig::default()).unwrap();
        let step = coroutine.instantiate(Instantiate {
            index: 0,
            module,
            imports: Vec::new(),
            unknown_imports: UnknownImports::Call,
            wasi: Wasi::default(),
            begin: Begin::Start,
        });
        assert!(matches!(step, Step::Done(Ok(_))), "{step:?}");
        coroutine
            .memory_grow(0, MemorySelector::Index(0), 16_383)
            .unwrap();
        coroutine
    }

    #[cfg(target_os = "linux")]
    fn touched_pages(coroutine: &mut Coroutine) -> u64 {
        let touched = coroutine.visit(|context| {
            let memory = first_memory(context, 0).ok_or(Error::Stopped)?;
            Ok(touched(context, memory))
        });
        touched.unwrap().iter().map(|run| run.pages).sum()
    }

    // Few, but a page of the machine may be as large as two megabytes.
    #[cfg(target_os = "linux")]
    const FEW: u64 = 4096;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_a_memory_grew_by_is_looked_at_only_where_it_was_touched() {
        let mut coroutine = large();
        let first = MemorySelector::Index(0);
        assert!(touched_pages(&mut coroutine) < FEW);
        coroutine.memory_write(0, first, 1 << 29, [1]).unwrap();
        assert!(touched_pages(&mut coroutine) < FEW);
        let state = coroutine.capture(0).unwrap();
        assert_eq!(state.memories[0].image.stored_bytes(), 2 * PAGE as u64);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn replacing_and_copying_touch_no_more() {
        let mut coroutine = large();
        let first = MemorySelector::Index(0);
        coroutine.memory_replace(0, first, b"short").unwrap();
        assert!(touched_pages(&mut coroutine) < FEW);
        let state = coroutine.capture(0).unwrap();
        assert!(touched_pages(&mut coroutine) < FEW);
        let mut fork = coroutine.revive(0, 0, state, None).unwrap();
        assert!(touched_pages(&mut fork) < FEW);
    }

    #[test]
    fn what_is_cleared_is_zero_from_the_first_byte_on() {
        let mut data = vec![1; 3 * PAGE];
        clear(&mut data, &[ONE], PAGE + 5);
        assert!(data[..PAGE + 5].iter().all(|byte| *byte == 1));
        assert!(data[PAGE + 5..2 * PAGE].iter().all(|byte| *byte == 0));
        assert!(data[2 * PAGE..].iter().all(|byte| *byte == 1));
    }

    #[test]
    fn a_memory_may_end_within_a_page() {
        let mut data = vec![1; PAGE + 7];
        clear(&mut data, &[ONE], 0);
        assert!(data[PAGE..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_is_before_the_first_byte_stays() {
        let mut data = vec![1; 2 * PAGE];
        clear(&mut data, &[Run { first: 0, pages: 1 }], PAGE + 1);
        assert!(data.iter().all(|byte| *byte == 1));
    }
}
