//! Which paths are ours: the format of the ledger, and what a ledger of somebody else means to us.
//!
//! Append-only, one checksummed record a line. A path is recorded before it is first created and forgotten after it was removed,
//! so that created ⊆ ledger holds at every instant. It holds no digest and no content; of credentials that were refused it holds one
//! byte of a hash, which tells most of them apart and helps nobody to guess any.
//!
//! # Versions
//! A program reads every version up to [`VERSION`] and skips records that it does not know. A record without which an older program
//! would remove, publish or tell something wrong therefore has a version of its own ([`Record::since`]): an older program cannot read
//! the ledger then, and removes nothing. A ledger is written in the lowest version that its records allow, so that an older program
//! goes on with it wherever it may.
//!
//! - 1: 0.1.0.
//! - 2: nothing that anybody would miss.
//! - 3: files that stay when their object goes ([`Record::Keep`]): a program that does not know them would remove them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::core::debt::Debt;
use crate::core::object::{Kind, ObjectKey};
use crate::core::path::{Roots, TargetPath};
use crate::core::record::{line, record};

/// The first version of the format: what 0.1.0 reads.
pub const FIRST: u32 = 1;
/// The latest version of the format that this program reads and writes.
pub const VERSION: u32 = 3;
/// The first version whose programs know of files that stay.
const KEEPS: u32 = 3;

/// The first line of a ledger: whose it is.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct LedgerHeader {
    /// The version that its records call for.
    pub version: u32,
    /// Random, drawn when the ledger is first made; temporary files carry it.
    pub id: String,
    /// Source, label, namespaces and kinds, as text.
    pub selection: String,
    /// INSTANCE, or empty.
    pub instance: String,
    /// uid of the pod that runs us, or empty.
    pub pod: String,
}

/// One line after the header.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// The path is ours, for this object: path, kind, namespace, name.
    Own(String, String, String, String),
    /// The same, and its file stays when the object goes.
    Keep(String, String, String, String),
    /// The path is not ours any more.
    Disown(String),
    /// We are about to make this folder.
    Folder(String),
    /// The folder is gone, or was not made by us.
    Unfolder(String),
    /// A ledger with this id belongs to a projector that ran beside us.
    Sibling(String),
    /// Files are about to change, and the application is to be told.
    Owed,
    /// All files are there, and the application was told of everything: who comes after that goes on with them.
    Done,
    /// What is known of attempts to tell it. Whoever skips this tells it too often at worst.
    Debt(Debt),
}

impl Record {
    /// The record that gives `path` to `key`.
    pub(crate) fn own(path: &TargetPath, key: &ObjectKey) -> Self {
        Self::Own(path.as_str().into(), key.kind.as_str().into(), (*key.namespace).into(), (*key.name).into())
    }

    /// The record that gives `path` to `key`, whose files stay when it goes.
    pub(crate) fn keep(path: &TargetPath, key: &ObjectKey) -> Self {
        Self::Keep(path.as_str().into(), key.kind.as_str().into(), (*key.namespace).into(), (*key.name).into())
    }

    /// The first version whose programs may go on with a ledger that has this record.
    pub(crate) const fn since(&self) -> u32 {
        match self {
            Self::Own(..) | Self::Disown(_) | Self::Folder(_) | Self::Unfolder(_) => FIRST,
            Self::Sibling(_) | Self::Owed | Self::Done | Self::Debt(_) => FIRST,
            Self::Keep(..) => KEEPS,
        }
    }

    /// The record that gives `path` to nobody.
    pub(crate) fn disown(path: &TargetPath) -> Self {
        Self::Disown(path.as_str().into())
    }
}

/// What a ledger says when read from its first line to its last.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Contents {
    /// Whose it is.
    pub header: LedgerHeader,
    /// Our paths, each with the object it is for.
    pub owned: BTreeMap<TargetPath, ObjectKey>,
    /// Those of them that stay when their objects go.
    pub lasting: BTreeSet<TargetPath>,
    /// Folders that we made.
    pub(crate) folders: BTreeSet<String>,
    /// Ids of ledgers of projectors that ran beside us.
    pub(crate) siblings: BTreeSet<String>,
    /// Whether files may have changed without the application being told.
    pub owed: bool,
    /// What is known of attempts to tell it.
    pub(crate) debt: Debt,
    /// Whether all files were there once.
    pub(crate) finished: bool,
    /// Lines that are torn, broken or name a path outside our roots.
    pub(crate) skipped: usize,
    /// Lines that are needed no more.
    pub(crate) garbage: usize,
}

/// The ledger is not one that this program can read: nothing it might own may be removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The first line is missing, torn or broken.
    #[error("no readable header")]
    Header,
    /// A later version wrote it.
    #[error("format version {0}: expected {FIRST} to {VERSION}")]
    Version(u32),
}

/// Reads a ledger. Broken records are skipped and counted, and so are paths that are not confined to `roots`.
///
/// # Errors
/// [`FormatError`] when the header cannot be read, so that nothing else can be trusted.
pub fn read(bytes: &[u8], roots: &Roots) -> Result<Contents, FormatError> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let header: serde_json::Value = lines.next().and_then(record).ok_or(FormatError::Header)?;
    let version = header.get("version").and_then(serde_json::Value::as_u64).and_then(|version| u32::try_from(version).ok());
    let header = match version {
        Some(FIRST..=VERSION) => serde_json::from_value(header).map_err(|_| FormatError::Header)?,
        Some(other) => return Err(FormatError::Version(other)),
        None => return Err(FormatError::Header),
    };
    let mut contents = Contents::empty(header);
    let mut read = 0;
    for line in lines {
        match record::<Record>(line).and_then(|record| contents.replay(record, roots)) {
            Some(()) => read += 1,
            None => contents.skipped += 1,
        }
    }
    let flags = usize::from(contents.owed) + usize::from(contents.finished) + usize::from(contents.debt != Debt::default());
    let needed = contents.owned.len() + contents.folders.len() + contents.siblings.len() + flags;
    contents.garbage = read - needed;
    Ok(contents)
}

impl Contents {
    /// A ledger that says nothing but whose it is.
    pub(crate) fn empty(header: LedgerHeader) -> Self {
        Self { header, ..Self::default() }
    }

    /// The lines after the header when it is written anew, and the version that the header must tell.
    pub(crate) fn lines(&self) -> (u32, Vec<u8>) {
        let (mut version, mut bytes) = (FIRST, Vec::new());
        for record in self.records() {
            version = version.max(record.since());
            bytes.extend(line(&record));
        }
        (version, bytes)
    }

    /// The version that its records call for.
    pub(crate) fn version(&self) -> u32 {
        self.records().map(|record| record.since()).max().unwrap_or(FIRST)
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        let siblings = self.siblings.iter().map(|id| Record::Sibling(id.clone()));
        let folders = self.folders.iter().map(|folder| Record::Folder(folder.clone()));
        let record = |(path, key)| if self.lasting.contains(path) { Record::keep(path, key) } else { Record::own(path, key) };
        let owned = self.owned.iter().map(record);
        let debt = (self.owed && self.debt != Debt::default()).then(|| Record::Debt(self.debt.clone()));
        let flags = [self.finished.then_some(Record::Done), self.owed.then_some(Record::Owed)];
        siblings.chain(flags.into_iter().flatten()).chain(debt).chain(folders).chain(owned)
    }

    /// Takes over the paths of another ledger that are not ours already.
    pub(crate) fn inherit(&mut self, owned: BTreeMap<TargetPath, ObjectKey>, mut lasting: BTreeSet<TargetPath>) {
        for (path, key) in owned {
            if let Entry::Vacant(vacant) = self.owned.entry(path) {
                self.lasting.extend(lasting.take(vacant.key()));
                vacant.insert(key);
            }
        }
    }

    /// Gives a path to an object.
    pub(crate) fn own(&mut self, path: TargetPath, key: ObjectKey, lasts: bool) {
        if lasts {
            self.lasting.insert(path.clone());
        } else if !self.lasting.is_empty() {
            self.lasting.remove(&path);
        }
        self.owned.insert(path, key);
    }

    fn replay(&mut self, record: Record, roots: &Roots) -> Option<()> {
        let lasts = matches!(record, Record::Keep(..));
        match record {
            Record::Own(path, kind, namespace, name) | Record::Keep(path, kind, namespace, name) => {
                let key = ObjectKey::new(Kind::from_name(&kind)?, namespace, name);
                self.own(roots.recorded(&path).ok()?, key, lasts);
            }
            Record::Disown(path) => {
                let path = roots.recorded(&path).ok()?;
                self.owned.remove(&path);
                self.lasting.remove(&path);
            }
            Record::Folder(path) => {
                self.folders.insert(roots.recorded(&path).ok()?.as_str().to_owned());
            }
            Record::Unfolder(path) => {
                self.folders.remove(&path);
            }
            Record::Sibling(id) => {
                self.siblings.insert(id);
            }
            Record::Owed => self.owed = true,
            Record::Done => (self.finished, self.owed, self.debt) = (true, false, Debt::default()),
            Record::Debt(debt) => self.debt = debt,
        }
        Some(())
    }
}

/// What another ledger beside ours means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relation {
    /// A projector that shares the folder, whether it runs now or not: its ledger stays untouched, its paths are foreign.
    Neighbour,
    /// We, before LABEL, NAMESPACE or LEDGER changed: taken over and pruned.
    Predecessor,
}

/// How another ledger was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Whereabouts {
    /// Somebody holds it now.
    pub(crate) locked: bool,
    /// LEDGER_FORMER names it.
    pub(crate) named: bool,
    /// It lies in FOLDER, so that its paths are those of our FOLDER.
    pub(crate) in_folder: bool,
}

/// Tells neighbours from predecessors. That nobody holds a ledger, another pod's uid and its age are no evidence: a neighbour may be
/// scaled to nothing for a day.
pub(crate) fn relation(ours: &LedgerHeader, siblings: &BTreeSet<String>, theirs: &Contents, found: Whereabouts) -> Relation {
    let met = siblings.contains(&theirs.header.id) || theirs.siblings.contains(&ours.id);
    let same_pod = !ours.pod.is_empty() && ours.pod == theirs.header.pod;
    let same_instance = ours.instance == theirs.header.instance;
    // An INSTANCE is one projector, whatever it selects.
    let same = same_instance && (!ours.instance.is_empty() || ours.selection == theirs.header.selection);
    match !found.locked && (found.named || (found.in_folder && same && !met && !same_pod)) {
        true => Relation::Predecessor,
        false => Relation::Neighbour,
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
