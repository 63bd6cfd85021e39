//! The state of a chain of snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decode::{Link, Part};
use crate::error::Result;
use crate::snapshot::image::{Builder, Image};
use crate::snapshot::{MemoryState, PAGE, State, bad};

/// The state that the last link holds; each is based on the one before.
pub(super) fn merge(mut links: Vec<Link>) -> Result<State> {
    let Some(last) = links.pop() else {
        return bad("there is none");
    };
    let count = last.memories.len();
    if let Some(number) = links.iter().position(|link| link.memories.len() != count) {
        return bad(format!(
            "snapshot {} has another number of memories",
            number + 1
        ));
    }
    let mut state = last.state;
    // What belongs to one memory, in the order of the links.
    let mut histories: Vec<Vec<Part>> = (0..count).map(|_| Vec::new()).collect();
    let memories = links.into_iter().map(|link| link.memories);
    for parts in memories.chain([last.memories]) {
        for (history, part) in histories.iter_mut().zip(parts) {
            history.push(part);
        }
    }
    for history in histories {
        state.memories.extend(memory(history)?);
    }
    Ok(state)
}

fn memory(mut history: Vec<Part>) -> Result<Option<MemoryState>> {
    if history.len() > 1 {
        return merged(&history).map(Some);
    }
    Ok(history.pop().map(|part| MemoryState {
        page_size_log2: part.page_size_log2,
        image: Arc::new(part.changed),
    }))
}

fn merged(history: &[Part]) -> Result<MemoryState> {
    let mut pages: BTreeMap<u64, &[u8]> = BTreeMap::new();
    let mut page_size_log2 = 0;
    let mut len = 0;
    for (number, part) in (1..).zip(history) {
        let senseless = || {
            bad(format!(
                "snapshot {number} changes nothing where it says it does"
            ))
        };
        page_size_log2 = part.page_size_log2;
        len = part.changed.len();
        // A memory that had been larger: what comes back when it grows is zero.
        pages.split_off(&len.div_ceil(PAGE as u64));
        for page in part.zeroed.iter().flat_map(|run| run.first..run.end()) {
            if pages.remove(&page).is_none() {
                return senseless();
            }
        }
        for (page, bytes) in part.changed.pages() {
            if pages.insert(page, bytes) == Some(bytes) {
                return senseless();
            }
        }
    }
    Ok(MemoryState {
        page_size_log2,
        image: Arc::new(image(len, &pages)?),
    })
}

fn image(len: u64, pages: &BTreeMap<u64, &[u8]>) -> Result<Image> {
    let mut builder = Builder::new(len);
    builder.expect_bytes((pages.len() * PAGE) as u64);
    for (page, bytes) in pages {
        builder.push_page(*page, bytes)?;
    }
    builder.finish()
}
