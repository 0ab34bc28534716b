//! The book of what would be: by folder and name what is laid over what is there, and the files and folders that are not there.
//!
//! Asks no file system. Keeps the bytes of files, which nothing prints.

use std::collections::{BTreeMap, HashMap};
use std::io;

use crate::disk::fs::{FileKind, Meta};

/// Inode numbers of what would be; no file system gives these.
const NUMBERS: u64 = 1 << 62;
/// Files made in a folder with this bit get the folder's group, and folders the bit.
const SET_GROUP: u16 = 0o2000;

/// A folder, by what cannot change while it is open.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FolderId {
    /// One that is there, by device and inode.
    Real((u64, u64)),
    /// One that would be, by its number.
    Would(u64),
}

/// What would be at a name.
#[derive(Clone, Copy)]
pub(super) enum Laid {
    /// Nothing.
    Gone,
    /// The file or folder of this number.
    Is(u64),
}

/// What something is laid over. It counts while that is so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LaidOver {
    Nothing,
    /// Device and inode; of what is no folder also when it was changed.
    Is((u64, u64), Option<i64>),
    /// Anything: what others do there does not matter.
    Whatever,
}

struct Layer {
    over: LaidOver,
    change: Laid,
}

/// A file or folder that is not there.
pub(super) struct Node {
    pub(super) meta: Meta,
    pub(super) mount: u64,
    pub(super) bytes: Vec<u8>,
}

/// See the module's header.
#[derive(Default)]
pub(super) struct Would {
    layers: HashMap<FolderId, BTreeMap<Box<str>, Layer>>,
    nodes: HashMap<u64, Node>,
    numbers: u64,
    /// Modes that would be set, by device and inode of what is there.
    pub(super) modes: HashMap<(u64, u64), u16>,
    /// Marks that would be put, by device and inode.
    pub(super) marks: HashMap<(u64, u64), Vec<u8>>,
}

impl LaidOver {
    /// What is there now.
    pub(super) fn of(there: Option<&Meta>) -> Self {
        there.map_or(Self::Nothing, |meta| Self::Is(meta.identity, (meta.kind != FileKind::Folder).then_some(meta.changed)))
    }
}

impl Node {
    /// Something new, on the mount and with the inode number given, in a folder.
    pub(super) fn new(kind: FileKind, mode: u16, owner: u32, above: &Meta, (mount, inode): (u64, u64)) -> Self {
        let inherits = above.mode & SET_GROUP != 0;
        let group = if inherits { above.group } else { rustix::process::getegid().as_raw() };
        let mode = if inherits && kind == FileKind::Folder { mode | SET_GROUP } else { mode };
        let identity = (above.identity.0, inode);
        Self { meta: Meta { kind, mode, owner, group, length: 0, identity, changed: 0, links: 1 }, mount, bytes: Vec::new() }
    }

    /// What a file that is there would become.
    pub(super) const fn copy(of: Meta, bytes: Vec<u8>, (mount, inode): (u64, u64)) -> Self {
        Self { meta: Meta { identity: (of.identity.0, inode), ..of }, mount, bytes }
    }
}

impl Would {
    /// What would be at a name; nothing where that is what is there.
    pub(super) fn at(&mut self, folder: FolderId, name: &str, there: Option<&Meta>) -> Option<Laid> {
        let names = self.layers.get_mut(&folder)?;
        let Layer { over, change } = names.get(name)?;
        if *over == LaidOver::Whatever || *over == LaidOver::of(there) {
            return Some(*change);
        }
        // Somebody else was here since.
        if let Some(Layer { change: Laid::Is(number), .. }) = names.remove(name) {
            self.drop(number);
        }
        None
    }

    /// Lays something over a name. A ledger stays one of which others know nothing.
    pub(super) fn lay(&mut self, folder: FolderId, name: &str, over: LaidOver, change: Laid) {
        let names = self.layers.entry(folder).or_default();
        let over = if names.get(name).is_some_and(|layer| layer.over == LaidOver::Whatever) { LaidOver::Whatever } else { over };
        match (over, change) {
            (LaidOver::Nothing, Laid::Gone) => drop(names.remove(name)),
            (over, change) => drop(names.insert(name.into(), Layer { over, change })),
        }
        if names.is_empty() {
            self.layers.remove(&folder);
        }
    }

    /// Names in a folder at which something was changed.
    pub(super) fn names(&self, folder: FolderId) -> Vec<String> {
        self.layers.get(&folder).into_iter().flat_map(BTreeMap::keys).map(|name| (**name).to_owned()).collect()
    }

    /// Forgets what would be in a folder that would be gone.
    pub(super) fn forget(&mut self, folder: FolderId) {
        self.layers.remove(&folder);
    }

    /// Adds what is made of an inode number. Its own number.
    pub(super) fn add(&mut self, make: impl FnOnce(u64) -> Node) -> u64 {
        let number = self.next();
        let mut node = make(NUMBERS | number);
        node.meta.length = u64::try_from(node.bytes.len()).unwrap_or(u64::MAX);
        node.meta.changed = i64::try_from(number).unwrap_or(i64::MAX);
        self.nodes.insert(number, node);
        number
    }

    /// A file or folder that would be; one that would be gone is not found, also by whoever has it open.
    pub(super) fn node(&mut self, number: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// It would be changed now: by a time that nothing else has.
    pub(super) fn changed(&mut self, number: u64) -> io::Result<()> {
        let now = i64::try_from(self.next()).unwrap_or(i64::MAX);
        self.node(number)?.meta.changed = now;
        Ok(())
    }

    /// It would be gone, with all that would be in it.
    pub(super) fn drop(&mut self, number: u64) {
        if let Some(node) = self.nodes.remove(&number) {
            self.marks.remove(&node.meta.identity);
        }
        let inner = self.layers.remove(&FolderId::Would(number)).unwrap_or_default();
        for layer in inner.into_values() {
            if let Laid::Is(number) = layer.change {
                self.drop(number);
            }
        }
    }

    /// What is there, with the mode that it would have.
    pub(super) fn seen(&self, meta: Meta) -> Meta {
        self.modes.get(&meta.identity).map_or(meta, |mode| Meta { mode: *mode, ..meta })
    }

    /// A number that was not given before, and no whole second.
    fn next(&mut self) -> u64 {
        self.numbers += 1;
        if self.numbers.is_multiple_of(1_000_000_000) {
            self.numbers += 1;
        }
        self.numbers
    }
}
