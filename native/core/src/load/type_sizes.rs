//! How complex the types of a module's imports and exports are, as the validator counts.
//!
//! It refuses a module whose imports and exports together are too complex. Those that are added to a
//! module must not make it one of these.

use wasmparser::{
    CompositeInnerType, ExternalKind, FunctionSectionReader, TagSectionReader, TypeRef,
    TypeSectionReader,
};

use super::LoadError;

/// The sum has to be less than this.
const LIMIT: u64 = 1_000_000;

/// What is no function and no tag.
const OTHER: u64 = 1;

#[derive(Default)]
pub(super) struct TypeSizes {
    types: Vec<u64>,
    /// By their indices, those of imports first.
    functions: Vec<u64>,
    tags: Vec<u64>,
    /// Of all imports and exports.
    sum: u64,
}

impl TypeSizes {
    pub fn types(&mut self, types: TypeSectionReader<'_>) -> Result<(), LoadError> {
        for group in types {
            let sizes = group?.into_types().map(|ty| match ty.composite_type.inner {
                CompositeInnerType::Func(ty) => 2 + (ty.params().len() + ty.results().len()) as u64,
                // Of no import or export.
                _ => 0,
            });
            self.types.extend(sizes);
        }
        Ok(())
    }

    pub fn import(&mut self, ty: TypeRef) {
        let size = match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                let size = self.of_type(ty);
                self.functions.push(size);
                size
            }
            TypeRef::Tag(tag) => {
                let size = self.of_type(tag.func_type_idx);
                self.tags.push(size);
                size
            }
            TypeRef::Table(_) | TypeRef::Memory(_) | TypeRef::Global(_) => OTHER,
        };
        self.sum += size;
    }

    pub fn functions(&mut self, functions: FunctionSectionReader<'_>) -> Result<(), LoadError> {
        for ty in functions {
            let size = self.of_type(ty?);
            self.functions.push(size);
        }
        Ok(())
    }

    pub fn tags(&mut self, tags: TagSectionReader<'_>) -> Result<(), LoadError> {
        for tag in tags {
            let size = self.of_type(tag?.func_type_idx);
            self.tags.push(size);
        }
        Ok(())
    }

    pub fn export(&mut self, kind: ExternalKind, index: u32) {
        self.sum += match kind {
            ExternalKind::Func | ExternalKind::FuncExact => self.of_function(index),
            ExternalKind::Tag => at(&self.tags, index),
            ExternalKind::Table | ExternalKind::Memory | ExternalKind::Global => OTHER,
        };
    }

    /// Whether so many items that are no functions, and these functions, can be exported as well.
    pub fn have_room(&self, others: usize, functions: impl Iterator<Item = u32>) -> bool {
        let functions: u64 = functions.map(|index| self.of_function(index)).sum();
        1 + self.sum + others as u64 * OTHER + functions < LIMIT
    }

    pub fn of_function(&self, index: u32) -> u64 {
        at(&self.functions, index)
    }

    fn of_type(&self, index: u32) -> u64 {
        at(&self.types, index)
    }
}

fn at(sizes: &[u64], index: u32) -> u64 {
    sizes.get(index as usize).copied().unwrap_or_default()
}
