//! `args_*` and `environ_*`.

use super::Call;
use crate::wasi::errno::Result;
use crate::wasi::memory::Guest;
use crate::wasi::state::Strings;

impl Call<'_, '_> {
    pub(super) fn args_get(&mut self, pointers: u64, buffer: u64) -> Result<()> {
        get(&mut self.guest, &self.state.args, pointers, buffer)
    }

    pub(super) fn args_sizes_get(&mut self, count: u64, size: u64) -> Result<()> {
        sizes_get(&mut self.guest, &self.state.args, count, size)
    }

    pub(super) fn environ_get(&mut self, pointers: u64, buffer: u64) -> Result<()> {
        get(&mut self.guest, &self.state.env, pointers, buffer)
    }

    pub(super) fn environ_sizes_get(&mut self, count: u64, size: u64) -> Result<()> {
        sizes_get(&mut self.guest, &self.state.env, count, size)
    }
}

/// Writes each string with a NUL after it, and an array of pointers to them.
fn get(guest: &mut Guest<'_>, strings: &Strings, pointers: u64, buffer: u64) -> Result<()> {
    guest.array(pointers, strings.len() as u64, guest.size_bytes())?;
    guest.range(buffer, strings.bytes_with_terminators())?;
    let mut position = buffer;
    for (index, string) in (0..).zip(strings.iter()) {
        guest.write_size(pointers + index * guest.size_bytes(), position)?;
        guest.write(position, string)?;
        position += string.len() as u64;
        guest.write(position, &[0])?;
        position += 1;
    }
    Ok(())
}

fn sizes_get(guest: &mut Guest<'_>, strings: &Strings, count: u64, size: u64) -> Result<()> {
    guest.check_size(count)?;
    guest.check_size(size)?;
    guest.write_size(count, strings.len() as u64)?;
    guest.write_size(size, strings.bytes_with_terminators())
}
