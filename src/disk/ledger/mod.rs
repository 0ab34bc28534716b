//! The ledger as a file: locked for life, appended to, cut back after a failed append, compacted by temp and rename.

pub(crate) mod beside;

use std::io;
use std::path::{Path, PathBuf};

use crate::core::files::ledger::{self, Contents, FormatError, LedgerHeader, Record, Relation};
use crate::core::files::trust::{self, Custody};
use crate::core::path::{Roots, TargetPath};
use crate::core::record;
use crate::disk::fs::{FileKind, Fs};
use crate::disk::ledger::beside::{Beside, Other, others};
use crate::disk::marks::{self, Recovered};
use crate::disk::mount::shows_at;
use crate::disk::{read_to_end, replace, temp_beside, write_all};

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
    /// Ledgers that are ours from before, whatever they say: a name in one of these folders, or a folder of its own and a name.
    pub former: Vec<(Option<PathBuf>, String)>,
    /// Whether files of a former selection go although the present one matches nothing.
    pub prune_empty: bool,
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
    #[error(
        "ledger {path} is held by another kube-projector with the same selection{}: waiting for it to end (or set INSTANCE)",
        of_pod(pod)
    )]
    Held {
        /// Which ledger.
        path: String,
        /// uid of the pod that has it, or empty where it is not known.
        pod: String,
    },
    /// The file system refused.
    #[error("ledger {path}: {source}")]
    Io {
        /// Which ledger.
        path: String,
        /// What it said.
        source: io::Error,
    },
}

fn of_pod(pod: &str) -> String {
    if pod.is_empty() { String::new() } else { format!(" in the pod with the uid {pod}") }
}

/// An open, locked ledger.
pub(crate) struct LedgerFile<F: Fs> {
    home: F::Handle,
    file: F::Handle,
    name: String,
    header: LedgerHeader,
    length: u64,
    /// A failed append could not be cut back yet.
    torn: bool,
    live: usize,
    garbage: usize,
    work: LedgerWork,
}

/// What was written to a ledger so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct LedgerWork {
    /// How often records were appended.
    pub(crate) appends: u64,
    /// Bytes, appended or written anew.
    pub(crate) bytes: u64,
}

/// What was found when the ledger was opened.
pub(crate) struct Opened {
    /// What it says, predecessors' paths included.
    pub(crate) contents: Contents,
    /// Ids whose temporary files may be swept: ours and predecessors'.
    pub(crate) ids: Vec<String>,
    /// Names of predecessors that were taken over.
    pub(crate) taken_over: Vec<String>,
    /// Why an existing ledger could not be read, if so.
    pub(crate) unreadable: Option<FormatError>,
    /// Files that only a ledger says are ours which others may have written: they are left alone.
    pub(crate) left_out: Vec<TargetPath>,
    /// What marks said, where the ledger is new.
    pub(crate) found: Recovered,
    /// The selection under which files became ours, if it is another one: they stay until the present one matches something.
    pub(crate) former_selection: Option<String>,
}

impl<F: Fs> LedgerFile<F> {
    /// Opens, locks and reads our ledger, and takes predecessors over.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing was changed but that an empty ledger may exist.
    pub(crate) fn open(fs: &mut F, place: &Place, roots: &Roots) -> Result<(Self, Opened), LedgerError> {
        let shown = place.folder.join(&place.name).display().to_string();
        let failed = |source| LedgerError::Io { path: shown.clone(), source };
        let home = fs.open_root(&place.folder, None).map_err(failed)?;
        let Some(file) = lock(fs, &home, &place.name).map_err(failed)? else {
            return Err(LedgerError::Held { pod: holder(fs, &home, &place.name, roots), path: shown });
        };
        let custody = custody(fs, &home, &file, roots).map_err(failed)?;
        let bytes = slurp(fs, &file).map_err(failed)?;
        let (mut contents, unreadable, stale) = match ledger::read(&bytes, roots) {
            Ok(mut contents) => {
                let mut header = LedgerHeader { version: contents.header.version, ..place.header(&contents.header.id) };
                if place.is_held_back(&contents) {
                    header.selection.clone_from(&contents.header.selection);
                }
                // Whoever does not know what is in it no more may go on with it.
                let lowers = header.version > ledger::FIRST && header.version > contents.version();
                let stale = header != contents.header || lowers || contents.skipped > 0 || contents.garbage > contents.owned.len();
                contents.header = header;
                (contents, None, stale)
            }
            Err(error) => (Contents::empty(place.header(&place.fresh_id)), (!bytes.is_empty()).then_some(error), true),
        };
        let left_out = trust::confine(&mut contents, custody.trust(fs.uid()));
        let found = if bytes.is_empty() { marks::recover(fs, place, roots, &mut contents) } else { Recovered::default() };
        let (name, length) = (place.name.clone(), u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let (header, live, garbage) = (contents.header.clone(), contents.owned.len(), contents.garbage);
        let mut file = Self { home, file, name, header, length, torn: false, live, garbage, work: LedgerWork::default() };
        // Left by a crash in a compaction.
        let _ = fs.unlink(&file.home, &temp_beside(&place.name));
        let ids = vec![contents.header.id.clone()];
        let former_selection = Some(contents.header.selection.clone()).filter(|selection| *selection != place.selection);
        let mut opened = Opened { ids, contents, taken_over: Vec::new(), unreadable, left_out, found, former_selection };
        let former = opened.meet_others(fs, &mut file, place, roots).map_err(failed)?;
        file.header.clone_from(&opened.contents.header);
        if stale || !former.is_empty() {
            file.rewrite(fs, &opened.contents, ledger::FIRST).map_err(failed)?;
        } else if !custody.is_private_of(fs.uid()) {
            // Nobody else writes the new one. Where this cannot be, it is as good as before.
            let _ = file.rewrite(fs, &opened.contents, ledger::FIRST);
        }
        for Predecessor { folder, name, locked } in former {
            if let Ok(handle) = fs.open_root(&folder, None) {
                // If this fails they are taken over once more at the next start, which changes nothing.
                let _ = fs.unlink(&handle, &name);
                let _ = fs.unlink(&handle, &temp_beside(&name));
            }
            drop(locked);
            opened.taken_over.push(name);
        }
        Ok((file, opened))
    }

    /// Our id.
    pub(crate) fn id(&self) -> &str {
        &self.header.id
    }

    /// Appends records in one write. After a failure the ledger is as it was.
    ///
    /// # Errors
    /// When the file system refuses, or a record calls for a later version than the header tells: [`Self::rewrite`] comes first then.
    pub(crate) fn append(&mut self, fs: &mut F, records: &[Record]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if self.is_too_old_for(records) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a record that calls for a ledger of a later version"));
        }
        if self.torn {
            fs.truncate(&self.file, self.length)?;
            self.torn = false;
        }
        let bytes: Vec<u8> = records.iter().flat_map(record::line).collect();
        if let Err(error) = write_all(fs, &self.file, &bytes) {
            // A torn line is skipped when read; cutting it off, now or before the next, keeps the next line whole.
            self.torn = fs.truncate(&self.file, self.length).is_err();
            return Err(error);
        }
        let written = u64::try_from(bytes.len()).unwrap_or_default();
        self.length += written;
        self.work = LedgerWork { appends: self.work.appends + 1, bytes: self.work.bytes + written };
        for record in records {
            match record {
                Record::Own(..) | Record::Keep(..) => self.live += 1,
                Record::Disown(_) => (self.live, self.garbage) = (self.live.saturating_sub(1), self.garbage + 2),
                Record::Unfolder(_) | Record::Done => self.garbage += 2,
                Record::Debt(_) => self.garbage += 1,
                Record::Folder(_) | Record::Sibling(_) | Record::Owed => {}
            }
        }
        Ok(())
    }

    /// What was written to it, and to those before it.
    pub(crate) const fn work(&self) -> LedgerWork {
        self.work
    }

    /// It takes the place of one to which so much was written.
    pub(crate) const fn continues(&mut self, former: LedgerWork) {
        self.work = LedgerWork { appends: self.work.appends + former.appends, bytes: self.work.bytes + former.bytes };
    }

    /// The device that it lies on.
    pub(crate) fn device(&self, fs: &mut F) -> Option<u64> {
        fs.meta(&self.home).ok().map(|home| home.identity.0)
    }

    /// What is selected from now on; the file says so when it is compacted next.
    pub(crate) fn select(&mut self, selection: &str) {
        selection.clone_into(&mut self.header.selection);
    }

    /// Makes appended records durable.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn sync(&mut self, fs: &mut F) -> io::Result<()> {
        fs.sync(&self.file)
    }

    /// Whether the file is still the one that its name leads to: it may be removed, or its folder replaced, behind our back.
    pub(crate) fn is_in_place(&self, fs: &mut F, place: &Place) -> bool {
        fs.open_root(&place.folder, None).is_ok_and(|home| leads_to(fs, &home, &place.name, &self.file))
    }

    /// Whether most of the file is of no use any more.
    pub(crate) const fn is_mostly_garbage(&self) -> bool {
        self.garbage > 1000 && self.garbage > self.live
    }

    /// Whether these records call for a later version than it has.
    pub(crate) fn is_too_old_for(&self, records: &[Record]) -> bool {
        records.iter().any(|record| record.since() > self.header.version)
    }

    /// So many records that were appended last say of paths in it what counts instead of what it says.
    pub(crate) fn superseded(&mut self, records: usize) {
        (self.live, self.garbage) = (self.live.saturating_sub(records), self.garbage + records);
    }

    /// Writes the ledger anew, at least in this version. The new file is locked before it gets the name.
    ///
    /// # Errors
    /// When the file system refuses; the old ledger stays then.
    pub(crate) fn rewrite(&mut self, fs: &mut F, kept: &Contents, least: u32) -> io::Result<()> {
        let (version, lines) = kept.lines();
        let header = LedgerHeader { version: version.max(least), ..self.header.clone() };
        let mut bytes = record::line(&header);
        bytes.extend(lines);
        let file = replace(fs, &self.home, &self.name, &bytes, |fs, file| fs.lock(file).map(drop))?;
        (self.file, self.header, self.length) = (file, header, u64::try_from(bytes.len()).unwrap_or_default());
        (self.live, self.garbage, self.torn) = (kept.owned.len(), 0, false);
        self.work.bytes += self.length;
        Ok(())
    }
}

impl Opened {
    /// Looks at the other ledgers: notes siblings, takes predecessors' paths over. Returns the predecessors' files.
    fn meet_others<F: Fs>(
        &mut self,
        fs: &mut F,
        file: &mut LedgerFile<F>,
        place: &Place,
        roots: &Roots,
    ) -> io::Result<Vec<Predecessor<F>>> {
        let mut former = Vec::new();
        for Beside { folder, name, named, in_folder } in others(fs, place)? {
            let Some(mut theirs) = Other::open(fs, &folder, &name, roots)? else {
                continue;
            };
            let found = ledger::Whereabouts { locked: !theirs.lock_is_ours, named, in_folder };
            match ledger::relation(&self.contents.header, &self.contents.siblings, &theirs.contents, found) {
                Relation::Neighbour if !found.locked => {}
                Relation::Neighbour => {
                    let id = theirs.contents.header.id;
                    if self.contents.siblings.insert(id.clone()) {
                        // Best effort: it is noted again at the next start at which both run.
                        let _ = file.append(fs, &[Record::Sibling(id)]);
                    }
                }
                Relation::Predecessor => {
                    self.left_out.extend(trust::confine(&mut theirs.contents, theirs.custody.trust(fs.uid())));
                    if place.is_held_back(&theirs.contents) {
                        self.contents.header.selection.clone_from(&theirs.contents.header.selection);
                        self.former_selection = Some(theirs.contents.header.selection);
                    }
                    self.ids.push(theirs.contents.header.id);
                    self.contents.inherit(theirs.contents.owned, theirs.contents.lasting);
                    self.contents.folders.extend(theirs.contents.folders);
                    self.contents.siblings.extend(theirs.contents.siblings);
                    self.contents.owed |= theirs.contents.owed;
                    if self.contents.debt == Default::default() {
                        self.contents.debt = theirs.contents.debt;
                    }
                    self.contents.finished |= theirs.contents.finished;
                    former.push(Predecessor { folder, name, locked: theirs.file });
                }
            }
        }
        Ok(former)
    }
}

impl Place {
    /// What a ledger here says of itself.
    fn header(&self, id: &str) -> LedgerHeader {
        let Self { selection, instance, pod, .. } = self.clone();
        LedgerHeader { version: ledger::FIRST, id: id.to_owned(), selection, instance, pod }
    }

    /// Whether a ledger that is ours now has files of another selection, which stay until the present one matches something.
    pub(crate) fn is_held_back(&self, ledger: &Contents) -> bool {
        !self.prune_empty && !ledger.owned.is_empty() && ledger.header.selection != self.selection
    }
}

/// A predecessor's ledger, locked until it is gone so that nobody starts with it meanwhile.
struct Predecessor<F: Fs> {
    folder: PathBuf,
    name: String,
    locked: F::Handle,
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

/// uid of the pod that has a ledger, as far as the ledger tells.
fn holder<F: Fs>(fs: &mut F, home: &F::Handle, name: &str, roots: &Roots) -> String {
    let bytes = fs.open(home, name).and_then(|file| slurp(fs, &file)).unwrap_or_default();
    ledger::read(&bytes, roots).map(|contents| contents.header.pod).unwrap_or_default()
}

/// Absence and a refusal say that there is nothing for us; any other error says nothing.
fn readable<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(None),
        result => result.map(Some),
    }
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
