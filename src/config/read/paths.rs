//! Text to paths: absolute, and normal by text alone. Nothing is looked up on the disk.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use crate::config::LedgerPlace;
use crate::config::read::parse::{Expected, list};

/// A path, absolute and without `.`, `..` and doubled slashes.
pub(crate) fn path(text: &str, current_dir: &Path) -> PathBuf {
    normalise(&current_dir.join(text))
}

/// Paths with commas between them: sorted, without duplicates.
pub(crate) fn paths(text: &str, current_dir: &Path) -> Result<Vec<PathBuf>, Expected> {
    let mut paths: Vec<_> = list(text).iter().map(|entry| path(entry, current_dir)).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// SOURCE: `None` where it is a cluster.
pub(crate) fn manifests(text: &str, current_dir: &Path) -> Result<Option<PathBuf>, Expected> {
    Ok((text != "cluster").then(|| path(text, current_dir)))
}

pub(crate) fn kubeconfig(text: &str, current_dir: &Path) -> Result<PathBuf, Expected> {
    let mut files = text.split(':').filter(|file| !file.is_empty());
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(path(file, current_dir)),
        _ => Err(Cow::Borrowed("the path of one file; lists are not supported")),
    }
}

pub(crate) fn ledger(text: &str, current_dir: &Path) -> Result<LedgerPlace, Expected> {
    let last = text.rsplit('/').next().unwrap_or_default();
    if matches!(last, "" | "." | "..") {
        return Err(Cow::Borrowed("a file's name in FOLDER, or a file's path, for example .ledger or /var/lib/projector/ledger"));
    }
    if text.contains('/') {
        return Ok(LedgerPlace::Path(path(text, current_dir)));
    }
    Ok(LedgerPlace::Name(text.to_owned()))
}

/// Several of them, with commas between them.
pub(crate) fn ledgers(text: &str, current_dir: &Path) -> Result<Vec<LedgerPlace>, Expected> {
    list(text).iter().map(|entry| ledger(entry, current_dir)).collect()
}

pub(crate) fn staging(text: &str, current_dir: &Path) -> Result<PathBuf, Expected> {
    match text.starts_with('/') {
        true => Ok(path(text, current_dir)),
        false => Err(Cow::Borrowed("the absolute path of a folder outside of FOLDER, on the same mount")),
    }
}

/// Resolves `.` and `..` by text alone: nothing is looked up, a link is not followed.
fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => normal.push(component),
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::parse::tests::check;

    #[test]
    fn paths_become_absolute_and_normal_by_text_alone() {
        let cases = [
            ("/etc/rules", "/etc/rules"),
            ("rules", "/work/rules"),
            ("./rules/", "/work/rules"),
            ("/a//b/./c/../d/", "/a/b/d"),
            ("../rules", "/rules"),
            ("/../../x", "/x"),
            ("..", "/"),
            ("/", "/"),
        ];
        for (text, expected) in cases {
            assert_eq!(path(text, Path::new("/work")).as_os_str(), expected, "{text}");
        }
        let expected: Vec<PathBuf> = vec!["/a".into(), "/work/b".into()];
        assert_eq!(paths(" b , /a/,/x/../a", Path::new("/work")), Ok(expected));
    }

    #[test]
    fn a_ledger_with_a_slash_is_a_path() {
        let good = [
            (".mine", LedgerPlace::Name(".mine".into())),
            ("./mine", LedgerPlace::Path("/work/mine".into())),
            ("/tmp/a/../mine", LedgerPlace::Path("/tmp/mine".into())),
        ];
        check(|text| ledger(text, Path::new("/work")), &good, &["..", ".", "/tmp/", "/", "a/.."]);
    }

    #[test]
    fn kubeconfig_is_one_file() {
        let good = [("/k", "/k".into()), ("k:", "/work/k".into())];
        check(|text| kubeconfig(text, Path::new("/work")), &good, &["/a:/b", ":"]);
    }
}
