//! Whether the manifests lie where files are written: there they would be overwritten, or read back as what they are not.
//!
//! A place has more than one name: links, and mounts that show a folder somewhere else. So paths are compared by what they lead to:
//! by device and inode of each folder above, and by what the kernel's table of mounts says a mount shows.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The kernel's table of mounts; proc(5) says what stands where.
const MOUNTS: &str = "/proc/self/mountinfo";
/// As many links are followed for one path as the kernel follows.
pub(super) const LINKS_MAX: usize = 40;

/// A setting that names a place where we write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WrittenPlace {
    /// The setting.
    pub(crate) variable: &'static str,
    /// The place; absolute.
    pub(crate) path: PathBuf,
}

/// The manifests lie where files are written, or the other way round.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("SOURCE={} and {}={}: expected two places of which neither lies in the other; files would replace the manifests", source_path.display(), written.variable, written.path.display())]
pub struct Overlap {
    /// SOURCE.
    pub(crate) source_path: PathBuf,
    /// What it overlaps with.
    pub(crate) written: WrittenPlace,
}

/// Looks whether the manifests are apart from what is written. Blocking.
///
/// # Errors
/// The first setting that overlaps. What cannot be looked at overlaps with nothing: it can be neither read nor written.
pub(crate) fn check(source_path: &Path, written: &[WrittenPlace]) -> Result<(), Overlap> {
    let mounts = fs::read(MOUNTS).map(|table| MountTable::parse(&table)).unwrap_or_default();
    let source = Spot::of(source_path, &mounts);
    match written.iter().find(|written| source.overlaps(&Spot::of(&written.path, &mounts))) {
        Some(written) => Err(Overlap { source_path: source_path.to_path_buf(), written: written.clone() }),
        None => Ok(()),
    }
}

/// Remembers what was found apart, because looking at all mounts at each change would cost too much.
#[derive(Default)]
pub(super) struct OverlapGuard {
    written: Vec<WrittenPlace>,
    apart: Option<Vec<PathIdentity>>,
}

/// What a path leads to: its real path, and device and inode.
type PathIdentity = Option<(PathBuf, u64, u64)>;

impl OverlapGuard {
    pub(super) fn new(written: Vec<WrittenPlace>) -> Self {
        Self { written, apart: None }
    }

    /// As [`check`], which is done only where a path leads elsewhere than at the last time. Blocking.
    pub(super) fn check(&mut self, source_path: &Path) -> Result<(), Overlap> {
        let paths = self.written.iter().map(|written| &*written.path).chain([source_path]);
        let now: Vec<PathIdentity> = paths.map(identity).collect();
        if self.apart.as_ref() != Some(&now) {
            self.apart = None;
            check(source_path, &self.written)?;
            self.apart = Some(now);
        }
        Ok(())
    }
}

/// Whether this folder, which an object names for its files, is apart from the manifests. Blocking.
pub(super) fn admits(source_path: &Path, folder: &str) -> bool {
    let written = |path: &str| WrittenPlace { variable: "folder", path: path.into() };
    !folder.starts_with('/') || check(source_path, &[written(folder)]).is_ok()
}

fn identity(path: &Path) -> PathIdentity {
    let real = fs::canonicalize(path).ok()?;
    let metadata = fs::metadata(&real).ok()?;
    Some((real, metadata.dev(), metadata.ino()))
}

/// A path, by all that tells it from others.
struct Spot {
    /// Without links as far as it exists; what does not is as it was named.
    real: PathBuf,
    /// Device and inode, if it exists.
    own: Option<(u64, u64)>,
    /// Those of every folder above, and its own.
    above: Vec<(u64, u64)>,
    /// Which parts of which file systems lie at it and below.
    shows: Vec<MountedPart>,
}

impl Spot {
    fn of(path: &Path, mounts: &MountTable) -> Self {
        let real = resolved(path);
        let id = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        Self { own: id(&real), above: real.ancestors().filter_map(id).collect(), shows: mounts.shown_at(&real), real }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.lies_in(other) || other.lies_in(self) || self.shows.iter().any(|ours| other.shows.iter().any(|theirs| ours.overlaps(theirs)))
    }

    fn lies_in(&self, other: &Self) -> bool {
        self.real.starts_with(&other.real) || other.own.is_some_and(|own| self.above.contains(&own))
    }
}

/// The real path of what exists, and below it the names that do not.
pub(super) fn resolved(path: &Path) -> PathBuf {
    resolved_through(path, LINKS_MAX)
}

fn resolved_through(path: &Path, links: usize) -> PathBuf {
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        if let Ok(real) = fs::canonicalize(existing) {
            return missing.iter().rev().fold(real, |real, name| real.join(name));
        }
        // A link that leads to nothing yet: where it leads is what counts.
        if let (Some(parent), Ok(target), true) = (existing.parent(), fs::read_link(existing), links > 0) {
            let target = resolved_through(&parent.join(target), links - 1);
            return missing.iter().rev().fold(target, |real, name| real.join(name));
        }
        match (existing.parent(), existing.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name);
                existing = parent;
            }
            _ => return path.to_path_buf(),
        }
    }
}

/// A part of a file system: its device, as the kernel's table has it, and the path in it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct MountedPart {
    device: String,
    path: PathBuf,
}

impl MountedPart {
    fn overlaps(&self, other: &Self) -> bool {
        self.device == other.device && (self.path.starts_with(&other.path) || other.path.starts_with(&self.path))
    }
}

/// What is mounted where, in the order in which it was.
#[derive(Default)]
struct MountTable(Vec<(PathBuf, MountedPart)>);

impl MountTable {
    fn parse(table: &[u8]) -> Self {
        Self(table.split(|byte| *byte == b'\n').filter_map(mount).collect())
    }

    /// What one sees at a real path and below: of the mount that it lies on, and of those below it.
    fn shown_at(&self, real: &Path) -> Vec<MountedPart> {
        // Of mounts at one place the last one is seen.
        let around = self.0.iter().filter(|(at, _)| real.starts_with(at)).max_by_key(|(at, _)| at.components().count());
        let own = around.map(|(at, shown)| {
            let below = real.strip_prefix(at).unwrap_or(Path::new(""));
            MountedPart { path: if below.as_os_str().is_empty() { shown.path.clone() } else { shown.path.join(below) }, ..shown.clone() }
        });
        let below = self.0.iter().filter(|(at, _)| at != real && at.starts_with(real)).map(|(_, shown)| shown.clone());
        own.into_iter().chain(below).collect()
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw …`: device, path in the file system, where that is mounted.
fn mount(line: &[u8]) -> Option<(PathBuf, MountedPart)> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let (device, path, at) = (fields.next()?, fields.next()?, fields.next()?);
    let shown = MountedPart { device: String::from_utf8_lossy(device).into_owned(), path: unescaped(path) };
    Some((unescaped(at), shown))
}

/// Blanks and the like stand as three octal digits behind a backslash.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn overlaps(source: &Path, folder: &Path) -> bool {
        check(source, &[WrittenPlace { variable: "FOLDER", path: folder.to_path_buf() }]).is_err()
    }

    #[test]
    fn m1_places_overlap_by_whatever_name() {
        let home = TempDir::new().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::create_dir_all(path("src/sub")).unwrap();
        fs::create_dir_all(path("out/sub")).unwrap();
        fs::write(path("out/one.yaml"), "").unwrap();
        fs::write(path("src/one.yaml"), "").unwrap();
        symlink("src", path("to-src")).unwrap();
        symlink("out/sub", path("to-sub")).unwrap();
        symlink("out/later", path("to-later")).unwrap();
        let table = [
            ("src", "src", true),
            ("src", "src/sub", true),
            ("out/sub", "out", true),
            ("to-src", "src", true),
            ("src", "to-src/sub", true),
            ("to-sub", "out", true),
            ("to-later", "out", true),
            ("to-later/a/b", "out", true),
            ("src", "src/missing/too", true),
            ("missing/src", "missing", true),
            ("missing", "missing/out", true),
            ("out/one.yaml", "out", true),
            ("src", "out", false),
            ("to-src", "out", false),
            ("out/sub", "src", false),
            ("missing", "missing-too", false),
            ("src/one.yaml", "src/sub", false),
        ];
        for (source, folder, expected) in table {
            assert_eq!(overlaps(&path(source), &path(folder)), expected, "{source} {folder}");
        }
    }

    #[test]
    fn m1_a_mount_shows_what_lies_elsewhere() {
        let table = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      30 22 8:2 /pods/x/data /data rw shared:1 - xfs /dev/sdb rw\n\
                      31 22 8:2 /pods/x/data/out\\040put /out rw - xfs /dev/sdb rw\n\
                      32 22 0:40 / /other rw - tmpfs tmpfs rw\n\
                      33 22 8:2 /pods/x/data/out\\040put/deep /other/deep rw - xfs /dev/sdb rw\n\
                      34 22 8:2 /pods/y /beside rw - xfs /dev/sdb rw\nnonsense\n";
        let mounts = MountTable::parse(table);
        let meet = |one: &str, other: &str| {
            let (one, other) = (mounts.shown_at(Path::new(one)), mounts.shown_at(Path::new(other)));
            one.iter().any(|one| other.iter().any(|other| one.overlaps(other)))
        };
        for (one, other, expected) in [
            ("/data", "/out", true),
            ("/data/src", "/out", false),
            ("/data/out put", "/out/sub", true),
            ("/out", "/other", true),
            ("/out/shallow", "/other", false),
            ("/data", "/beside", false),
            ("/etc", "/etc/x", true),
            ("/etc", "/srv", false),
        ] {
            assert_eq!((meet(one, other), meet(other, one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn m1_a_link_that_is_pointed_elsewhere_is_looked_at_again() {
        let home = TempDir::new().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::create_dir_all(path("src")).unwrap();
        fs::create_dir_all(path("out")).unwrap();
        symlink("src", path("link")).unwrap();
        let mut guard = OverlapGuard::new(vec![WrittenPlace { variable: "FOLDER", path: path("out") }]);
        assert_eq!(guard.check(&path("link")), Ok(()));
        fs::remove_file(path("link")).unwrap();
        symlink("out", path("link")).unwrap();
        let error = guard.check(&path("link")).unwrap_err().to_string();
        assert!(error.contains("SOURCE=") && error.contains("FOLDER="), "{error}");
        assert!(guard.check(&path("link")).is_err(), "again and again");
    }
}
