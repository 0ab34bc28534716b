//! Marks on what we make, where the ledger lies on another mount than FOLDER and may be gone before it: an emptyDir beside a volume.
//!
//! Made with the file, before it has its mode; looked for only when the ledger is new. A file that cannot be marked is written all the
//! same.

use std::io;
use std::path::Path;

use crate::core::files::entry::{Content, Stamp};
use crate::core::files::ledger::Contents;
use crate::core::files::mark::{Made, Marker};
use crate::core::files::store::lasting::Recorded;
use crate::core::path::{Roots, TargetPath};
use crate::disk::Disk;
use crate::disk::fs::{Confine, FileKind, Fs};
use crate::disk::ledger::Place;

/// No more than this is looked at.
const LOOKED_MAX: usize = 200_000;

/// Marks things of one selection or INSTANCE.
pub(super) struct Marks {
    marker: Marker,
    /// The file system keeps none.
    refused: bool,
}

/// What of FOLDER a new ledger takes for ours.
#[derive(Default)]
pub(crate) struct Recovered {
    /// How many files carry our mark.
    pub(crate) marked: usize,
    /// Files of which nobody can tell, because the file system keeps no marks.
    pub(crate) unmarked: Vec<TargetPath>,
    /// Whether there was too much to look at all of it.
    pub(crate) cut: bool,
}

impl Marks {
    /// `None` where none are needed: the ledger lies on FOLDER's mount, and lives as long.
    pub(super) fn needed<F: Fs>(fs: &mut F, place: &Place, roots: &Roots) -> Option<Self> {
        let mut mount = |path: &Path| fs.open_root(path, None).and_then(|folder| fs.mount(&folder)).ok();
        let (ledger, folder) = (mount(&place.folder)?, mount(Path::new(roots.iter().next()?))?);
        (ledger != folder).then(|| Self { marker: Marker::new(&place.selection, &place.instance), refused: false })
    }

    /// Marks a new file or folder, as far as the file system lets us.
    pub(super) fn put<F: Fs>(&mut self, fs: &mut F, handle: &F::Handle, path: &str, made: &Made) {
        if self.refused || path.starts_with('/') {
            return;
        }
        let Ok(meta) = fs.meta(handle) else { return };
        let done = fs.mark(handle, self.marker.mark(path, meta.identity.1, made).as_bytes());
        self.refused = done.is_err_and(|error| error.kind() == io::ErrorKind::Unsupported);
    }

    /// Looks through FOLDER, but not into other mounts. What cannot be read is nobody's.
    fn find<F: Fs>(&self, fs: &mut F, roots: &Roots, contents: &mut Contents) -> io::Result<Recovered> {
        let folder = roots.iter().next().unwrap_or_default();
        let confine = if folder == "/" { Confine::InRoot } else { Confine::Beneath };
        let root = fs.open_root(Path::new(folder), None)?;
        let device = fs.meta(&root)?.identity.0;
        let (mut found, mut looked) = (Recovered::default(), 0);
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let Ok(handle) = fs.open_folder(&root, &folder, confine) else { continue };
            if !folder.is_empty() && matches!(self.made(fs, &handle, &folder), Ok(Some(Made::Folder))) {
                contents.folders.insert(folder.clone());
            }
            for name in fs.names(&handle).unwrap_or_default() {
                looked += 1;
                if looked > LOOKED_MAX {
                    found.cut = true;
                    return Ok(found);
                }
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                // Also what no object may have: nothing there is ours.
                let (Ok(path), Ok(meta)) = (roots.recorded(&path), fs.look(&handle, &name)) else { continue };
                match meta.kind {
                    FileKind::Folder if meta.identity.0 == device => folders.push(path.as_str().to_owned()),
                    FileKind::File => self.look(fs, &handle, path, contents, &mut found),
                    FileKind::Folder | FileKind::Link | FileKind::Special => {}
                }
            }
        }
        Ok(found)
    }

    fn look<F: Fs>(&self, fs: &mut F, folder: &F::Handle, path: TargetPath, contents: &mut Contents, found: &mut Recovered) {
        let made = fs.open(folder, path.name()).and_then(|file| self.made(fs, &file, path.as_str()));
        match made {
            Ok(Some(Made::File(owner))) => {
                found.marked += 1;
                contents.own(path, owner, false);
            }
            Ok(Some(Made::Lasting(owner))) => {
                found.marked += 1;
                contents.own(path, owner, true);
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => found.unmarked.push(path),
            Ok(Some(Made::Folder) | None) | Err(_) => {}
        }
    }

    fn made<F: Fs>(&self, fs: &mut F, handle: &F::Handle, path: &str) -> io::Result<Option<Made>> {
        let Some(mark) = fs.marked(handle)? else { return Ok(None) };
        Ok(self.marker.read(path, fs.meta(handle)?.identity.1, &mark))
    }
}

/// Gives a new ledger what carries our mark.
pub(super) fn recover<F: Fs>(fs: &mut F, place: &Place, roots: &Roots, contents: &mut Contents) -> Recovered {
    let marks = Marks::needed(fs, place, roots);
    marks.and_then(|marks| marks.find(fs, roots, contents).ok()).unwrap_or_default()
}

impl<F: Fs> Disk<F> {
    /// From now on what is made below FOLDER is marked, where that is needed.
    pub(crate) fn mark_for(&mut self, place: &Place) {
        self.marks = Marks::needed(&mut self.fs, place, &self.roots);
    }

    /// Whether it is.
    pub(crate) fn marks(&self) -> bool {
        self.marks.as_ref().is_some_and(|marks| !marks.refused)
    }

    /// Marks a folder that was just made.
    pub(super) fn mark_folder(&mut self, folder: &str) {
        let Some(mut marks) = self.marks.take() else { return };
        // It may be gone already; what makes it next is told of that.
        let _ = self.in_folder(folder, |fs, handle| {
            marks.put(fs, handle, folder, &Made::Folder);
            Ok(())
        });
        self.marks = Some(marks);
    }

    /// Marks a file that is taken over as it is, and that may belong to nobody or another object so far. Its new stamp, if it has one.
    pub(crate) fn mark_taken(&mut self, recorded: Recorded<'_>, stamp: &Stamp) -> Option<Stamp> {
        let path = recorded.path();
        if path.as_str().starts_with('/') {
            return None;
        }
        let mut marks = self.marks.take()?;
        let made = recorded.made();
        let marked = self.in_folder(path.folder(), |fs, folder| {
            let file = fs.open(folder, path.name())?;
            let before = fs.meta(&file)?;
            let Content { length, mode, .. } = stamp.content;
            let unchanged = stamp.is_of(before.identity.1, before.changed) && (before.length, before.mode) == (u64::from(length), mode);
            if !unchanged || marks.made(fs, &file, path.as_str())?.as_ref() == Some(&made) {
                return Ok(None);
            }
            marks.put(fs, &file, path.as_str(), &made);
            fs.meta(&file).map(Some)
        });
        self.marks = Some(marks);
        // Where it cannot be marked it is as before: ours by the ledger alone.
        marked.ok().flatten().map(|meta| Stamp::new(stamp.content, meta.identity.1, meta.changed))
    }
}
