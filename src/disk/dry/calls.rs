//! The calls: each as it is where everything is done, and another where nothing is.

use std::io;
use std::path::Path;

use crate::core::files::entry::Replace;
use crate::disk::dry::would::{Laid, LaidOver};
use crate::disk::dry::{Found, Overlay, OverlayHandle, opened, unsupported};
use crate::disk::fs::{Confine, FileKind, Fs, Meta};
use crate::disk::locks;

/// A call of its own while everything is done, and another while nothing is.
macro_rules! through {
    ($self:ident, $($handle:ident),+ => $done:expr) => {
        if $self.would.is_none()
            && let ($(OverlayHandle::Real($handle)),+ ,) = ($($handle),+ ,)
        {
            return $done;
        }
    };
}

impl<F: Fs> Fs for Overlay<F> {
    type Handle = OverlayHandle<F::Handle>;

    fn open_root(&mut self, path: &Path, make: Option<u16>) -> io::Result<Self::Handle> {
        let make_now = make.filter(|_| self.would.is_none());
        match self.real.open_root(path, make_now) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.would.is_some() => self.open_missing(path, make),
            opened => opened.map(OverlayHandle::Real),
        }
    }

    fn look_root(&mut self, path: &Path) -> io::Result<Meta> {
        match self.real.look_root(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.would.is_some() => {
                let folder = self.open_missing(path, None)?;
                self.meta(&folder)
            }
            looked => looked,
        }
    }

    fn open_folder(&mut self, root: &Self::Handle, relative: &str, confine: Confine) -> io::Result<Self::Handle> {
        through!(self, root => self.real.open_folder(root, relative, confine).map(OverlayHandle::Real));
        self.walk(root, relative, confine)
    }

    fn look(&mut self, folder: &Self::Handle, name: &str) -> io::Result<Meta> {
        through!(self, folder => self.real.look(folder, name));
        match self.find(folder, name)? {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Found::Real(meta)) => Ok(self.would()?.seen(meta)),
            Some(Found::Would(number)) => Ok(self.node(number)?.meta),
        }
    }

    fn meta(&mut self, file: &Self::Handle) -> io::Result<Meta> {
        match file {
            OverlayHandle::Would(number, _) => Ok(self.node(*number)?.meta),
            OverlayHandle::Real(file) => {
                let meta = self.real.meta(file)?;
                Ok(self.would.as_ref().map_or(meta, |would| would.seen(meta)))
            }
        }
    }

    fn open(&mut self, folder: &Self::Handle, name: &str) -> io::Result<Self::Handle> {
        through!(self, folder => self.real.open(folder, name).map(OverlayHandle::Real));
        match (self.find(folder, name)?, folder) {
            (Some(Found::Would(number)), _) => Ok(opened(number)),
            (Some(Found::Real(_)), OverlayHandle::Real(folder)) => self.real.open(folder, name).map(OverlayHandle::Real),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The ledger is a copy from then on, whatever others do to theirs.
    fn open_append(&mut self, folder: &Self::Handle, name: &str) -> io::Result<Self::Handle> {
        through!(self, folder => self.real.open_append(folder, name).map(OverlayHandle::Real));
        let ledger = match self.find(folder, name)? {
            Some(Found::Would(number)) => return Ok(opened(number)),
            Some(Found::Real(_)) => self.copy(folder, name)?,
            None => opened(self.make(folder, name, FileKind::File, 0o600)?),
        };
        if let OverlayHandle::Would(number, _) = &ledger {
            let id = self.id(folder)?;
            self.would()?.lay(id, name, LaidOver::Whatever, Laid::Is(*number));
        }
        Ok(ledger)
    }

    fn create(&mut self, folder: &Self::Handle, name: &str) -> io::Result<Self::Handle> {
        through!(self, folder => self.real.create(folder, name).map(OverlayHandle::Real));
        self.make_new(folder, name, FileKind::File, 0o600)
    }

    fn create_nameless(&mut self, folder: &Self::Handle) -> io::Result<Option<Self::Handle>> {
        through!(self, folder => self.real.create_nameless(folder).map(|file| file.map(OverlayHandle::Real)));
        Ok(None)
    }

    fn give_name(&mut self, folder: &Self::Handle, file: &Self::Handle, name: &str) -> io::Result<()> {
        through!(self, folder, file => self.real.give_name(folder, file, name));
        Err(unsupported())
    }

    fn read(&mut self, file: &Self::Handle, buffer: &mut [u8]) -> io::Result<usize> {
        match file {
            OverlayHandle::Real(file) => self.real.read(file, buffer),
            OverlayHandle::Would(number, at) => {
                let rest = self.node(*number)?.bytes.get(at.get()..).unwrap_or_default();
                let count = rest.len().min(buffer.len());
                buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                at.set(at.get() + count);
                Ok(count)
            }
        }
    }

    fn write(&mut self, file: &Self::Handle, bytes: &[u8]) -> io::Result<usize> {
        through!(self, file => self.real.write(file, bytes));
        self.change(file, |node| node.bytes.extend_from_slice(bytes)).map(|()| bytes.len())
    }

    fn set_mode(&mut self, file: &Self::Handle, mode: u16) -> io::Result<()> {
        through!(self, file => self.real.set_mode(file, mode));
        if let OverlayHandle::Real(file) = file {
            let identity = self.real.meta(file)?.identity;
            self.would()?.modes.insert(identity, mode);
            return Ok(());
        }
        self.change(file, |node| node.meta.mode = mode)
    }

    fn rename(&mut self, folder: &Self::Handle, from: &str, to: &str, replace: Replace) -> io::Result<()> {
        through!(self, folder => self.real.rename(folder, from, to, replace));
        self.bring((folder, from), (folder, to), replace)
    }

    fn bring(&mut self, (from, temp): (&Self::Handle, &str), (folder, name): (&Self::Handle, &str), replace: Replace) -> io::Result<()> {
        through!(self, from, folder => self.real.bring((from, temp), (folder, name), replace));
        let number = match self.find(from, temp)? {
            Some(Found::Would(number)) => number,
            // What is there is moved by nobody.
            Some(Found::Real(_)) => return Err(unsupported()),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        if self.mount(from)? != self.mount(folder)? {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        match self.find(folder, name)? {
            Some(_) if replace == Replace::Nothing => return Err(io::ErrorKind::AlreadyExists.into()),
            Some(Found::Real(meta)) if meta.kind == FileKind::Folder => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Found::Would(former)) => match self.node(former)?.meta.kind {
                FileKind::Folder => return Err(io::ErrorKind::IsADirectory.into()),
                FileKind::File | FileKind::Link | FileKind::Special => self.would()?.drop(former),
            },
            Some(Found::Real(_)) | None => {}
        }
        self.lay(folder, name, Laid::Is(number))?;
        self.lay(from, temp, Laid::Gone)?;
        self.would()?.changed(number)
    }

    fn unlink(&mut self, folder: &Self::Handle, name: &str) -> io::Result<()> {
        through!(self, folder => self.real.unlink(folder, name));
        let meta = self.look(folder, name)?;
        if meta.kind == FileKind::Folder {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.take_away(folder, name)
    }

    fn make_folder(&mut self, folder: &Self::Handle, name: &str) -> io::Result<()> {
        through!(self, folder => self.real.make_folder(folder, name));
        self.make_new(folder, name, FileKind::Folder, 0o700).map(drop)
    }

    fn remove_folder(&mut self, folder: &Self::Handle, name: &str) -> io::Result<()> {
        through!(self, folder => self.real.remove_folder(folder, name));
        if self.look(folder, name)?.kind != FileKind::Folder {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let inner = self.walk(folder, name, Confine::Beneath)?;
        if !self.names(&inner)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let id = self.id(&inner)?;
        self.take_away(folder, name)?;
        self.would()?.forget(id);
        Ok(())
    }

    fn names(&mut self, folder: &Self::Handle) -> io::Result<Vec<String>> {
        through!(self, folder => self.real.names(folder));
        let mut names = match folder {
            OverlayHandle::Real(folder) => self.real.names(folder)?,
            OverlayHandle::Would(..) => Vec::new(),
        };
        let id = self.id(folder)?;
        let changed = self.would()?.names(id);
        names.retain(|name| !changed.contains(name));
        for name in changed {
            if self.find(folder, &name)?.is_some() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn truncate(&mut self, file: &Self::Handle, length: u64) -> io::Result<()> {
        through!(self, file => self.real.truncate(file, length));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.change(file, |node| node.bytes.resize(length, 0))
    }

    fn sync(&mut self, file: &Self::Handle) -> io::Result<()> {
        through!(self, file => self.real.sync(file));
        Ok(())
    }

    /// Ours is a copy, which nobody else has; whether another has theirs is looked up.
    fn lock(&mut self, file: &Self::Handle) -> io::Result<bool> {
        through!(self, file => self.real.lock(file));
        match file {
            OverlayHandle::Real(file) => Ok(!locks::held(self.real.meta(file)?.identity)),
            OverlayHandle::Would(..) => Ok(true),
        }
    }

    fn mount(&mut self, folder: &Self::Handle) -> io::Result<u64> {
        match folder {
            OverlayHandle::Real(folder) => self.real.mount(folder),
            OverlayHandle::Would(number, _) => Ok(self.node(*number)?.mount),
        }
    }

    fn mark(&mut self, file: &Self::Handle, mark: &[u8]) -> io::Result<()> {
        through!(self, file => self.real.mark(file, mark));
        let identity = self.meta(file)?.identity;
        self.would()?.marks.insert(identity, mark.to_vec());
        Ok(())
    }

    fn marked(&mut self, file: &Self::Handle) -> io::Result<Option<Vec<u8>>> {
        through!(self, file => self.real.marked(file));
        let identity = self.meta(file)?.identity;
        match (self.would()?.marks.get(&identity).cloned(), file) {
            (None, OverlayHandle::Real(file)) => self.real.marked(file),
            (mark, _) => Ok(mark),
        }
    }

    fn uid(&self) -> u32 {
        self.real.uid()
    }
}
