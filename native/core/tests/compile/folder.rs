use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmbeam_core::compile::{Folder, FolderStats, Rejected, cache_stats};

use crate::support::{Outcome, Place, compile, module, other_key, request};

/// What is counted is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compiles without keeping it in memory.
fn compile_into(folder: &Folder, source: &[u8]) -> Outcome {
    let mut request = request(source);
    request.memory_bytes = 0;
    request.folder = Some(folder.clone());
    compile(request)
}

/// Compiles, and gives what was told of the folder.
fn told(folder: &Folder, source: &[u8]) -> Vec<Rejected> {
    let (sender, receiver) = channel();
    let mut request = request(source);
    request.memory_bytes = 0;
    request.folder = Some(folder.clone());
    request.on_rejected = Some(Box::new(move |rejected| drop(sender.send(rejected))));
    compile(request).unwrap();
    receiver.iter().collect()
}

fn counted(run: impl FnOnce()) -> FolderStats {
    let before = cache_stats().folder;
    run();
    let after = cache_stats().folder;
    FolderStats {
        hits: after.hits - before.hits,
        misses: after.misses - before.misses,
        rejected: after.rejected - before.rejected,
        failures: after.failures - before.failures,
        last_failure: None,
    }
}

fn hit() -> FolderStats {
    FolderStats {
        hits: 1,
        ..FolderStats::default()
    }
}

fn miss() -> FolderStats {
    FolderStats {
        misses: 1,
        ..FolderStats::default()
    }
}

fn rejected() -> FolderStats {
    FolderStats {
        rejected: 1,
        ..miss()
    }
}

fn files(folder: &Folder) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(&folder.path)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
}

fn only_file(folder: &Folder) -> PathBuf {
    let files = files(folder);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn code_is_found_again() {
    let _alone = alone();
    let place = Place::new();
    let folder = place.folder(1 << 30);
    let source = module("found_again");
    assert_eq!(
        counted(|| drop(compile_into(&folder, &source).unwrap())),
        miss()
    );
    let module = std::cell::OnceCell::new();
    assert_eq!(
        counted(|| drop(module.set(compile_into(&folder, &source).unwrap()))),
        hit()
    );
    let module = module.get().unwrap();
    assert_eq!(module.exports()[0].name, "found_again");
    assert_eq!(module.size().bytes, source.len() as u64);
    only_file(&folder);
}

#[test]
fn a_damaged_entry_is_made_again() {
    let _alone = alone();
    let place = Place::new();
    let folder = place.folder(1 << 30);
    let source = module("damaged");
    compile_into(&folder, &source).unwrap();
    let file = only_file(&folder);
    let whole = fs::read(&file).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    for damaged in [
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        altered,
        b"\0wbimage".to_vec(),
    ] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(
            counted(|| drop(compile_into(&folder, &source).unwrap())),
            rejected()
        );
        assert_eq!(fs::read(only_file(&folder)).unwrap(), whole);
    }
    assert_eq!(
        counted(|| drop(compile_into(&folder, &source).unwrap())),
        hit()
    );
}

#[test]
fn an_entry_under_the_name_of_another_is_not_taken_for_it() {
    let _alone = alone();
    let place = Place::new();
    let folder = place.folder(1 << 30);
    compile_into(&folder, &module("one")).unwrap();
    let one = only_file(&folder);
    compile_into(&folder, &module("two")).unwrap();
    let two = files(&folder)
        .into_iter()
        .find(|file| *file != one)
        .unwrap();
    fs::copy(&one, &two).unwrap();
    assert_eq!(
        counted(|| {
            let module = compile_into(&folder, &module("two")).unwrap();
            assert_eq!(module.exports()[0].name, "two");
        }),
        rejected()
    );
}

#[test]
fn what_is_wrong_with_an_entry_is_told() {
    let _alone = alone();
    let place = Place::new();
    let folder = place.folder(1 << 30);
    let source = module("told");
    assert_eq!(told(&folder, &source), []);
    let file = only_file(&folder);
    assert_eq!(told(&folder, &source), []);
    let whole = fs::read(&file).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    compile_into(&folder, &module("told_too")).unwrap();
    let other = files(&folder).into_iter().find(|other| *other != file);
    let other = fs::read(other.unwrap()).unwrap();
    for (content, reason) in [
        (Vec::new(), "not a precompiled image"),
        (
            altered,
            "the seal does not match: the image was altered, or sealed with another key",
        ),
        (other, "the code of another module"),
    ] {
        fs::write(&file, content).unwrap();
        let expected = Rejected {
            file: file.clone(),
            reason: reason.into(),
        };
        assert_eq!(told(&folder, &source), [expected]);
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
    let small = Folder {
        max_bytes: whole.len() as u64 - 1,
        ..folder.clone()
    };
    assert_eq!(told(&small, &source)[0].reason, "not a file, or too large");
}

#[test]
fn those_with_another_key_share_the_folder_but_no_entries() {
    let _alone = alone();
    let place = Place::new();
    let mine = place.folder(1 << 30);
    let theirs = Folder {
        key: other_key(),
        ..mine.clone()
    };
    let source = module("two_keys");
    for expected in [miss(), hit()] {
        for folder in [&mine, &theirs] {
            let counts = counted(|| drop(compile_into(folder, &source).unwrap()));
            assert_eq!(counts, expected);
        }
    }
    assert_eq!(files(&mine).len(), 2);
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let _alone = alone();
    let place = Place::new();
    let sources: Vec<_> = (0..6).map(|n| module(&format!("room{n}"))).collect();
    let unlimited = place.folder(1 << 30);
    compile_into(&unlimited, &sources[0]).unwrap();
    let size = fs::metadata(only_file(&unlimited)).unwrap().len();
    let old = std::time::SystemTime::UNIX_EPOCH;
    // Room for three of about that size.
    let folder = place.folder(size * 7 / 2);
    for source in &sources[1..3] {
        compile_into(&folder, source).unwrap();
    }
    assert_eq!(files(&folder).len(), 3);
    for file in files(&folder) {
        File::open(file).unwrap().set_modified(old).unwrap();
    }
    // The first is used, so the others are older.
    assert_eq!(
        counted(|| drop(compile_into(&folder, &sources[0]).unwrap())),
        hit()
    );
    for source in &sources[3..5] {
        compile_into(&folder, source).unwrap();
        assert_eq!(files(&folder).len(), 3);
    }
    assert_eq!(
        counted(|| drop(compile_into(&folder, &sources[0]).unwrap())),
        hit()
    );
    assert_eq!(
        counted(|| drop(compile_into(&folder, &sources[1]).unwrap())),
        miss()
    );
    // What is larger than the folder is not kept in it.
    let tiny = Place::new();
    let folder = tiny.folder(100);
    compile_into(&folder, &sources[5]).unwrap();
    assert_eq!(files(&folder), Vec::<PathBuf>::new());
}

#[test]
fn what_dead_writers_have_left_is_removed_and_what_others_write_is_not() {
    let _alone = alone();
    let place = Place::new();
    let folder = place.folder(1 << 30);
    fs::create_dir(&folder.path).unwrap();
    for number in 0..5 {
        fs::write(folder.path.join(format!("tmp-{number:016x}")), b"half").unwrap();
    }
    let live = folder.path.join("tmp-ffffffffffffffff");
    let writer = File::create(&live).unwrap();
    writer.lock().unwrap();
    let foreign = folder.path.join("README");
    fs::write(&foreign, b"not ours").unwrap();
    compile_into(&folder, &module("tidied")).unwrap();
    let left = files(&folder);
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.contains(&live) && left.contains(&foreign));
    drop(writer);
    compile_into(&folder, &module("tidied_again")).unwrap();
    assert!(!files(&folder).contains(&live));
}

#[cfg(target_os = "linux")]
#[test]
fn an_entry_that_is_no_file_is_not_read() {
    let _alone = alone();
    let place = Place::new();
    let folder = place.folder(1 << 30);
    let source = module("no_file");
    compile_into(&folder, &source).unwrap();
    let file = only_file(&folder);
    let elsewhere = place.path("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    let counts = counted(|| drop(compile_into(&folder, &source).unwrap()));
    assert_eq!((counts.hits, counts.misses), (0, 1));
    // It is in its place again.
    assert_eq!(
        counted(|| drop(compile_into(&folder, &source).unwrap())),
        hit()
    );
}

#[test]
fn a_folder_that_cannot_be_used_costs_nothing_but_the_time() {
    let _alone = alone();
    let place = Place::new();
    fs::write(place.path("cache"), b"a file").unwrap();
    let folder = place.folder(1 << 30);
    let counts = counted(|| drop(compile_into(&folder, &module("unusable")).unwrap()));
    assert_eq!((counts.hits, counts.misses, counts.failures), (0, 1, 2));
    assert!(cache_stats().folder.last_failure.is_some());
    let keyless = Folder {
        path: place.path("other"),
        key: wasmbeam_core::image::KeySource::Absent,
        ..folder
    };
    let counts = counted(|| drop(compile_into(&keyless, &module("keyless")).unwrap()));
    assert_eq!((counts.hits, counts.misses, counts.failures), (0, 1, 2));
}
