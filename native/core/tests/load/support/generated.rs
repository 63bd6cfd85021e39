//! Small valid modules with legacy instructions, made from a seed.
//!
//! Each has one function `run` from an i32 to an i32, whose argument decides which of its throws
//! are reached, and which always ends.

use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction,
    Module, TagKind, TagSection, TagType, TypeSection, ValType,
};

/// A small deterministic generator of numbers (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 16) % bound as u64) as usize
    }
}

/// The tags of each module, by the number of their i32 values.
const TAGS: [u32; 3] = [0, 1, 2];

#[derive(Clone, Copy, PartialEq)]
enum Label {
    /// A branch takes one i32 along.
    Value,
    /// A loop, to which nothing branches, so that all ends.
    Loop,
    Handler,
}

struct Generator {
    random: Random,
    labels: Vec<Label>,
    code: Vec<Instruction<'static>>,
    budget: usize,
}

pub fn module(seed: u64) -> Vec<u8> {
    let mut generator = Generator {
        random: Random::new(seed),
        labels: vec![Label::Value],
        code: Vec::new(),
        budget: 40,
    };
    generator.value();
    generator.code.push(Instruction::End);

    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut tags = TagSection::new();
    for (index, values) in (1..).zip(TAGS) {
        types.ty().function(vec![ValType::I32; values as usize], []);
        tags.tag(TagType {
            kind: TagKind::Exception,
            func_type_idx: index,
        });
    }
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    let mut function = Function::new([(1, ValType::I64)]);
    for instruction in &generator.code {
        function.instruction(instruction);
    }
    code.function(&function);

    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&tags)
        .section(&exports)
        .section(&code);
    module.finish()
}

impl Generator {
    fn push(&mut self, instruction: Instruction<'static>) {
        self.code.push(instruction);
    }

    /// Code that leaves one i32, or does not go on.
    fn value(&mut self) {
        if self.budget == 0 {
            return self.constant();
        }
        self.budget -= 1;
        match self.random.below(10) {
            0 => self.constant(),
            1 => self.push(Instruction::LocalGet(0)),
            2 => {
                self.value();
                self.value();
                self.push(Instruction::I32Add);
            }
            3 => self.block(
                Instruction::Block(self.block_type(false)),
                Label::Value,
                false,
            ),
            4 => self.block(Instruction::Loop(self.block_type(true)), Label::Loop, true),
            5 => self.conditional(),
            6 => self.leave(),
            _ => self.try_(),
        }
    }

    fn block_type(&self, params: bool) -> BlockType {
        if params {
            // The type of `run` has a parameter too.
            BlockType::FunctionType(0)
        } else {
            BlockType::Result(ValType::I32)
        }
    }

    fn constant(&mut self) {
        let n = self.random.below(1000) as i32;
        self.push(Instruction::I32Const(n));
    }

    /// A condition on the argument, so that arguments differ in the way they take.
    fn condition(&mut self) {
        let bit = self.random.below(8) as i32;
        self.push(Instruction::LocalGet(0));
        self.push(Instruction::I32Const(1 << bit));
        self.push(Instruction::I32And);
    }

    fn block(&mut self, start: Instruction<'static>, label: Label, params: bool) {
        if params {
            self.constant();
        }
        self.push(start);
        self.labels.push(label);
        if params {
            self.value();
            self.push(Instruction::I32Add);
        } else {
            self.value();
        }
        self.labels.pop();
        self.push(Instruction::End);
    }

    fn conditional(&mut self) {
        self.condition();
        self.push(Instruction::If(BlockType::Result(ValType::I32)));
        self.labels.push(Label::Value);
        self.value();
        self.push(Instruction::Else);
        self.value();
        self.labels.pop();
        self.push(Instruction::End);
    }

    /// Throws, throws again, or branches.
    fn leave(&mut self) {
        let depth = self.random.below(self.labels.len());
        let label = self.labels[self.labels.len() - 1 - depth];
        let depth = depth as u32;
        match (self.random.below(4), label) {
            (0, Label::Handler) => self.push(Instruction::Rethrow(depth)),
            (1, Label::Value | Label::Handler) => {
                self.value();
                self.push(Instruction::Br(depth));
            }
            (2, Label::Value | Label::Handler) => {
                self.value();
                self.condition();
                self.push(Instruction::BrIf(depth));
            }
            _ => self.throw(),
        }
    }

    fn throw(&mut self) {
        let tag = self.random.below(TAGS.len());
        for _ in 0..TAGS[tag] {
            self.value();
        }
        self.push(Instruction::Throw(tag as u32));
    }

    fn try_(&mut self) {
        let params = self.random.below(3) == 0;
        if params {
            self.constant();
        }
        self.push(Instruction::Try(self.block_type(params)));
        self.labels.push(Label::Value);
        self.value();
        if params {
            self.push(Instruction::I32Add);
        }
        if self.random.below(3) == 0 {
            self.labels.pop();
            let depth = self.random.below(self.labels.len());
            return self.push(Instruction::Delegate(depth as u32));
        }
        self.labels.pop();
        self.labels.push(Label::Handler);
        for _ in 0..self.random.below(3) {
            self.catch();
        }
        if self.random.below(2) == 0 {
            self.push(Instruction::CatchAll);
            self.value();
        }
        self.labels.pop();
        self.push(Instruction::End);
    }

    fn catch(&mut self) {
        let tag = self.random.below(TAGS.len());
        self.push(Instruction::Catch(tag as u32));
        self.value();
        for _ in 0..TAGS[tag] {
            self.push(Instruction::I32Add);
        }
    }
}
