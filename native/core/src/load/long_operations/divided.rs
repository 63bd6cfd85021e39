//! The functions that do an operation piece by piece.

use wasm_encoder::{BlockType, Encode, Function, Instruction, RefType, ValType};

use super::{MEMORY_PIECE, Operation, TABLE_PIECE};

/// A memory or table that a range lies in.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub index: u32,
    pub is_64: bool,
    pub kind: PlaceKind,
}

#[derive(Debug, Clone, Copy)]
pub enum PlaceKind {
    Memory { page_size_log2: u32 },
    Table { element: RefType },
}

/// Where the second operand points to, if it does.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// It is what the range is filled with.
    Value,
    Place(Place),
    Segment,
}

/// What the operands of an operation are.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub to: Place,
    pub source: Source,
}

const TO: u32 = 0;
const FROM: u32 = 1;
const LENGTH: u32 = 2;

impl Shape {
    pub fn piece(&self) -> u64 {
        match self.to.kind {
            PlaceKind::Memory { .. } => MEMORY_PIECE,
            PlaceKind::Table { .. } => TABLE_PIECE,
        }
    }

    /// Whether the length is an i64.
    pub fn has_long_length(&self) -> bool {
        match self.source {
            Source::Value => self.to.is_64,
            Source::Place(from) => self.to.is_64 && from.is_64,
            Source::Segment => false,
        }
    }

    /// Appends the type of a function that takes these operands.
    pub fn encode_type(&self, out: &mut Vec<u8>) {
        let index = |is_64| if is_64 { ValType::I64 } else { ValType::I32 };
        let second = match (self.source, self.to.kind) {
            (Source::Value, PlaceKind::Memory { .. }) | (Source::Segment, _) => ValType::I32,
            (Source::Value, PlaceKind::Table { element }) => ValType::Ref(element),
            (Source::Place(from), _) => index(from.is_64),
        };
        out.push(0x60);
        [index(self.to.is_64), second, index(self.has_long_length())]
            .as_slice()
            .encode(out);
        0_u32.encode(out);
    }
}

/// The function that does an operation of any length.
pub fn function(operation: Operation, shape: Shape) -> Function {
    let mut writer = Writer {
        function: Function::new([]),
        operation: operation.instruction(),
        shape,
    };
    writer.check_bounds();
    if let Source::Place(from) = shape.source
        && from.is_64 == shape.to.is_64
    {
        // They may overlap: what is still to be read must not be written.
        writer.get(TO);
        writer.get(FROM);
        writer.push(if from.is_64 {
            Instruction::I64GtU
        } else {
            Instruction::I32GtU
        });
        writer.push(Instruction::If(BlockType::Empty));
        writer.backward();
        writer.push(Instruction::Return);
        writer.push(Instruction::End);
    }
    writer.forward();
    writer.push(Instruction::End);
    writer.function
}

struct Writer {
    function: Function,
    operation: Instruction<'static>,
    shape: Shape,
}

impl Writer {
    fn push(&mut self, instruction: Instruction<'static>) {
        self.function.instruction(&instruction);
    }

    fn get(&mut self, local: u32) {
        self.push(Instruction::LocalGet(local));
    }

    /// The whole operation, where it would trap: so that it does before anything is written.
    fn check_bounds(&mut self) {
        self.is_outside(TO, self.shape.to);
        match self.shape.source {
            Source::Value => {}
            Source::Place(from) => {
                self.is_outside(FROM, from);
                self.push(Instruction::I32Or);
            }
            Source::Segment => {
                // No segment ends at 2^32 or beyond.
                self.get(FROM);
                self.get(LENGTH);
                self.push(Instruction::I32Add);
                self.get(LENGTH);
                self.push(Instruction::I32LtU);
                self.push(Instruction::I32Or);
            }
        }
        self.push(Instruction::If(BlockType::Empty));
        self.remaining();
        self.push(Instruction::Return);
        self.push(Instruction::End);
        if matches!(self.shape.source, Source::Segment) {
            // Nothing tells how long a segment is, but nothing can be copied from beyond its end.
            self.get(TO);
            self.get(FROM);
            self.get(LENGTH);
            self.push(Instruction::I32Add);
            self.push(Instruction::I32Const(0));
            self.operate();
        }
    }

    /// Whether the range that begins at a local ends outside of its place.
    fn is_outside(&mut self, start: u32, place: Place) {
        self.end_of(start, place);
        self.push(match place.kind {
            PlaceKind::Memory { .. } => Instruction::MemorySize(place.index),
            PlaceKind::Table { .. } => Instruction::TableSize(place.index),
        });
        if !place.is_64 {
            self.push(Instruction::I64ExtendI32U);
        }
        if let PlaceKind::Memory { page_size_log2 } = place.kind {
            self.push(Instruction::I64Const(page_size_log2.into()));
            self.push(Instruction::I64Shl);
        }
        self.push(Instruction::I64GtU);
        if place.is_64 {
            self.end_of(start, place);
            self.length_as(true);
            self.push(Instruction::I64LtU);
            self.push(Instruction::I32Or);
        }
    }

    fn end_of(&mut self, start: u32, place: Place) {
        self.get(start);
        if !place.is_64 {
            self.push(Instruction::I64ExtendI32U);
        }
        self.length_as(true);
        self.push(Instruction::I64Add);
    }

    fn length_as(&mut self, is_64: bool) {
        self.get(LENGTH);
        if is_64 && !self.shape.has_long_length() {
            self.push(Instruction::I64ExtendI32U);
        }
    }

    fn operate(&mut self) {
        let operation = self.operation.clone();
        self.push(operation);
    }

    /// The operation on what is left.
    fn remaining(&mut self) {
        self.get(TO);
        self.get(FROM);
        self.get(LENGTH);
        self.operate();
    }

    fn piece(&mut self, is_64: bool) {
        let piece = self.shape.piece();
        self.push(if is_64 {
            Instruction::I64Const(piece.cast_signed())
        } else {
            Instruction::I32Const(piece as i32)
        });
    }

    fn forward(&mut self) {
        self.while_long(|writer| {
            writer.get(TO);
            writer.get(FROM);
            writer.piece(writer.shape.has_long_length());
            writer.operate();
            writer.advance(TO, writer.shape.to.is_64);
            match writer.shape.source {
                Source::Value => {}
                Source::Place(from) => writer.advance(FROM, from.is_64),
                Source::Segment => writer.advance(FROM, false),
            }
            writer.shorten();
        });
        self.remaining();
    }

    /// From the end on, which works where both places are indexed alike.
    fn backward(&mut self) {
        let is_64 = self.shape.to.is_64;
        let add = || {
            if is_64 {
                Instruction::I64Add
            } else {
                Instruction::I32Add
            }
        };
        self.while_long(|writer| {
            writer.shorten();
            for start in [TO, FROM] {
                writer.get(start);
                writer.get(LENGTH);
                writer.push(add());
            }
            writer.piece(is_64);
            writer.operate();
        });
        self.remaining();
    }

    /// Does `step` as long as more than a piece is left. The loop is where the clock is looked at.
    fn while_long(&mut self, step: impl FnOnce(&mut Self)) {
        let is_64 = self.shape.has_long_length();
        self.push(Instruction::Loop(BlockType::Empty));
        self.get(LENGTH);
        self.piece(is_64);
        self.push(if is_64 {
            Instruction::I64GtU
        } else {
            Instruction::I32GtU
        });
        self.push(Instruction::If(BlockType::Empty));
        step(self);
        self.push(Instruction::Br(1));
        self.push(Instruction::End);
        self.push(Instruction::End);
    }

    fn advance(&mut self, local: u32, is_64: bool) {
        self.get(local);
        self.piece(is_64);
        self.push(if is_64 {
            Instruction::I64Add
        } else {
            Instruction::I32Add
        });
        self.push(Instruction::LocalSet(local));
    }

    fn shorten(&mut self) {
        let is_64 = self.shape.has_long_length();
        self.get(LENGTH);
        self.piece(is_64);
        self.push(if is_64 {
            Instruction::I64Sub
        } else {
            Instruction::I32Sub
        });
        self.push(Instruction::LocalSet(LENGTH));
    }
}
