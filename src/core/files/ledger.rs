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
pub struct Header {
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
    pub header: Header,
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
    pub(crate) fn empty(header: Header) -> Self {
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
pub(crate) struct Found {
    /// Somebody holds it now.
    pub(crate) locked: bool,
    /// LEDGER_FORMER names it.
    pub(crate) named: bool,
    /// It lies in FOLDER, so that its paths are those of our FOLDER.
    pub(crate) in_folder: bool,
}

/// Tells neighbours from predecessors. That nobody holds a ledger, another pod's uid and its age are no evidence: a neighbour may be
/// scaled to nothing for a day.
pub(crate) fn relation(ours: &Header, siblings: &BTreeSet<String>, theirs: &Contents, found: Found) -> Relation {
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
mod tests {
    use super::*;

    fn header() -> Header {
        Header { version: FIRST, id: "1".into(), selection: String::new(), instance: String::new(), pod: String::new() }
    }

    fn contents(records: &[Vec<u8>]) -> Contents {
        let bytes: Vec<u8> = std::iter::once(line(&header())).chain(records.iter().cloned()).flatten().collect();
        read(&bytes, &Roots::new("/folder", [])).unwrap()
    }

    #[test]
    fn what_is_owed_stays_owed_until_it_is_done() {
        let (owed, done) = (line(&Record::Owed), line(&Record::Done));
        let cases = [
            (vec![], false, 0),
            (vec![owed.clone()], true, 0),
            (vec![owed.clone(), owed.clone()], true, 1),
            (vec![owed.clone(), done.clone()], false, 1),
            (vec![owed.clone(), done.clone(), owed.clone()], true, 1),
            (vec![owed.clone(), done.clone(), owed, done], false, 3),
        ];
        for (records, owed, garbage) in cases {
            let contents = contents(&records);
            assert_eq!((contents.owed, contents.garbage, contents.skipped), (owed, garbage, 0), "{} records", records.len());
        }
    }

    #[test]
    fn what_is_owed_survives_being_written_anew() {
        let before = contents(&[line(&Record::Owed), line(&Record::Folder("sub".into()))]);
        let (version, lines) = before.lines();
        assert_eq!((version, contents(&[lines])), (FIRST, before));
    }

    #[test]
    fn r10_what_is_known_of_attempts_is_the_last_that_was_noted_until_it_is_done() {
        let debt = |unanswered| Debt { since: 7, unanswered, last: 8, refused: 1, refusals: vec![(9, 200)], clean: true };
        let noted = |unanswered| line(&Record::Debt(debt(unanswered)));
        let before = contents(&[line(&Record::Owed), noted(1), noted(2)]);
        assert_eq!((&before.debt, before.garbage, before.skipped), (&debt(2), 1, 0));
        let (version, lines) = before.lines();
        assert_eq!((version, contents(&[lines]).debt), (FIRST, debt(2)));
        let done = contents(&[line(&Record::Owed), noted(1), line(&Record::Done)]);
        assert_eq!((done.owed, done.debt), (false, Debt::default()));
        // Fields of a later program are passed over.
        let later = serde_json::json!({ "debt": { "since": 7, "unanswered": 3, "last": 8, "later": [] } });
        assert_eq!(contents(&[line(&Record::Owed), line(&later)]).debt.unanswered, 3);
    }

    #[test]
    fn what_stays_is_a_record_of_its_own_until_another_one_of_its_path() {
        let (path, key) = (Roots::new("/folder", []).recorded("a").unwrap(), ObjectKey::new(Kind::Secret, "n", "s"));
        let (own, keep, disown) = (line(&Record::own(&path, &key)), line(&Record::keep(&path, &key)), line(&Record::disown(&path)));
        assert!(keep.ends_with(b" {\"keep\":[\"a\",\"Secret\",\"n\",\"s\"]}\n"));
        let cases = [
            (vec![&own], true, false, 0),
            (vec![&keep], true, true, 0),
            (vec![&own, &keep], true, true, 1),
            (vec![&keep, &own], true, false, 1),
            (vec![&keep, &disown], false, false, 2),
            (vec![&keep, &disown, &own], true, false, 2),
        ];
        for (records, owned, lasts, garbage) in cases {
            let found = contents(&records.into_iter().cloned().collect::<Vec<_>>());
            assert_eq!((found.owned.contains_key(&path), found.lasting.contains(&path), found.garbage), (owned, lasts, garbage));
            let (version, lines) = found.lines();
            assert_eq!((version, found.version()), if lasts { (3, 3) } else { (FIRST, FIRST) });
            assert_eq!(contents(&[lines]), Contents { garbage: 0, ..found }, "it survives being written anew");
        }
    }

    #[test]
    fn a_path_that_is_inherited_stays_as_its_former_ledger_says_and_one_of_ours_as_ours() {
        let roots = Roots::new("/folder", []);
        let own = |records: &[(&str, bool)]| {
            let key = ObjectKey::new(Kind::Secret, "n", "s");
            let line = |(path, lasts): &(&str, bool)| {
                let path = roots.recorded(path).unwrap();
                line(&if *lasts { Record::keep(&path, &key) } else { Record::own(&path, &key) })
            };
            contents(&records.iter().map(line).collect::<Vec<_>>())
        };
        let (mut ours, theirs) = (own(&[("a", true), ("b", false)]), own(&[("a", false), ("b", true), ("c", true), ("d", false)]));
        ours.inherit(theirs.owned, theirs.lasting);
        assert_eq!(ours.owned.len(), 4);
        assert_eq!(ours.lasting.iter().map(TargetPath::as_str).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn r14_that_all_files_were_there_is_never_forgotten() {
        for (records, owed, garbage) in [
            (vec![Record::Done], false, 0),
            (vec![Record::Done, Record::Owed], true, 0),
            (vec![Record::Owed, Record::Done, Record::Done], false, 2),
        ] {
            let before = contents(&records.iter().map(line).collect::<Vec<_>>());
            assert_eq!((before.finished, before.owed, before.garbage, before.skipped), (true, owed, garbage, 0));
            let (version, lines) = before.lines();
            assert_eq!((version, contents(&[lines])), (FIRST, Contents { garbage: 0, ..before }));
        }
        assert!(!contents(&[]).finished);
    }

    #[test]
    fn versions_up_to_ours_are_read_and_later_ones_are_not() {
        let read_as = |version| read(&line(&Header { version, ..header() }), &Roots::new("/folder", []));
        for version in FIRST..=VERSION {
            assert_eq!(read_as(version).unwrap().header.version, version);
        }
        for version in [0, VERSION + 1] {
            assert_eq!(read_as(version), Err(FormatError::Version(version)));
        }
    }

    #[test]
    fn a_record_that_a_program_does_not_know_is_skipped_and_counted() {
        // To an older program `owed` and `done` are such records; plain text as these are, or with fields.
        let found = contents(&[line(&"later"), line(&Record::Folder("sub".into())), line(&serde_json::json!({ "newer": ["a", 1] }))]);
        assert_eq!((found.skipped, found.folders.len(), found.owed), (2, 1, false));
        assert!(line(&Record::Owed).ends_with(b" \"owed\"\n") && line(&Record::Done).ends_with(b" \"done\"\n"));
    }

    #[test]
    fn s14_only_who_is_known_to_be_us_is_a_predecessor() {
        let owner = |id: &str, selection: &str, instance: &str, pod: &str| {
            let (id, selection, instance, pod) = (id.into(), selection.into(), instance.into(), pod.into());
            Contents::empty(Header { version: FIRST, id, selection, instance, pod })
        };
        let (free, held) = (Found { locked: false, named: false, in_folder: true }, Found { locked: true, named: true, in_folder: true });
        let (named, away) = (Found { named: true, ..free }, Found { in_folder: false, ..free });
        let met = BTreeSet::from(["2".to_owned()]);
        let check =
            |ours: &Contents, theirs: &Contents, siblings: &BTreeSet<String>, found| relation(&ours.header, siblings, theirs, found);
        let (ours, none) = (owner("1", "a", "", "p"), BTreeSet::new());
        // Another selection: free, of a pod that is gone, however long.
        assert_eq!(check(&ours, &owner("2", "b", "", "gone"), &none, free), Relation::Neighbour);
        assert_eq!(check(&ours, &owner("2", "b", "", "gone"), &none, named), Relation::Predecessor);
        assert_eq!(check(&ours, &owner("2", "b", "", "gone"), &met, named), Relation::Predecessor);
        assert_eq!(check(&ours, &owner("2", "b", "", "gone"), &none, held), Relation::Neighbour);
        // The same selection at another place in FOLDER, but for those who ran beside us.
        assert_eq!(check(&ours, &owner("2", "a", "", "gone"), &none, free), Relation::Predecessor);
        assert_eq!(check(&ours, &owner("2", "a", "", "gone"), &met, free), Relation::Neighbour);
        assert_eq!(check(&ours, &owner("2", "a", "", "p"), &none, free), Relation::Neighbour);
        assert_eq!(check(&ours, &owner("2", "a", "", "gone"), &none, away), Relation::Neighbour);
        // The same INSTANCE, whatever it selects; and never another one.
        assert_eq!(check(&owner("1", "a", "i", ""), &owner("2", "b", "i", ""), &none, free), Relation::Predecessor);
        assert_eq!(check(&owner("1", "a", "i", ""), &owner("2", "a", "", ""), &none, free), Relation::Neighbour);
        assert_eq!(check(&owner("1", "a", "i", ""), &owner("2", "a", "j", ""), &none, free), Relation::Neighbour);
    }
}
