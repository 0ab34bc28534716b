//! STAGING: files are made in a folder of the same mount that nobody lists, and renamed from there to their place.
//!
//! So whoever lists FOLDER meets no temporary name. Where it cannot be used files are made in their own folder, as they are without
//! it, and that is told once.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::core::files::entry::Stamp;
use crate::disk::fill::{Making, Mark, NewFile, Step};
use crate::disk::fs::{Fs, Meta};
use crate::disk::{Disk, WriteError, lacks_room, mount, sweep};

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
enum Staged<'a> {
    /// The file was made there, or failed as it would anywhere.
    Made(Making<'a>, io::Result<Meta>),
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
        let (swept, left) = sweep(&mut self.fs, handle, ids).unwrap_or_default();
        leftovers.extend(left);
        swept
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
    pub(super) fn write_staged(&mut self, file: NewFile<'_>, mark: Mark<'_, F>) -> Option<Result<Stamp, WriteError>> {
        let mut staged = self.attempt(file, mark);
        if let Staged::Refused(error) = &staged {
            if !self.takes_no_modes(file.folder, error) {
                self.staging.iter_mut().for_each(|staging| staging.give_up(error));
                return None;
            }
            self.spares_modes = true;
            staged = self.attempt(file, mark);
        }
        match staged {
            Staged::Unusable | Staged::Refused(_) => None,
            Staged::Made(making, made) => Some(self.judge(&making, made)),
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
            return staging.tell(format!("it lies on another mount than FOLDER={}", self.roots.show("")));
        }
        staging.handle = Some(handle);
    }

    fn attempt<'a>(&mut self, file: NewFile<'a>, mark: Mark<'_, F>) -> Staged<'a> {
        let is_ours = self.roots.locate(file.folder).0 == 0;
        let Some(mut staging) = self.staging.take() else { return Staged::Unusable };
        if staging.handle.is_none() && !staging.off {
            self.open_staging(&mut staging);
        }
        let staged = match is_ours && staging.handle.is_some() && !staging.apart.contains(file.folder) {
            true => self.stage(&mut staging, file, mark),
            false => Staged::Unusable,
        };
        self.staging = Some(staging);
        staged
    }

    /// Makes the file there, and renames it to its place.
    fn stage<'a>(&mut self, staging: &mut Staging<F::Handle>, file: NewFile<'a>, mark: Mark<'_, F>) -> Staged<'a> {
        let Some(stage) = &staging.handle else { return Staged::Unusable };
        let mut making = self.making(file);
        let made = self.in_folder(file.folder, |fs, folder| making.make(fs, folder, Some(stage), mark));
        if making.is_left {
            staging.leftovers.push(std::mem::take(&mut making.temp));
        }
        match (made, making.step) {
            (Err(error), Step::Fill) if !self.spares_modes && mount::is_refusal(&error) => Staged::Refused(error),
            (Err(error), Step::Fill) if !lacks_room(&error) => {
                staging.give_up(&error);
                Staged::Unusable
            }
            (Err(error), Step::Rename) if matches!(error.kind(), io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported) => {
                if error.kind() == io::ErrorKind::CrossesDevices {
                    staging.apart.insert(file.folder.into());
                }
                staging.tell(error.to_string());
                Staged::Unusable
            }
            (made, _) => Staged::Made(making, made),
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
