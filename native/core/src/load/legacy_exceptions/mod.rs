//! Translates the [legacy exception handling instructions][legacy] (`try`, `catch`, `catch_all`,
//! `delegate`, `rethrow`) to those of the standard (`try_table`, `throw_ref`).
//!
//! Indices stay what they are, in every index space; types and locals are only added after those
//! of the module. Functions without a legacy instruction and all sections but the code and type
//! section are copied byte for byte, custom sections among them. Of these, sections that refer to
//! code by its offset (DWARF, branch hints) are no longer accurate for what follows the first
//! translated function, and neither are names of labels within it; other names are.
//!
//! The translation takes time and space linear in the module's size.
//!
//! [legacy]: https://github.com/WebAssembly/exception-handling/blob/main/proposals/exception-handling/legacy/Exceptions.md

mod emit;
mod encode;
mod locals;
mod plan;
mod types;

use std::borrow::Cow;

use wasm_encoder::SectionId;
use wasmparser::{
    FunctionBody, ImportSectionReader, Parser, Payload, TypeRef, TypeSectionReader, Validator,
    WasmFeatures,
};

pub(super) use self::encode::ref_type;
use self::plan::Plan;
use self::types::Types;
use super::sections::{HEADER_LEN, Sections, append_section, append_sized, encode_len, slice};
use super::{LoadError, require_module};

/// What a module with legacy instructions may use beside them: all that the engine can be
/// configured to accept, except stack switching, whose handlers the translation does not know.
/// What the engine is configured to refuse it still refuses in the translated module.
const FEATURES: WasmFeatures = WasmFeatures::WASM3
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::WIDE_ARITHMETIC);

/// Translates a module to one without legacy exception handling instructions. The answer is
/// borrowed where the module has none.
///
/// # Errors
///
/// A module with legacy instructions is validated before it is translated, so that no invalid
/// module becomes a valid one: [`LoadError::Invalid`]. A valid module may be refused with
/// [`LoadError::Limit`] if its translation would exceed a limit on functions, types or locals
/// that it does not exceed itself.
pub fn translate(wasm: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    require_module(wasm)?;
    if !uses_legacy_exceptions(wasm)? {
        return Ok(Cow::Borrowed(wasm));
    }
    Validator::new_with_features(FEATURES).validate_all(wasm)?;
    let module = Module::read(wasm)?;
    module.translate().map(Cow::Owned)
}

/// Whether a module has a legacy instruction. This decodes only functions with a byte in them that
/// could be a `try`, up to the first one that is. It cannot stop at the absence of tags, which a
/// `try` with `catch_all` does not need.
///
/// # Errors
///
/// [`LoadError::Invalid`] where that part does not decode.
pub fn uses_legacy_exceptions(wasm: &[u8]) -> Result<bool, LoadError> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload?
            && plan::is_legacy(&body)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A valid module.
struct Module<'a> {
    wasm: &'a [u8],
    sections: Sections,
    types: Types,
    type_section: Option<TypeSectionReader<'a>>,
    /// Type indices of the defined functions.
    functions: Vec<u32>,
    bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Module<'a> {
    fn read(wasm: &'a [u8]) -> Result<Self, LoadError> {
        let mut module = Self {
            wasm,
            sections: Sections::default(),
            types: Types::default(),
            type_section: None,
            functions: Vec::new(),
            bodies: Vec::new(),
        };
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        for payload in parser.parse_all(wasm) {
            let payload = payload?;
            module.sections.note(&payload);
            match payload {
                Payload::TypeSection(types) => {
                    module.type_section = Some(types.clone());
                    module.types.read_types(types)?;
                }
                Payload::ImportSection(imports) => module.import_tags(imports)?,
                Payload::FunctionSection(functions) => {
                    module.functions = functions.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::TagSection(tags) => {
                    for tag in tags {
                        module.types.push_tag(tag?.func_type_idx);
                    }
                }
                Payload::CodeSectionEntry(body) => module.bodies.push(body),
                _ => {}
            }
        }
        Ok(module)
    }

    fn import_tags(&mut self, imports: ImportSectionReader<'_>) -> Result<(), LoadError> {
        for import in imports.into_imports() {
            if let TypeRef::Tag(tag) = import?.ty {
                self.types.push_tag(tag.func_type_idx);
            }
        }
        Ok(())
    }

    fn translate(mut self) -> Result<Vec<u8>, LoadError> {
        // The types that are needed are known once the code is translated.
        let code = self.code_section()?;
        let types = self.type_section()?;
        let mut out = Vec::with_capacity(self.wasm.len() + self.wasm.len() / 8);
        out.extend_from_slice(slice(self.wasm, 0..HEADER_LEN)?);
        for section in self.sections.iter() {
            let offset = section.contents.start;
            if section.id == u8::from(SectionId::Code) {
                append_section(&mut out, section.id, &code, offset)?;
            } else if let (true, Some(types)) = (section.id == u8::from(SectionId::Type), &types) {
                append_section(&mut out, section.id, types, offset)?;
            } else {
                out.extend_from_slice(slice(self.wasm, section.whole.clone())?);
            }
        }
        Ok(out)
    }

    fn code_section(&mut self) -> Result<Vec<u8>, LoadError> {
        let mut code = Vec::new();
        encode_len(&mut code, self.bodies.len(), 0)?;
        for (body, type_index) in self.bodies.iter().zip(&self.functions) {
            let offset = body.range().start;
            match Plan::of(body)? {
                None => append_sized(&mut code, body.as_bytes(), offset)?,
                Some(plan) => {
                    let params = self.types.function(*type_index, offset)?.params().len();
                    let body =
                        emit::translate_function(self.wasm, body, params, &plan, &mut self.types)?;
                    append_sized(&mut code, &body, offset)?;
                }
            }
        }
        Ok(code)
    }

    fn type_section(&self) -> Result<Option<Vec<u8>>, LoadError> {
        let Some(types) = &self.type_section else {
            return Ok(None);
        };
        let contents = types.range();
        let entries = slice(self.wasm, types.original_position()..contents.end)?;
        self.types.section(entries, contents.start)
    }
}
