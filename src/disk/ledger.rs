//! The ledger as a file: locked for life, appended to, cut back after a failed append, compacted by temp and rename.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::core::ledger::{self, Contents, FormatError, Header, Kept, Record, Relation};
use crate::core::path::{RESERVED_PREFIX, Roots, TargetPath};
use crate::core::trust::{self, Custody};
use crate::disk::fs::{FileKind, Fs};
use crate::disk::marks::{self, Found};
use crate::disk::mount::shows_at;
use crate::disk::{read_to_end, write_all};

/// A ledger larger than this is not one of ours.
const LARGEST: u64 = 1 << 30;
/// In a folder with this bit a name can be removed by its file's owner, the folder's and root only.
const STICKY: u16 = 0o1000;

/// Where a ledger lies, and whose it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder that holds it.
    pub folder: PathBuf,
    /// Its name.
    pub name: String,
    /// Other folders where ledgers of siblings and predecessors may lie.
    pub others: Vec<PathBuf>,
    /// Source, label, namespaces and kinds, as text.
    pub selection: String,
    /// INSTANCE, or empty.
    pub instance: String,
    /// uid of the pod that runs us, or empty.
    pub pod: String,
    /// A random id for a ledger that does not exist yet.
    pub fresh_id: String,
}

/// Why there is no ledger to work with. All of these are tried again.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process has it.
    #[error("ledger {0} is held by another kube-projector with the same selection: waiting for it to end (or set INSTANCE)")]
    Held(String),
    /// The file system refused.
    #[error("ledger {path}: {source}")]
    Io {
        /// Which ledger.
        path: String,
        /// What it said.
        source: io::Error,
    },
}

/// An open, locked ledger.
pub struct LedgerFile<F: Fs> {
    home: F::Handle,
    file: F::Handle,
    name: String,
    header: Header,
    length: u64,
    /// A failed append could not be cut back yet.
    torn: bool,
    live: usize,
    garbage: usize,
}

/// What the start found.
pub struct Opened<F: Fs> {
    /// Our ledger.
    pub file: LedgerFile<F>,
    /// What it says, predecessors' paths included.
    pub contents: Contents,
    /// Ids whose temporary files may be swept: ours and predecessors'.
    pub ids: Vec<String>,
    /// Names of predecessors that were taken over.
    pub taken_over: Vec<String>,
    /// Why an existing ledger could not be read, if so.
    pub unreadable: Option<FormatError>,
    /// Files that only a ledger says are ours which others may have written: they are left alone.
    pub left_out: Vec<TargetPath>,
    /// What marks said, where the ledger is new.
    pub found: Found,
}

impl<F: Fs> LedgerFile<F> {
    /// Opens, locks and reads our ledger, and takes predecessors over.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing was changed but that an empty ledger may exist.
    pub fn open(fs: &mut F, place: &Place, roots: &Roots) -> Result<Opened<F>, LedgerError> {
        let shown = place.folder.join(&place.name).display().to_string();
        let failed = |source| LedgerError::Io { path: shown.clone(), source };
        let home = fs.open_root(&place.folder, None).map_err(failed)?;
        let file = lock(fs, &home, &place.name).map_err(failed)?.ok_or_else(|| LedgerError::Held(shown.clone()))?;
        let custody = custody(fs, &home, &file, roots).map_err(failed)?;
        let bytes = slurp(fs, &file).map_err(failed)?;
        let fresh = || Header {
            version: ledger::FIRST,
            id: place.fresh_id.clone(),
            selection: place.selection.clone(),
            instance: place.instance.clone(),
            pod: place.pod.clone(),
        };
        let (mut contents, unreadable, stale) = match ledger::read(&bytes, roots) {
            Ok(mut contents) => {
                let header = Header { id: contents.header.id.clone(), version: contents.header.version, ..fresh() };
                let stale = header != contents.header || contents.skipped > 0 || contents.garbage > contents.owned.len();
                contents.header = header;
                (contents, None, stale)
            }
            Err(error) => (Contents::empty(fresh()), (!bytes.is_empty()).then_some(error), true),
        };
        let left_out = trust::confine(&mut contents, custody.trust(fs.uid()));
        let found = if bytes.is_empty() { marks::recover(fs, place, roots, &mut contents) } else { Found::default() };
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let live = contents.owned.len();
        let file = Self {
            home,
            file,
            name: place.name.clone(),
            header: contents.header.clone(),
            length,
            torn: false,
            live,
            garbage: contents.garbage,
        };
        // Left by a crash in a compaction.
        let _ = fs.unlink(&file.home, &temp_name(&place.name));
        let ids = vec![contents.header.id.clone()];
        let mut opened = Opened { ids, file, contents, taken_over: Vec::new(), unreadable, left_out, found };
        let former = opened.meet_others(fs, place, roots).map_err(failed)?;
        let Opened { file, contents, .. } = &mut opened;
        if stale || !former.is_empty() {
            file.compact(fs, &contents.kept()).map_err(failed)?;
        } else if !custody.is_private_of(fs.uid()) {
            // Nobody else writes the new one. Where this cannot be, it is as good as before.
            let _ = file.compact(fs, &contents.kept());
        }
        for Former { folder, name, locked } in former {
            if let Ok(handle) = fs.open_root(&folder, None) {
                // If this fails they are taken over once more at the next start, which changes nothing.
                let _ = fs.unlink(&handle, &name);
                let _ = fs.unlink(&handle, &temp_name(&name));
            }
            drop(locked);
            opened.taken_over.push(name);
        }
        Ok(opened)
    }

    /// Our id.
    pub fn id(&self) -> &str {
        &self.header.id
    }

    /// Appends records in one write. After a failure the ledger is as it was.
    ///
    /// # Errors
    /// When the file system refuses, or a record calls for a later version than the header tells: only [`Self::compact`] writes such.
    pub fn append(&mut self, fs: &mut F, records: &[Record]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if records.iter().any(|record| record.since() > self.header.version) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a record that calls for a ledger of a later version"));
        }
        if self.torn {
            fs.truncate(&self.file, self.length)?;
            self.torn = false;
        }
        let bytes: Vec<u8> = records.iter().flat_map(ledger::line).collect();
        if let Err(error) = write_all(fs, &self.file, &bytes) {
            // A torn line is skipped when read; cutting it off, now or before the next, keeps the next line whole.
            self.torn = fs.truncate(&self.file, self.length).is_err();
            return Err(error);
        }
        self.length += u64::try_from(bytes.len()).unwrap_or_default();
        for record in records {
            match record {
                Record::Own(..) => self.live += 1,
                Record::Disown(_) => (self.live, self.garbage) = (self.live.saturating_sub(1), self.garbage + 2),
                Record::Unfolder(_) | Record::Done => self.garbage += 2,
                Record::Folder(_) | Record::Sibling(_) | Record::Owed => {}
            }
        }
        Ok(())
    }

    /// The device that it lies on.
    pub fn device(&self, fs: &mut F) -> Option<u64> {
        fs.meta(&self.home).ok().map(|home| home.identity.0)
    }

    /// Makes appended records durable.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn sync(&mut self, fs: &mut F) -> io::Result<()> {
        fs.sync(&self.file)
    }

    /// Whether the file is still the one that its name leads to: it may be removed, or its folder replaced, behind our back.
    pub fn is_in_place(&self, fs: &mut F, place: &Place) -> bool {
        fs.open_root(&place.folder, None).is_ok_and(|home| leads_to(fs, &home, &place.name, &self.file))
    }

    /// Whether most of the file is of no use any more.
    pub const fn is_mostly_garbage(&self) -> bool {
        self.garbage > 1000 && self.garbage > self.live
    }

    /// Writes the ledger anew. The new file is locked before it gets the name.
    ///
    /// # Errors
    /// When the file system refuses; the old ledger stays then.
    pub fn compact(&mut self, fs: &mut F, kept: &Kept<'_>) -> io::Result<()> {
        let temp = temp_name(&self.name);
        let (version, lines) = kept.lines();
        let header = Header { version, ..self.header.clone() };
        let mut bytes = ledger::line(&header);
        bytes.extend(lines);
        // Left by a crash in this very place.
        let _ = fs.unlink(&self.home, &temp);
        let file = fs.create(&self.home, &temp)?;
        let done = write_all(fs, &file, &bytes)
            .and_then(|()| fs.lock(&file))
            .and_then(|_| fs.sync(&file))
            .and_then(|()| fs.rename(&self.home, &temp, &self.name, true));
        if let Err(error) = done {
            let _ = fs.unlink(&self.home, &temp);
            return Err(error);
        }
        (self.file, self.header, self.length) = (file, header, u64::try_from(bytes.len()).unwrap_or_default());
        (self.live, self.garbage, self.torn) = (kept.owned.len(), 0, false);
        Ok(())
    }
}

impl<F: Fs> Opened<F> {
    /// Looks at the other ledgers: notes siblings, takes predecessors' paths over. Returns the predecessors' files.
    fn meet_others(&mut self, fs: &mut F, place: &Place, roots: &Roots) -> io::Result<Vec<Former<F>>> {
        let mut former = Vec::new();
        for (folder, name) in others(fs, place)? {
            let Some(mut theirs) = Other::open(fs, &folder, &name, roots)? else {
                continue;
            };
            match ledger::relation(&self.contents, &theirs.contents, !theirs.lock_is_ours) {
                Relation::Sibling => {
                    let id = theirs.contents.header.id;
                    if self.contents.siblings.insert(id.clone()) {
                        // Best effort: it is noted again at the next start at which both run.
                        let _ = self.file.append(fs, &[Record::Sibling(id)]);
                    }
                }
                Relation::Predecessor => {
                    self.left_out.extend(trust::confine(&mut theirs.contents, theirs.custody.trust(fs.uid())));
                    self.ids.push(theirs.contents.header.id);
                    for (path, key) in theirs.contents.owned {
                        self.contents.owned.entry(path).or_insert(key);
                    }
                    self.contents.folders.extend(theirs.contents.folders);
                    self.contents.siblings.extend(theirs.contents.siblings);
                    self.contents.owed |= theirs.contents.owed;
                    former.push(Former { folder, name, locked: theirs.file });
                }
            }
        }
        Ok(former)
    }
}

/// A predecessor's ledger, locked until it is gone so that nobody starts with it meanwhile.
struct Former<F: Fs> {
    folder: PathBuf,
    name: String,
    locked: F::Handle,
}

/// Another projector's ledger.
struct Other<F: Fs> {
    contents: Contents,
    custody: Custody,
    file: F::Handle,
    lock_is_ours: bool,
}

impl<F: Fs> Other<F> {
    /// `None` when there is nothing that we may or can read.
    fn open(fs: &mut F, folder: &Path, name: &str, roots: &Roots) -> io::Result<Option<Self>> {
        let opened = readable(fs.open_root(folder, None).and_then(|home| Ok((fs.open(&home, name)?, home))))?;
        let Some((file, home)) = opened else {
            return Ok(None);
        };
        let Some(custody) = readable(custody(fs, &home, &file, roots))? else {
            return Ok(None);
        };
        let lock_is_ours = fs.lock(&file)?;
        let bytes = slurp(fs, &file)?;
        Ok(ledger::read(&bytes, roots).ok().map(|contents| Self { contents, custody, file, lock_is_ours }))
    }
}

/// The name under which a ledger is written anew. It is told by the ledger's name alone, so that a crash leaves nothing unknown.
fn temp_name(ledger: &str) -> String {
    let name = ledger.strip_prefix(RESERVED_PREFIX).unwrap_or(ledger);
    format!("{RESERVED_PREFIX}{name}.tmp")
}

/// Ledgers beside ours, in its folder and in the other places.
fn others<F: Fs>(fs: &mut F, place: &Place) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut folders = vec![&place.folder];
    folders.extend(place.others.iter().filter(|other| **other != place.folder));
    for folder in folders {
        let names = readable(fs.open_root(folder, None).and_then(|home| fs.names(&home)))?.unwrap_or_default();
        let others = names.into_iter().filter(|name| name.starts_with(RESERVED_PREFIX) && name.ends_with(".ledger"));
        found.extend(others.filter(|name| *name != place.name || *folder != place.folder).map(|name| (folder.clone(), name)));
    }
    found.sort();
    Ok(found)
}

/// Who may have written a ledger. What is no regular file is no ledger: whoever writes into a FIFO may never end.
fn custody<F: Fs>(fs: &mut F, home: &F::Handle, file: &F::Handle, roots: &Roots) -> io::Result<Custody> {
    let meta = fs.meta(file)?;
    if meta.kind != FileKind::File {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a regular file"));
    }
    let folder = roots.iter().next().map(|folder| fs.look_root(Path::new(folder)));
    let sticky =
        [fs.meta(home)?.mode, folder.transpose().ok().flatten().map_or(0, |folder| folder.mode)].iter().any(|mode| mode & STICKY != 0);
    Ok(Custody { owner: meta.owner, mode: meta.mode, sticky })
}

/// Absence and a refusal say that there is nothing for us; any other error says nothing.
fn readable<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(None),
        result => result.map(Some),
    }
}

/// Paths that ledgers of others own now: those are foreign whatever stands there.
///
/// # Errors
/// When the file system does not tell.
pub fn sibling_paths<F: Fs>(fs: &mut F, place: &Place, roots: &Roots) -> io::Result<BTreeSet<TargetPath>> {
    let mut paths = BTreeSet::new();
    for (folder, name) in others(fs, place)? {
        let read = fs.open_root(&folder, None).and_then(|home| fs.open(&home, &name)).and_then(|file| slurp(fs, &file));
        if let Some(contents) = readable(read)?.and_then(|bytes| ledger::read(&bytes, roots).ok()) {
            paths.extend(contents.owned.into_keys());
        }
    }
    Ok(paths)
}

/// What our ledger and those of predecessors say, without a lock and without a change: for `plan` beside a running instance.
///
/// `held` tells, without locking, whether a ledger is in use.
pub fn peek<F: Fs>(fs: &mut F, place: &Place, roots: &Roots, held: impl Fn((u64, u64)) -> bool) -> Contents {
    let read = |fs: &mut F, folder: &Path, name: &str| {
        let home = fs.open_root(folder, None).ok()?;
        let file = fs.open(&home, name).ok()?;
        let identity = fs.meta(&file).ok()?.identity;
        let custody = custody(fs, &home, &file, roots).ok()?;
        let mut contents = ledger::read(&slurp(fs, &file).ok()?, roots).ok()?;
        trust::confine(&mut contents, custody.trust(fs.uid()));
        Some((contents, identity))
    };
    let nobody = Header {
        version: ledger::FIRST,
        id: String::new(),
        selection: String::new(),
        instance: place.instance.clone(),
        pod: place.pod.clone(),
    };
    let mut ours = read(fs, &place.folder, &place.name).map_or_else(|| Contents::empty(nobody), |(contents, _)| contents);
    let missing = fs.open_root(&place.folder, None).and_then(|home| fs.look(&home, &place.name)).map(|meta| meta.length == 0);
    if missing.unwrap_or_else(|error| error.kind() == io::ErrorKind::NotFound) {
        marks::recover(fs, place, roots, &mut ours);
    }
    ours.header.pod.clone_from(&place.pod);
    for (folder, name) in others(fs, place).unwrap_or_default() {
        let Some((theirs, identity)) = read(fs, &folder, &name) else {
            continue;
        };
        if ledger::relation(&ours, &theirs, held(identity)) == Relation::Predecessor {
            for (path, key) in theirs.owned {
                ours.owned.entry(path).or_insert(key);
            }
            ours.folders.extend(theirs.folders);
        }
    }
    ours
}

/// Opens and locks; `None` when somebody else holds it. The file may be replaced by a compaction while we wait for the lock.
fn lock<F: Fs>(fs: &mut F, home: &F::Handle, name: &str) -> io::Result<Option<F::Handle>> {
    for _ in 0..10 {
        let file = fs.open_append(home, name)?;
        if !fs.lock(&file)? {
            return Ok(None);
        }
        if leads_to(fs, home, name, &file) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Whether the name leads to the open file, which we hold the lock of.
fn leads_to<F: Fs>(fs: &mut F, home: &F::Handle, name: &str, file: &F::Handle) -> bool {
    let there = fs.look(home, name).map(|meta| meta.identity);
    let same = there.is_ok_and(|identity| fs.meta(file).is_ok_and(|held| held.identity == identity));
    same || shows_at(fs, file, home, name)
}

fn slurp<F: Fs>(fs: &mut F, file: &F::Handle) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_to_end(fs, file, &mut bytes, LARGEST)?;
    Ok(bytes)
}
