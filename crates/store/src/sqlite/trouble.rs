//! What can go wrong inside, before it becomes a [`StoreError`].

use std::io;

use fireside_protocol::DecodeError;
use fireside_server_core::storage::StoreError;

/// Why an operation failed.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// No room on the disk, in its quota, or in the file's own limit.
    Full,
    /// Anything else, for the operator.
    Other(String),
}

impl Trouble {
    /// A row that does not say what it should.
    pub(super) fn damaged(what: &str) -> Self {
        Self::Other(format!(
            "a stored {what} can not be read; the file is damaged, restore a backup"
        ))
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        // Read at once: only ENOSPC is told apart by SQLite, quotas and size limits come as plain I/O errors.
        let system = io::Error::last_os_error().kind();
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            Some(rusqlite::ErrorCode::SystemIoFailure)
                if matches!(
                    system,
                    io::ErrorKind::StorageFull
                        | io::ErrorKind::QuotaExceeded
                        | io::ErrorKind::FileTooLarge
                ) =>
            {
                Self::Full
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<DecodeError> for Trouble {
    fn from(error: DecodeError) -> Self {
        Self::damaged(&format!("record ({error})"))
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Full => Self::Full,
            Trouble::Other(text) => Self::Unavailable(text.into()),
        }
    }
}
