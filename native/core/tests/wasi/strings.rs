use wasmbeam_core::wasi::{ConfigError, Function, WasiConfig, WasiState};

use crate::world::*;

#[test]
fn arguments_and_environment_arrive_in_order() {
    let text = |text: &str| text.as_bytes().to_vec();
    let with = WasiConfig {
        args: vec![text("program"), text(""), text("the \"third\"")],
        env: vec![(text("B"), text("2")), (text("A"), text("=1\n"))],
        ..config()
    };
    in_both_with(with, |world| {
        let calls = [
            (
                Function::ArgsSizesGet,
                Function::ArgsGet,
                vec!["program", "", "the \"third\""],
            ),
            (
                Function::EnvironSizesGet,
                Function::EnvironGet,
                vec!["B=2", "A==1\n"],
            ),
        ];
        for (sizes_get, get, strings) in calls {
            let size = world.size();
            world.call(sizes_get, &[RESULT, RESULT + size]).unwrap();
            let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
            assert_eq!(world.get_size(RESULT), strings.len() as u64);
            assert_eq!(world.get_size(RESULT + size), bytes as u64);
            world.call(get, &[ARRAY, DATA]).unwrap();
            for (index, string) in (0..).zip(&strings) {
                let pointer = world.get_size(ARRAY + index * size);
                let terminated = [string.as_bytes(), b"\0"].concat();
                assert_eq!(world.get(pointer, terminated.len() as u64), terminated);
            }
        }
    });
}

#[test]
fn strings_that_a_guest_could_not_tell_apart_are_refused() {
    let refused = |config: WasiConfig| WasiState::new(config).unwrap_err();
    let args = vec![b"a\0b".to_vec()];
    assert_eq!(
        refused(WasiConfig { args, ..config() }),
        ConfigError::InvalidString
    );
    for name in ["", "a=b", "a\0"] {
        let env = vec![(name.as_bytes().to_vec(), Vec::new())];
        assert_eq!(
            refused(WasiConfig { env, ..config() }),
            ConfigError::InvalidString
        );
    }
    let args = vec![vec![b'a'; 1 << 20]];
    assert_eq!(
        refused(WasiConfig { args, ..config() }),
        ConfigError::StringsTooLong
    );
}
