//! STAGING: files are made in a folder of the same mount that nobody lists, and renamed from there to their place.
//!
//! So whoever lists FOLDER meets no temporary name. Where it cannot be used files are made in their own folder, as they are without
//! it, and that is told once.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::core::files::entry::{Content, Stamp};
use crate::core::files::plan::Replace;
use crate::core::path::TargetPath;
use crate::core::policy::Durability;
use crate::disk::fill::{Mark, fill_named};
use crate::disk::fs::{Fs, Meta};
use crate::disk::{Disk, WriteError, guard, is_temp_of, lacks_room, mount, temp_name};

/// Where files are made, and what is known of it.
pub(super) struct Staging<H> {
    path: PathBuf,
    handle: Option<H>,
    /// It cannot be used at all until FOLDER is looked at again.
    off: bool,
    /// Folders to which nothing can be renamed from there.
    apart: HashSet<Box<str>>,
    leftovers: Vec<String>,
    told: HashSet<String>,
    news: Vec<String>,
}

impl<H> Staging<H> {
    fn tell(&mut self, why: String) {
        if self.told.insert(why.clone()) {
            self.news.push(why);
        }
    }

    /// It may be gone: it is opened, if need be made again, for the next file.
    fn give_up(&mut self, error: &io::Error) {
        self.handle = None;
        self.tell(error.to_string());
    }
}

/// How an attempt ended.
enum Staged {
    /// The file is in place, and this is what it is.
    InPlace(Meta),
    Failed(WriteError),
    /// It is not to be written to, or its file system takes no modes.
    Refused(io::Error),
    /// Nothing of it is left: the file must be made in its own folder.
    Unusable,
}

/// Whether a folder is FOLDER or lies in it, by whatever links. `false` where that cannot be told.
pub(crate) fn lies_in(folder: &Path, staging: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let Some(folder) = identity(folder) else { return false };
    let there = staging.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    there.is_some_and(|there| there.ancestors().any(|ancestor| identity(ancestor) == Some(folder)))
}

impl<F: Fs> Disk<F> {
    /// From now on files below FOLDER are made there, where that can be.
    pub fn stage_in(&mut self, path: &Path) {
        let (told, apart) = (HashSet::new(), HashSet::new());
        let mut staging = Staging { path: path.to_owned(), handle: None, off: false, apart, leftovers: Vec::new(), told, news: Vec::new() };
        self.open_staging(&mut staging);
        self.staging = Some(staging);
    }

    /// Why files are not made in STAGING, where that is news.
    pub(crate) fn take_unstaged(&mut self) -> Vec<String> {
        self.staging.as_mut().map(|staging| std::mem::take(&mut staging.news)).unwrap_or_default()
    }

    /// Removes temporary files that carry one of `ids` from STAGING.
    pub(crate) fn sweep_staging(&mut self, ids: &[String]) -> usize {
        let Some(Staging { handle: Some(handle), leftovers, .. }) = &mut self.staging else { return 0 };
        let Ok(names) = self.fs.names(handle) else { return 0 };
        let (swept, left): (Vec<_>, Vec<_>) =
            names.into_iter().filter(|name| is_temp_of(name, ids)).partition(|name| self.fs.unlink(handle, name).is_ok());
        leftovers.extend(left);
        swept.len()
    }

    /// FOLDER is looked at again: what was true of STAGING may not be any more.
    pub(super) fn meet_staging_again(&mut self) {
        if let Some(staging) = &mut self.staging {
            (staging.handle, staging.off) = (None, false);
            staging.apart.clear();
        }
    }

    /// Forgets what is known of folders that hold nothing of ours any more.
    pub(crate) fn tidy(&mut self, is_known: impl Fn(&str) -> bool) {
        if let Some(staging) = &mut self.staging {
            staging.apart.retain(|folder| is_known(folder));
            staging.apart.shrink_to_fit();
        }
    }

    pub(super) fn clean_staging(&mut self) {
        let Some(Staging { handle: Some(handle), leftovers, .. }) = &mut self.staging else { return };
        for name in std::mem::take(leftovers) {
            if self.fs.unlink(handle, &name).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
                leftovers.push(name);
            }
        }
    }

    pub(super) fn has_staged_leftovers(&self) -> bool {
        self.staging.as_ref().is_some_and(|staging| staging.handle.is_some() && !staging.leftovers.is_empty())
    }

    /// Writes a file by way of STAGING. `None`: it must be made in its own folder.
    pub(super) fn write_staged(
        &mut self,
        path: &TargetPath,
        bytes: &[u8],
        content: Content,
        replace: Replace,
        mark: Mark<'_, F>,
    ) -> Option<Result<Stamp, WriteError>> {
        let (folder, name) = (path.folder(), path.name());
        let as_wanted = (content.mode, replace);
        let mut staged = self.attempt((folder, name), bytes, as_wanted, mark);
        if let Staged::Refused(error) = staged {
            staged = if self.takes_no_modes(folder, &error) {
                self.spares_modes = true;
                self.attempt((folder, name), bytes, as_wanted, mark)
            } else {
                let staging = self.staging.as_mut();
                staging.into_iter().for_each(|staging| staging.give_up(&error));
                Staged::Unusable
            };
        }
        match staged {
            Staged::Unusable | Staged::Refused(_) => None,
            Staged::Failed(error) => Some(Err(error)),
            Staged::InPlace(meta)
                if usize::try_from(meta.length) == Ok(bytes.len()) && self.got_mode(folder, name, &meta, content.mode) =>
            {
                Some(Ok(Stamp::new(content, meta.identity.1, meta.changed)))
            }
            Staged::InPlace(_) => Some(Err(WriteError::InPlace(io::Error::other("changed by somebody else meanwhile")))),
        }
    }

    fn open_staging(&mut self, staging: &mut Staging<F::Handle>) {
        let handle = match self.fs.open_root(&staging.path, Some(STAGING_MODE)) {
            Ok(handle) => handle,
            Err(error) => return staging.tell(error.to_string()),
        };
        let mount = self.fs.mount(&handle).ok();
        let of_folder = self.in_folder("", |fs, folder| fs.mount(folder)).ok();
        if mount.is_some() && of_folder.is_some() && mount != of_folder {
            staging.off = true;
            return staging.tell("it lies on another mount than FOLDER".to_owned());
        }
        staging.handle = Some(handle);
    }

    fn attempt(&mut self, file: (&str, &str), bytes: &[u8], as_wanted: (u16, Replace), mark: Mark<'_, F>) -> Staged {
        let (folder, _) = file;
        let is_ours = self.roots.locate(folder).0 == 0;
        let Some(mut staging) = self.staging.take() else { return Staged::Unusable };
        if staging.handle.is_none() && !staging.off {
            self.open_staging(&mut staging);
        }
        let staged = match is_ours && staging.handle.is_some() && !staging.apart.contains(folder) {
            true => self.stage(&mut staging, file, bytes, as_wanted, mark),
            false => Staged::Unusable,
        };
        self.staging = Some(staging);
        staged
    }

    /// Makes the file there, and renames it to its place.
    fn stage(
        &mut self,
        staging: &mut Staging<F::Handle>,
        (folder, name): (&str, &str),
        bytes: &[u8],
        (mode, replace): (u16, Replace),
        mark: Mark<'_, F>,
    ) -> Staged {
        let Some(stage) = &staging.handle else { return Staged::Unusable };
        self.temps += 1;
        let temp = temp_name(&self.id, self.temps);
        let as_wanted = (mode, self.spares_modes, self.durability);
        let (durability, guard) = (self.durability, self.guard_of(name));
        let (mut step, mut left) = (Step::Look, false);
        let written = self.in_folder(folder, |fs, handle| {
            if guard::holds(guard.as_ref(), fs, handle, name)? {
                return Err(io::Error::other("the ledger is kept there"));
            }
            step = Step::Fill;
            let filled = fill_named(fs, stage, &temp, bytes, as_wanted, mark);
            let done = filled.and_then(|()| {
                step = Step::Bring;
                fs.bring((stage, &temp), (handle, name), replace != Replace::Nothing)
            });
            if let Err(error) = done {
                left = fs.unlink(stage, &temp).is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
                return Err(error);
            }
            step = Step::InPlace;
            if durability == Durability::Each {
                fs.sync(handle)?;
            }
            fs.look(handle, name)
        });
        if left {
            staging.leftovers.push(temp);
        }
        match (written, step) {
            (Ok(meta), _) => Staged::InPlace(meta),
            (Err(error), Step::InPlace) => Staged::Failed(WriteError::InPlace(error)),
            (Err(error), Step::Fill) if !self.spares_modes && mount::is_refusal(&error) => Staged::Refused(error),
            (Err(error), Step::Fill) if !lacks_room(&error) => {
                staging.give_up(&error);
                Staged::Unusable
            }
            (Err(error), Step::Bring) if matches!(error.kind(), io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported) => {
                if error.kind() == io::ErrorKind::CrossesDevices {
                    staging.apart.insert(folder.into());
                }
                staging.tell(error.to_string());
                Staged::Unusable
            }
            (Err(error), Step::Bring) if error.kind() == io::ErrorKind::AlreadyExists && replace == Replace::Nothing => {
                Staged::Failed(WriteError::Appeared)
            }
            (Err(error), _) => Staged::Failed(WriteError::Io(error)),
        }
    }

    /// Runs `work` where files for a folder are made that no reader shall meet: in STAGING, if that is on the same device, else there.
    pub(super) fn apart_from<T>(&mut self, folder: &str, work: impl FnOnce(&mut F, &F::Handle) -> io::Result<T>) -> io::Result<T> {
        let is_ours = self.roots.locate(folder).0 == 0;
        let staging = self.staging.take();
        let stage = staging.as_ref().filter(|_| is_ours).and_then(|staging| staging.handle.as_ref());
        let done = self.in_folder(folder, |fs, handle| {
            let device = fs.meta(handle)?.identity.0;
            let stage = stage.filter(|stage| fs.meta(stage).is_ok_and(|meta| meta.identity.0 == device));
            work(fs, stage.unwrap_or(handle))
        });
        self.staging = staging;
        done
    }
}

/// Only we have something to do there.
const STAGING_MODE: u16 = 0o700;

/// How far an attempt came.
#[derive(Clone, Copy)]
enum Step {
    Look,
    Fill,
    Bring,
    InPlace,
}
