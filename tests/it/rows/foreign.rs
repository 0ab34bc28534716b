//! F9, F11, F14: what others put into the folder, and what a crash or a bad disk left of ours.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kube_projector::core::files::ledger;
use kube_projector::core::path::Roots;
use kube_projector::core::record;

use super::mount::{Account, Mount, NOBODY, command};
use crate::support::{Cluster, DEADLINE, Projector, assert_tree, inode, ledgers, temps, tree, wait_for, wait_tree};

#[test]
fn f9_folder_fifo_and_link_at_a_target_stay_and_others_continue() {
    let cluster = Cluster::in_process();
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    fs::write(outside.path().join("secret"), "outside").unwrap();
    fs::create_dir(at("dir")).unwrap();
    command(&["mkfifo", &at("fifo").display().to_string()]);
    symlink(outside.path().join("secret"), at("link")).unwrap();
    symlink(outside.path(), at("linked-folder")).unwrap();
    cluster.configmap("rules", &[("dir", "1"), ("fifo", "1"), ("link", "1"), ("plain", "1")]).create();
    cluster.configmap("through", &[("secret", "1"), ("new", "1")]).target("linked-folder").create();
    let mut projector = Projector::on(&cluster, folder.path()).env("EVENT_LOGGING", "true").env("RESYNC", "1").start();
    projector.wait_ready();
    assert_eq!(fs::read(at("plain")).unwrap(), b"1");
    assert!(at("dir").is_dir() && fs::symlink_metadata(at("link")).unwrap().is_symlink());
    assert!(!fs::symlink_metadata(at("fifo")).unwrap().is_file());
    assert_tree(outside.path(), &tree! { "secret" => "outside" });
    for name in ["rules", "through"] {
        wait_for("the Event", DEADLINE, || cluster.reasons_for(name).contains(&"WriteFailed".to_owned()));
    }
    fs::remove_dir(at("dir")).unwrap();
    for name in ["fifo", "link", "linked-folder"] {
        fs::remove_file(at(name)).unwrap();
    }
    let files =
        tree! { "dir" => "1", "fifo" => "1", "link" => "1", "plain" => "1", "linked-folder/secret" => "1", "linked-folder/new" => "1" };
    wait_tree(folder.path(), &files);
    assert_tree(outside.path(), &tree! { "secret" => "outside" });
}

#[test]
fn s8_in_sync_is_not_said_while_a_wanted_file_is_missing() {
    let cluster = Cluster::in_process();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    cluster.configmap("rules", &[("a", "1"), ("b", "1")]).create();
    let mut projector = Projector::on(&cluster, folder.path()).env("RESYNC", "1").start();
    projector.wait_ready();
    projector.wait_output("not in sync yet");
    let said = |text: &str| projector.output().lines().filter(|line| line.contains(text)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(said("\"in sync\""), Vec::<String>::new());
    let told = said("not in sync yet");
    assert!(told.len() == 1 && told[0].contains("\"amiss\":1") && told[0].contains("WARN"), "{told:?}");
    fs::remove_dir(folder.path().join("a")).unwrap();
    wait_tree(folder.path(), &tree! { "a" => "1", "b" => "1" });
    projector.wait_output("\"in sync\"");
    assert_eq!(said("in sync").len(), 2);
}

#[test]
fn f9_a_file_that_is_mounted_at_a_target_is_reported_and_replaced_when_it_is_gone() {
    let cluster = Cluster::in_process();
    let mut mount = Mount::tmpfs("size=1m");
    let (target, source) = (mount.path().join("mounted"), mount.beside("source"));
    fs::write(&target, "below").unwrap();
    fs::write(&source, "theirs").unwrap();
    mount.bind(&source, &target);
    cluster.configmap("rules", &[("mounted", "1"), ("plain", "1")]).create();
    let mut projector = Projector::on(&cluster, &mount.path()).env("RESYNC", "0").start();
    projector.wait_ready();
    assert_tree(&mount.path(), &tree! { "mounted" => "theirs", "plain" => "1" });
    projector.wait_output("busy");
    mount.unbind();
    wait_tree(&mount.path(), &tree! { "mounted" => "1", "plain" => "1" });
    assert_eq!(fs::read(&source).unwrap(), b"theirs");
    assert_eq!(temps(&mount.path()), Vec::<String>::new());
}

#[test]
fn f11_a_foreign_file_at_a_wanted_path_is_replaced_with_one_warning_and_others_are_not_touched() {
    let cluster = Cluster::in_process();
    let folder = tempfile::tempdir().unwrap();
    let foreign = [".kube-projector.0123456789abcdef.1.tmp", "a.bak", ".a", "sub/b~"];
    fs::create_dir(folder.path().join("sub")).unwrap();
    for name in foreign.iter().chain(&["a"]) {
        fs::write(folder.path().join(name), "foreign").unwrap();
    }
    let before = foreign.map(|name| inode(&folder.path().join(name)));
    cluster.configmap("rules", &[("a", "1")]).create();
    cluster.configmap("guest", &[("b", "1")]).target("sub").create();
    let mut projector = Projector::on(&cluster, folder.path()).env("RESYNC", "1").start();
    projector.wait_ready();
    assert_tree(folder.path(), &tree! { "a" => "1", "a.bak" => "foreign", "sub/b" => "1", "sub/b~" => "foreign" });
    cluster.set_data("rules", &[("a", "2")]);
    wait_tree(folder.path(), &tree! { "a" => "2", "a.bak" => "foreign", "sub/b" => "1", "sub/b~" => "foreign" });
    assert_eq!(projector.output().matches("foreign file replaced").count(), 1, "{}", projector.output());
    cluster.delete("configmaps", "rules");
    cluster.delete("configmaps", "guest");
    wait_tree(folder.path(), &tree! { "a.bak" => "foreign", "sub/b~" => "foreign" });
    assert_eq!(foreign.map(|name| inode(&folder.path().join(name))), before);
}

#[test]
fn f11_with_adopt_never_a_foreign_file_keeps_its_path() {
    let cluster = Cluster::in_process();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "foreign").unwrap();
    cluster.configmap("rules", &[("a", "1"), ("b", "1")]).create();
    let mut projector = Projector::on(&cluster, folder.path()).env("ADOPT", "never").start();
    projector.wait_ready();
    assert_tree(folder.path(), &tree! { "a" => "foreign", "b" => "1" });
    cluster.delete("configmaps", "rules");
    wait_tree(folder.path(), &tree! { "a" => "foreign" });
}

/// A folder with one file, whose projector is stopped; and then the objects change.
fn stopped_with_a_stale_file(cluster: &Cluster, folder: &Path) -> PathBuf {
    cluster.configmap("kept", &[("kept", "1")]).create();
    cluster.configmap("stale", &[("stale", "1")]).create();
    let mut projector = Projector::on(cluster, folder).env("FINALIZERS", "false").start();
    projector.wait_ready();
    projector.kill9();
    cluster.delete("configmaps", "stale");
    folder.join(&ledgers(folder)[0])
}

#[test]
fn f14_temporary_files_of_a_crash_are_swept_and_those_of_others_are_not() {
    let cluster = Cluster::in_process();
    let folder = tempfile::tempdir().unwrap();
    let path = stopped_with_a_stale_file(&cluster, folder.path());
    let contents = ledger::read(&fs::read(&path).unwrap(), &Roots::new(&folder.path().display().to_string(), [])).unwrap();
    let (ours, theirs) = (format!(".kube-projector.{}.7.tmp", contents.header.id), ".kube-projector.fedcba9876543210.7.tmp");
    fs::write(folder.path().join(&ours), "torn").unwrap();
    fs::write(folder.path().join(theirs), "somebody else is writing").unwrap();
    let mut projector = Projector::on(&cluster, folder.path()).start();
    projector.wait_ready();
    assert_tree(folder.path(), &tree! { "kept" => "1" });
    assert_eq!(temps(folder.path()), [theirs]);
}

fn a_damaged_ledger(damage: impl Fn(Vec<u8>) -> Vec<u8>, removes: bool) {
    let cluster = Cluster::in_process();
    let folder = tempfile::tempdir().unwrap();
    let path = stopped_with_a_stale_file(&cluster, folder.path());
    fs::write(&path, damage(fs::read(&path).unwrap())).unwrap();
    let mut projector = Projector::on(&cluster, folder.path()).env("FINALIZERS", "false").start();
    projector.wait_ready();
    let files = if removes {
        tree! { "kept" => "1" }
    } else {
        tree! { "kept" => "1", "stale" => "1" }
    };
    assert_tree(folder.path(), &files);
    // What is wanted was taken over: it goes with its object.
    cluster.delete("configmaps", "kept");
    wait_for("the end of a file that was taken over", DEADLINE, || !folder.path().join("kept").exists());
    assert_eq!(projector.output().contains("ledger unreadable"), !removes, "{}", projector.output());
}

#[test]
fn f14_after_a_ledger_without_header_nothing_unknown_is_removed() {
    a_damaged_ledger(|bytes| bytes.into_iter().map(|byte| byte ^ 0x55).collect(), false);
}

#[test]
fn f14_after_a_ledger_of_a_later_version_nothing_unknown_is_removed() {
    a_damaged_ledger(
        |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            let (header, rest) = text.split_once('\n').unwrap();
            let header: serde_json::Value = serde_json::from_str(header.split_once(' ').unwrap().1).unwrap();
            let mut later = header.clone();
            later["version"] = (ledger::VERSION + 1).into();
            [record::line(&later), rest.as_bytes().to_vec()].concat()
        },
        false,
    );
}

#[test]
fn f14_a_torn_last_record_costs_only_itself() {
    a_damaged_ledger(|bytes| [bytes, b"0000000".to_vec()].concat(), true);
}

#[test]
fn f14_a_ledger_that_may_not_be_read_is_waited_for() {
    let cluster = Cluster::in_process();
    let account = Account::new();
    cluster.configmap("kept", &[("kept", "1")]).create();
    let mut projector = account.launch(&cluster, "022", NOBODY).start();
    projector.wait_ready();
    projector.kill9();
    let path = account.folder().join(&ledgers(&account.folder())[0]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    fs::remove_file(account.folder().join("kept")).unwrap();
    let mut projector = account.launch(&cluster, "022", NOBODY).start();
    projector.wait_output("Permission denied");
    wait_for("the health server", DEADLINE, || projector.ready().0 == 503);
    assert_tree(&account.folder(), &tree! {});
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    projector.wait_ready();
    assert_tree(&account.folder(), &tree! { "kept" => "1" });
}
