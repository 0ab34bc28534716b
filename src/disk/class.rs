//! What errors of the file system are counted as.

use std::io;

use crate::disk::{WriteError, lacks_room};
use crate::metrics::labels::FileErrorClass;

/// What an error is counted as.
pub(crate) fn class_of(error: &io::Error) -> FileErrorClass {
    match error.kind() {
        _ if lacks_room(error) => FileErrorClass::NoSpace,
        io::ErrorKind::ReadOnlyFilesystem => FileErrorClass::ReadOnly,
        io::ErrorKind::PermissionDenied => FileErrorClass::Denied,
        io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::DirectoryNotEmpty => {
            FileErrorClass::InTheWay
        }
        _ => FileErrorClass::Other,
    }
}

impl WriteError {
    /// What it is counted as.
    pub(crate) fn class(&self) -> FileErrorClass {
        match self {
            Self::Appeared => FileErrorClass::InTheWay,
            Self::Io(error) | Self::InPlace(error) => class_of(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn an_error_is_counted_as_what_the_kernel_calls_it() {
        for (errno, expected) in [
            (Errno::NOSPC, FileErrorClass::NoSpace),
            (Errno::DQUOT, FileErrorClass::NoSpace),
            (Errno::ROFS, FileErrorClass::ReadOnly),
            (Errno::ACCESS, FileErrorClass::Denied),
            (Errno::PERM, FileErrorClass::Denied),
            (Errno::EXIST, FileErrorClass::InTheWay),
            (Errno::ISDIR, FileErrorClass::InTheWay),
            (Errno::NOTDIR, FileErrorClass::InTheWay),
            (Errno::IO, FileErrorClass::Other),
        ] {
            assert_eq!(class_of(&errno.into()), expected, "{errno}");
            assert_eq!(WriteError::Io(errno.into()).class(), expected, "{errno}");
        }
        assert_eq!(WriteError::Appeared.class(), FileErrorClass::InTheWay);
    }
}
