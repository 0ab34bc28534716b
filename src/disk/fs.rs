//! The few calls that touch a file system, behind a trait so that tests can make any one of them fail or be the last.
//!
//! Everything goes through a descriptor of a folder; no path is built twice. Below a root no symbolic link is followed
//! (CVE-2017-1002102, CVE-2021-25741).

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, ResolveFlags, Stat, StatxFlags, XattrFlags};

use crate::core::files::entry::Replace;
use crate::core::files::mark::ATTRIBUTE;
use crate::disk::mount::is_refusal;

/// What stands at a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Anything else.
    Special,
}

/// What a file system says of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meta {
    /// What it is.
    pub(crate) kind: FileKind,
    /// Permission bits.
    pub mode: u16,
    /// The uid that owns it.
    pub owner: u32,
    /// Its group.
    pub(crate) group: u32,
    /// Length in bytes.
    pub(crate) length: u64,
    /// Device and inode.
    pub identity: (u64, u64),
    /// Change time, nanoseconds since 1970.
    pub changed: i64,
    /// Names that lead to it.
    pub(crate) links: u64,
}

/// How links on the way to a folder are treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Confine {
    /// No link at all, nothing above the root.
    Beneath,
    /// Links are followed inside the root: for a root that is `/`.
    InRoot,
}

/// The file system as this program uses it. Every method is at most one file that may fail.
pub trait Fs: Send + 'static {
    /// An open file or folder.
    type Handle: Send;

    /// Opens FOLDER or an allowed folder, following links; makes it with its parents when `make` is set.
    fn open_root(&mut self, path: &Path, make: Option<u16>) -> io::Result<Self::Handle>;
    /// What a path outside of any root names now, following links.
    fn look_root(&mut self, path: &Path) -> io::Result<Meta>;
    /// Opens a folder below a root.
    fn open_folder(&mut self, root: &Self::Handle, relative: &str, confine: Confine) -> io::Result<Self::Handle>;
    /// What a name is, without following it.
    fn look(&mut self, folder: &Self::Handle, name: &str) -> io::Result<Meta>;
    /// What an open file is.
    fn meta(&mut self, file: &Self::Handle) -> io::Result<Meta>;
    /// Opens a file to read; never follows a link, never waits for a FIFO.
    fn open(&mut self, folder: &Self::Handle, name: &str) -> io::Result<Self::Handle>;
    /// Opens a ledger to read and append, making it (mode 0600) if there is none.
    fn open_append(&mut self, folder: &Self::Handle, name: &str) -> io::Result<Self::Handle>;
    /// Makes a new file with mode 0600; fails if the name exists.
    fn create(&mut self, folder: &Self::Handle, name: &str) -> io::Result<Self::Handle>;
    /// Makes a new file with mode 0600 that has no name yet; `None` where that cannot be.
    fn create_nameless(&mut self, folder: &Self::Handle) -> io::Result<Option<Self::Handle>>;
    /// Gives a nameless file its name; fails if the name exists, with `Unsupported` where that cannot be.
    fn give_name(&mut self, folder: &Self::Handle, file: &Self::Handle, name: &str) -> io::Result<()>;
    /// Reads on.
    fn read(&mut self, file: &Self::Handle, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes as much as fits.
    fn write(&mut self, file: &Self::Handle, bytes: &[u8]) -> io::Result<usize>;
    /// Sets permission bits exactly, whatever the umask.
    fn set_mode(&mut self, file: &Self::Handle, mode: u16) -> io::Result<()>;
    /// Renames within a folder. Where nothing is to be replaced an existing name is an error; `Unsupported` where no call can promise
    /// that.
    fn rename(&mut self, folder: &Self::Handle, from: &str, to: &str, replace: Replace) -> io::Result<()>;
    /// The same, from one folder into another.
    fn bring(&mut self, from: (&Self::Handle, &str), to: (&Self::Handle, &str), replace: Replace) -> io::Result<()>;
    /// Removes a file.
    fn unlink(&mut self, folder: &Self::Handle, name: &str) -> io::Result<()>;
    /// Makes a folder with mode 0700.
    fn make_folder(&mut self, folder: &Self::Handle, name: &str) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_folder(&mut self, folder: &Self::Handle, name: &str) -> io::Result<()>;
    /// Names in a folder.
    fn names(&mut self, folder: &Self::Handle) -> io::Result<Vec<String>>;
    /// Cuts a file.
    fn truncate(&mut self, file: &Self::Handle, length: u64) -> io::Result<()>;
    /// Makes content, or a folder's names, durable.
    fn sync(&mut self, file: &Self::Handle) -> io::Result<()>;
    /// Takes an exclusive lock; `false` when somebody else holds it.
    fn lock(&mut self, file: &Self::Handle) -> io::Result<bool>;
    /// Which mount an open folder lies on, as a number.
    fn mount(&mut self, folder: &Self::Handle) -> io::Result<u64>;
    /// Puts a mark of ours on a file or folder; `Unsupported` where none can be.
    fn mark(&mut self, file: &Self::Handle, mark: &[u8]) -> io::Result<()>;
    /// The mark on a file or folder, if there is one; `Unsupported` where none can be.
    fn marked(&mut self, file: &Self::Handle) -> io::Result<Option<Vec<u8>>>;

    /// The uid with which all of this is done.
    fn uid(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

/// The kernel's own.
#[derive(Default, Debug)]
pub struct Kernel {
    /// openat2 is missing or refused (an old kernel, a seccomp filter): folders are walked one by one.
    walks: bool,
    /// Files have names from the start: nobody minds, or the file system has no files without one.
    names: bool,
}

impl Kernel {
    /// For folders whose readers pass over our dot-names: temporary files have names from the start, which is one call less a file.
    pub fn with_names() -> Self {
        Self { names: true, ..Self::default() }
    }
}

/// No mark of ours is larger.
const MARK_MAX: usize = 1024;
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

impl Kernel {
    fn walk(root: &OwnedFd, relative: &str) -> io::Result<OwnedFd> {
        let mut at = fs::openat(root, ".", FOLDER, Mode::empty())?;
        for component in relative.split('/') {
            at = fs::openat(&at, component, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(at)
    }
}

impl Fs for Kernel {
    type Handle = OwnedFd;

    fn open_root(&mut self, path: &Path, make: Option<u16>) -> io::Result<OwnedFd> {
        match (fs::open(path, FOLDER, Mode::empty()), make) {
            (Err(rustix::io::Errno::NOENT), Some(mode)) => {
                make_all(path, mode)?;
                Ok(fs::open(path, FOLDER, Mode::empty())?)
            }
            (result, _) => Ok(result?),
        }
    }

    fn look_root(&mut self, path: &Path) -> io::Result<Meta> {
        Ok(meta(&fs::stat(path)?))
    }

    fn open_folder(&mut self, root: &OwnedFd, relative: &str, confine: Confine) -> io::Result<OwnedFd> {
        if relative.is_empty() {
            return Ok(fs::openat(root, ".", FOLDER, Mode::empty())?);
        }
        let resolve = match confine {
            Confine::Beneath => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
            Confine::InRoot => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        };
        if !self.walks {
            match fs::openat2(root, relative, FOLDER, Mode::empty(), resolve) {
                Err(rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::PERM) => self.walks = true,
                result => return Ok(result?),
            }
        }
        Self::walk(root, relative)
    }

    fn look(&mut self, folder: &OwnedFd, name: &str) -> io::Result<Meta> {
        Ok(meta(&fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn meta(&mut self, file: &OwnedFd) -> io::Result<Meta> {
        Ok(meta(&fs::fstat(file)?))
    }

    fn open(&mut self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(fs::openat(folder, name, flags, Mode::empty())?)
    }

    fn open_append(&mut self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?)
    }

    fn create(&mut self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?)
    }

    fn create_nameless(&mut self, folder: &OwnedFd) -> io::Result<Option<OwnedFd>> {
        use rustix::io::Errno;
        if self.names {
            return Ok(None);
        }
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::TMPFILE | OFlags::CLOEXEC;
        match fs::openat(folder, ".", flags, Mode::RUSR | Mode::WUSR) {
            // What file systems without it say, and kernels that take the flag for a folder opened to write.
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::ISDIR | Errno::NOSYS) => {
                self.names = true;
                Ok(None)
            }
            result => Ok(Some(result?)),
        }
    }

    fn give_name(&mut self, folder: &OwnedFd, file: &OwnedFd, name: &str) -> io::Result<()> {
        use rustix::io::Errno;
        // By descriptor alone (AT_EMPTY_PATH) it takes a capability or a young kernel.
        let file = format!("/proc/self/fd/{}", file.as_raw_fd());
        match fs::linkat(fs::CWD, file, folder, name, AtFlags::SYMLINK_FOLLOW) {
            Err(Errno::NOENT) if Path::new("/proc/self/fd").exists() => Err(io::ErrorKind::NotFound.into()),
            // No /proc, or no links.
            Err(Errno::NOENT | Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::XDEV) => {
                self.names = true;
                Err(io::ErrorKind::Unsupported.into())
            }
            result => Ok(result?),
        }
    }

    fn read(&mut self, file: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(file, buffer)?)
    }

    fn write(&mut self, file: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(file, bytes)?)
    }

    fn set_mode(&mut self, file: &OwnedFd, mode: u16) -> io::Result<()> {
        Ok(fs::fchmod(file, Mode::from_raw_mode(mode.into()))?)
    }

    fn rename(&mut self, folder: &OwnedFd, from: &str, to: &str, replace: Replace) -> io::Result<()> {
        self.bring((folder, from), (folder, to), replace)
    }

    fn bring(&mut self, (from, temp): (&OwnedFd, &str), (folder, name): (&OwnedFd, &str), replace: Replace) -> io::Result<()> {
        use rustix::io::Errno;
        if replace != Replace::Nothing {
            return Ok(fs::renameat(from, temp, folder, name)?);
        }
        match fs::renameat_with(from, temp, folder, name, RenameFlags::NOREPLACE) {
            // A file system without it: link fails on an existing name just the same.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::linkat(from, temp, folder, name, AtFlags::empty()) {
                // Nor has it hard links: gcsfuse, s3fs, exFAT.
                Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL) => Err(io::ErrorKind::Unsupported.into()),
                linked => {
                    linked?;
                    // The file is in place; a temporary name that stays is swept at the next start.
                    let _ = fs::unlinkat(from, temp, AtFlags::empty());
                    Ok(())
                }
            },
            result => Ok(result?),
        }
    }

    fn unlink(&mut self, folder: &OwnedFd, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(folder, name, AtFlags::empty())?)
    }

    fn make_folder(&mut self, folder: &OwnedFd, name: &str) -> io::Result<()> {
        Ok(fs::mkdirat(folder, name, Mode::RWXU)?)
    }

    fn remove_folder(&mut self, folder: &OwnedFd, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
    }

    fn names(&mut self, folder: &OwnedFd) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(folder)? {
            if let Ok(name) = entry?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        names.retain(|name| name != "." && name != "..");
        Ok(names)
    }

    fn truncate(&mut self, file: &OwnedFd, length: u64) -> io::Result<()> {
        Ok(fs::ftruncate(file, length)?)
    }

    fn sync(&mut self, file: &OwnedFd) -> io::Result<()> {
        Ok(fs::fsync(file)?)
    }

    fn lock(&mut self, file: &OwnedFd) -> io::Result<bool> {
        match fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            result => Ok(result.map(|()| true)?),
        }
    }

    fn mount(&mut self, folder: &OwnedFd) -> io::Result<u64> {
        // Two mounts of one file system differ by this number alone, which Linux tells since 5.8.
        match fs::statx(folder, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
            Ok(found) if found.stx_mask & StatxFlags::MNT_ID.bits() != 0 => Ok(found.stx_mnt_id),
            Ok(_) | Err(_) => Ok(fs::fstat(folder)?.st_dev),
        }
    }

    fn mark(&mut self, file: &OwnedFd, mark: &[u8]) -> io::Result<()> {
        match fs::fsetxattr(file, ATTRIBUTE, mark, XattrFlags::empty()) {
            Err(error) if has_no_marks(error) => Err(io::ErrorKind::Unsupported.into()),
            result => Ok(result?),
        }
    }

    fn marked(&mut self, file: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
        let mut mark = vec![0; MARK_MAX];
        match fs::fgetxattr(file, ATTRIBUTE, mark.as_mut_slice()) {
            Ok(length) => {
                mark.truncate(length);
                Ok(Some(mark))
            }
            // Not there, or larger than any of ours.
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::RANGE) => Ok(None),
            Err(error) if has_no_marks(error) => Err(io::ErrorKind::Unsupported.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a file system has no extended attributes of users.
const fn has_no_marks(error: rustix::io::Errno) -> bool {
    matches!(error, rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS)
}

/// Makes a folder and its parents; the folders made get `mode` exactly.
fn make_all(path: &Path, mode: u16) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut missing: Vec<&Path> = path.ancestors().take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists()).collect();
    while let Some(folder) = missing.pop() {
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
            Ok(()) => match std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode.into())) {
                // Not every file system has modes that can be set.
                Err(error) if is_refusal(&error) => {}
                set => set?,
            },
        }
    }
    Ok(())
}

fn meta(stat: &Stat) -> Meta {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Special,
    };
    Meta {
        kind,
        mode: u16::try_from(stat.st_mode & 0o7777).unwrap_or_default(),
        owner: stat.st_uid,
        group: stat.st_gid,
        length: u64::try_from(stat.st_size).unwrap_or_default(),
        identity: (stat.st_dev, stat.st_ino),
        changed: stat.st_ctime.saturating_mul(1_000_000_000).saturating_add(i64::try_from(stat.st_ctime_nsec).unwrap_or_default()),
        links: stat.st_nlink,
    }
}
