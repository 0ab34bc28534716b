//! The file that tells a next process what was told of pods and Secrets: read once, and replaced as a whole.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::fs::Fs;
use crate::disk::{read_to_end, replace};

/// A file larger than this is not one of ours.
const LARGEST: u64 = 64 << 20;

/// Where it lies: beside a ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToldFile {
    folder: PathBuf,
    name: String,
}

impl ToldFile {
    /// The place beside this ledger.
    pub fn beside(ledger: &Path) -> Self {
        let name = ledger.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { folder: ledger.parent().map(Path::to_path_buf).unwrap_or_default(), name: format!("{name}.told") }
    }

    /// Its path.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// What it holds; nothing where there is none.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn read<F: Fs>(&self, fs: &mut F) -> io::Result<Vec<u8>> {
        let opened = fs.open_root(&self.folder, None).and_then(|home| fs.open(&home, &self.name));
        let mut bytes = Vec::new();
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(bytes),
            opened => read_to_end(fs, &opened?, &mut bytes, LARGEST).map(|()| bytes),
        }
    }

    /// Replaces it, and survives the loss of power.
    ///
    /// # Errors
    /// When the file system refuses; what was there before is there then.
    pub fn replace<F: Fs>(&self, fs: &mut F, bytes: &[u8]) -> io::Result<()> {
        let home = fs.open_root(&self.folder, None)?;
        // Nobody else writes it who may not write the ledger: it needs no lock, which not every file system has.
        replace(fs, &home, &self.name, bytes, |_, _| Ok(()))?;
        fs.sync(&home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fs::Kernel;

    #[test]
    fn r15_it_is_replaced_as_a_whole_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (place, mut fs) = (ToldFile::beside(&folder.path().join("ledger")), Kernel::default());
        assert_eq!(place.path(), folder.path().join("ledger.told"));
        assert_eq!(place.read(&mut fs).unwrap(), b"");
        for text in ["a longer text", "a text"] {
            place.replace(&mut fs, text.as_bytes()).unwrap();
            assert_eq!(place.read(&mut fs).unwrap(), text.as_bytes());
        }
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["ledger.told"]);
    }

    #[test]
    fn r15_what_cannot_be_replaced_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (place, mut fs) = (ToldFile::beside(&folder.path().join("ledger")), Kernel::default());
        std::fs::create_dir(place.path()).unwrap();
        assert!(place.replace(&mut fs, b"text").is_err() && place.read(&mut fs).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let nowhere = ToldFile::beside(&folder.path().join("no/ledger"));
        assert!(nowhere.replace(&mut fs, b"text").is_err());
        assert_eq!(nowhere.read(&mut fs).unwrap(), b"", "there is none");
    }
}
