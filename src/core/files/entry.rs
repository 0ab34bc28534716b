//! What the store keeps of an object, a claim and a path: packed, as there are as many as files.
//!
//! Per object identity and age, per file path, length, digest and mode, per path who claims it, whom the ledger gives it to and
//! what was last seen there.

use std::sync::Arc;

use crate::core::digest::Digest;
use crate::core::object::{ObjectKey, SourceId, Wanted};
use crate::core::path::TargetPath;

/// What a file holds, as far as it matters whether two files are equal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    /// Keyed digest of the bytes.
    pub(crate) digest: Digest,
    /// Length in bytes, saturated.
    pub(crate) length: u32,
    /// Permission bits.
    pub(crate) mode: u16,
}

/// A file as it was last seen or written, with what tells whether somebody changed it since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// What it holds.
    pub(crate) content: Content,
    print: u64,
}

impl Stamp {
    /// A stamp of the file with this inode and change time (nanoseconds since 1970).
    pub(crate) fn new(content: Content, inode: u64, changed: i64) -> Self {
        Self { content, print: print(inode, changed) }
    }

    /// The same with another mode.
    #[must_use]
    pub(crate) const fn with_mode(mut self, mode: u16) -> Self {
        self.content.mode = mode;
        self
    }

    /// Whether a file with this inode and change time is the one that was stamped. A coarse time says nothing: whoever looks must
    /// read the file.
    pub(crate) fn is_of(&self, inode: u64, changed: i64) -> bool {
        !is_coarse(changed) && self.print == print(inode, changed)
    }
}

/// Whether a change time (nanoseconds since 1970) is in whole seconds, so that a change within that second would not show.
pub(crate) const fn is_coarse(changed: i64) -> bool {
    changed % 1_000_000_000 == 0
}

/// Inode and change time in one number. Multiplying by an odd number loses nothing, so either alone changes it.
const fn print(inode: u64, changed: i64) -> u64 {
    inode.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32) ^ changed.cast_unsigned()
}

/// What stands at a path where only a regular file may be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A FIFO, socket or device.
    Special,
    /// A file that another projector's ledger owns.
    Sibling,
    /// Our own ledger.
    Ledger,
    /// Another file of ours, whose name differs in case only, where the file system does not tell the two apart.
    Case,
}

/// What is known of a path on disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDisk {
    /// Not looked at in this process, or changed by a step whose outcome is unknown.
    Unknown,
    /// Nothing there.
    Absent,
    /// A regular file.
    File(Stamp),
    /// Something that we do not replace.
    Obstacle(Obstacle),
}

/// What a write may replace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replace {
    /// Nothing: whatever appeared meanwhile is looked at first.
    Nothing,
    /// A path that our ledger owns.
    Ours,
    /// A file of somebody else, as ADOPT allows.
    Foreign,
}

impl Content {
    /// Stands for bytes that are not known yet: no file is equal to it.
    pub(crate) const fn pending(mode: u16) -> Self {
        Self { digest: Digest::UNREAD, length: 0, mode }
    }

    /// Whether the bytes are not known yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.digest == Digest::UNREAD
    }
}

/// One wanted file of one object.
pub(crate) struct Claim {
    /// Where.
    pub(crate) path: TargetPath,
    /// What.
    pub(crate) content: Content,
}

/// The files of one object, sorted by path; nearly always one, so that one costs no allocation.
#[derive(Default)]
pub(crate) enum Claims {
    /// No file.
    #[default]
    None,
    /// One file. Its content is spelled out, so that the variant's tag lies in what would be padding.
    One {
        /// Where.
        path: TargetPath,
        /// [`Content::digest`].
        digest: Digest,
        /// [`Content::length`].
        length: u32,
        /// [`Content::mode`].
        mode: u16,
    },
    /// Several files.
    Many(Box<[Claim]>),
}

impl Claims {
    /// Keeps claims that are sorted by path.
    pub(crate) fn new(mut sorted: Vec<Claim>) -> Self {
        match (sorted.pop(), sorted.is_empty()) {
            (None, _) => Self::None,
            (Some(Claim { path, content: Content { digest, length, mode } }), true) => Self::One { path, digest, length, mode },
            (Some(last), false) => {
                sorted.push(last);
                Self::Many(sorted.into_boxed_slice())
            }
        }
    }

    /// What is wanted at a path.
    pub(crate) fn at(&self, wanted: &TargetPath) -> Option<Content> {
        match self {
            Self::None => None,
            Self::One { path, digest, length, mode } => {
                (path == wanted).then_some(Content { digest: *digest, length: *length, mode: *mode })
            }
            Self::Many(claims) => {
                claims.binary_search_by(|claim| claim.path.cmp(wanted)).ok().and_then(|at| claims.get(at)).map(|claim| claim.content)
            }
        }
    }

    /// Changes what is wanted at a path, if anything is.
    pub(crate) fn set(&mut self, wanted: &TargetPath, content: Content) {
        match self {
            Self::One { path, digest, length, mode } if path == wanted => {
                (*digest, *length, *mode) = (content.digest, content.length, content.mode);
            }
            Self::Many(claims) => {
                if let Some(claim) = claims.iter_mut().find(|claim| claim.path == *wanted) {
                    claim.content = content;
                }
            }
            Self::None | Self::One { .. } => {}
        }
    }

    /// Every wanted path.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &TargetPath> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One { path, .. } => (Some(path), None),
            Self::Many(claims) => (None, Some(claims.iter().map(|claim| &claim.path))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

/// A live object.
pub struct Live {
    /// Folded uid in two halves, which are aligned as the other fields are.
    uid: (u64, u64),
    /// resourceVersion as a number.
    pub(crate) resource_version: u64,
    /// Creation, seconds since 1970.
    pub(crate) created: i64,
    /// The source that lists it.
    pub source: SourceId,
    /// The list that saw it last.
    pub generation: u32,
    /// Its bytes were dropped: what it wants is not known until it is read again.
    pub(crate) unread: bool,
    /// Its files are to stay when it goes.
    pub(crate) lasts: bool,
    /// Its files.
    pub(crate) claims: Claims,
}

impl Live {
    /// An object that was just seen, with nothing known of its files.
    pub(crate) fn new(uid: u128, resource_version: u64, source: SourceId, generation: u32) -> Self {
        let (created, unread, lasts, claims) = (0, true, false, Claims::None);
        let mut live = Self { uid: (0, 0), resource_version, created, source, generation, unread, lasts, claims };
        live.set_uid(uid);
        live
    }

    /// Folded uid.
    pub(crate) fn uid(&self) -> u128 {
        u128::from(self.uid.0) << 64 | u128::from(self.uid.1)
    }

    /// What is asked for when its bytes are needed again.
    pub(crate) fn wanted(&self, key: &ObjectKey) -> Wanted {
        Wanted { key: key.clone(), source: self.source, generation: self.generation }
    }

    /// Sets the folded uid.
    pub(crate) fn set_uid(&mut self, uid: u128) {
        let half = |uid: u128| u64::try_from(uid & u128::from(u64::MAX)).unwrap_or_default();
        self.uid = (half(uid >> 64), half(uid));
    }
}

/// An object that lives, owns paths, or both.
#[derive(Default)]
pub(crate) struct ObjectEntry {
    /// How many paths the ledger gives to it.
    pub(crate) owned: u32,
    /// How many of these stay when it goes.
    pub(crate) lasting: u32,
    /// The object, while it lives.
    pub(crate) live: Option<Live>,
}

/// Live objects that want one path. Nearly always one, so that one costs no allocation.
#[derive(Default)]
pub enum Claimants {
    /// Nobody.
    #[default]
    None,
    /// One object.
    One(Arc<ObjectKey>),
    /// Several, in the order in which they came; at least two.
    Many(Box<Vec<Arc<ObjectKey>>>),
}

impl std::ops::Deref for Claimants {
    type Target = [Arc<ObjectKey>];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::None => &[],
            Self::One(only) => std::slice::from_ref(only),
            Self::Many(all) => all,
        }
    }
}

impl Claimants {
    /// Adds one, unless it is there.
    pub(crate) fn add(&mut self, key: &Arc<ObjectKey>) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(key.clone()),
            known if known.contains(key) => known,
            Self::One(first) => Self::Many(Box::new(vec![first, key.clone()])),
            Self::Many(mut all) => {
                all.push(key.clone());
                Self::Many(all)
            }
        };
    }

    /// Removes one.
    pub(crate) fn remove(&mut self, key: &Arc<ObjectKey>) {
        *self = match std::mem::take(self) {
            Self::One(only) if only == *key => Self::None,
            Self::Many(mut all) => {
                all.retain(|claimant| claimant != key);
                if all.capacity() > 4 * all.len() {
                    all.shrink_to_fit();
                }
                match (all.pop(), all.is_empty()) {
                    (None, _) => Self::None,
                    (Some(last), true) => Self::One(last),
                    (Some(last), false) => {
                        all.push(last);
                        Self::Many(all)
                    }
                }
            }
            unchanged => unchanged,
        };
    }
}

/// A path that is claimed, owned, or both; one that nobody looked at at first.
#[derive(Default)]
pub struct PathEntry {
    /// Live objects that want a file here; nearly always one.
    pub claimants: Claimants,
    /// Whom the ledger gives the path to.
    pub owner: Option<Arc<ObjectKey>>,
    disk: Packed,
}

/// [`OnDisk`] in 32 bytes.
#[derive(Clone, Copy, Default)]
struct Packed {
    print: u64,
    digest: Digest,
    length: u32,
    mode: u16,
    kind: PackedKind,
    /// Of the path, in what would be padding: the ledger says that the file stays when its owner goes.
    lasts: bool,
}

#[derive(Clone, Copy, Default)]
enum PackedKind {
    #[default]
    Unknown,
    Absent,
    File,
    Obstacle(Obstacle),
}

impl PathEntry {
    /// What is there.
    pub(crate) const fn disk(&self) -> OnDisk {
        let Packed { print, digest, length, mode, kind, .. } = self.disk;
        match kind {
            PackedKind::Unknown => OnDisk::Unknown,
            PackedKind::Absent => OnDisk::Absent,
            PackedKind::File => OnDisk::File(Stamp { content: Content { digest, length, mode }, print }),
            PackedKind::Obstacle(obstacle) => OnDisk::Obstacle(obstacle),
        }
    }

    /// The length of the file that is there, or was when it was looked at last.
    pub(crate) const fn length(&self) -> u32 {
        self.disk.length
    }

    /// Whether a regular file is there.
    pub(crate) const fn is_file(&self) -> bool {
        matches!(self.disk.kind, PackedKind::File)
    }

    /// Whether the ledger says that the file stays when its owner goes.
    pub(crate) const fn lasts(&self) -> bool {
        self.disk.lasts
    }

    /// Notes whether it does.
    pub(crate) const fn set_lasts(&mut self, lasts: bool) {
        self.disk.lasts = lasts;
    }

    /// Notes what is there now.
    pub(crate) const fn set_disk(&mut self, seen: OnDisk) {
        if matches!(seen, OnDisk::Absent | OnDisk::Obstacle(_)) {
            self.disk.length = 0;
        }
        self.disk.kind = match seen {
            OnDisk::Unknown => PackedKind::Unknown,
            OnDisk::Absent => PackedKind::Absent,
            OnDisk::Obstacle(obstacle) => PackedKind::Obstacle(obstacle),
            OnDisk::File(Stamp { content: Content { digest, length, mode }, print }) => {
                self.disk = Packed { print, digest, length, mode, kind: PackedKind::File, lasts: self.disk.lasts };
                PackedKind::File
            }
        };
    }
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
