//! Programs with legacy exceptions do after their translation what the proposal says they do.
//!
//! The input is read as a program: a tree of expressions. It is walked to know what it does, and
//! encoded, translated, compiled and run to see that it does that.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use wasm_encoder::{
    BlockType, Catch, CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, Instruction, Module, TagKind, TagSection, TagType, TypeSection,
    ValType,
};
use wasmbeam_core::load::{Prepare, prepare};
use wasmtime::{Config, Engine, Instance, Store, ThrownException, Val};

/// How many i32 each tag's exceptions carry.
const TAGS: [u32; 3] = [0, 1, 2];
/// The tag that a `try_table` catches.
const CAUGHT: u32 = 1;
/// All ways through an expression, of which one in two takes each of two.
const ARGUMENTS: [i32; 5] = [0, -1, 0x55, 0x33, 0x0f];

pub fn run(data: &[u8]) {
    let Ok(program) = Program::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let wasm = program.encode();
    let expected = ARGUMENTS.map(|argument| program.outcome(argument));
    let actual = outcomes(&wasm);
    assert_eq!(actual, expected, "{program:#?}");
}

/// How a call of a program ends, and what it noted on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    ended: Result<i32, Exception>,
    notes: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Exception {
    tag: u32,
    values: Vec<i32>,
}

/// Functions from an i32 to an i32, of which each may call those before it. The last is the program.
#[derive(Debug)]
pub struct Program {
    functions: Vec<Expr>,
}

/// Code that leaves one i32, or does not go on.
#[derive(Debug)]
enum Expr {
    Constant(i32),
    Argument,
    Sum(Box<Expr>, Box<Expr>),
    /// Adds to the notes, so that it is seen what runs, and in which order.
    Note(i32, Box<Expr>),
    Call(u32, Box<Expr>),
    Block(Body),
    /// Nothing branches to it, so that all ends.
    Loop(Body),
    If {
        bit: u32,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    Branch {
        depth: u32,
        value: Box<Expr>,
    },
    BranchIf {
        depth: u32,
        value: Box<Expr>,
        bit: u32,
    },
    Throw {
        tag: u32,
        values: Vec<Expr>,
    },
    Rethrow {
        depth: u32,
    },
    Try {
        body: Body,
        catches: Vec<(u32, Expr)>,
        catch_all: Option<Box<Expr>>,
    },
    Delegate {
        body: Body,
        depth: u32,
    },
    /// A block with the standard instruction in it, which takes the value of exceptions of one tag to
    /// the block.
    TryTable(Box<Expr>),
}

/// The inside of a block. With a parameter the block takes a value from the stack, to which that of
/// the inside is added.
#[derive(Debug)]
struct Body {
    parameter: Option<Box<Expr>>,
    inside: Box<Expr>,
}

/// What a branch, `rethrow` or `delegate` to a label may be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Label {
    Value,
    Loop,
    Handler,
    /// What it means to delegate to it no proposal says.
    TryTable,
}

struct Reader<'a, 'b> {
    input: &'a mut Unstructured<'b>,
    labels: Vec<Label>,
    functions: u32,
    budget: usize,
}

impl Program {
    pub fn arbitrary(input: &mut Unstructured<'_>) -> Result<Self> {
        let count = input.int_in_range(1..=3)?;
        let functions = (0..count).map(|functions| {
            let mut reader = Reader {
                input,
                labels: vec![Label::Value],
                functions,
                budget: 40,
            };
            reader.expr()
        });
        let functions = functions.collect::<Result<_>>()?;
        Ok(Self { functions })
    }
}

impl Reader<'_, '_> {
    fn expr(&mut self) -> Result<Expr> {
        if self.budget == 0 || self.input.is_empty() {
            return self.constant();
        }
        self.budget -= 1;
        Ok(match self.input.int_in_range(0..=15)? {
            0 => self.constant()?,
            1 => Expr::Argument,
            2 => Expr::Sum(self.boxed()?, self.boxed()?),
            3 => Expr::Note(self.input.int_in_range(1..=99)?, self.boxed()?),
            4 if self.functions > 0 => {
                let callee = self.input.int_in_range(0..=self.functions - 1)?;
                Expr::Call(callee, self.boxed()?)
            }
            5 => Expr::Block(self.body(Label::Value)?),
            6 => Expr::Loop(self.body(Label::Loop)?),
            7 => Expr::If {
                bit: self.bit()?,
                then: self.within(&[Label::Value])?,
                otherwise: self.within(&[Label::Value])?,
            },
            8 | 9 => self.leave()?,
            10 => self.throw()?,
            11 => Expr::TryTable(self.within(&[Label::Value, Label::TryTable])?),
            _ => self.try_()?,
        })
    }

    fn boxed(&mut self) -> Result<Box<Expr>> {
        self.expr().map(Box::new)
    }

    fn within(&mut self, labels: &[Label]) -> Result<Box<Expr>> {
        let outside = self.labels.len();
        self.labels.extend(labels);
        let inside = self.boxed();
        self.labels.truncate(outside);
        inside
    }

    fn body(&mut self, label: Label) -> Result<Body> {
        let parameter = if self.input.ratio(1, 3)? {
            Some(self.boxed()?)
        } else {
            None
        };
        Ok(Body {
            parameter,
            inside: self.within(&[label])?,
        })
    }

    fn constant(&mut self) -> Result<Expr> {
        Ok(Expr::Constant(self.input.int_in_range(0..=999)?))
    }

    fn bit(&mut self) -> Result<u32> {
        self.input.int_in_range(0..=7)
    }

    fn depth(&mut self) -> Result<(u32, Label)> {
        let depth = self.input.choose_index(self.labels.len())?;
        let label = self.labels.iter().rev().nth(depth).copied();
        Ok((depth as u32, label.unwrap_or(Label::Value)))
    }

    fn leave(&mut self) -> Result<Expr> {
        let (depth, label) = self.depth()?;
        if label == Label::Loop {
            return self.throw();
        }
        match self.input.int_in_range(0..=2)? {
            0 if label == Label::Handler => Ok(Expr::Rethrow { depth }),
            0 | 1 => Ok(Expr::Branch {
                depth,
                value: self.boxed()?,
            }),
            _ => Ok(Expr::BranchIf {
                depth,
                value: self.boxed()?,
                bit: self.bit()?,
            }),
        }
    }

    fn tag(&mut self) -> Result<u32> {
        self.input.int_in_range(0..=TAGS.len() as u32 - 1)
    }

    fn throw(&mut self) -> Result<Expr> {
        let tag = self.tag()?;
        let values = (0..TAGS[tag as usize]).map(|_| self.expr());
        let values = values.collect::<Result<_>>()?;
        Ok(Expr::Throw { tag, values })
    }

    fn try_(&mut self) -> Result<Expr> {
        let body = self.body(Label::Value)?;
        if self.input.ratio(1, 3)? {
            let (depth, label) = self.depth()?;
            if label != Label::TryTable {
                return Ok(Expr::Delegate { body, depth });
            }
        }
        let mut catches = Vec::new();
        for _ in 0..self.input.int_in_range(0..=2)? {
            let tag = self.tag()?;
            catches.push((tag, *self.within(&[Label::Handler])?));
        }
        let catch_all = if self.input.arbitrary()? {
            Some(self.within(&[Label::Handler])?)
        } else {
            None
        };
        Ok(Expr::Try {
            body,
            catches,
            catch_all,
        })
    }
}

/// Why the rest of an expression does not run. Depths count from where that is.
enum Exit {
    Branch(u32, i32),
    Throw(Exception),
    /// Thrown once the label is reached.
    Delegate(u32, Exception),
}

type Walked = std::result::Result<i32, Exit>;

/// What is known while a function runs.
struct Walk<'a> {
    program: &'a Program,
    argument: i32,
    /// For each label the exception of its handler.
    labels: Vec<Option<Exception>>,
    notes: i32,
}

/// What goes on outside of a label.
fn outside(walked: Walked) -> Walked {
    match walked {
        Err(Exit::Branch(0, value)) => Ok(value),
        Err(Exit::Branch(depth, value)) => Err(Exit::Branch(depth - 1, value)),
        Err(Exit::Delegate(0, exception)) => Err(Exit::Throw(exception)),
        Err(Exit::Delegate(depth, exception)) => Err(Exit::Delegate(depth - 1, exception)),
        walked => walked,
    }
}

impl Program {
    fn outcome(&self, argument: i32) -> Outcome {
        let mut walk = Walk {
            program: self,
            argument,
            labels: Vec::new(),
            notes: 0,
        };
        let walked = walk.function(self.functions.len() - 1);
        Outcome {
            ended: match walked {
                Ok(value) => Ok(value),
                Err(Exit::Throw(exception)) => Err(exception),
                Err(_) => unreachable!("no label is outside of a function"),
            },
            notes: walk.notes,
        }
    }
}

impl Walk<'_> {
    fn function(&mut self, index: usize) -> Walked {
        outside(self.labelled(None, &self.program.functions[index]))
    }

    fn labelled(&mut self, caught: Option<Exception>, expr: &Expr) -> Walked {
        self.labels.push(caught);
        let walked = self.expr(expr);
        self.labels.pop();
        walked
    }

    /// What a block takes from the stack: this runs outside of its label.
    fn parameter(&mut self, body: &Body) -> Walked {
        match &body.parameter {
            Some(parameter) => self.expr(parameter),
            None => Ok(0),
        }
    }

    fn inside(&mut self, body: &Body, parameter: i32) -> Walked {
        let value = self.labelled(None, &body.inside)?;
        Ok(value.wrapping_add(parameter))
    }

    fn is_set(&self, bit: u32) -> bool {
        self.argument & (1 << bit) != 0
    }

    fn expr(&mut self, expr: &Expr) -> Walked {
        match expr {
            Expr::Constant(value) => Ok(*value),
            Expr::Argument => Ok(self.argument),
            Expr::Sum(left, right) => {
                let left = self.expr(left)?;
                Ok(left.wrapping_add(self.expr(right)?))
            }
            Expr::Note(note, expr) => {
                self.notes = self.notes.wrapping_mul(31).wrapping_add(*note);
                self.expr(expr)
            }
            Expr::Call(callee, argument) => {
                let argument = self.expr(argument)?;
                let outer = std::mem::replace(&mut self.argument, argument);
                let labels = std::mem::take(&mut self.labels);
                let walked = self.function(*callee as usize);
                self.argument = outer;
                self.labels = labels;
                walked
            }
            Expr::Block(body) | Expr::Loop(body) => {
                let parameter = self.parameter(body)?;
                outside(self.inside(body, parameter))
            }
            Expr::If {
                bit,
                then,
                otherwise,
            } => {
                let taken = if self.is_set(*bit) { then } else { otherwise };
                outside(self.labelled(None, taken))
            }
            Expr::Branch { depth, value } => {
                let value = self.expr(value)?;
                Err(Exit::Branch(*depth, value))
            }
            Expr::BranchIf { depth, value, bit } => {
                let value = self.expr(value)?;
                if self.is_set(*bit) {
                    return Err(Exit::Branch(*depth, value));
                }
                Ok(value)
            }
            Expr::Throw { tag, values } => {
                let values = values.iter().map(|value| self.expr(value));
                let values = values.collect::<std::result::Result<_, _>>()?;
                Err(Exit::Throw(Exception { tag: *tag, values }))
            }
            Expr::Rethrow { depth } => {
                let label = self.labels.len() - 1 - *depth as usize;
                let caught = self.labels[label].clone();
                Err(Exit::Throw(caught.expect("the label of a handler")))
            }
            Expr::Try {
                body,
                catches,
                catch_all,
            } => self.try_(body, catches, catch_all.as_deref()),
            Expr::Delegate { body, depth } => {
                let parameter = self.parameter(body)?;
                match self.inside(body, parameter) {
                    Err(Exit::Throw(exception) | Exit::Delegate(0, exception)) => {
                        Err(Exit::Delegate(*depth, exception))
                    }
                    walked => outside(walked),
                }
            }
            Expr::TryTable(inside) => {
                self.labels.push(None);
                let walked = match self.labelled(None, inside) {
                    Err(Exit::Throw(exception)) if exception.tag == CAUGHT => {
                        Ok(exception.values[0])
                    }
                    walked => outside(walked),
                };
                self.labels.pop();
                outside(walked)
            }
        }
    }

    fn try_(&mut self, body: &Body, catches: &[(u32, Expr)], catch_all: Option<&Expr>) -> Walked {
        let parameter = self.parameter(body)?;
        let exception = match self.inside(body, parameter) {
            Err(Exit::Throw(exception) | Exit::Delegate(0, exception)) => exception,
            walked => return outside(walked),
        };
        let handled = if let Some((_, handler)) = catches.iter().find(|c| c.0 == exception.tag) {
            let values = exception
                .values
                .iter()
                .fold(0_i32, |a, b| a.wrapping_add(*b));
            self.labelled(Some(exception), handler)
                .map(|value| value.wrapping_add(values))
        } else if let Some(handler) = catch_all {
            self.labelled(Some(exception), handler)
        } else {
            return Err(Exit::Throw(exception));
        };
        outside(handled)
    }
}

/// The type of functions, and of blocks with a parameter.
const FUNCTION: u32 = 0;
const NOTES: u32 = 0;

impl Program {
    /// A module that exports the program as `run`, its notes, and its tags by their numbers.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([ValType::I32], [ValType::I32]);
        let mut tags = TagSection::new();
        let mut exports = ExportSection::new();
        for (tag, values) in (0..).zip(TAGS) {
            types.ty().function(vec![ValType::I32; values as usize], []);
            tags.tag(TagType {
                kind: TagKind::Exception,
                func_type_idx: tag + 1,
            });
            exports.export(&tag.to_string(), ExportKind::Tag, tag);
        }
        let mut globals = GlobalSection::new();
        let notes = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(notes, &ConstExpr::i32_const(0));
        exports.export("notes", ExportKind::Global, NOTES);
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for expr in &self.functions {
            functions.function(FUNCTION);
            // A local that nothing uses, where the translation's own would be.
            let mut function = Function::new([(1, ValType::I64)]);
            expr.encode(&mut function);
            function.instruction(&Instruction::End);
            code.function(&function);
        }
        exports.export("run", ExportKind::Func, functions.len() - 1);
        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&tags)
            .section(&globals)
            .section(&exports)
            .section(&code);
        module.finish()
    }
}

impl Body {
    fn encode(&self, out: &mut Function, start: impl Fn(BlockType) -> Instruction<'static>) {
        if let Some(parameter) = &self.parameter {
            parameter.encode(out);
            out.instruction(&start(BlockType::FunctionType(FUNCTION)));
            self.inside.encode(out);
            out.instruction(&Instruction::I32Add);
        } else {
            out.instruction(&start(VALUE));
            self.inside.encode(out);
        }
    }
}

const VALUE: BlockType = BlockType::Result(ValType::I32);

fn encode_bit(bit: u32, out: &mut Function) {
    out.instruction(&Instruction::LocalGet(0));
    out.instruction(&Instruction::I32Const(1 << bit));
    out.instruction(&Instruction::I32And);
}

impl Expr {
    fn encode(&self, out: &mut Function) {
        match self {
            Self::Constant(value) => {
                out.instruction(&Instruction::I32Const(*value));
            }
            Self::Argument => {
                out.instruction(&Instruction::LocalGet(0));
            }
            Self::Sum(left, right) => {
                left.encode(out);
                right.encode(out);
                out.instruction(&Instruction::I32Add);
            }
            Self::Note(note, expr) => {
                out.instruction(&Instruction::GlobalGet(NOTES));
                out.instruction(&Instruction::I32Const(31));
                out.instruction(&Instruction::I32Mul);
                out.instruction(&Instruction::I32Const(*note));
                out.instruction(&Instruction::I32Add);
                out.instruction(&Instruction::GlobalSet(NOTES));
                expr.encode(out);
            }
            Self::Call(callee, argument) => {
                argument.encode(out);
                out.instruction(&Instruction::Call(*callee));
            }
            Self::Block(body) => {
                body.encode(out, Instruction::Block);
                out.instruction(&Instruction::End);
            }
            Self::Loop(body) => {
                body.encode(out, Instruction::Loop);
                out.instruction(&Instruction::End);
            }
            Self::If {
                bit,
                then,
                otherwise,
            } => {
                encode_bit(*bit, out);
                out.instruction(&Instruction::If(VALUE));
                then.encode(out);
                out.instruction(&Instruction::Else);
                otherwise.encode(out);
                out.instruction(&Instruction::End);
            }
            Self::Branch { depth, value } => {
                value.encode(out);
                out.instruction(&Instruction::Br(*depth));
            }
            Self::BranchIf { depth, value, bit } => {
                value.encode(out);
                encode_bit(*bit, out);
                out.instruction(&Instruction::BrIf(*depth));
            }
            Self::Throw { tag, values } => {
                values.iter().for_each(|value| value.encode(out));
                out.instruction(&Instruction::Throw(*tag));
            }
            Self::Rethrow { depth } => {
                out.instruction(&Instruction::Rethrow(*depth));
            }
            Self::Try {
                body,
                catches,
                catch_all,
            } => {
                body.encode(out, Instruction::Try);
                for (tag, handler) in catches {
                    out.instruction(&Instruction::Catch(*tag));
                    handler.encode(out);
                    for _ in 0..TAGS[*tag as usize] {
                        out.instruction(&Instruction::I32Add);
                    }
                }
                if let Some(handler) = catch_all {
                    out.instruction(&Instruction::CatchAll);
                    handler.encode(out);
                }
                out.instruction(&Instruction::End);
            }
            Self::Delegate { body, depth } => {
                body.encode(out, Instruction::Try);
                out.instruction(&Instruction::Delegate(*depth));
            }
            Self::TryTable(inside) => {
                out.instruction(&Instruction::Block(VALUE));
                let catch = Catch::One {
                    tag: CAUGHT,
                    label: 0,
                };
                out.instruction(&Instruction::TryTable(VALUE, vec![catch].into()));
                inside.encode(out);
                out.instruction(&Instruction::End);
                out.instruction(&Instruction::End);
            }
        }
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.wasm_exceptions(true).wasm_gc(true);
    Engine::new(&config).expect("an engine")
});

/// What the translated module does.
fn outcomes(wasm: &[u8]) -> [Outcome; ARGUMENTS.len()] {
    let options = Prepare {
        expose_internals: true,
    };
    let prepared = prepare(wasm, options).expect("a translation");
    let module = wasmtime::Module::new(&ENGINE, &prepared.wasm).expect("a valid module");
    let mut store = Store::new(&ENGINE, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let notes = instance.get_global(&mut store, "notes").expect("a global");
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run");
    let run = run.expect("a function");
    ARGUMENTS.map(|argument| {
        notes
            .set(&mut store, Val::I32(0))
            .expect("a mutable global");
        let ended = match run.call(&mut store, argument) {
            Ok(value) => Ok(value),
            Err(error) => {
                assert!(error.is::<ThrownException>(), "{error:?}");
                Err(thrown(&mut store, instance))
            }
        };
        let notes = notes.get(&mut store).unwrap_i32();
        Outcome { ended, notes }
    })
}

fn thrown(store: &mut Store<()>, instance: Instance) -> Exception {
    let exception = store.take_pending_exception().expect("an exception");
    let thrown = exception.tag(&mut *store).expect("a tag");
    let is_thrown = |tag: &u32, store: &mut Store<()>| {
        let tag = instance.get_tag(&mut *store, &tag.to_string());
        wasmtime::Tag::eq(&thrown, &tag.expect("a tag"), &*store)
    };
    let tag = (0..TAGS.len() as u32)
        .find(|tag| is_thrown(tag, store))
        .expect("one of the tags");
    let values = (0..TAGS[tag as usize] as usize).map(|field| {
        let value = exception.field(&mut *store, field).expect("a field");
        value.unwrap_i32()
    });
    let values = values.collect();
    Exception { tag, values }
}
