//! Where in a module the state of its instances is.

use crate::load::instrument::Internal;

/// The items that hold an instance's state, each kind in the order of its index.
#[derive(Debug, Default)]
pub struct Layout {
    pub memories: Vec<Item>,
    pub globals: Vec<Item>,
    pub tables: Vec<Item>,
    /// Flags of passive segments that may be dropped.
    pub dropped_data: Vec<Item>,
    pub dropped_elements: Vec<Item>,
    /// The functions that something may refer to. They come last among the exports.
    pub functions: Vec<Item>,
    /// Whether there are functions that something may refer to, but too many to have them here.
    pub functions_unlisted: bool,
    /// The export that drops what is flagged.
    pub drop: Option<usize>,
    /// The export to be called once the instance is made.
    pub start: Option<usize>,
    /// Whether there is state that nothing can show.
    pub has_objects_in_segments: bool,
}

/// An item of a module.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// In the module's index space of that kind, or of segments.
    pub index: u32,
    /// In the module's exports.
    pub export: usize,
}

impl Layout {
    /// From the exports that the loader has added; the first of them has the index `first`.
    pub fn new(
        internals: impl Iterator<Item = Internal>,
        first: usize,
        has_objects_in_segments: bool,
    ) -> Self {
        let mut layout = Self {
            has_objects_in_segments,
            ..Self::default()
        };
        for (export, internal) in (first..).zip(internals) {
            let item = |index| Item { index, export };
            match internal {
                Internal::Memory(index) => layout.memories.push(item(index)),
                Internal::Global(index) => layout.globals.push(item(index)),
                Internal::Table(index) => layout.tables.push(item(index)),
                Internal::DroppedData(index) => layout.dropped_data.push(item(index)),
                Internal::DroppedElement(index) => layout.dropped_elements.push(item(index)),
                Internal::Func(index) => layout.functions.push(item(index)),
                Internal::Drop => layout.drop = Some(export),
                Internal::Unlisted => layout.functions_unlisted = true,
                Internal::Start => layout.start = Some(export),
            }
        }
        layout
    }
}
