//! `sock_*`: there are no sockets, so a descriptor is none.

use super::Call;
use crate::wasi::errno::{Errno, Result};

impl Call<'_, '_> {
    pub(super) fn sock(&self, fd: u32) -> Result<()> {
        self.state.descriptors.get(fd)?;
        Err(Errno::Notsock)
    }
}
