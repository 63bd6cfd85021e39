use super::bad;
use crate::error::Result;

/// Takes an image's header apart.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| bad("the image ends within its header"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}
