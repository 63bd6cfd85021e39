//! The types that blocks of the translated code need, beyond those that the module has.

use std::collections::HashMap;

use wasm_encoder as enc;
use wasm_encoder::Encode;
use wasmparser::{BlockType, CompositeInnerType, FuncType, RefType, TypeSectionReader, ValType};

use super::encode::{Unsupported, val_type, val_types};
use crate::load::LoadError;
use crate::load::sections::encode_len;

const MAX_TYPES: usize = 1_000_000;
const MAX_RESULTS: usize = 1_000;
/// A try with a thousand parameters may have clauses for tags of a thousand parameters, each of
/// which needs a type of its own: without a bound, a few bytes of code would become kilobytes.
const MAX_ADDED_VALUES: usize = 1_000_000;

/// The module's types and tags, and the function types that are added to them.
#[derive(Debug, Default)]
pub struct Types {
    /// By type index; none where the type is no function type.
    functions: Vec<Option<FuncType>>,
    /// The number of recursion groups, which is what the type section counts.
    groups: usize,
    /// Type indices by tag index.
    tags: Vec<u32>,
    indices: HashMap<FuncType, u32>,
    needed: HashMap<Need, enc::BlockType>,
    added: Vec<u8>,
    added_count: usize,
    added_values: usize,
}

/// What a block has to carry, as indices: comparing these is cheaper than comparing types.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Need {
    /// The function type of the try, if it has parameters.
    params: Option<u32>,
    tag_type: Option<u32>,
    exception: bool,
}

impl Types {
    pub fn read_types(&mut self, types: TypeSectionReader<'_>) -> Result<(), LoadError> {
        for group in types {
            self.groups += 1;
            for ty in group?.into_types() {
                self.functions.push(match ty.composite_type.inner {
                    CompositeInnerType::Func(ty) => Some(ty),
                    CompositeInnerType::Array(_)
                    | CompositeInnerType::Struct(_)
                    | CompositeInnerType::Cont(_) => None,
                });
            }
        }
        Ok(())
    }

    pub fn push_tag(&mut self, type_index: u32) {
        self.tags.push(type_index);
    }

    pub fn function(&self, type_index: u32, offset: usize) -> Result<&FuncType, LoadError> {
        self.functions
            .get(type_index as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| LoadError::invalid(offset, "unknown function type"))
    }

    /// The type of a block that takes the parameters of `block` and leaves the values of `tag`,
    /// if one is given, and the exception itself, if `exception`.
    pub fn handler_block(
        &mut self,
        block: BlockType,
        tag: Option<u32>,
        exception: bool,
        offset: usize,
    ) -> Result<enc::BlockType, LoadError> {
        let need = Need {
            params: self.function_with_params(block, offset)?,
            tag_type: self.tag_type(tag, offset)?,
            exception,
        };
        if let Some(known) = self.needed.get(&need) {
            return Ok(*known);
        }
        let params = match need.params {
            Some(index) => self.function(index, offset)?.params().to_vec(),
            None => Vec::new(),
        };
        let mut results = match need.tag_type {
            Some(index) => self.function(index, offset)?.params().to_vec(),
            None => Vec::new(),
        };
        if exception {
            results.push(ValType::Ref(RefType::EXNREF));
        }
        let ty = match (params.as_slice(), results.as_slice()) {
            ([], []) => enc::BlockType::Empty,
            ([], [result]) => {
                let result = val_type(*result).map_err(|_| unsupported(offset))?;
                enc::BlockType::Result(result)
            }
            _ => {
                let ty = FuncType::new(params, results);
                enc::BlockType::FunctionType(self.function_index(ty, offset)?)
            }
        };
        self.needed.insert(need, ty);
        Ok(ty)
    }

    /// The contents of the type section with what was added to its entries, or none if nothing
    /// was.
    pub fn section(&self, entries: &[u8], offset: usize) -> Result<Option<Vec<u8>>, LoadError> {
        if self.added_count == 0 {
            return Ok(None);
        }
        let mut contents = Vec::with_capacity(entries.len() + self.added.len() + 5);
        encode_len(&mut contents, self.groups + self.added_count, offset)?;
        contents.extend_from_slice(entries);
        contents.extend_from_slice(&self.added);
        Ok(Some(contents))
    }

    fn function_with_params(
        &self,
        block: BlockType,
        offset: usize,
    ) -> Result<Option<u32>, LoadError> {
        Ok(match block {
            BlockType::FuncType(index) if !self.function(index, offset)?.params().is_empty() => {
                Some(index)
            }
            _ => None,
        })
    }

    fn tag_type(&self, tag: Option<u32>, offset: usize) -> Result<Option<u32>, LoadError> {
        let Some(tag) = tag else { return Ok(None) };
        match self.tags.get(tag as usize) {
            Some(index) => Ok(Some(*index)),
            None => Err(LoadError::invalid(offset, "unknown tag")),
        }
    }

    fn function_index(&mut self, ty: FuncType, offset: usize) -> Result<u32, LoadError> {
        if self.indices.is_empty() {
            self.index_functions();
        }
        if let Some(index) = self.indices.get(&ty) {
            return Ok(*index);
        }
        let index = self.functions.len();
        self.added_values += ty.params().len() + ty.results().len();
        for (reached, limit, what) in [
            (index + 1, MAX_TYPES, "types"),
            (ty.results().len(), MAX_RESULTS, "results of a block"),
            (self.added_values, MAX_ADDED_VALUES, "values in block types"),
        ] {
            if reached > limit {
                return Err(LoadError::Limit {
                    offset,
                    what,
                    limit,
                });
            }
        }
        encode_function(&mut self.added, &ty).map_err(|_| unsupported(offset))?;
        self.added_count += 1;
        let index = index as u32;
        self.functions.push(Some(ty.clone()));
        self.indices.insert(ty, index);
        Ok(index)
    }

    fn index_functions(&mut self) {
        for (index, ty) in self.functions.iter().enumerate() {
            if let Some(ty) = ty {
                self.indices.entry(ty.clone()).or_insert(index as u32);
            }
        }
    }
}

/// A final type without supertypes, which is a recursion group of its own.
fn encode_function(out: &mut Vec<u8>, ty: &FuncType) -> Result<(), Unsupported> {
    const FUNC: u8 = 0x60;
    let params = val_types(ty.params())?;
    let results = val_types(ty.results())?;
    out.push(FUNC);
    params.as_slice().encode(out);
    results.as_slice().encode(out);
    Ok(())
}

fn unsupported(offset: usize) -> LoadError {
    LoadError::invalid(offset, "a type of no supported feature")
}
