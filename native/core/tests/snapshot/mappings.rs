//! A machine that has few mappings left, or none.

use std::ffi::c_void;
use std::process::Command;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use wasmbeam_core::MemorySelector;

use crate::support::{Guest, compile};

const IN_CHILD: &str = "WASMBEAM_TEST_WITHOUT_MAPPINGS";
const PAGE: usize = 4096;
const MEMORY: usize = 32 << 16;

#[test]
fn a_memory_keeps_its_contents_where_no_more_of_it_can_be_mapped() {
    if std::env::var_os(IN_CHILD).is_some() {
        return capture_with_ever_more_mappings();
    }
    // In a process of its own, where nobody else needs any.
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("--exact")
        .arg("mappings::a_memory_keeps_its_contents_where_no_more_of_it_can_be_mapped")
        .env(IN_CHILD, "yes")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn capture_with_ever_more_mappings() {
    let module = compile(r#"(module (memory 32))"#);
    let mut guests: Vec<_> = (0..16).map(|_| Guest::of(&module)).collect();
    // Far enough apart to be mapped one by one.
    let contents: Vec<u8> = (0..MEMORY)
        .map(|at| u8::from(matches!(at / PAGE, 16..32 | 400..416)))
        .collect();
    for guest in &mut guests {
        let memory = MemorySelector::Index(0);
        let written = guest.coroutine.memory_write(0, memory, 0, &contents);
        written.unwrap();
    }
    let mut hoard = Hoard::new();
    let mut captured = 0;
    let mut buffer = vec![0; MEMORY];
    for (spare, guest) in guests.iter_mut().enumerate() {
        hoard.take_all();
        hoard.give_back(spare);
        captured += usize::from(guest.coroutine.capture(0).is_ok());
        let memory = MemorySelector::Index(0);
        let target = buffer.as_mut_slice();
        guest.coroutine.memory_read(0, memory, 0, target).unwrap();
        assert!(buffer == contents, "with {spare} spare pages");
    }
    assert!((1..guests.len()).contains(&captured), "{captured}");
}

/// Pages that may be read, with pages between them that may not: each is a mapping.
struct Hoard {
    start: *mut c_void,
    taken: usize,
}

impl Hoard {
    const PAIRS: usize = 4 << 20;

    fn new() -> Self {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let len = 2 * Self::PAIRS * PAGE;
        // SAFETY: a new mapping at a place that the kernel chooses touches nothing that exists.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), flags) };
        Self {
            start: start.unwrap(),
            taken: 0,
        }
    }

    fn protect(&self, pair: usize, access: MprotectFlags) -> rustix::io::Result<()> {
        assert!(pair < Self::PAIRS, "this machine has too many mappings");
        let page = self.start.wrapping_byte_add((2 * pair + 1) * PAGE);
        // SAFETY: the page is one of this value's own, and nobody reads or writes it.
        unsafe { mprotect(page, PAGE, access) }
    }

    fn take_all(&mut self) {
        while self.protect(self.taken, MprotectFlags::READ).is_ok() {
            self.taken += 1;
        }
    }

    fn give_back(&mut self, pages: usize) {
        for _ in 0..pages {
            self.taken -= 1;
            self.protect(self.taken, MprotectFlags::empty()).unwrap();
        }
    }
}
