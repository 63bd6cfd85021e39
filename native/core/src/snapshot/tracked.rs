//! Memories whose changes are known.

use std::ops::Range;
use std::sync::Arc;

use wasmtime::{AsContext, Memory};

use super::PAGE;
use super::image::Image;
use super::touched::touched;
use crate::error::Result;
use crate::store::Context;

/// What a state is captured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For instances that begin with it, which are to share its pages.
    Sharing,
    /// For its bytes: what has changed is all that is copied.
    Encoding,
}

impl Purpose {
    /// Whether so much has changed that a new image is better.
    fn renews(self, base: &Image, image: &Image) -> bool {
        const MANY_BYTES: u64 = 4 << 20;
        match self {
            Self::Sharing => !image.is_shared(),
            Self::Encoding => image.own_bytes() > MANY_BYTES.max(base.own_bytes()),
        }
    }
}

/// A memory that is a private mapping of an image: only the pages that it has changed are its own.
#[derive(Clone)]
pub(crate) struct Tracked {
    image: Arc<Image>,
    /// Where the memory was when it was mapped. Growing may have moved it since.
    address: usize,
}

impl Tracked {
    /// To be called right after mapping.
    pub fn new(image: Arc<Image>, context: &Context<'_>, memory: Memory) -> Self {
        Self {
            image,
            address: memory.data_ptr(context.as_context()).addr(),
        }
    }

    /// What a memory holds, and what it is a mapping of from now on. Costs as much as has changed,
    /// if `tracked` is known.
    ///
    /// # Errors
    /// `Internal` if there is no memory for it.
    pub fn capture(
        tracked: Option<Self>,
        context: &mut Context<'_>,
        memory: Memory,
        purpose: Purpose,
    ) -> Result<(Arc<Image>, Option<Self>)> {
        let address = memory.data_ptr(context.as_context()).addr();
        let data = memory.data(context.as_context());
        if let Some(tracked) = tracked.filter(|tracked| tracked.address == address) {
            let candidates = candidates(address..address + data.len());
            let base = Arc::clone(&tracked.image);
            let image = Image::over(base, data, &candidates)?;
            if !purpose.renews(&tracked.image, &image) {
                return Ok((Arc::new(image), Some(tracked)));
            }
            return Self::share(Some(tracked), image.complete()?, context, memory);
        }
        let image = Image::of(data, &touched(context, memory))?;
        Self::share(None, image, context, memory)
    }

    /// The image, if the memory is where it was mapped.
    pub fn at(&self, address: usize) -> Option<&Arc<Image>> {
        (self.address == address).then_some(&self.image)
    }

    /// Has the memory share the pages of an image of it; else it stays a mapping of what it was.
    fn share(
        before: Option<Self>,
        image: Image,
        context: &mut Context<'_>,
        memory: Memory,
    ) -> Result<(Arc<Image>, Option<Self>)> {
        let image = Arc::new(image);
        let mapped = image.map_over(context, memory)?;
        let tracked = mapped.then(|| Self::new(Arc::clone(&image), context, memory));
        Ok((image, tracked.or(before)))
    }
}

/// The pages that may have changed, in ascending order.
fn candidates(addresses: Range<usize>) -> Vec<u64> {
    #[cfg(target_os = "linux")]
    if let Some(written) = super::pagemap::written(addresses.clone()) {
        let scale = (rustix::param::page_size() / PAGE) as u64;
        let parts = |page: u64| page * scale..(page + 1) * scale;
        return written.into_iter().flat_map(parts).collect();
    }
    (0..(addresses.len().div_ceil(PAGE)) as u64).collect()
}
