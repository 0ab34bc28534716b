//! A log file, and the older ones beside it: `name.1` is the newest of them.
//!
//! Lines are never split. What fails on the way is tried again with the next line; the line itself goes to the file that is open.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::config::read::log::Rotation;

/// A file that lines are appended to.
pub(crate) struct LogFile {
    path: PathBuf,
    rotation: Option<Rotation>,
    file: File,
    length_bytes: u64,
}

impl LogFile {
    /// Opens the file, which need not exist.
    ///
    /// # Errors
    /// When it cannot be opened for appending.
    pub(crate) fn open(path: &Path, rotation: Option<Rotation>) -> io::Result<Self> {
        let (file, length_bytes) = appendable(path)?;
        Ok(Self { path: path.to_owned(), rotation, file, length_bytes })
    }

    /// Exchanges the file for an empty one; the oldest backup goes.
    fn rotate(&mut self, backups: u32) -> io::Result<()> {
        // As far as there are any, however many there may be.
        let free = (1..backups).find(|number| !self.backup(*number).exists()).unwrap_or(backups);
        for number in (1..free).rev() {
            moved(&self.backup(number), &self.backup(number + 1))?;
        }
        moved(&self.path, &self.backup(1))?;
        (self.file, self.length_bytes) = appendable(&self.path)?;
        Ok(())
    }

    fn backup(&self, number: u32) -> PathBuf {
        let mut name: OsString = self.path.clone().into();
        name.push(format!(".{number}"));
        name.into()
    }
}

impl Write for LogFile {
    /// Writes one line, whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let added = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if let Some(Rotation { max_bytes, backups }) = self.rotation
            && self.length_bytes > 0
            && self.length_bytes.saturating_add(added) >= max_bytes
        {
            // Without room or right to rename, the log goes on where it is.
            let _ = self.rotate(backups);
        }
        self.file.write_all(line)?;
        self.length_bytes = self.length_bytes.saturating_add(added);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn appendable(path: &Path) -> io::Result<(File, u64)> {
    // A FIFO that nobody reads fails at once. Whoever writes may wait, though.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().append(true).create(true).custom_flags(flags).open(path)?;
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Renames a file that may be missing.
fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn tree(folder: &Path) -> BTreeMap<String, String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
    }

    fn expected(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn the_newest_backups_are_kept_and_lines_stay_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "from before\n").unwrap();
        let mut log = LogFile::open(&path, Some(Rotation { max_bytes: 20, backups: 3 })).unwrap();
        for line in
            ["one\n", "two, too long with it\n", "three\n", "four\n", "five is long\n", "a line that is longer than a file may be\n"]
        {
            log.write_all(line.as_bytes()).unwrap();
        }
        let files = [
            ("a.log", "a line that is longer than a file may be\n"),
            ("a.log.1", "five is long\n"),
            ("a.log.2", "three\nfour\n"),
            ("a.log.3", "two, too long with it\n"),
        ];
        assert_eq!(tree(folder.path()), expected(&files));
    }

    #[test]
    fn without_rotation_a_file_grows() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(&folder.path().join("a.log"), None).unwrap();
        (0..3).for_each(|_| log.write_all(b"a line\n").unwrap());
        assert_eq!(tree(folder.path()), expected(&[("a.log", "a line\na line\na line\n")]));
    }

    #[test]
    fn a_backup_that_cannot_be_made_loses_no_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a.log.1/full")).unwrap();
        let path = folder.path().join("a.log");
        let mut log = LogFile::open(&path, Some(Rotation { max_bytes: 5, backups: 1 })).unwrap();
        ["one\n", "two\n"].iter().for_each(|line| log.write_all(line.as_bytes()).unwrap());
        assert_eq!(fs::read_to_string(path).unwrap(), "one\ntwo\n");
    }
}
