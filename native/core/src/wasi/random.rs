//! The guest's random bytes.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::config::RandomSource;
use super::errno::{Errno, Result};

/// A source of random bytes. A copy of a seeded one goes on with the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Random {
    System,
    Seeded(Box<ChaCha12Rng>),
    Embedder,
}

impl Random {
    pub(crate) fn new(source: RandomSource) -> Self {
        match source {
            RandomSource::System => Random::System,
            RandomSource::Seed(seed) => Random::Seeded(Box::new(ChaCha12Rng::seed_from_u64(seed))),
            RandomSource::Embedder => Random::Embedder,
        }
    }

    /// Fills a buffer; `false` if only the embedder can.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match self {
            Random::System => getrandom::fill(buffer)
                .map(|()| true)
                .map_err(|_| Errno::Io),
            Random::Seeded(generator) => {
                generator.fill_bytes(buffer);
                Ok(true)
            }
            Random::Embedder => Ok(false),
        }
    }

    /// Seed and position of a seeded generator.
    pub(crate) fn position(&self) -> Option<([u8; 32], u128)> {
        match self {
            Random::Seeded(generator) => Some((generator.get_seed(), generator.get_word_pos())),
            Random::System | Random::Embedder => None,
        }
    }

    /// The seeded generator that [`Random::position`] describes.
    pub(crate) fn at(seed: [u8; 32], position: u128) -> Self {
        let mut generator = ChaCha12Rng::from_seed(seed);
        generator.set_word_pos(position);
        Random::Seeded(Box::new(generator))
    }
}
