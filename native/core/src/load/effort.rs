//! Refuses modules that would keep the compiler busy out of all proportion to their size.
//!
//! Some of what the compiler does grows with the product of two things, each of which takes a byte or
//! two: locals that live across branches, calls of functions with a thousand parameters, references
//! that live across calls. Here it is estimated, for what a function takes beyond what its length is
//! worth. The estimate is never much less than the truth; compilers emit code that stays far below
//! the limit.

use wasmparser::{
    BlockType, CompositeInnerType, FunctionBody, Operator, Parser, Payload, RefType, TypeRef,
    ValType,
};

use super::LoadError;
use super::nesting::function_offset;

/// Units of a module, each about a microsecond of one core.
pub const MAX_EFFORT: u64 = 30_000_000;
/// Units that a byte of a function is worth; about one is usual.
const ALLOWED_FOR_A_BYTE: u64 = 10;

/// Sixteenths of a unit, as measured for each.
const PART: u64 = 16;
const LOCAL: u64 = 2;
/// A local that lives where control flow joins.
const CROSSING: u64 = 16;
const OPERAND_OF_A_CALL: u64 = 144;
const OPERAND_OF_A_BRANCH: u64 = 2;
const FIELD: u64 = 144;
const REFERENCE_AT_A_CALL: u64 = 3;

/// Functions that are shorter cannot take long if no type is wide.
const SHORT: usize = 512;
const FEW_LOCALS: u64 = 1_000;
const WIDE: u64 = 16;
/// As the standard's implementations have it.
const MOST_LOCALS: usize = 50_000;

/// Checks the functions of `compiled`, the form that is to be compiled of the module `given`.
///
/// # Errors
///
/// [`LoadError::Limit`], whose offset is that of the first function that is too much, and
/// [`LoadError::Invalid`] where a function does not decode.
pub fn check(given: &[u8], compiled: &[u8]) -> Result<(), LoadError> {
    let mut total = 0;
    each(compiled, |index, effort| {
        total += effort;
        if total > MAX_EFFORT {
            return Err(LoadError::Limit {
                offset: function_offset(given, index)?,
                what: "microseconds of compiling that the size does not explain",
                limit: MAX_EFFORT as usize,
            });
        }
        Ok(())
    })
}

/// The units that a module takes beyond what its size explains.
///
/// # Errors
///
/// [`LoadError::Invalid`] where it does not decode.
pub fn of(wasm: &[u8]) -> Result<u64, LoadError> {
    let mut total = 0;
    each(wasm, |_, effort| {
        total += effort;
        Ok(())
    })?;
    Ok(total)
}

fn each(
    wasm: &[u8],
    mut function: impl FnMut(usize, u64) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let mut types = Types::default();
    let mut index = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::CodeSectionEntry(body) = &payload {
            let allowed = ALLOWED_FOR_A_BYTE * body.range().len() as u64;
            let effort = Survey::of(&types, index, body)? / PART;
            function(index, effort.saturating_sub(allowed))?;
            index += 1;
        } else {
            types.note(payload)?;
        }
    }
    Ok(())
}

/// How much a type stands for.
#[derive(Clone, Copy, Default)]
struct Shape {
    params: u64,
    results: u64,
    /// Results that the garbage collector has to know.
    references: u64,
    fields: u64,
    is_function: bool,
}

/// What a function refers to.
#[derive(Default)]
struct Types {
    shapes: Vec<Shape>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    imported: usize,
    is_wide: bool,
}

impl Types {
    fn note(&mut self, payload: Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    for ty in group?.into_types() {
                        let shape = self.shape(&ty.composite_type.inner);
                        self.is_wide |= shape.params + shape.results + shape.fields > WIDE;
                        self.shapes.push(shape);
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                        self.functions.push(ty);
                    }
                }
                self.imported = self.functions.len();
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.functions.push(ty?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn shape(&self, ty: &CompositeInnerType) -> Shape {
        match ty {
            CompositeInnerType::Func(ty) => Shape {
                params: ty.params().len() as u64,
                results: ty.results().len() as u64,
                references: self.references(ty.results().iter().copied()),
                is_function: true,
                ..Shape::default()
            },
            CompositeInnerType::Struct(ty) => Shape {
                fields: ty.fields.len() as u64,
                ..Shape::default()
            },
            _ => Shape::default(),
        }
    }

    fn references(&self, types: impl Iterator<Item = ValType>) -> u64 {
        types.filter(|ty| self.is_reference(*ty)).count() as u64
    }

    fn is_reference(&self, ty: ValType) -> bool {
        let ValType::Ref(ty) = ty else { return false };
        let is_function = match ty.type_index().and_then(|index| index.as_module_index()) {
            Some(index) => self.of_type(index).is_function,
            None => ty.is_func_ref() || ty == RefType::NULLFUNCREF,
        };
        !is_function
    }

    fn of_type(&self, index: u32) -> Shape {
        self.shapes.get(index as usize).copied().unwrap_or_default()
    }

    fn of_function(&self, index: u32) -> Shape {
        let ty = self.functions.get(index as usize);
        ty.map(|ty| self.of_type(*ty)).unwrap_or_default()
    }

    fn of_block(&self, ty: BlockType) -> Shape {
        match ty {
            BlockType::Empty => Shape::default(),
            BlockType::Type(ty) => Shape {
                results: 1,
                references: self.is_reference(ty).into(),
                ..Shape::default()
            },
            BlockType::FuncType(index) => self.of_type(index),
        }
    }
}

/// A block that is open.
struct Frame {
    is_loop: bool,
    /// Operands of a branch to it.
    arity: u64,
    /// Definitions to be undone at its end.
    undo: usize,
}

/// A loop that is open.
struct Loop {
    /// Counted from 1 through the function.
    number: u64,
    begin: u64,
    /// Locals that are read in it and were set before it.
    carried: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
struct Local {
    /// Where it was last set on every way to here.
    set: u64,
    /// Up to where it is known to live.
    covered: u64,
    /// The number of the loop among whose `carried` it was last.
    carried: u64,
}

/// One function. A place is the number of joins before it, loops counting more.
struct Survey<'a> {
    types: &'a Types,
    place: u64,
    crossings: u64,
    rest: u64,
    locals: Vec<Local>,
    undo: Vec<(u32, u64)>,
    frames: Vec<Frame>,
    loops: Vec<Loop>,
    loops_seen: u64,
    value_blocks: u64,
    block_values: u64,
    references: u64,
    calls: u64,
}

impl<'a> Survey<'a> {
    /// In sixteenths.
    fn of(types: &'a Types, index: usize, body: &FunctionBody<'_>) -> Result<u64, LoadError> {
        let shape = types.of_function(u32::try_from(types.imported + index).unwrap_or(u32::MAX));
        let mut locals = shape.params;
        for declared in body.get_locals_reader()? {
            locals += u64::from(declared?.0);
        }
        let declaring = locals.saturating_mul(LOCAL);
        if body.range().len() < SHORT && locals < FEW_LOCALS && !types.is_wide {
            return Ok(declaring);
        }
        let mut survey = Self {
            types,
            place: 0,
            crossings: 0,
            rest: declaring,
            locals: Vec::new(),
            undo: Vec::new(),
            frames: vec![Frame {
                is_loop: false,
                arity: shape.results,
                undo: 0,
            }],
            loops: Vec::new(),
            loops_seen: 0,
            value_blocks: 0,
            block_values: 0,
            references: 0,
            calls: 0,
        };
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            survey.operator(&operators.read()?);
        }
        Ok(survey.total())
    }

    fn total(&self) -> u64 {
        let parts = [
            self.rest,
            self.crossings.saturating_mul(CROSSING),
            // The values that are passed from block to block may become one.
            self.value_blocks.saturating_mul(self.block_values),
            self.references
                .saturating_mul(self.calls)
                .saturating_mul(REFERENCE_AT_A_CALL),
        ];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    fn operator(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::LocalGet { local_index } => self.get(*local_index),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.set(*local_index);
            }
            Operator::Block { blockty } | Operator::If { blockty } => self.open(*blockty, false),
            Operator::TryTable { try_table } => {
                self.open(try_table.ty, false);
                for catch in &try_table.catches {
                    let (wasmparser::Catch::One { label, .. }
                    | wasmparser::Catch::OneRef { label, .. }
                    | wasmparser::Catch::All { label }
                    | wasmparser::Catch::AllRef { label }) = *catch;
                    self.branch(label);
                }
            }
            Operator::Loop { blockty } => self.open(*blockty, true),
            Operator::Else => {
                let mark = self.frames.last().map_or(0, |frame| frame.undo);
                self.undo_to(mark);
            }
            Operator::End => self.close(),
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth }
            | Operator::BrOnCast { relative_depth, .. }
            | Operator::BrOnCastFail { relative_depth, .. } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                self.branch(targets.default());
                for label in targets.targets().filter_map(Result::ok) {
                    self.branch(label);
                }
            }
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.call(self.types.of_function(*function_index));
            }
            Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. }
            | Operator::CallRef { type_index }
            | Operator::ReturnCallRef { type_index } => {
                self.call(self.types.of_type(*type_index));
            }
            Operator::StructNew { struct_type_index }
            | Operator::StructNewDefault { struct_type_index } => {
                let fields = self.types.of_type(*struct_type_index).fields;
                self.rest = self.rest.saturating_add(fields * FIELD);
                self.makes_reference(true);
            }
            Operator::ArrayNew { .. }
            | Operator::ArrayNewDefault { .. }
            | Operator::ArrayNewFixed { .. }
            | Operator::ArrayNewData { .. }
            | Operator::ArrayNewElem { .. }
            | Operator::TableGrow { .. }
            | Operator::MemoryGrow { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef => self.makes_reference(true),
            Operator::TableGet { .. }
            | Operator::GlobalGet { .. }
            | Operator::StructGet { .. }
            | Operator::ArrayGet { .. }
            | Operator::RefCastNonNull { .. }
            | Operator::RefCastNullable { .. }
            | Operator::RefI31
            | Operator::AnyConvertExtern
            | Operator::ExternConvertAny
            | Operator::TypedSelect { .. } => self.makes_reference(false),
            _ => {}
        }
    }

    fn makes_reference(&mut self, is_call: bool) {
        self.references += 1;
        self.calls += u64::from(is_call);
    }

    fn call(&mut self, shape: Shape) {
        let operands = (shape.params + shape.results) * OPERAND_OF_A_CALL;
        self.rest = self.rest.saturating_add(operands);
        self.references += shape.references;
        self.calls += 1;
    }

    fn branch(&mut self, label: u32) {
        let frame = self.frames.iter().rev().nth(label as usize);
        let arity = frame.map_or(0, |frame| frame.arity);
        self.rest = self.rest.saturating_add(arity * OPERAND_OF_A_BRANCH);
    }

    fn open(&mut self, ty: BlockType, is_loop: bool) {
        let shape = self.types.of_block(ty);
        let values = shape.params + shape.results;
        self.value_blocks += u64::from(values > 0);
        self.block_values += values;
        self.references += shape.references;
        self.frames.push(Frame {
            is_loop,
            arity: if is_loop { shape.params } else { shape.results },
            undo: self.undo.len(),
        });
        if is_loop {
            // Its head, where it looks whether the time is over; and what is in loops counts more.
            self.place += 3 + self.loops.len() as u64 / 8;
            self.loops_seen += 1;
            self.loops.push(Loop {
                number: self.loops_seen,
                begin: self.place,
                carried: Vec::new(),
            });
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        self.undo_to(frame.undo);
        if !frame.is_loop {
            self.place += 1;
            return;
        }
        let Some(ended) = self.loops.pop() else {
            return;
        };
        // What is read in one round lives to the end of the round before.
        for index in ended.carried {
            self.live(index, ended.begin);
        }
    }

    fn undo_to(&mut self, mark: usize) {
        for (index, set) in self.undo.drain(mark.min(self.undo.len())..).rev() {
            if let Some(local) = self.locals.get_mut(index as usize) {
                local.set = set;
            }
        }
    }

    /// None of one that no valid function has: the module has not been validated.
    fn local(&mut self, index: u32) -> Option<&mut Local> {
        let index = index as usize;
        if index < MOST_LOCALS && self.locals.len() <= index {
            self.locals.resize(index + 1, Local::default());
        }
        self.locals.get_mut(index)
    }

    fn set(&mut self, index: u32) {
        let place = self.place;
        if let Some(local) = self.local(index) {
            let before = std::mem::replace(&mut local.set, place);
            self.undo.push((index, before));
        }
    }

    fn get(&mut self, index: u32) {
        let Some(set) = self.local(index).map(|local| local.set) else {
            return;
        };
        self.live(index, set);
        // The outermost loop that it was set before.
        let outer = self.loops.partition_point(|open| open.begin <= set);
        let Some(around) = self.loops.get_mut(outer) else {
            return;
        };
        if let Some(local) = self.locals.get_mut(index as usize)
            && local.carried != around.number
        {
            local.carried = around.number;
            around.carried.push(index);
        }
    }

    /// From there to here.
    fn live(&mut self, index: u32, from: u64) {
        let place = self.place;
        if let Some(local) = self.local(index) {
            let from = from.max(local.covered);
            local.covered = local.covered.max(place);
            self.crossings += place.saturating_sub(from);
        }
    }
}
