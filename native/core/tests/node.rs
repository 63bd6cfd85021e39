//! What all stores of a process may take together. One test, because there is one node.

use std::sync::Arc;

use wasmbeam_core::node::{self, NodeLimits};
use wasmbeam_core::store::{
    Binding, Coroutine, Instantiate, Step, StoreConfig, Target, UnknownImports, Wasi,
};
use wasmbeam_core::{Engine, EngineConfig, Error, MemorySelector, Module, Result, Value};

const PAGE: u64 = 1 << 16;
const GUEST: &str = r#"(module
    (memory (export "memory") 2 10)
    (table (export "table") 5 100 funcref)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

fn module(text: &str) -> Arc<Module> {
    let engine = Engine::get(EngineConfig::default()).unwrap();
    Arc::new(Module::compile(&engine, text.as_bytes()).unwrap())
}

fn start(module: &Arc<Module>) -> Result<Coroutine> {
    let mut store = Coroutine::new(module.engine(), &StoreConfig::default())?;
    let step = store.instantiate(Instantiate {
        index: 0,
        module: Arc::clone(module),
        imports: Vec::<Binding>::new(),
        unknown_imports: UnknownImports::Call,
        wasi: Wasi::default(),
        begin: Default::default(),
    });
    finish(&mut store, step)?;
    Ok(store)
}

fn finish(store: &mut Coroutine, mut step: Step) -> Result<Vec<Value>> {
    while let Step::Yielded = step {
        step = store.resume();
    }
    match step {
        Step::Done(Ok(wasmbeam_core::store::Answer::Values(values))) => Ok(values),
        Step::Done(Ok(_)) => Ok(Vec::new()),
        Step::Done(Err(error)) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn grow(store: &mut Coroutine, module: &Module, pages: i32) -> i32 {
    let export = module.export_index("grow").unwrap();
    let target = Target::Export {
        instance: 0,
        export,
    };
    let step = store.call(target, vec![Value::I32(pages)], None);
    match finish(store, step).unwrap().as_slice() {
        [Value::I32(before)] => *before,
        other => panic!("{other:?}"),
    }
}

fn assert_usage(memory: u64, table_elements: u64, instances: u64) {
    let usage = node::usage();
    assert_eq!(
        (usage.memory, usage.table_elements, usage.instances),
        (memory * PAGE, table_elements, instances)
    );
}

fn limit(what: &str, outcome: Result<Coroutine>) {
    match outcome.map(drop) {
        Err(Error::NodeLimit { what: denied, .. }) => assert_eq!(denied, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_way_to_take_counts_and_every_way_to_end_gives_back() {
    let module = module(GUEST);
    assert_usage(0, 0, 0);
    let mut first = start(&module).unwrap();
    assert_usage(2, 5, 1);

    node::set_limits(NodeLimits {
        memory: 5 * PAGE,
        ..NodeLimits::default()
    });
    let mut second = start(&module).unwrap();
    assert_usage(4, 10, 2);
    // A start that fails leaves nothing behind.
    limit("bytes of memory", start(&module));
    assert_usage(4, 10, 2);
    // A guest is told so by -1, and what was refused does not count.
    assert_eq!(grow(&mut first, &module, 2), -1);
    assert_eq!(grow(&mut first, &module, 1), 2);
    assert_eq!(grow(&mut second, &module, 1), -1);
    assert!(matches!(
        second.memory_grow(0, MemorySelector::Index(0), 1),
        Err(Error::NodeLimit {
            what: "bytes of memory",
            ..
        })
    ));
    // Neither does what the module itself forbids.
    assert_eq!(grow(&mut first, &module, 100), -1);
    assert_usage(5, 10, 2);

    // A fork counts as another instance.
    let state = second.capture(0).unwrap();
    limit("bytes of memory", second.revive(0, 0, state, None));
    assert_usage(5, 10, 2);

    // What takes an instance's place takes its share, even where there is no room beside it.
    let renewed = first.replace(|store| store.restart(0, 0)).unwrap();
    drop(first);
    let mut first = renewed;
    assert_usage(4, 10, 2);
    assert_eq!(grow(&mut first, &module, 1), 2);

    // A replacement that fails leaves all as it was.
    let failed = first.replace(|_| {
        Err(Error::BadSnapshot {
            message: String::new(),
        })
    });
    assert!(matches!(failed.map(drop), Err(Error::BadSnapshot { .. })));
    assert_usage(5, 10, 2);

    // Freeing one lets the next start.
    drop(first);
    assert_usage(2, 5, 1);
    let third = start(&module).unwrap();
    assert_usage(4, 10, 2);

    node::set_limits(NodeLimits {
        instances: 2,
        ..NodeLimits::default()
    });
    limit("instances", start(&module));
    assert_usage(4, 10, 2);
    // Also an instance whose place is taken.
    let renewed = second.replace(|store| store.restart(0, 0)).unwrap();
    drop(second);
    assert_usage(4, 10, 2);

    node::set_limits(NodeLimits {
        table_elements: 14,
        ..NodeLimits::default()
    });
    limit("table elements", start(&module));
    assert_usage(4, 10, 2);
    drop(third);
    drop(renewed);
    assert_usage(0, 0, 0);
}
