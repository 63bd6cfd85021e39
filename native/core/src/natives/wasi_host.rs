//! WASI preview 1 on the machine's files, as imports of a guest.

use super::wasi::Import;
use crate::error::{Error, Result};
use crate::store::{Context, frames, instances};
use crate::ticker::begin_slice;
use crate::wasi::MAX_PARAMS;
use crate::wasi_host::{HostWorld, Waiting};

/// What runs on the machine, and gives an error number.
pub(super) async fn run(
    context: &mut Context<'_>,
    instance: usize,
    import: Import,
    args: &[u64; MAX_PARAMS],
) -> Result<u16> {
    let (_, world) = parts(context, instance)?;
    if world.is_in_place(import.function, args) {
        return in_place(context, instance, import, args).await;
    }
    let waiting = waiting(context, instance)?;
    let (memory, world) = parts(context, instance)?;
    let code = waiting
        .wait(world.call(memory, import.function, import.abi, args))
        .await;
    // The slice that the guest had when it called is over.
    begin_slice(context);
    code?
}

/// Goes on with the slice that the guest has: it is not over because of what takes microseconds.
async fn in_place(
    context: &mut Context<'_>,
    instance: usize,
    import: Import,
    args: &[u64; MAX_PARAMS],
) -> Result<u16> {
    frames::may_block(context).await?;
    let (memory, world) = parts(context, instance)?;
    world.call_in_place(memory, import.function, import.abi, args)
}

/// `poll_oneoff`: files are the machine's, all else is waited for as in a virtual world.
pub(super) async fn poll(
    context: &mut Context<'_>,
    instance: usize,
    import: Import,
    args: &[u64; MAX_PARAMS],
) -> Result<u16> {
    let waiting = waiting(context, instance)?;
    let (memory, world) = parts(context, instance)?;
    let polled = waiting.wait(world.poll(memory, import.abi, args)).await;
    begin_slice(context);
    let mut poll = match polled?? {
        Ok(poll) => poll,
        Err(errno) => return Ok(errno.code()),
    };
    if let Some(inner) = poll.args {
        let memory = Some(poll.memory.as_mut_slice());
        let code = import
            .run_virtual(context, instance, &inner, memory)
            .await?;
        if code != 0 {
            return Ok(code);
        }
    }
    let (memory, _) = parts(context, instance)?;
    Ok(poll
        .finish(memory)
        .map_or_else(|errno| errno.code(), |()| 0))
}

fn waiting(context: &mut Context<'_>, instance: usize) -> Result<Waiting> {
    let interrupt = context.data().interrupt.clone();
    let world = instances::host_world(context.data_mut(), instance);
    let runtime = world.and_then(|world| world.runtime());
    let runtime = runtime.ok_or_else(|| Error::internal("a world without a machine"))?;
    Ok(Waiting { interrupt, runtime })
}

fn parts<'a>(
    context: &'a mut Context<'_>,
    instance: usize,
) -> Result<(&'a mut [u8], &'a mut HostWorld)> {
    let (memory, data) = match instances::first_memory(context, instance) {
        Some(memory) => memory.data_and_store_mut(&mut *context),
        None => (&mut [] as &mut [u8], context.data_mut()),
    };
    instances::host_world(data, instance)
        .map(|world| (memory, world))
        .ok_or_else(|| Error::internal("a world that is not the machine's"))
}
