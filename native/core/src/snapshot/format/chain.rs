//! The state of a chain of snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::codec::Compression;
use super::decode::{Link, Part};
use crate::error::Result;
use crate::snapshot::image::{Builder, Image};
use crate::snapshot::{MemoryState, PAGE, State, bad};

/// The state that the last link holds; each is based on the one before.
pub(super) fn merge(links: Vec<Link>) -> Result<State> {
    if links.is_empty() {
        return bad("there is none");
    }
    let Link {
        memories,
        mut state,
        ..
    } = join(links)?;
    state.memories = memories
        .into_iter()
        .map(|part| MemoryState {
            page_size_log2: part.page_size_log2,
            image: Arc::new(part.changed),
        })
        .collect();
    Ok(state)
}

/// The one link that holds what all of these do together.
pub(super) fn join(mut links: Vec<Link>) -> Result<Link> {
    let Some(last) = links.pop() else {
        return bad("there is none");
    };
    let count = last.memories.len();
    if let Some(other) = links.iter().find(|link| link.memories.len() != count) {
        return bad(format!(
            "snapshot {} has another number of memories",
            other.number
        ));
    }
    // What belongs to one memory, in the order of the links.
    let mut histories: Vec<Vec<Part>> = (0..count).map(|_| Vec::new()).collect();
    let memories = links.into_iter().map(|link| link.memories);
    for parts in memories.chain([last.memories]) {
        for (history, part) in histories.iter_mut().zip(parts) {
            history.push(part);
        }
    }
    let mut memories = Vec::with_capacity(count);
    for mut history in histories {
        let alone = history.len() == 1;
        memories.extend(if alone {
            history.pop()
        } else {
            Some(merged(&history)?)
        });
    }
    Ok(Link { memories, ..last })
}

fn merged(history: &[Part]) -> Result<Part> {
    let mut pages: BTreeMap<u64, &[u8]> = BTreeMap::new();
    let (mut number, mut page_size_log2, mut len) = (0, 0, 0);
    for part in history {
        let senseless = || {
            bad(format!(
                "snapshot {} changes nothing where it says it does",
                part.number
            ))
        };
        (number, page_size_log2) = (part.number, part.page_size_log2);
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
    Ok(Part {
        number,
        page_size_log2,
        compression: Compression::None,
        changed: image(len, &pages)?,
        zeroed: Vec::new(),
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
