use std::fs;

use wasmbeam_core::Error;
use wasmbeam_core::image::{KeySource, MIN_KEY_BYTES};

use crate::support::Place;

fn refusal(source: &KeySource) -> String {
    match source.key() {
        Err(Error::NotPermitted { message }) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("a key"),
    }
}

#[test]
fn a_key_has_a_least_length() {
    let short = KeySource::Bytes(vec![1; MIN_KEY_BYTES - 1].into());
    assert!(refusal(&short).contains("fewer than 32 bytes"));
    assert!(
        KeySource::Bytes(vec![1; MIN_KEY_BYTES].into())
            .key()
            .is_ok()
    );
    assert!(refusal(&KeySource::Absent).contains("no key"));
}

#[test]
fn a_key_is_never_shown() {
    let shown = format!("{:?}", KeySource::Bytes(vec![77; 32].into()));
    assert_eq!(shown, "Bytes(..)");
}

#[cfg(target_os = "linux")]
mod files {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let place = Place::new();
        let path = place.path("new/aot.key");
        let sources: Vec<_> = (0..8).map(|_| KeySource::File(path.clone())).collect();
        std::thread::scope(|scope| {
            for source in &sources {
                scope.spawn(|| assert!(source.key().is_ok()));
            }
        });
        let key = fs::read(&path).unwrap();
        assert_eq!(key.len(), MIN_KEY_BYTES);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let folder = path.parent().unwrap();
        assert_eq!(
            fs::metadata(folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        assert!(sources[0].key().is_ok());
        assert_eq!(fs::read(&path).unwrap(), key);
    }

    #[test]
    fn what_dead_writers_have_left_is_removed_with_the_making_of_a_key() {
        let place = Place::new();
        let path = place.path("aot.key");
        let [dead, living, other] = [
            "aot.key.0123456789abcdef",
            "aot.key.fedcba9876543210",
            "aot.key.notes",
        ]
        .map(|name| place.path(name));
        for file in [&dead, &living, &other] {
            fs::write(file, "").unwrap();
        }
        let writer = fs::File::open(&living).unwrap();
        writer.lock().unwrap();
        assert!(KeySource::File(path).key().is_ok());
        assert_eq!(
            [dead, living, other].map(|file| file.exists()),
            [false, true, true]
        );
    }

    #[test]
    fn a_file_that_others_have_access_to_is_no_key() {
        let place = Place::new();
        let path = place.path("open.key");
        fs::write(&path, [5; 32]).unwrap();
        let source = KeySource::File(path.clone());
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(refusal(&source).contains("others have access"), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(source.key().is_ok());
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        let place = Place::new();
        let short = place.path("short.key");
        fs::write(&short, [5; 31]).unwrap();
        fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(refusal(&KeySource::File(short)).contains("fewer than"));
        let folder = place.path("folder.key");
        fs::create_dir(&folder).unwrap();
        assert!(refusal(&KeySource::File(folder)).contains("not a regular file"));
        assert!(refusal(&KeySource::File("/dev/zero".into())).contains("not a regular file"));
        let nowhere = KeySource::File("/dev/null/no.key".into());
        assert!(refusal(&nowhere).contains("cannot be used"));
    }
}
