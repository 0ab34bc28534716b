//! The only module that writes files of objects and the ledger: temp file, exact mode, rename; removal; folders of ours; what stands at a path.
//!
//! It decides nothing: `core::plan` says what to do, this does it one step at a time and tells how each step ended.

pub(crate) mod class;
pub mod dry;
mod fill;
mod folders;
pub mod fs;
mod guard;
pub mod ledger;
pub(crate) mod locks;
mod marks;
pub mod mount;
pub(crate) mod staging;
pub mod told;

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::core::digest::{Digest, Digester};
use crate::core::files::entry::{Content, Obstacle, OnDisk, Replace, Stamp};
use crate::core::path::{RESERVED_PREFIX, Roots, TargetPath};
use crate::core::policy::Durability;
use crate::disk::fs::{Confine, FileKind, Fs, Meta};
use crate::disk::guard::LedgerGuard;
use crate::disk::marks::Marks;
use crate::disk::mount::KnownMounts;
use crate::disk::staging::Staging;

/// FOLDER, the allowed folders, and the descriptors through which they are reached.
pub struct Disk<F: Fs> {
    /// The calls themselves.
    pub(crate) fs: F,
    roots: Roots,
    folder_mode: u16,
    durability: Durability,
    /// Descriptors of the roots, opened when first needed; FOLDER at start.
    open: Vec<Option<F::Handle>>,
    /// Folders opened for the batch in hand.
    folders: HashMap<Box<str>, F::Handle>,
    /// Our id, in the names of temporary files.
    id: String,
    temps: u64,
    /// Temporary files that could not be removed when they should have been: folder and name.
    leftovers: Vec<(String, String)>,
    /// Folders that were made but have not got their mode.
    modes_owed: Vec<String>,
    buffer: Vec<u8>,
    /// Whether FOLDER is made where it is missing.
    makes: bool,
    /// The ledger's place, where its name is none that nobody else can have.
    guard: Option<LedgerGuard>,
    /// Marks what we make, where the ledger may be gone before it.
    marks: Option<Marks>,
    /// ADOPT protects foreign files: no call may be used that could replace one.
    keeps_foreign: bool,
    mounts: KnownMounts,
    /// Somewhere modes cannot be set: a refusal is no failure.
    spares_modes: bool,
    /// Where files are made, if not in their own folder.
    staging: Option<Staging<F::Handle>>,
}

/// Room for so many open folders is kept from batch to batch.
const FOLDERS_KEPT: usize = 64;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Something appeared at the name since it was looked at.
    #[error("something appeared there meanwhile")]
    Appeared,
    /// The file system refused; nothing of ours is there.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is in place, but what the file system said afterwards leaves it in doubt.
    #[error("{0}")]
    InPlace(io::Error),
}

/// Whether something could be made, were there room.
pub(crate) fn lacks_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl<F: Fs> Disk<F> {
    /// Opens FOLDER, making it when it is missing.
    ///
    /// # Errors
    /// When FOLDER can be neither opened nor made.
    pub fn open(mut fs: F, roots: Roots, folder_mode: u16, durability: Durability) -> io::Result<Self> {
        let folder = roots.iter().next().map(|folder| fs.open_root(Path::new(folder), Some(folder_mode))).transpose()?;
        let mut open: Vec<Option<F::Handle>> = roots.iter().map(|_| None).collect();
        if let Some(first) = open.first_mut() {
            *first = folder;
        }
        Ok(Self { folder_mode, durability, open, makes: true, ..Self::for_looking(fs, roots) })
    }

    /// For looking only: nothing is made, not even FOLDER.
    pub(crate) fn for_looking(fs: F, roots: Roots) -> Self {
        let open = roots.iter().map(|_| None).collect();
        Self {
            fs,
            roots,
            folder_mode: 0,
            durability: Durability::None,
            open,
            folders: HashMap::new(),
            id: String::new(),
            temps: 0,
            leftovers: Vec::new(),
            modes_owed: Vec::new(),
            buffer: Vec::new(),
            makes: false,
            guard: None,
            marks: None,
            keeps_foreign: false,
            mounts: KnownMounts::default(),
            spares_modes: false,
            staging: None,
        }
    }

    /// FOLDER and the allowed folders.
    pub(crate) const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// From now on no foreign file is ever replaced unseen, whatever the file system can: a write fails instead.
    pub(crate) const fn keep_foreign(&mut self, keeps: bool) {
        self.keeps_foreign = keeps;
    }

    /// From now on temporary files carry this id.
    pub(crate) fn identify(&mut self, id: &str) {
        self.id = id.to_owned();
    }

    /// Makes good what could not be cleaned up before, and drops the descriptors of the batch in hand.
    pub(crate) fn end_batch(&mut self) {
        self.clean_staging();
        for (folder, name) in std::mem::take(&mut self.leftovers) {
            if self.remove(&folder, &name).is_err() {
                self.leftovers.push((folder, name));
            }
        }
        for folder in std::mem::take(&mut self.modes_owed) {
            match self.set_folder_mode(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => self.modes_owed.push(folder),
                _ => {}
            }
        }
        self.folders.clear();
        self.folders.shrink_to(FOLDERS_KEPT);
    }

    /// Whether something waits to be cleaned up.
    pub(crate) fn has_leftovers(&self) -> bool {
        !self.leftovers.is_empty() || !self.modes_owed.is_empty() || self.has_staged_leftovers()
    }

    /// Runs `work` with the descriptor of a folder (`""` is FOLDER).
    ///
    /// # Errors
    /// When the folder is not there, not reachable without a link, or `work` fails.
    pub(crate) fn in_folder<T>(&mut self, folder: &str, work: impl FnOnce(&mut F, &F::Handle) -> io::Result<T>) -> io::Result<T> {
        let (root, relative) = self.roots.locate(folder);
        let confine = match self.roots.iter().nth(root) {
            Some("/") => Confine::InRoot,
            _ => Confine::Beneath,
        };
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        if self.open.get(root).is_some_and(Option::is_none) {
            let path = self.roots.iter().nth(root).ok_or_else(missing)?.to_owned();
            let make = (root == 0 && self.makes).then_some(self.folder_mode);
            let handle = self.fs.open_root(Path::new(&path), make)?;
            if let Some(slot) = self.open.get_mut(root) {
                *slot = Some(handle);
            }
        }
        let root = self.open.get(root).and_then(Option::as_ref).ok_or_else(missing)?;
        if relative.is_empty() {
            return work(&mut self.fs, root);
        }
        if !self.folders.contains_key(folder) {
            let handle = self.fs.open_folder(root, relative, confine)?;
            self.folders.insert(folder.into(), handle);
        }
        let handle = self.folders.get(folder).ok_or_else(missing)?;
        work(&mut self.fs, handle)
    }

    /// What stands at `name`, read as far as it is needed to compare it with `wanted`.
    ///
    /// # Errors
    /// When the file system refuses to tell.
    pub(crate) fn look(&mut self, folder: &str, name: &str, wanted: &Content, digester: &Digester) -> io::Result<OnDisk> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let guard = self.guard_of(name);
        let mut found = None;
        let seen = self.in_folder(folder, |fs, handle| {
            if guard::holds(guard.as_ref(), fs, handle, name)? {
                return Ok(OnDisk::Obstacle(Obstacle::Ledger));
            }
            let meta = match fs.look(handle, name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OnDisk::Absent),
                meta => meta?,
            };
            found = Some(meta);
            match meta.kind {
                FileKind::Folder => Ok(OnDisk::Obstacle(Obstacle::Folder)),
                FileKind::Link => Ok(OnDisk::Obstacle(Obstacle::Link)),
                FileKind::Special => Ok(OnDisk::Obstacle(Obstacle::Special)),
                FileKind::File if meta.length != u64::from(wanted.length) => Ok(OnDisk::File(stamp(&meta, Digest::UNREAD))),
                FileKind::File => {
                    let file = match fs.open(handle, name) {
                        Ok(file) => file,
                        // Ours to replace, though not to read: its content counts as different.
                        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                            return Ok(OnDisk::File(stamp(&meta, Digest::UNREAD)));
                        }
                        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OnDisk::Absent),
                        Err(error) => return Err(error),
                    };
                    buffer.clear();
                    read_to_end(fs, &file, &mut buffer, u64::from(wanted.length) + 1)?;
                    let meta = fs.meta(&file)?;
                    Ok(OnDisk::File(stamp(&meta, digester.digest(&buffer))))
                }
            }
        });
        buffer.truncate(0);
        buffer.shrink_to(64 << 10);
        self.buffer = buffer;
        match (seen, found) {
            // A folder that is missing, or a file in its place, holds nothing.
            (Err(error), _) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(OnDisk::Absent),
            (Ok(OnDisk::File(stamp)), Some(meta))
                if self.has_mode(folder, name, &Meta { mode: stamp.content.mode, ..meta }, wanted.mode) =>
            {
                Ok(OnDisk::File(stamp.with_mode(wanted.mode)))
            }
            (seen, _) => seen,
        }
    }

    /// Whether the file is, by inode, change time and length, the one that `stamp` describes.
    ///
    /// # Errors
    /// When the file system refuses to tell.
    pub(crate) fn is_unchanged(&mut self, folder: &str, name: &str, stamp: &Stamp) -> io::Result<bool> {
        let looked = self.in_folder(folder, |fs, handle| fs.look(handle, name));
        match looked {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(meta) => Ok(meta.kind == FileKind::File
                && stamp.is_of(meta.identity.1, meta.changed)
                && meta.length == u64::from(stamp.content.length)
                && (meta.mode == stamp.content.mode || self.ignores_modes(&meta))),
        }
    }

    /// Removes a file. A name that is not there is fine; a folder under that name is not ours and stays, and so does the ledger.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn remove(&mut self, folder: &str, name: &str) -> io::Result<bool> {
        let guard = self.guard_of(name);
        let unlink = |fs: &mut F, handle: &F::Handle| match guard::holds(guard.as_ref(), fs, handle, name)? {
            true => Err(io::ErrorKind::NotFound.into()),
            false => fs.unlink(handle, name),
        };
        match self.in_folder(folder, unlink) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            result => result.map(|()| true),
        }
    }

    /// Whether two names lead to one file.
    pub(crate) fn is_same_file(&mut self, one: &TargetPath, other: &TargetPath) -> bool {
        let mut identity = |path: &TargetPath| self.in_folder(path.folder(), |fs, handle| Ok(fs.look(handle, path.name())?.identity)).ok();
        identity(one).is_some_and(|one| identity(other) == Some(one))
    }

    /// The device on which a folder lies, or would lie.
    pub(crate) fn device(&mut self, folder: &str) -> Option<u64> {
        let mut at = folder;
        loop {
            match self.in_folder(at, |fs, handle| Ok(fs.meta(handle)?.identity.0)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !at.is_empty() => {
                    at = at.rfind('/').and_then(|end| at.get(..end)).unwrap_or_default();
                }
                found => return found.ok(),
            }
        }
    }

    /// DURABILITY.
    pub(crate) const fn durability(&self) -> Durability {
        self.durability
    }

    /// Removes temporary files that carry one of `ids` from a folder.
    pub(crate) fn sweep(&mut self, folder: &str, ids: &[String]) -> usize {
        let (swept, left) = self.in_folder(folder, |fs, handle| sweep(fs, handle, ids)).unwrap_or_default();
        self.leftovers.extend(left.into_iter().map(|name| (folder.to_owned(), name)));
        swept
    }
}

/// Removes temporary files that carry one of these ids. How many, and the names of those that cannot be removed.
fn sweep<F: Fs>(fs: &mut F, folder: &F::Handle, ids: &[String]) -> io::Result<(usize, Vec<String>)> {
    let temps = fs.names(folder)?.into_iter().filter(|name| is_temp_of(name, ids));
    let (swept, left): (Vec<_>, Vec<_>) = temps.partition(|name| fs.unlink(folder, name).is_ok());
    Ok((swept.len(), left))
}

/// Whether it is the name of a temporary file that carries one of these ids.
fn is_temp_of(name: &str, ids: &[String]) -> bool {
    ids.iter().any(|id| !id.is_empty() && name.starts_with(&format!("{RESERVED_PREFIX}{id}.")) && name.ends_with(".tmp"))
}

fn temp_name(id: &str, number: u64) -> String {
    [RESERVED_PREFIX, id, ".", &number.to_string(), ".tmp"].concat()
}

fn stamp(meta: &Meta, digest: Digest) -> Stamp {
    let length = u32::try_from(meta.length).unwrap_or(u32::MAX);
    Stamp::new(Content { digest, length, mode: meta.mode }, meta.identity.1, meta.changed)
}

/// Writes everything, going on after short writes and interruptions.
pub(crate) fn write_all<F: Fs>(fs: &mut F, file: &F::Handle, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match fs.write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The name under which a ledger, or what stands beside it, is written anew. It is told by that file's name alone, so that a
/// crash leaves nothing unknown.
fn temp_beside(name: &str) -> String {
    format!("{RESERVED_PREFIX}{}.tmp", name.strip_prefix(RESERVED_PREFIX).unwrap_or(name))
}

/// Replaces a file as a whole; the new one is made ready before it gets the name. After a failure what was there is there.
fn replace<F: Fs>(
    fs: &mut F,
    home: &F::Handle,
    name: &str,
    bytes: &[u8],
    ready: impl FnOnce(&mut F, &F::Handle) -> io::Result<()>,
) -> io::Result<F::Handle> {
    let temp = temp_beside(name);
    // Left by a crash in this very place.
    let _ = fs.unlink(home, &temp);
    let file = fs.create(home, &temp)?;
    let written = write_all(fs, &file, bytes).and_then(|()| ready(fs, &file)).and_then(|()| fs.sync(&file));
    if let Err(error) = written.and_then(|()| fs.rename(home, &temp, name, Replace::Ours)) {
        let _ = fs.unlink(home, &temp);
        return Err(error);
    }
    Ok(file)
}

/// Reads until the end or `limit` bytes.
pub(crate) fn read_to_end<F: Fs>(fs: &mut F, file: &F::Handle, into: &mut Vec<u8>, limit: u64) -> io::Result<()> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    while into.len() < limit {
        let from = into.len();
        into.resize(from + (limit - from).min(64 << 10), 0);
        let count = match fs.read(file, into.get_mut(from..).unwrap_or_default()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                into.truncate(from);
                continue;
            }
            result => result?,
        };
        into.truncate(from + count);
        if count == 0 {
            break;
        }
    }
    Ok(())
}
