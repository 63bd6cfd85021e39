//! Modules with state of every kind, and random calls that change it.

use std::fmt::Write;

use super::Guest;
use super::random::Random;

/// A module and the calls that it takes.
pub struct Generated {
    pub text: String,
    calls: Vec<(String, Vec<Range>)>,
    /// Of the first memory and the first table.
    memory_type: &'static str,
    table_type: &'static str,
}

/// Parameter `n` as an address, or index, of that type.
fn address(ty: &str, n: usize) -> String {
    match ty {
        "i64" => format!("(i64.extend_i32_u (local.get {n}))"),
        _ => format!("(local.get {n})"),
    }
}

fn wrap(ty: &str) -> &'static str {
    match ty {
        "i64" => "i32.wrap_i64",
        _ => "nop",
    }
}

/// What an argument is drawn from.
#[derive(Clone, Copy)]
enum Range {
    Below(i32),
}

impl Generated {
    pub fn new(random: &mut Random) -> Self {
        let mut module = Self {
            text: String::from(
                r#"(module
  (type $f (func (result i32)))
  (import "host" "f" (func $host (result i32)))
  (import "host" "g" (global $given i32))
"#,
            ),
            calls: Vec::new(),
            memory_type: "i32",
            table_type: "i32",
        };
        let memories = random.below(3);
        let tables = random.below(3);
        let segments = random.below(3);
        for memory in 0..memories {
            module.memory(random, memory);
        }
        for table in 0..tables {
            module.table(random, table);
        }
        for global in 0..random.below(7) {
            module.global(random, global);
        }
        module.functions();
        for segment in 0..segments {
            module.data(random, segment, memories);
            module.elements(random, segment, tables);
        }
        if random.one_in(2) {
            module.start(memories);
        }
        module.text.push(')');
        if module.calls.is_empty() {
            module.calls.push(("nothing".into(), Vec::new()));
        }
        module
    }

    fn line(&mut self, line: impl AsRef<str>) {
        writeln!(self.text, "  {}", line.as_ref()).expect("a string takes all");
    }

    fn export(&mut self, name: String, args: &[Range], rest: &str) {
        self.line(format!("(func (export \"{name}\") {rest})"));
        self.calls.push((name, args.to_vec()));
    }

    fn functions(&mut self) {
        self.line("(func $a (result i32) (i32.const 10))");
        self.line("(func $b (result i32) (global.get $given))");
        self.line("(func (export \"nothing\"))");
        self.line("(elem declare func $a $b $host)");
    }

    fn memory(&mut self, random: &mut Random, m: usize) {
        let pages = random.below(6);
        let ty = *random.pick(&["i32", "i64"]);
        let (address, wrap) = (address(ty, 0), wrap(ty));
        if m == 0 {
            self.memory_type = ty;
        }
        let small = if ty == "i32" && random.one_in(4) {
            "(pagesize 1)"
        } else {
            ""
        };
        let (pages, grown) = if small.is_empty() {
            (pages, 4)
        } else {
            (pages * 5_000, 9_000)
        };
        self.line(format!("(memory $m{m} {ty} {pages} 60000 {small})"));
        if pages > 0 {
            self.line(format!("(data (memory $m{m}) ({ty}.const 3) \"initial\")"));
        }
        let anywhere = Range::Below(6 << 16);
        self.export(
            format!("poke{m}"),
            &[anywhere, Range::Below(3)],
            &format!("(param i32 i32) (i32.store8 $m{m} {address} (local.get 1))"),
        );
        self.export(
            format!("peek{m}"),
            &[anywhere],
            &format!("(param i32) (result i32) (i32.load8_u $m{m} {address})"),
        );
        self.export(
            format!("grow{m}"),
            &[Range::Below(grown)],
            &format!("(param i32) (result i32) (memory.grow $m{m} {address}) {wrap}"),
        );
        self.export(
            format!("fill{m}"),
            &[anywhere, Range::Below(2)],
            &format!(
                "(param i32 i32) (memory.fill $m{m} {address} (local.get 1) ({ty}.const 9000))"
            ),
        );
    }

    fn table(&mut self, random: &mut Random, t: usize) {
        let size = random.below(9);
        if random.one_in(4) {
            self.line(format!("(table $t{t} {size} externref)"));
            self.line(format!("(table $u{t} {size} 500 anyref)"));
            self.export(
                format!("number{t}"),
                &[Range::Below(12), Range::Below(5)],
                &format!("(param i32 i32) (table.set $u{t} (local.get 0) (ref.i31 (local.get 1)))"),
            );
            self.export(
                format!("numbers{t}"),
                &[Range::Below(5), Range::Below(5)],
                &format!(
                    "(param i32 i32) (result i32)
                     (table.grow $u{t} (ref.i31 (local.get 0)) (local.get 1))"
                ),
            );
            self.export(
                format!("extern{t}"),
                &[Range::Below(5)],
                &format!(
                    "(param i32) (result i32) (table.grow $t{t} (ref.null extern) (local.get 0))"
                ),
            );
            return;
        }
        let ty = *random.pick(&["i32", "i64"]);
        let (index, wrap) = (address(ty, 0), wrap(ty));
        if t == 0 {
            self.table_type = ty;
        }
        self.line(format!("(table $t{t} {ty} {size} 500 funcref)"));
        if size > 0 {
            self.line(format!("(elem (table $t{t}) ({ty}.const 0) func $a)"));
        }
        for (name, value) in [
            ("a", "(ref.func $a)"),
            ("b", "(ref.func $b)"),
            ("host", "(ref.func $host)"),
            ("null", "(ref.null func)"),
        ] {
            self.export(
                format!("set_{name}{t}"),
                &[Range::Below(12)],
                &format!("(param i32) (table.set $t{t} {index} {value})"),
            );
        }
        self.export(
            format!("extend{t}"),
            &[Range::Below(6)],
            &format!("(param i32) (result i32) (table.grow $t{t} (ref.func $b) {index}) {wrap}"),
        );
        for _ in 0..3 {
            self.calls
                .push((format!("call{t}"), vec![Range::Below(12)]));
        }
        self.line(format!(
            "(func (export \"call{t}\") (param i32) (result i32)
               (call_indirect $t{t} (type $f) {index}))"
        ));
    }

    fn global(&mut self, random: &mut Random, g: usize) {
        let name = format!("next{g}");
        match random.below(7) {
            0 => {
                self.line(format!("(global $g{g} (mut i32) (i32.const 5))"));
                self.export(
                    name,
                    &[],
                    &format!(
                        "(result i32) (global.get $g{g})
                         (global.set $g{g} (i32.mul (global.get $g{g}) (i32.const 77777)))"
                    ),
                );
            }
            1 => {
                self.line(format!("(global $g{g} (mut i64) (i64.const 5))"));
                self.export(
                    name,
                    &[],
                    &format!(
                        "(result i64) (global.get $g{g})
                         (global.set $g{g} (i64.mul (global.get $g{g}) (i64.const 7777777777)))"
                    ),
                );
            }
            2 => {
                self.line(format!("(global $g{g} (mut f32) (f32.const 1.5))"));
                self.export(
                    name,
                    &[],
                    &format!(
                        "(result f32) (global.get $g{g})
                         (global.set $g{g} (f32.sub (f32.const 0.1) (global.get $g{g})))"
                    ),
                );
            }
            3 => {
                self.line(format!(
                    "(global $g{g} (mut f64) (f64.const nan:0x4000000000001))"
                ));
                self.export(
                    name,
                    &[],
                    &format!(
                        "(result f64) (global.get $g{g}) (global.set $g{g} (f64.const 1e300))"
                    ),
                );
            }
            4 => {
                self.line(format!("(global $g{g} (mut v128) (v128.const i64x2 1 2))"));
                self.export(
                    name,
                    &[],
                    &format!(
                        "(result v128) (global.get $g{g})
                         (global.set $g{g} (i64x2.add (global.get $g{g}) (global.get $g{g})))"
                    ),
                );
            }
            5 => {
                self.line(format!("(global $g{g} (mut (ref null $f)) (ref.null $f))"));
                self.export(
                    name,
                    &[],
                    &format!(
                        "(result i32)
                         (if (ref.is_null (global.get $g{g}))
                           (then (global.set $g{g} (ref.func $host))))
                         (call_ref $f (global.get $g{g}))
                         (global.set $g{g} (ref.func $b))"
                    ),
                );
            }
            _ => {
                self.line(format!(
                    "(global $g{g} (mut (ref i31)) (ref.i31 (i32.const 1)))"
                ));
                self.export(
                    name,
                    &[],
                    &format!(
                        "(result i32) (i31.get_u (global.get $g{g}))
                         (global.set $g{g} (ref.i31
                           (i32.mul (i31.get_u (global.get $g{g})) (i32.const 77777))))"
                    ),
                );
            }
        }
    }

    fn data(&mut self, random: &mut Random, d: usize, memories: usize) {
        if memories == 0 {
            return;
        }
        let place = address(self.memory_type, 0);
        self.line(format!("(data $d{d} \"passive{d}\")"));
        self.export(
            format!("init{d}"),
            &[Range::Below(70_000), Range::Below(10)],
            &format!(
                "(param i32 i32)
                 (memory.init $m0 $d{d} {place} (i32.const 0) (local.get 1))"
            ),
        );
        if random.one_in(2) {
            self.export(
                format!("drop{d}"),
                &[Range::Below(4)],
                &format!("(param i32) (if (i32.eqz (local.get 0)) (then (data.drop $d{d})))"),
            );
        }
    }

    fn elements(&mut self, random: &mut Random, e: usize, tables: usize) {
        if tables == 0 || self.text.contains("$u0") {
            return;
        }
        let place = address(self.table_type, 0);
        self.line(format!("(elem $e{e} func $a $b $host $a)"));
        self.export(
            format!("init_elements{e}"),
            &[Range::Below(9), Range::Below(4)],
            &format!(
                "(param i32 i32)
                 (table.init $t0 $e{e} {place} (i32.const 0) (local.get 1))"
            ),
        );
        if random.one_in(2) {
            self.export(
                format!("drop_elements{e}"),
                &[Range::Below(4)],
                &format!("(param i32) (if (i32.eqz (local.get 0)) (then (elem.drop $e{e})))"),
            );
        }
    }

    fn start(&mut self, memories: usize) {
        self.line("(global $started (mut i32) (i32.const 0))");
        let poke = if memories > 0 {
            "(drop (memory.size $m0))"
        } else {
            ""
        };
        self.line(format!(
            "(func $start (global.set $started (i32.add (call $host) (global.get $started))) {poke})"
        ));
        self.line("(start $start)");
        self.export("started".into(), &[], "(result i32) (global.get $started)");
    }

    /// A call, chosen at random.
    pub fn call(&self, random: &mut Random) -> (&str, Vec<i32>) {
        let (name, ranges) = random.pick(&self.calls);
        let args = ranges
            .iter()
            .map(|Range::Below(bound)| random.below(*bound as usize) as i32)
            .collect();
        (name, args)
    }

    /// So many random calls.
    pub fn run(&self, guest: &mut Guest, random: &mut Random, calls: usize) {
        for _ in 0..calls {
            let (name, args) = self.call(random);
            guest.outcome(name, &args);
        }
    }
}
