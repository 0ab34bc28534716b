//! Makes whole files: under a temporary name, in their own folder or in STAGING, then under their own.

use std::io;

use crate::core::files::entry::{Content, Replace, Stamp};
use crate::core::files::store::lasting::Recorded;
use crate::core::policy::Durability;
use crate::disk::fs::{Fs, Meta};
use crate::disk::guard::{self, LedgerGuard};
use crate::disk::mount::{self, look_and_rename};
use crate::disk::{Disk, WriteError, write_all};

/// Marks a file as ours, where that is needed.
pub(super) type Mark<'a, F> = &'a mut dyn FnMut(&mut F, &<F as Fs>::Handle);

/// A file to be made.
#[derive(Clone, Copy)]
pub(super) struct NewFile<'a> {
    pub(super) folder: &'a str,
    pub(super) name: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) content: Content,
    pub(super) replace: Replace,
}

/// One attempt to make it, and how far that came.
pub(super) struct Making<'a> {
    pub(super) file: NewFile<'a>,
    pub(super) temp: String,
    pub(super) durability: Durability,
    /// Modes cannot be set there: a refusal is no failure.
    pub(super) spares_modes: bool,
    /// No call may be used that could replace a foreign file.
    pub(super) keeps_foreign: bool,
    pub(super) guard: Option<LedgerGuard>,
    pub(super) step: Step,
    /// The temporary file could not be removed.
    pub(super) is_left: bool,
    /// The file system has no call that spares what is there.
    pub(super) cannot_spare: bool,
}

/// What an attempt was about when it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Look,
    Fill,
    Rename,
    InPlace,
}

impl<F: Fs> Disk<F> {
    /// Writes a file: temp in its own folder or in STAGING, mode, rename. Readers see the old file or the new one, whole.
    ///
    /// 1. Make a new file of mode 0600, without a name where the file system can.
    /// 2. Write, and make durable when each file shall be.
    /// 3. Mark it as ours for `owner`, and whether it stays after that, where that is needed, then set the mode exactly: later it may not be marked any more.
    /// 4. Give it a temporary name of ours, so that who reads every file sees whole ones only.
    /// 5. Rename onto the name.
    ///
    /// # Errors
    /// [`WriteError`]; the temporary file is removed again, the old file is intact.
    pub(crate) fn write(&mut self, recorded: Recorded<'_>, bytes: &[u8], content: Content, replace: Replace) -> Result<Stamp, WriteError> {
        let path = recorded.path();
        let file = NewFile { folder: path.folder(), name: path.name(), bytes, content, replace };
        let mut marks = self.marks.take();
        let mut mark = |fs: &mut F, file: &F::Handle| {
            if let Some(marks) = &mut marks {
                marks.put(fs, file, path.as_str(), &recorded.made());
            }
        };
        let written = match self.try_write(file, &mut mark) {
            Err(WriteError::Io(error)) if !self.spares_modes && self.takes_no_modes(file.folder, &error) => {
                self.spares_modes = true;
                self.try_write(file, &mut mark)
            }
            written => written,
        };
        self.marks = marks;
        written
    }

    fn try_write(&mut self, file: NewFile<'_>, mark: Mark<'_, F>) -> Result<Stamp, WriteError> {
        if let Some(written) = self.write_staged(file, mark) {
            return written;
        }
        let mut making = self.making(file);
        let made = self.in_folder(file.folder, |fs, folder| making.make(fs, folder, None, mark));
        if making.is_left {
            self.leftovers.push((file.folder.to_owned(), std::mem::take(&mut making.temp)));
        }
        if making.cannot_spare {
            self.cannot_spare(file.folder);
        }
        self.judge(&making, made)
    }

    /// An attempt that has not begun.
    pub(super) fn making<'a>(&mut self, file: NewFile<'a>) -> Making<'a> {
        Making {
            file,
            temp: self.next_temp(),
            durability: self.durability,
            spares_modes: self.spares_modes,
            keeps_foreign: self.keeps_foreign,
            guard: self.guard_of(file.name),
            step: Step::Look,
            is_left: false,
            cannot_spare: false,
        }
    }

    /// What an attempt came to.
    pub(super) fn judge(&mut self, making: &Making<'_>, made: io::Result<Meta>) -> Result<Stamp, WriteError> {
        let NewFile { folder, name, bytes, content, replace } = making.file;
        match made {
            Ok(meta) if usize::try_from(meta.length) == Ok(bytes.len()) && self.got_mode(folder, name, &meta, content.mode) => {
                Ok(Stamp::new(content, meta.identity.1, meta.changed))
            }
            Ok(_) => Err(WriteError::InPlace(io::Error::other("changed by somebody else meanwhile"))),
            Err(error) if making.step == Step::InPlace => Err(WriteError::InPlace(error)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && replace == Replace::Nothing => Err(WriteError::Appeared),
            Err(error) => Err(WriteError::Io(error)),
        }
    }
}

impl Making<'_> {
    /// Makes the file, by way of `staging` if there is one. What it is once it is in place.
    pub(super) fn make<F: Fs>(
        &mut self,
        fs: &mut F,
        folder: &F::Handle,
        staging: Option<&F::Handle>,
        mark: Mark<'_, F>,
    ) -> io::Result<Meta> {
        let name = self.file.name;
        if guard::holds(self.guard.as_ref(), fs, folder, name)? {
            return Err(io::Error::other("the ledger is kept there"));
        }
        self.step = Step::Fill;
        let filled = match staging {
            Some(staging) => self.fill_named(fs, staging, mark),
            None => self.fill(fs, folder, mark),
        };
        if let Err(error) = filled.and_then(|()| self.rename(fs, folder, staging)) {
            let removed = fs.unlink(staging.unwrap_or(folder), &self.temp);
            self.is_left = removed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
            return Err(error);
        }
        self.step = Step::InPlace;
        if self.durability == Durability::Each {
            fs.sync(folder)?;
        }
        fs.look(folder, name)
    }

    fn rename<F: Fs>(&mut self, fs: &mut F, folder: &F::Handle, staging: Option<&F::Handle>) -> io::Result<()> {
        self.step = Step::Rename;
        let NewFile { name, replace, .. } = self.file;
        if let Some(staging) = staging {
            return fs.bring((staging, &self.temp), (folder, name), replace);
        }
        match fs.rename(folder, &self.temp, name, replace) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported && replace == Replace::Nothing => {
                self.cannot_spare = true;
                look_and_rename(fs, folder, &self.temp, name, self.keeps_foreign)
            }
            renamed => renamed,
        }
    }

    /// Makes a whole file with a temporary name, closed, which it gets last where that can be.
    ///
    /// Closed before it gets its own name: who waits for the end of a write by inotify shall not see one after the rename.
    fn fill<F: Fs>(&self, fs: &mut F, folder: &F::Handle, mark: Mark<'_, F>) -> io::Result<()> {
        if let Some(file) = fs.create_nameless(folder)? {
            self.complete(fs, &file, mark)?;
            match fs.give_name(folder, &file, &self.temp) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    fs.unlink(folder, &self.temp)?;
                    return fs.give_name(folder, &file, &self.temp);
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                result => return result,
            }
        }
        self.fill_named(fs, folder, mark)
    }

    /// As [`Self::fill`], with the name from the start.
    fn fill_named<F: Fs>(&self, fs: &mut F, folder: &F::Handle, mark: Mark<'_, F>) -> io::Result<()> {
        let file = match fs.create(folder, &self.temp) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs.unlink(folder, &self.temp)?;
                fs.create(folder, &self.temp)?
            }
            file => file?,
        };
        self.complete(fs, &file, mark)
    }

    /// Makes an empty file a whole one. It is marked before it has its mode: later that may not be possible.
    fn complete<F: Fs>(&self, fs: &mut F, file: &F::Handle, mark: Mark<'_, F>) -> io::Result<()> {
        write_all(fs, file, self.file.bytes)?;
        mark(fs, file);
        match fs.set_mode(file, self.file.content.mode) {
            // Whether it matters is seen once the file is in place.
            Err(error) if self.spares_modes && mount::is_refusal(&error) => {}
            set => set?,
        }
        match self.durability {
            Durability::None => Ok(()),
            Durability::Each | Durability::Batch => fs.sync(file),
        }
    }
}
