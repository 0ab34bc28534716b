//! F17: umask, setgid folders, a uid that no passwd file knows.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::mount::{Account, NOBODY};
use crate::support::{Cluster, Projector, assert_tree, ledgers, mode, tree, wait_tree};

/// Group of the volume, as fsGroup sets it.
const GROUP: u32 = 4712;

fn modes_are_exact_under(umask: &str) {
    let cluster = Cluster::in_process();
    let account = Account::new();
    let folder = account.folder();
    cluster.configmap("rules", &[("a", "1")]).create();
    cluster.secret("token", &[("t", "2")]).target("sub/deep").create();
    let launch = account.launch(&cluster, umask, NOBODY).env("DEFAULT_FILE_MODE", "0440").env("FOLDER_MODE", "0750");
    let mut projector = launch.start();
    projector.wait_ready();
    assert_tree(&folder, &tree! { "a" => "1", "sub/deep/t" => "2" });
    let at = |name: &str| folder.join(name);
    assert_eq!(["a", "sub/deep/t", "sub", "sub/deep"].map(|name| mode(&at(name))), [0o440, 0o440, 0o750, 0o750]);
    assert_eq!(mode(&at(&ledgers(&folder)[0])) & 0o077, 0, "the ledger is nobody else's");
    assert_eq!(fs::metadata(at("a")).unwrap().uid(), NOBODY);
    projector.kill9();
    // It can read what it made, and an unchanged file gets a mode that is new.
    cluster.set_secret("token", &[("u", "3")]);
    let mut again = launch.env("DEFAULT_FILE_MODE", "0604").start();
    again.wait_ready();
    assert_tree(&folder, &tree! { "a" => "1", "sub/deep/u" => "3" });
    assert_eq!(["a", "sub/deep/u"].map(|name| mode(&at(name))), [0o604, 0o604]);
}

#[test]
fn f17_modes_are_exact_under_umask_0777_for_a_uid_without_name() {
    modes_are_exact_under("0777");
}

#[test]
fn f17_modes_are_exact_under_umask_0000_for_a_uid_without_name() {
    modes_are_exact_under("0000");
}

#[test]
fn f17_in_a_setgid_folder_every_file_gets_the_folders_group() {
    let cluster = Cluster::in_process();
    let account = Account::new();
    let folder = account.folder();
    std::os::unix::fs::chown(&folder, None, Some(GROUP)).expect("these tests need root");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o2775)).unwrap();
    cluster.secret("token", &[("t", "2")]).target("sub/deep").create();
    let mut projector = account.launch(&cluster, "022", GROUP).env("DEFAULT_FILE_MODE", "0640").start();
    projector.wait_ready();
    let file = fs::metadata(folder.join("sub/deep/t")).unwrap();
    assert_eq!((file.gid(), file.mode() & 0o7777), (GROUP, 0o640));
    let deep = fs::metadata(folder.join("sub/deep")).unwrap();
    assert_eq!((deep.gid(), deep.mode() & 0o7777), (GROUP, 0o2755));
}

#[test]
fn f17_a_folder_that_is_missing_is_made_with_its_parents_whatever_the_umask() {
    let cluster = Cluster::in_process();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("made/folder");
    cluster.configmap("rules", &[("a", "1")]).create();
    let mut projector = Projector::on(&cluster, &folder).umask("0777").start();
    projector.wait_ready();
    wait_tree(&folder, &tree! { "a" => "1" });
    assert_eq!((mode(&home.path().join("made")), mode(&folder), mode(&folder.join("a"))), (0o755, 0o755, 0o644));
}
