//! F5: strace makes system calls of the built binary fail, each a few times; no API event helps it to get over that.

use std::path::Path;

use super::mount::command;
use crate::support::projector::Builder;
use crate::support::{Cluster, DEADLINE, Projector, folders, temps, tree, wait_for, wait_tree};

/// Every thread's first two such calls fail. The tracer is detached, so that the child is the binary itself.
fn strace(builder: Builder, calls: &str, errno: &str, only: Option<&Path>) -> Builder {
    command(&["strace", "-V"]);
    let inject = format!("inject={calls}:error={errno}:when=1..2");
    let mut line = vec!["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
    let only = only.map(|path| path.display().to_string());
    if let Some(path) = &only {
        line.extend(["-P", path]);
    }
    builder.env("PATH", "/usr/local/bin:/usr/bin:/bin").wrapper(&line)
}

/// Starts over a folder with a stale file, with these calls failing; edits later.
fn gets_over(calls: &str, errno: &str, aim: impl Fn(&Path) -> Option<std::path::PathBuf>) {
    let cluster = Cluster::in_process();
    let home = tempfile::tempdir().unwrap();
    let (folder, ledger) = (home.path().join("folder"), home.path().join(".kube-projector.test.ledger"));
    let launch =
        Projector::on(&cluster, &folder).env("RESYNC", "0").env("FINALIZERS", "false").env("LEDGER", &ledger.display().to_string());
    cluster.configmap("stale", &[("stale", "1")]).target("old").create();
    cluster.configmap("rules", &[("a", "1"), ("b", "1")]).create();
    let mut before = launch.clone().start();
    before.wait_ready();
    before.kill9();
    cluster.delete("configmaps", "stale");
    cluster.set_data("rules", &[("a", "22"), ("c", "2")]);
    let mut projector = strace(launch, calls, errno, aim(home.path()).as_deref()).start();
    wait_tree(&folder, &tree! { "a" => "22", "c" => "2" });
    cluster.set_data("rules", &[("a", "333"), ("c", "3")]);
    wait_tree(&folder, &tree! { "a" => "333", "c" => "3" });
    projector.wait_ready();
    assert_eq!(temps(home.path()), Vec::<String>::new());
    assert_eq!(folders(&folder), Vec::<String>::new());
    assert!(projector.is_running());
}

fn anywhere(_: &Path) -> Option<std::path::PathBuf> {
    None
}

fn in_folder(home: &Path) -> Option<std::path::PathBuf> {
    Some(home.join("folder"))
}

fn on_ledger(home: &Path) -> Option<std::path::PathBuf> {
    Some(home.join(".kube-projector.test.ledger"))
}

#[test]
fn f5_fchmod_fails() {
    for errno in ["EIO", "EACCES", "EINTR"] {
        gets_over("fchmod", errno, anywhere);
    }
}

#[test]
fn f5_rename_fails() {
    for errno in ["EIO", "EACCES", "EINTR"] {
        gets_over("renameat,renameat2", errno, anywhere);
    }
}

#[test]
fn f5_unlink_fails() {
    for errno in ["EIO", "EACCES", "EINTR"] {
        gets_over("unlinkat", errno, anywhere);
    }
}

#[test]
fn f5_opening_in_the_folder_fails() {
    for errno in ["EIO", "EACCES", "EINTR"] {
        gets_over("openat,openat2", errno, in_folder);
    }
}

#[test]
fn f5_looking_at_files_fails() {
    for errno in ["EIO", "EACCES", "EINTR"] {
        gets_over("newfstatat,fstat", errno, in_folder);
    }
}

#[test]
fn f5_writing_the_ledger_fails() {
    for errno in ["EIO", "EACCES", "EINTR"] {
        gets_over("write", errno, on_ledger);
    }
}

/// What a test reads of the log is whole, however late the thread that writes it comes to run.
#[test]
fn a_log_whose_thread_begins_late_is_read_whole() {
    let cluster = Cluster::in_process();
    let home = tempfile::tempdir().unwrap();
    let launch = Projector::on(&cluster, &home.path().join("folder")).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    // A thread's first act is to take its name.
    let late = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "inject=prctl:delay_enter=1000000"];
    let projector = launch.wrapper(&late).start();
    wait_for("health", DEADLINE, || projector.health().0 > 0);
    assert!(projector.output().contains("health endpoints served"), "{}", projector.output());
}
