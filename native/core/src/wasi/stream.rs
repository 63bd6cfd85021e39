//! Standard input, output and error.

use std::sync::Arc;

use super::config::{OutputSink, StdinSource};
use super::content::Content;

/// Standard input: what has arrived and was not yet read.
#[derive(Clone, Debug)]
pub(crate) struct Stdin {
    buffer: Arc<Vec<u8>>,
    position: usize,
    /// Whether more may come from the embedder.
    pub(crate) live: bool,
    /// Whether the embedder has just said that there is more: while a poll reports it.
    pub(crate) announced: bool,
}

impl Stdin {
    pub(crate) fn new(source: StdinSource) -> Self {
        match source {
            StdinSource::Bytes(bytes) => Stdin {
                buffer: Arc::new(bytes),
                position: 0,
                live: false,
                announced: false,
            },
            StdinSource::Embedder => Stdin {
                buffer: Arc::default(),
                position: 0,
                live: true,
                announced: false,
            },
        }
    }

    /// What can be read at once.
    pub(crate) fn available(&self) -> &[u8] {
        self.buffer.get(self.position..).unwrap_or_default()
    }

    pub(crate) fn consume(&mut self, len: usize) {
        self.position = self.position.saturating_add(len).min(self.buffer.len());
        if self.position == self.buffer.len() && self.live {
            self.buffer = Arc::default();
            self.position = 0;
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let rest = self.available();
        let mut buffer = Vec::with_capacity(rest.len() + bytes.len());
        buffer.extend_from_slice(rest);
        buffer.extend_from_slice(bytes);
        self.buffer = Arc::new(buffer);
        self.position = 0;
    }
}

/// Standard output or error.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) sink: OutputSink,
    pub(crate) captured: Content,
    pub(crate) discarded: u64,
}

impl Output {
    pub(crate) fn new(sink: OutputSink) -> Self {
        Output {
            sink,
            captured: Content::default(),
            discarded: 0,
        }
    }

    /// Keeps what is within the limit, and counts the rest.
    pub(crate) fn capture(&mut self, bytes: &[u8], limit: u64) {
        let len = self.captured.len();
        let room = limit.saturating_sub(len).min(bytes.len() as u64) as usize;
        let (kept, dropped) = bytes.split_at(room);
        self.captured.write_at(len, kept);
        self.discarded = self.discarded.saturating_add(dropped.len() as u64);
    }
}
