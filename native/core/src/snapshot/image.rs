//! The contents of a memory, shared by the instances that began with them.
//!
//! Pages that are zero are not stored. On Linux a large image is a sealed file in memory, and a
//! guest's memory becomes a private mapping of it: nothing is copied until it is written to.
//! Elsewhere, and where there are few pages, they are copied.
//!
//! An image may hold just what differs from another, which is complete.

use std::ops::Range;
use std::sync::Arc;

use wasmtime::{AsContext, AsContextMut, Memory};

use super::PAGE;
#[cfg(target_os = "linux")]
use super::file::PageFile;
use super::touched::{clear, touched};
use crate::error::Result;
use crate::store::Context;

/// Fewer bytes than this, of a memory that is smaller than this, are copied: that takes less time
/// than to map them, and no file.
#[cfg(target_os = "linux")]
const MAPPED_BYTES: u64 = 64 << 10;
#[cfg(target_os = "linux")]
const MAPPED_MEMORY: u64 = 1 << 20;

/// So much is copied rather than made part of a new file.
const FEW_BYTES: u64 = 128 << 10;

/// A row of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub first: u64,
    pub pages: u64,
}

impl Run {
    pub fn end(self) -> u64 {
        self.first + self.pages
    }

    /// Its bytes in the memory.
    pub fn range(self) -> Range<usize> {
        self.first as usize * PAGE..self.end() as usize * PAGE
    }

    pub fn bytes(self) -> usize {
        self.pages as usize * PAGE
    }

    /// Adds a page after those of all runs.
    pub fn append(runs: &mut Vec<Self>, page: u64) {
        match runs.last_mut() {
            Some(run) if run.end() == page => run.pages += 1,
            _ => runs.push(Self {
                first: page,
                pages: 1,
            }),
        }
    }
}

fn pages_of(runs: &[Run]) -> impl Iterator<Item = u64> {
    runs.iter().flat_map(|run| run.first..run.end())
}

/// The run that holds a page, and which page of all runs it is.
fn locate(runs: &[Run], page: u64) -> Option<&Run> {
    let after = runs.partition_point(|run| run.first <= page);
    runs.get(after.checked_sub(1)?)
        .filter(|run| page < run.end())
}

/// The contents of a memory.
#[derive(Debug)]
pub(crate) struct Image {
    len: u64,
    /// What this differs from; complete, and not longer.
    base: Option<Arc<Image>>,
    own: Stored,
    /// Pages of the base that are zero here.
    zeroed: Vec<Run>,
}

/// Some pages, none of which is zero.
#[derive(Debug)]
struct Stored {
    /// In ascending order, apart from each other.
    runs: Vec<Run>,
    pages: Pages,
}

#[derive(Debug)]
enum Pages {
    /// Those of the runs, one after the other, and where those of each run begin.
    Packed { bytes: Vec<u8>, starts: Vec<usize> },
    /// Each at its place.
    #[cfg(target_os = "linux")]
    File(PageFile),
}

impl Stored {
    fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.runs.iter().enumerate().flat_map(|(index, run)| {
            let bytes = match &self.pages {
                Pages::Packed { bytes, starts } => starts
                    .get(index)
                    .and_then(|start| bytes.get(*start..*start + run.bytes())),
                #[cfg(target_os = "linux")]
                Pages::File(file) => file.bytes().get(run.range()),
            };
            (run.first..).zip(bytes.unwrap_or_default().chunks(PAGE))
        })
    }

    fn page(&self, page: u64) -> Option<&[u8]> {
        let run = locate(&self.runs, page)?;
        match &self.pages {
            Pages::Packed { bytes, starts } => {
                let index = self.runs.partition_point(|other| other.first < run.first);
                let start = starts.get(index)? + (page - run.first) as usize * PAGE;
                bytes.get(start..start + PAGE)
            }
            #[cfg(target_os = "linux")]
            Pages::File(file) => {
                let start = page as usize * PAGE;
                file.bytes().get(start..start + PAGE)
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes() as u64).sum()
    }
}

/// How one image differs from another.
#[derive(Debug, Default)]
pub(crate) struct Difference<'a> {
    /// Pages that are other, and not zero, in ascending order.
    pub changed: Vec<(u64, &'a [u8])>,
    /// Pages that are zero in the one only.
    pub zeroed: Vec<Run>,
}

impl Image {
    /// What a memory holds that is zero but for, at most, the pages in `touched`.
    ///
    /// # Errors
    /// `Internal` if there is no memory for it.
    pub fn of(data: &[u8], touched: &[Run]) -> Result<Self> {
        let bytes = |page: u64| {
            let start = page as usize * PAGE;
            data.get(start..(start + PAGE).min(data.len()))
                .unwrap_or_default()
        };
        let mut runs = Vec::new();
        for page in pages_of(touched).filter(|page| !is_zero(bytes(*page))) {
            Run::append(&mut runs, page);
        }
        let mut builder = Builder::new(data.len() as u64);
        builder.expect_bytes(runs.iter().map(|run| run.bytes() as u64).sum());
        for page in pages_of(&runs) {
            builder.push_page(page, bytes(page))?;
        }
        builder.finish()
    }

    /// What a memory holds that differs from `base` at most in the pages `candidates`, which are in
    /// ascending order.
    ///
    /// # Errors
    /// `Internal` if there is no memory for it.
    pub fn over(base: Arc<Self>, data: &[u8], candidates: &[u64]) -> Result<Self> {
        let mut builder = Builder::new(data.len() as u64);
        builder.reserve(candidates.len() * PAGE);
        let mut zeroed = Vec::new();
        for page in candidates.iter().copied() {
            let start = page as usize * PAGE;
            let end = (start + PAGE).min(data.len());
            let bytes = data.get(start..end).unwrap_or_default();
            match base.own.page(page) {
                Some(before) if before.get(..bytes.len()) == Some(bytes) => {}
                None if is_zero(bytes) => {}
                Some(_) if is_zero(bytes) => Run::append(&mut zeroed, page),
                _ => builder.push_page(page, bytes)?,
            }
        }
        Ok(Self {
            base: Some(base),
            zeroed,
            ..builder.finish()?
        })
    }

    /// The same contents without a base.
    ///
    /// # Errors
    /// `Internal` if there is no memory for it.
    pub fn complete(&self) -> Result<Self> {
        let mut builder = Builder::new(self.len);
        builder.expect_bytes(self.stored_bytes());
        for (page, bytes) in self.pages() {
            builder.push_page(page, bytes)?;
        }
        builder.finish()
    }

    /// The memory's size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The bytes of its own pages.
    pub fn own_bytes(&self) -> u64 {
        self.own.bytes()
    }

    /// Where that ends in a memory which shows its file; the rest of such a memory has none.
    pub fn mapped_bytes(&self) -> u64 {
        match &self.own.pages {
            #[cfg(target_os = "linux")]
            Pages::File(file) => file.mapped_bytes(),
            Pages::Packed { .. } => self.len,
        }
    }

    /// Whether a memory that it is put into copies little of it.
    pub fn is_shared(&self) -> bool {
        self.base
            .as_ref()
            .is_none_or(|base| self.own_bytes() <= FEW_BYTES.max(base.own_bytes() / 8))
    }

    /// The bytes of all pages that are not zero, or somewhat more.
    pub fn stored_bytes(&self) -> u64 {
        self.own.bytes() + self.base.as_ref().map_or(0, |base| base.own.bytes())
    }

    /// The complete image that this is or differs from.
    fn root(&self) -> &Self {
        self.base.as_deref().unwrap_or(self)
    }

    /// The pages that are not zero, in ascending order.
    pub fn pages(&self) -> Box<dyn Iterator<Item = (u64, &[u8])> + '_> {
        let Some(base) = &self.base else {
            return Box::new(self.own.iter());
        };
        let mut own = self.own.iter().peekable();
        let mut inherited = base
            .own
            .iter()
            .filter(|(page, _)| {
                locate(&self.own.runs, *page).is_none() && locate(&self.zeroed, *page).is_none()
            })
            .peekable();
        Box::new(std::iter::from_fn(move || {
            match (own.peek(), inherited.peek()) {
                (Some((own_page, _)), Some((page, _))) if page < own_page => inherited.next(),
                (Some(_), _) => own.next(),
                (None, _) => inherited.next(),
            }
        }))
    }

    /// None if it is zero.
    fn page(&self, page: u64) -> Option<&[u8]> {
        if let Some(bytes) = self.own.page(page) {
            return Some(bytes);
        }
        let base = self.base.as_ref()?;
        if locate(&self.zeroed, page).is_some() {
            return None;
        }
        base.own.page(page)
    }

    /// How this differs from `before`. Costs little if both differ little from one image.
    pub fn difference<'a>(&'a self, before: &'a Self) -> Difference<'a> {
        let mut difference = Difference::default();
        // What lies behind the end of a smaller memory is no page of it.
        let end = self.len.div_ceil(PAGE as u64);
        let mut compare = |page: u64| match (self.page(page), before.page(page)) {
            (Some(now), before) if before != Some(now) => difference.changed.push((page, now)),
            (None, Some(_)) if page < end => Run::append(&mut difference.zeroed, page),
            _ => {}
        };
        if std::ptr::eq(self.root(), before.root()) {
            let mut pages: Vec<u64> = self.differing().chain(before.differing()).collect();
            pages.sort_unstable();
            pages.dedup();
            pages.into_iter().for_each(&mut compare);
        } else {
            let mut now = self.pages().map(|(page, _)| page).peekable();
            let mut then = before.pages().map(|(page, _)| page).peekable();
            while let Some(page) = [now.peek(), then.peek()]
                .into_iter()
                .flatten()
                .min()
                .copied()
            {
                now.next_if_eq(&page);
                then.next_if_eq(&page);
                compare(page);
            }
        }
        difference
    }

    /// The pages in which it may differ from its root.
    fn differing(&self) -> impl Iterator<Item = u64> {
        let own = self.base.is_some().then_some(&self.own.runs);
        own.into_iter()
            .flatten()
            .chain(&self.zeroed)
            .flat_map(|run| run.first..run.end())
    }

    /// Makes a memory that has just been made, and has the image's size, equal to it. Gives the
    /// image that it is a private mapping of, if any.
    ///
    /// # Errors
    /// `Internal` where the machine refuses to map it.
    pub fn put_into(
        self: &Arc<Self>,
        context: &mut Context<'_>,
        memory: Memory,
    ) -> Result<Option<Arc<Self>>> {
        let root = self.base.as_ref().unwrap_or(self);
        if root.map_over(context, memory)? {
            let data = memory.data_mut(context.as_context_mut());
            if self.base.is_some() {
                self.own
                    .iter()
                    .for_each(|(page, bytes)| write(data, page, bytes));
                for run in &self.zeroed {
                    if let Some(bytes) = data.get_mut(run.range()) {
                        bytes.fill(0);
                    }
                }
            }
            return Ok(Some(Arc::clone(root)));
        }
        let touched = touched(context, memory);
        let data = memory.data_mut(context.as_context_mut());
        clear(data, &touched, 0);
        self.pages()
            .for_each(|(page, bytes)| write(data, page, bytes));
        Ok(None)
    }

    /// Has the first part of a memory show this image, if it is a file, and share its pages until
    /// they are written to.
    ///
    /// # Errors
    /// `Internal` where the machine refuses to map it.
    pub fn map_over(&self, context: &mut Context<'_>, memory: Memory) -> Result<bool> {
        match &self.own.pages {
            #[cfg(target_os = "linux")]
            Pages::File(file) if self.base.is_none() => file.map_over(context, memory),
            _ => {
                debug_assert!(memory.data_size(context.as_context()) as u64 >= self.len);
                Ok(false)
            }
        }
    }
}

fn write(data: &mut [u8], page: u64, bytes: &[u8]) {
    let start = page as usize * PAGE;
    let end = (start + PAGE).min(data.len());
    if let Some(target) = data.get_mut(start..end) {
        // A memory may end within its last page.
        let bytes = bytes.get(..target.len()).unwrap_or_default();
        target.copy_from_slice(bytes);
    }
}

impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.pages().eq(other.pages())
    }
}

pub(super) fn is_zero(page: &[u8]) -> bool {
    const ZERO: [u8; PAGE] = [0; PAGE];
    ZERO.get(..page.len()) == Some(page)
}

/// Puts a complete image together from its pages, in ascending order.
pub(crate) struct Builder {
    len: u64,
    stored: Stored,
}

impl Builder {
    pub fn new(len: u64) -> Self {
        Self {
            len,
            stored: Stored {
                runs: Vec::new(),
                pages: Pages::Packed {
                    bytes: Vec::new(),
                    starts: Vec::new(),
                },
            },
        }
    }

    /// How many bytes will come: the place for them is chosen by that. To be called first, if at
    /// all.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables))]
    pub fn expect_bytes(&mut self, bytes: u64) {
        #[cfg(target_os = "linux")]
        if (bytes >= MAPPED_BYTES || self.len >= MAPPED_MEMORY)
            && bytes > 0
            && let Some(file) = PageFile::new(self.len)
        {
            self.stored.pages = Pages::File(file);
        }
    }

    /// Makes room for what is likely to come, so that it is not moved. To be called first, if at all.
    fn reserve(&mut self, room: usize) {
        if let Pages::Packed { bytes, .. } = &mut self.stored.pages {
            // It may be far more than will come; then there is perhaps no such room, and no need.
            let _ = bytes.try_reserve_exact(room);
        }
    }

    /// Adds a page that is not zero. Only the last of a memory is shorter.
    ///
    /// # Errors
    /// `Internal` if there is no memory for it.
    pub fn push_page(&mut self, page: u64, bytes: &[u8]) -> Result<()> {
        let runs = self.stored.runs.len();
        Run::append(&mut self.stored.runs, page);
        match &mut self.stored.pages {
            Pages::Packed {
                bytes: packed,
                starts,
            } => {
                if self.stored.runs.len() > runs {
                    starts.push(packed.len());
                }
                packed.extend_from_slice(bytes);
                packed.resize(packed.len().next_multiple_of(PAGE), 0);
            }
            #[cfg(target_os = "linux")]
            Pages::File(file) => file.write(page * PAGE as u64, bytes)?,
        }
        Ok(())
    }

    /// # Errors
    /// `Internal` if there is no memory for it.
    pub fn finish(self) -> Result<Image> {
        let Self {
            len,
            #[cfg_attr(not(target_os = "linux"), expect(unused_mut))]
            mut stored,
        } = self;
        #[cfg(target_os = "linux")]
        if let Pages::File(file) = &mut stored.pages {
            file.seal(&stored.runs)?;
        }
        Ok(Image {
            len,
            base: None,
            own: stored,
            zeroed: Vec::new(),
        })
    }
}
