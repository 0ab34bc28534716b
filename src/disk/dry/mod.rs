//! DRY_RUN: the file system as it would be. What is there is read; what would be changed is kept in memory, and laid over it.
//!
//! Never makes a call that changes anything, and takes no lock. What would be at a name counts as long as what it is laid over stays as
//! it was: whatever others do there since is seen, as it is without DRY_RUN. Without DRY_RUN every call goes through as it is.

mod calls;
mod would;

use std::cell::Cell;
use std::io;
use std::path::{Component, Path};

use crate::disk::dry::would::{FolderId, Laid, LaidOver, Node, Would};
use crate::disk::fs::{Confine, FileKind, Fs, Kernel, Meta};
use crate::disk::read_to_end;

/// The file system that a run works on.
pub(crate) type RunFs = Overlay<Kernel>;

/// A ledger larger than this is not one of ours.
const LARGEST: u64 = 1 << 30;

/// See the module's header.
pub struct Overlay<F: Fs> {
    real: F,
    /// What would be; nothing: it is done.
    would: Option<Box<Would>>,
}

/// An open file or folder.
pub enum OverlayHandle<H> {
    /// One that is there.
    Real(H),
    /// One that would be, by its number, and how far it was read.
    Would(u64, Cell<usize>),
}

/// What stands at a name.
enum Found {
    Real(Meta),
    Would(u64),
}

impl<F: Fs> Overlay<F> {
    /// Everything is done as it is asked for.
    pub const fn through(real: F) -> Self {
        Self { real, would: None }
    }

    /// Nothing is done.
    pub fn dry(real: F) -> Self {
        Self { real, would: Some(Box::default()) }
    }

    /// Through, or dry.
    pub(crate) fn new(real: F, dry: bool) -> Self {
        if dry { Self::dry(real) } else { Self::through(real) }
    }

    fn would(&mut self) -> io::Result<&mut Would> {
        // Whoever has a handle of what would be has this.
        self.would.as_deref_mut().ok_or_else(unsupported)
    }

    fn node(&mut self, number: u64) -> io::Result<&mut Node> {
        self.would()?.node(number)
    }

    /// What a folder is called in the book of changes.
    fn id(&mut self, folder: &OverlayHandle<F::Handle>) -> io::Result<FolderId> {
        Ok(match folder {
            OverlayHandle::Real(folder) => FolderId::Real(self.real.meta(folder)?.identity),
            OverlayHandle::Would(number, _) => FolderId::Would(*number),
        })
    }

    /// What is there, whatever would be.
    fn real_at(&mut self, folder: &OverlayHandle<F::Handle>, name: &str) -> io::Result<Option<Meta>> {
        let OverlayHandle::Real(folder) = folder else { return Ok(None) };
        match self.real.look(folder, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            looked => looked.map(Some),
        }
    }

    /// What would be at a name.
    fn find(&mut self, folder: &OverlayHandle<F::Handle>, name: &str) -> io::Result<Option<Found>> {
        let (id, there) = (self.id(folder)?, self.real_at(folder, name)?);
        Ok(match self.would()?.at(id, name, there.as_ref()) {
            Some(Laid::Gone) => None,
            Some(Laid::Is(number)) => Some(Found::Would(number)),
            None => there.map(Found::Real),
        })
    }

    /// Lays something over a name.
    fn lay(&mut self, folder: &OverlayHandle<F::Handle>, name: &str, change: Laid) -> io::Result<()> {
        let (id, there) = (self.id(folder)?, self.real_at(folder, name)?);
        self.would()?.lay(id, name, LaidOver::of(there.as_ref()), change);
        Ok(())
    }

    /// Something new in a folder. It is of the folder's group where that is inherited.
    fn make(&mut self, folder: &OverlayHandle<F::Handle>, name: &str, kind: FileKind, mode: u16) -> io::Result<u64> {
        let (above, mount, owner) = (self.meta(folder)?, self.mount(folder)?, self.real.uid());
        let number = self.would()?.add(|identity| Node::new(kind, mode, owner, &above, (mount, identity)));
        self.lay(folder, name, Laid::Is(number))?;
        Ok(number)
    }

    fn make_new(
        &mut self,
        folder: &OverlayHandle<F::Handle>,
        name: &str,
        kind: FileKind,
        mode: u16,
    ) -> io::Result<OverlayHandle<F::Handle>> {
        match self.find(folder, name)? {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => self.make(folder, name, kind, mode).map(opened),
        }
    }

    /// Opens a folder that is not there, but would be; what of it is there is the beginning of the path.
    fn open_missing(&mut self, path: &Path, make: Option<u16>) -> io::Result<OverlayHandle<F::Handle>> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        for above in path.ancestors().skip(1) {
            let mut at = match self.real.open_root(above, None) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => OverlayHandle::Real(opened?),
            };
            for part in path.strip_prefix(above).map_err(|_| missing())?.components() {
                let Component::Normal(name) = part else { return Err(missing()) };
                let name = name.to_str().ok_or_else(missing)?;
                at = match (self.find(&at, name)?, make) {
                    (Some(Found::Would(number)), _) if self.node(number)?.meta.kind == FileKind::Folder => opened(number),
                    (None, Some(mode)) => opened(self.make(&at, name, FileKind::Folder, mode)?),
                    (None, None) => return Err(missing()),
                    // A link that leads nowhere, or a file.
                    (Some(_), _) => return Err(io::ErrorKind::NotADirectory.into()),
                };
            }
            return Ok(at);
        }
        Err(missing())
    }

    /// Opens a folder step by step, as each of them may be one that would be, or be gone.
    fn walk(&mut self, root: &OverlayHandle<F::Handle>, relative: &str, confine: Confine) -> io::Result<OverlayHandle<F::Handle>> {
        let mut at = match root {
            OverlayHandle::Real(root) => OverlayHandle::Real(self.real.open_folder(root, "", confine)?),
            OverlayHandle::Would(number, _) => opened(*number),
        };
        let mut end = 0;
        for name in relative.split('/').filter(|name| !name.is_empty()) {
            end += name.len() + usize::from(end > 0);
            at = match (self.find(&at, name)?, root) {
                (None, _) => return Err(io::ErrorKind::NotFound.into()),
                (Some(Found::Would(number)), _) => match self.node(number)?.meta.kind {
                    FileKind::Folder => opened(number),
                    FileKind::File | FileKind::Link | FileKind::Special => return Err(io::ErrorKind::NotADirectory.into()),
                },
                // From the root on, so that links are confined to it.
                (Some(Found::Real(_)), OverlayHandle::Real(root)) => {
                    OverlayHandle::Real(self.real.open_folder(root, relative.get(..end).unwrap_or(relative), confine)?)
                }
                (Some(Found::Real(_)), OverlayHandle::Would(..)) => return Err(io::ErrorKind::NotFound.into()),
            };
        }
        Ok(at)
    }

    /// Makes a copy in memory of a file that is there, to be changed there.
    fn copy(&mut self, folder: &OverlayHandle<F::Handle>, name: &str) -> io::Result<OverlayHandle<F::Handle>> {
        let OverlayHandle::Real(home) = folder else { return Err(io::ErrorKind::NotFound.into()) };
        let file = self.real.open(home, name)?;
        let (meta, mount) = (self.real.meta(&file)?, self.real.mount(home)?);
        if meta.kind != FileKind::File {
            return Ok(OverlayHandle::Real(file));
        }
        let mut bytes = Vec::new();
        read_to_end(&mut self.real, &file, &mut bytes, LARGEST)?;
        let number = self.would()?.add(|identity| Node::copy(meta, bytes, (mount, identity)));
        Ok(opened(number))
    }

    /// Changes a file that would be.
    fn change(&mut self, file: &OverlayHandle<F::Handle>, change: impl FnOnce(&mut Node)) -> io::Result<()> {
        let OverlayHandle::Would(number, _) = file else { return Err(unsupported()) };
        let node = self.node(*number)?;
        change(node);
        node.meta.length = u64::try_from(node.bytes.len()).unwrap_or(u64::MAX);
        self.would()?.changed(*number)
    }

    /// Nothing would be at this name.
    fn take_away(&mut self, folder: &OverlayHandle<F::Handle>, name: &str) -> io::Result<()> {
        if let Some(Found::Would(number)) = self.find(folder, name)? {
            self.would()?.drop(number);
        }
        self.lay(folder, name, Laid::Gone)
    }
}

/// What cannot be done to a file that is there.
fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

const fn opened<H>(number: u64) -> OverlayHandle<H> {
    OverlayHandle::Would(number, Cell::new(0))
}
