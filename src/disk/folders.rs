//! Folders: making and removing ours, and noticing that one was replaced.

use std::io;
use std::path::Path;

use crate::disk::fs::Fs;
use crate::disk::mount::is_same_folder;
use crate::disk::{Disk, temp_name};

/// Files made in a folder with this bit get the folder's group.
const SET_GROUP: u16 = 0o2000;

impl<F: Fs> Disk<F> {
    /// Whether FOLDER or an allowed folder is not the folder any more that was opened: removed, unmounted, or mounted over.
    /// FOLDER is opened, if need be made again then; an allowed folder is opened when it is needed next.
    pub(crate) fn folder_was_replaced(&mut self) -> bool {
        self.folders.clear();
        self.meet_staging_again();
        let roots: Vec<String> = self.roots.iter().map(str::to_owned).collect();
        let mut replaced = false;
        for (index, (path, slot)) in roots.iter().zip(&mut self.open).enumerate() {
            let held = slot.as_ref().and_then(|handle| self.fs.meta(handle).ok()).filter(|meta| meta.links > 0).map(|meta| meta.identity);
            let there = self.fs.look_root(Path::new(path)).ok().map(|meta| meta.identity);
            if held.is_some() && held == there {
                continue;
            }
            if index > 0 {
                replaced |= slot.take().is_some();
            } else if let Ok(opened) = self.fs.open_root(Path::new(path), Some(self.folder_mode)) {
                self.temps += 1;
                // Inode numbers that change by themselves make no other folder.
                let same = |known: &F::Handle| is_same_folder(&mut self.fs, known, &opened, &temp_name(&self.id, self.temps));
                if held.is_some() && slot.as_ref().is_some_and(same) {
                    continue;
                }
                *slot = Some(opened);
                replaced = true;
            }
        }
        replaced
    }

    /// Whether a folder is missing. One that cannot be opened for another reason is there.
    pub(crate) fn misses_folder(&mut self, folder: &str) -> bool {
        let missing = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        self.in_folder(folder, |_, _| Ok(())).is_err_and(|error| missing(&error))
    }

    /// Makes one folder; its parent exists. `false` when somebody made it before us.
    ///
    /// # Errors
    /// When the file system refuses, or something else has the name.
    pub(crate) fn make_folder(&mut self, parent: &str, name: &str, folder: &str) -> io::Result<bool> {
        match self.in_folder(parent, |fs, handle| fs.make_folder(handle, name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return self.in_folder(folder, |_, _| Ok(false)),
            made => made?,
        }
        self.mark_folder(folder);
        if let Err(error) = self.set_folder_mode(folder) {
            if self.remove_folder(parent, name, folder).is_err() {
                self.modes_owed.push(folder.to_owned());
            }
            return Err(error);
        }
        Ok(true)
    }

    /// Gives a folder of ours FOLDER_MODE. The group that it inherits stays inherited (fsGroup).
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn set_folder_mode(&mut self, folder: &str) -> io::Result<()> {
        let wanted = self.folder_mode;
        self.in_folder(folder, |fs, handle| {
            let mode = fs.meta(handle)?.mode;
            let wanted = wanted | (mode & SET_GROUP);
            if mode == wanted { Ok(()) } else { fs.set_mode(handle, wanted) }
        })
        .or_else(|error| if self.takes_no_modes(folder, &error) { Ok(()) } else { Err(error) })
    }

    /// Removes an empty folder. `false` when it is not empty.
    ///
    /// # Errors
    /// When the file system refuses for another reason.
    pub(crate) fn remove_folder(&mut self, parent: &str, name: &str, folder: &str) -> io::Result<bool> {
        self.folders.remove(folder);
        match self.in_folder(parent, |fs, handle| fs.remove_folder(handle, name)) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(true),
            result => result.map(|()| true),
        }
    }

    /// Makes the names in a folder durable, once a batch (DURABILITY=batch).
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn sync_folder(&mut self, folder: &str) -> io::Result<()> {
        self.in_folder(folder, |fs, handle| fs.sync(handle))
    }
}
