//! What a folder holds, and waiting for it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Files by path relative to the folder, with their bytes.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// How long a condition may take to come true: long, because it costs only failing tests; but less than the minute after which
/// PROFILE=k8s-sidecar looks at everything again.
pub const DEADLINE: Duration = Duration::from_secs(45);

/// A tree by its files: `tree! { "a.yaml" => "1", "sub/b" => b"\0" }`.
macro_rules! tree_of_files {
    ($($path:expr => $content:expr),* $(,)?) => {{
        #[allow(unused_mut, reason = "a tree without files is never changed")]
        let mut tree = $crate::support::tree::Tree::new();
        $(tree.insert(String::from($path), Vec::from(&$content[..]));)*
        tree
    }};
}
pub(crate) use tree_of_files as tree;

/// The files below a folder but dot-files (ledgers, temporary files). Symlinks are not followed: `-> target` is their content.
pub fn tree(folder: &Path) -> Tree {
    let mut all = tree_with_dots(folder);
    all.retain(|path, _| !path.split('/').any(|part| part.starts_with('.')));
    all
}

/// All files below a folder. A file that goes while we look is left out.
pub fn tree_with_dots(folder: &Path) -> Tree {
    let mut files = Tree::new();
    collect(folder, "", &mut files);
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Tree) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map(|target| format!("-> {}", target.display()));
            files.insert(name, target.unwrap_or_default().into_bytes());
        } else if kind.is_file()
            && let Ok(bytes) = fs::read(&path)
        {
            files.insert(name, bytes);
        }
    }
}

/// Path, inode, mode, length and time of change.
pub type Standing = Vec<(String, u64, u32, u64, i64, i64)>;

/// What a file system tells of a folder and of all that is in it, but when it was read: whoever changes anything there changes this.
pub fn standing(folder: &Path) -> Standing {
    let (mut standing, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).expect("nobody takes anything away");
        standing.push((path.display().to_string(), meta.ino(), meta.mode(), meta.size(), meta.ctime(), meta.ctime_nsec()));
        if meta.is_dir() {
            let names = fs::read_dir(&path).expect("nobody takes anything away");
            left.extend(names.map(|entry| entry.expect("it can be read").path()));
        }
    }
    standing.sort();
    standing
}

/// The folders below a folder, relative to it.
pub fn folders(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                walk(&entry.path(), &format!("{name}/"), found);
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found);
    found.sort();
    found
}

/// Temporary files of projectors anywhere below a folder.
pub fn temps(folder: &Path) -> Vec<String> {
    named(folder, |name| name.starts_with(".kube-projector.") && name.ends_with(".tmp"))
}

/// Ledgers anywhere below a folder.
pub fn ledgers(folder: &Path) -> Vec<String> {
    named(folder, |name| name.ends_with(".ledger"))
}

fn named(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    tree_with_dots(folder).into_keys().filter(|path| wanted(path.rsplit('/').next().unwrap_or(path))).collect()
}

/// Permission bits, with setuid, setgid and sticky.
pub fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    metadata.permissions().mode() & 0o7777
}

/// Inode number: equal as long as a file was not replaced.
pub fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).ino()
}

/// Polls until the condition holds, or fails with `what`.
pub fn wait_for(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    wait_until(what, deadline, || if condition() { Ok(()) } else { Err("still not so") });
}

/// As `wait_for` in a runtime, without blocking its thread.
pub async fn wait_for_async(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !condition() {
        assert!(Instant::now() < end, "waited {deadline:?} for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Polls until there is a value; fails with `what` and the last state.
pub fn wait_until<T, S: Debug>(what: &str, deadline: Duration, mut check: impl FnMut() -> Result<T, S>) -> T {
    let end = Instant::now() + deadline;
    loop {
        match check() {
            Ok(value) => return value,
            Err(state) if Instant::now() > end => panic!("waited {deadline:?} for {what}; last: {state:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Waits until the folder holds exactly these files (dot-files aside); a failure shows the difference.
pub fn wait_tree(folder: &Path, expected: &Tree) {
    wait_tree_within(folder, expected, DEADLINE);
}

/// As `wait_tree`, with another deadline.
pub fn wait_tree_within(folder: &Path, expected: &Tree, deadline: Duration) {
    let end = Instant::now() + deadline;
    loop {
        let found = tree(folder);
        if &found == expected {
            return;
        }
        assert!(Instant::now() < end, "waited {deadline:?} for the files of {}:\n{}", folder.display(), difference(expected, &found));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Fails, with the difference, unless the folder holds exactly these files now.
pub fn assert_tree(folder: &Path, expected: &Tree) {
    let found = tree(folder);
    assert!(&found == expected, "files of {}:\n{}", folder.display(), difference(expected, &found));
}

fn difference(expected: &Tree, found: &Tree) -> String {
    let show = |bytes: &Vec<u8>| {
        let text = String::from_utf8_lossy(bytes.get(..60).unwrap_or(bytes)).into_owned();
        format!("{text:?} ({} bytes)", bytes.len())
    };
    let mut lines = Vec::new();
    for (path, wanted) in expected {
        match found.get(path) {
            None => lines.push(format!("  missing  {path}: {}", show(wanted))),
            Some(actual) if actual != wanted => lines.push(format!("  differs  {path}: {} instead of {}", show(actual), show(wanted))),
            Some(_) => {}
        }
    }
    lines.extend(
        found.iter().filter(|(path, _)| !expected.contains_key(*path)).map(|(path, bytes)| format!("  too much {path}: {}", show(bytes))),
    );
    let more = lines.len().saturating_sub(20);
    lines.truncate(20);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines.join("\n")
}
