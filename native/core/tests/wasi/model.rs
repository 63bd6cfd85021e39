//! The same random operations on both widths and on a plain model, with equal results.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use wasmbeam_core::wasi::{Abi, Function, Quotas, WasiState, Width};

use crate::world::*;

type Path = Vec<String>;

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Directory,
    File(usize),
    /// Its target, and a number that only its hard links share.
    Symlink(String, usize),
}

/// A filesystem as a map from paths to entries, and files as a list of byte strings.
#[derive(Default)]
struct Model {
    entries: BTreeMap<Path, Entry>,
    files: Vec<Vec<u8>>,
    symlinks: usize,
}

/// Where a path leads, and whether its last component names an entry.
struct Place {
    path: Path,
    named: bool,
}

impl Model {
    fn entry(&self, path: &[String]) -> Option<Entry> {
        if path.is_empty() {
            Some(Entry::Directory)
        } else {
            self.entries.get(path).cloned()
        }
    }

    fn resolve(&self, text: &str, follow: bool) -> Result<Place> {
        let split = |text: &str| -> VecDeque<String> {
            text.split('/')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let mut parts = split(text);
        let mut current = Path::new();
        let mut links = 0;
        while let Some(part) = parts.pop_front() {
            if part == "." {
                continue;
            }
            if part == ".." {
                current.pop().ok_or(PERM)?;
                continue;
            }
            let mut next = current.clone();
            next.push(part);
            let last = parts.is_empty();
            match self.entry(&next) {
                Some(Entry::Symlink(target, _)) if !last || follow => {
                    links += 1;
                    if links > 40 {
                        return Err(LOOP);
                    }
                    let mut expanded = split(&target);
                    expanded.append(&mut parts);
                    parts = expanded;
                }
                _ if last => {
                    return Ok(Place {
                        path: next,
                        named: true,
                    });
                }
                Some(Entry::Directory) => current = next,
                Some(_) => return Err(NOTDIR),
                None => return Err(NOENT),
            }
        }
        Ok(Place {
            path: current,
            named: false,
        })
    }

    fn children(&self, path: &[String]) -> Vec<Path> {
        let beneath = |other: &&Path| other.len() > path.len() && other.starts_with(path);
        self.entries.keys().filter(beneath).cloned().collect()
    }

    fn create_directory(&mut self, path: &str) -> Result<()> {
        let place = self.resolve(path, false)?;
        if self.entry(&place.path).is_some() {
            return Err(EXIST);
        }
        self.entries.insert(place.path, Entry::Directory);
        Ok(())
    }

    fn open(&mut self, path: &str, flags: u64) -> Result<usize> {
        let exclusive = flags & EXCLUSIVE != 0 && flags & CREATE != 0;
        let place = self.resolve(path, !exclusive)?;
        match self.entry(&place.path) {
            Some(_) if exclusive => Err(EXIST),
            None if flags & CREATE == 0 => Err(NOENT),
            None => {
                self.files.push(Vec::new());
                let file = self.files.len() - 1;
                self.entries.insert(place.path, Entry::File(file));
                Ok(file)
            }
            Some(Entry::Directory) => Err(ISDIR),
            Some(Entry::Symlink(..)) => Err(LOOP),
            Some(Entry::File(file)) => {
                if flags & TRUNCATE != 0 {
                    self.files[file].clear();
                }
                Ok(file)
            }
        }
    }

    fn write(&mut self, file: usize, offset: usize, bytes: &[u8]) {
        let content = &mut self.files[file];
        let end = offset + bytes.len();
        if !bytes.is_empty() && content.len() < end {
            content.resize(end, 0);
        }
        if !bytes.is_empty() {
            content[offset..end].copy_from_slice(bytes);
        }
    }

    fn unlink(&mut self, path: &str) -> Result<()> {
        let place = self.resolve(path, false)?;
        match self.entry(&place.path) {
            None => Err(NOENT),
            Some(Entry::Directory) => Err(ISDIR),
            Some(_) => self.entries.remove(&place.path).map(drop).ok_or(NOENT),
        }
    }

    fn remove_directory(&mut self, path: &str) -> Result<()> {
        let place = self.resolve(path, false)?;
        match self.entry(&place.path) {
            None => Err(NOENT),
            Some(Entry::Directory) if !place.named => Err(INVAL),
            Some(Entry::Directory) if !self.children(&place.path).is_empty() => Err(NOTEMPTY),
            Some(Entry::Directory) => {
                self.entries.remove(&place.path);
                Ok(())
            }
            Some(_) => Err(NOTDIR),
        }
    }

    fn symlink(&mut self, target: &str, path: &str) -> Result<()> {
        let place = self.resolve(path, false)?;
        if self.entry(&place.path).is_some() {
            return Err(EXIST);
        }
        self.symlinks += 1;
        let entry = Entry::Symlink(target.to_owned(), self.symlinks);
        self.entries.insert(place.path, entry);
        Ok(())
    }

    fn hard_link(&mut self, old: &str, new: &str) -> Result<()> {
        let (old, new) = (self.resolve(old, false)?, self.resolve(new, false)?);
        let entry = self.entry(&old.path).ok_or(NOENT)?;
        if entry == Entry::Directory {
            return Err(PERM);
        }
        if self.entry(&new.path).is_some() {
            return Err(EXIST);
        }
        self.entries.insert(new.path, entry);
        Ok(())
    }

    fn rename(&mut self, old: &str, new: &str) -> Result<()> {
        let (old, new) = (self.resolve(old, false)?, self.resolve(new, false)?);
        let moved = self.entry(&old.path).ok_or(NOENT)?;
        if !old.named || !new.named {
            return Err(BUSY);
        }
        let replaced = self.entry(&new.path);
        let same_file = match (&moved, &replaced) {
            (Entry::File(one), Some(Entry::File(other))) => one == other,
            (Entry::Symlink(_, one), Some(Entry::Symlink(_, other))) => one == other,
            _ => false,
        };
        if old.path == new.path || same_file {
            return Ok(());
        }
        let directory = moved == Entry::Directory;
        if directory && new.path.starts_with(&old.path) {
            return Err(INVAL);
        }
        match replaced {
            Some(Entry::Directory) if !directory => return Err(ISDIR),
            Some(Entry::Directory) if !self.children(&new.path).is_empty() => {
                return Err(NOTEMPTY);
            }
            Some(Entry::File(_) | Entry::Symlink(..)) if directory => return Err(NOTDIR),
            _ => {}
        }
        for child in self.children(&old.path) {
            if let Some(entry) = self.entries.remove(&child) {
                let moved = [&new.path[..], &child[old.path.len()..]].concat();
                self.entries.insert(moved, entry);
            }
        }
        self.entries.remove(&old.path);
        self.entries.insert(new.path, moved);
        Ok(())
    }

    fn stat(&self, path: &str, follow: bool) -> Result<(u8, u64)> {
        let place = self.resolve(path, follow)?;
        match self.entry(&place.path).ok_or(NOENT)? {
            Entry::Directory => Ok((3, 0)),
            Entry::File(file) => Ok((4, self.files[file].len() as u64)),
            Entry::Symlink(target, _) => Ok((7, target.len() as u64)),
        }
    }

    fn readlink(&self, path: &str) -> Result<Vec<u8>> {
        let place = self.resolve(path, false)?;
        match self.entry(&place.path).ok_or(NOENT)? {
            Entry::Symlink(target, _) => Ok(target.into_bytes()),
            _ => Err(INVAL),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        let place = self.resolve(path, true)?;
        match self.entry(&place.path).ok_or(NOENT)? {
            Entry::Directory => {
                let depth = place.path.len();
                let children = self.children(&place.path).into_iter();
                let direct = children.filter(|child| child.len() == depth + 1);
                Ok(direct.filter_map(|mut child| child.pop()).collect())
            }
            _ => Err(NOTDIR),
        }
    }
}

#[derive(Clone, Debug)]
enum Operation {
    CreateDirectory(String),
    Open(String, u64),
    Write(usize, Vec<u8>),
    WriteAt(usize, usize, Vec<u8>),
    Read(usize, usize),
    ReadAt(usize, usize, usize),
    Seek(usize, i64, u64),
    SetSize(usize, u64),
    Close(usize),
    Unlink(String),
    RemoveDirectory(String),
    Symlink(String, String),
    HardLink(String, String),
    Rename(String, String),
    Stat(String, bool),
    ReadLink(String),
    List(String),
}

/// What an operation gives, in a form that all three share.
#[derive(Clone, Debug, PartialEq)]
enum Output {
    Nothing,
    Number(u64),
    Bytes(Vec<u8>),
    Names(Vec<String>),
    Stat(u8, u64),
}

struct Source(ChaCha8Rng);

impl Source {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound
    }

    fn path(&mut self) -> String {
        let parts = 1 + self.below(3);
        let names = ["a", "b", "c", "a", "b", "d", ".", ".."];
        let parts: Vec<_> = (0..parts).map(|_| names[self.below(names.len())]).collect();
        parts.join("/")
    }

    fn bytes(&mut self) -> Vec<u8> {
        let lengths = [0, 1, 7, 300, 70_000];
        let len = lengths[self.below(lengths.len())];
        let byte = self.below(255) as u8 + 1;
        vec![byte; len]
    }

    fn offset(&mut self) -> usize {
        let offsets = [0, 1, 5, 299, 65_535, 65_536, 140_000];
        offsets[self.below(offsets.len())]
    }

    fn operation(&mut self, open: usize) -> Operation {
        let file = self.below(open.max(1));
        match self.below(if open == 0 { 12 } else { 19 }) {
            0 | 1 => Operation::CreateDirectory(self.path()),
            2 | 3 => {
                let flags = [0, CREATE, CREATE, CREATE | EXCLUSIVE, TRUNCATE];
                Operation::Open(self.path(), flags[self.below(5)])
            }
            4 => Operation::Unlink(self.path()),
            5 => Operation::RemoveDirectory(self.path()),
            6 => Operation::Symlink(self.path(), self.path()),
            7 => Operation::HardLink(self.path(), self.path()),
            8 => Operation::Rename(self.path(), self.path()),
            9 => Operation::Stat(self.path(), self.below(2) == 0),
            10 => Operation::ReadLink(self.path()),
            11 => Operation::List(self.path()),
            12 => Operation::Write(file, self.bytes()),
            13 => Operation::WriteAt(file, self.offset(), self.bytes()),
            14 => Operation::Read(file, self.offset()),
            15 => Operation::ReadAt(file, self.offset(), self.offset()),
            16 => {
                let delta = self.offset() as i64 - 1000;
                Operation::Seek(file, delta, self.below(3) as u64)
            }
            17 => Operation::SetSize(file, self.offset() as u64),
            _ => Operation::Close(file),
        }
    }
}

/// A model with descriptors: which file each is of, and where it stands.
#[derive(Default)]
struct ModelGuest {
    model: Model,
    open: Vec<(usize, usize)>,
}

impl ModelGuest {
    fn run(&mut self, operation: &Operation) -> Result<Output> {
        let model = &mut self.model;
        match operation {
            Operation::CreateDirectory(path) => {
                model.create_directory(path).map(|()| Output::Nothing)
            }
            Operation::Open(path, flags) => {
                let file = model.open(path, *flags)?;
                self.open.push((file, 0));
                Ok(Output::Nothing)
            }
            Operation::Write(index, bytes) => {
                let (file, offset) = self.open[*index];
                model.write(file, offset, bytes);
                self.open[*index].1 += bytes.len();
                Ok(Output::Number(bytes.len() as u64))
            }
            Operation::WriteAt(index, offset, bytes) => {
                model.write(self.open[*index].0, *offset, bytes);
                Ok(Output::Number(bytes.len() as u64))
            }
            Operation::Read(index, len) => {
                let (file, offset) = self.open[*index];
                let bytes = read(&model.files[file], offset, *len);
                self.open[*index].1 += bytes.len();
                Ok(Output::Bytes(bytes))
            }
            Operation::ReadAt(index, offset, len) => Ok(Output::Bytes(read(
                &model.files[self.open[*index].0],
                *offset,
                *len,
            ))),
            Operation::Seek(index, delta, whence) => {
                let (file, offset) = self.open[*index];
                let origin = [0, offset, model.files[file].len()][*whence as usize];
                let offset = usize::try_from(origin as i64 + delta).map_err(|_| INVAL)?;
                self.open[*index].1 = offset;
                Ok(Output::Number(offset as u64))
            }
            Operation::SetSize(index, size) => {
                model.files[self.open[*index].0].resize(*size as usize, 0);
                Ok(Output::Nothing)
            }
            Operation::Close(index) => {
                self.open.swap_remove(*index);
                Ok(Output::Nothing)
            }
            Operation::Unlink(path) => model.unlink(path).map(|()| Output::Nothing),
            Operation::RemoveDirectory(path) => {
                model.remove_directory(path).map(|()| Output::Nothing)
            }
            Operation::Symlink(target, path) => {
                model.symlink(target, path).map(|()| Output::Nothing)
            }
            Operation::HardLink(old, new) => model.hard_link(old, new).map(|()| Output::Nothing),
            Operation::Rename(old, new) => model.rename(old, new).map(|()| Output::Nothing),
            Operation::Stat(path, follow) => model
                .stat(path, *follow)
                .map(|(kind, size)| Output::Stat(kind, size)),
            Operation::ReadLink(path) => model.readlink(path).map(Output::Bytes),
            Operation::List(path) => model.list(path).map(Output::Names),
        }
    }
}

fn read(content: &[u8], offset: usize, len: usize) -> Vec<u8> {
    content.iter().skip(offset).take(len).copied().collect()
}

/// A guest with the descriptors that the model's stand for.
struct RealGuest {
    world: World,
    open: Vec<u64>,
}

impl RealGuest {
    fn run(&mut self, operation: &Operation) -> Result<Output> {
        let world = &mut self.world;
        match operation {
            Operation::CreateDirectory(path) => {
                world.create_directory(path).map(|()| Output::Nothing)
            }
            Operation::Open(path, flags) => {
                self.open.push(world.open(path, *flags)?);
                Ok(Output::Nothing)
            }
            Operation::Write(index, bytes) => {
                world.write(self.open[*index], bytes).map(Output::Number)
            }
            Operation::WriteAt(index, offset, bytes) => world
                .pwrite(self.open[*index], bytes, *offset as u64)
                .map(Output::Number),
            Operation::Read(index, len) => world.read(self.open[*index], *len).map(Output::Bytes),
            Operation::ReadAt(index, offset, len) => world
                .pread(self.open[*index], *len, *offset as u64)
                .map(Output::Bytes),
            Operation::Seek(index, delta, whence) => world
                .seek(self.open[*index], *delta, *whence)
                .map(Output::Number),
            Operation::SetSize(index, size) => {
                let args = [self.open[*index], *size];
                world
                    .call(Function::FdFilestatSetSize, &args)
                    .map(|()| Output::Nothing)
            }
            Operation::Close(index) => {
                let fd = self.open.swap_remove(*index);
                world.close(fd).map(|()| Output::Nothing)
            }
            Operation::Unlink(path) => world.unlink(path).map(|()| Output::Nothing),
            Operation::RemoveDirectory(path) => {
                world.remove_directory(path).map(|()| Output::Nothing)
            }
            Operation::Symlink(target, path) => {
                world.symlink(target, path).map(|()| Output::Nothing)
            }
            Operation::HardLink(old, new) => world.hard_link(0, old, new).map(|()| Output::Nothing),
            Operation::Rename(old, new) => world.rename(old, new).map(|()| Output::Nothing),
            Operation::Stat(path, follow) => {
                let stat = world.stat(path, u64::from(*follow))?;
                Ok(Output::Stat(stat.file_type, stat.size))
            }
            Operation::ReadLink(path) => world.readlink(path, 4096).map(Output::Bytes),
            Operation::List(path) => {
                let mut names = world.list(path)?;
                names.sort();
                Ok(Output::Names(names))
            }
        }
    }
}

fn run_sequence(seed: u64, length: usize) {
    let mut source = Source(ChaCha8Rng::seed_from_u64(seed));
    let mut model = ModelGuest::default();
    let mut guests = [Width::W32, Width::W64].map(|width| RealGuest {
        world: World::new(Abi::preview1(width), config()),
        open: Vec::new(),
    });
    for step in 0..length {
        let operation = source.operation(model.open.len());
        let expected = model.run(&operation);
        for guest in &mut guests {
            let got = guest.run(&operation);
            assert!(
                got == expected,
                "seed {seed}: {got:.200?} where the model has {expected:.200?} for {operation:?} in {:?}",
                model.model.entries
            );
        }
        if step % 50 == 49 {
            for guest in &mut guests {
                let bytes = guest.world.state.encode();
                guest.world.state = WasiState::decode(&bytes, Quotas::MAX).expect("a good state");
                assert!(guest.world.state.encode() == bytes);
            }
        }
    }
    let [narrow, wide] = guests.map(|guest| guest.world.state);
    assert!(
        narrow.encode() == wide.encode(),
        "seed {seed}: the widths differ"
    );
    assert_eq!(narrow.node(b"/"), wide.node(b"/"));
}

#[test]
fn both_widths_do_what_the_model_does() {
    for seed in 0..150 {
        run_sequence(seed, 200);
    }
}
