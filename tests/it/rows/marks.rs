//! F22: a ledger that is gone before the files are, as in an emptyDir beside a volume. Files say themselves whose they are.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tempfile::TempDir;

use super::mount::{Account, Mount, NOBODY, command};
use crate::common::{count, put, started};
use crate::support::projector::Builder;
use crate::support::*;

const UNKNOWN: &str = "keeps no marks";

/// FOLDER on a mount of its own, and the ledger on another one.
struct Volume {
    cluster: Cluster,
    mount: Mount,
    state: TempDir,
}

impl Volume {
    fn on(mount: Mount) -> Self {
        Self { cluster: Cluster::in_process(), mount, state: TempDir::new().unwrap() }
    }

    fn tmpfs() -> Self {
        Self::on(Mount::tmpfs("size=8m"))
    }

    fn folder(&self) -> PathBuf {
        self.mount.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn ledger(&self) -> PathBuf {
        self.state.path().join("ledger")
    }

    fn projector(&self) -> Builder {
        let builder = Projector::on(&self.cluster, &self.folder()).env("FINALIZERS", "false").env("RESYNC", "0");
        builder.env("LEDGER", &self.ledger().display().to_string())
    }

    /// The pod is gone, and its emptyDir with it.
    fn replaced(&self, mut projector: Projector) {
        projector.kill9();
        fs::remove_file(self.ledger()).unwrap();
    }

    /// Starts it, and fails if there is anything to warn of.
    fn starts_well(&self, builder: &Builder, files: &Tree) -> Projector {
        let projector = started(builder);
        assert_tree(&self.folder(), files);
        let output = projector.output();
        assert_eq!(count(&output, "\"WARN\"") + count(&output, "\"ERROR\""), 0, "{output}");
        projector
    }
}

fn mark(path: &Path) -> Option<String> {
    let mut value = vec![0; 1024];
    match rustix::fs::getxattr(path, "user.kube-projector", &mut *value) {
        Ok(length) => Some(String::from_utf8(value[..length].to_vec()).unwrap()),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn shell(script: &str, folder: &Path) {
    command(&["/bin/sh", "-c", &format!("set -e; cd '{}'; {script}", folder.display())]);
}

fn a_new_ledger_takes_ours_back_and_nothing_else(volume: &Volume) {
    let folder = volume.folder();
    put(&volume.path("foreign"), "theirs");
    volume.cluster.configmap("stays", &[("a", "1")]).create();
    let doomed = [("stale", "1"), ("copied", "2"), ("moved", "3"), ("restored", "4"), ("linked", "5")];
    volume.cluster.configmap("doomed", &doomed).create();
    volume.cluster.secret("deep", &[("deep", "6")]).target("sub/deep").create();
    let projector = volume.starts_well(
        &volume.projector(),
        &tree! { "foreign" => "theirs", "a" => "1", "stale" => "1", "copied" => "2", "moved" => "3", "restored" => "4", "linked" => "5", "sub/deep/deep" => "6" },
    );
    for (name, object) in [("a", "ConfigMap/default/stays"), ("sub/deep/deep", "Secret/default/deep")] {
        let object = object.replace("default", volume.cluster.namespace());
        assert!(
            mark(&volume.path(name)).is_some_and(|mark| mark.ends_with(&format!(" {object}"))),
            "{name}: {:?}",
            mark(&volume.path(name))
        );
    }
    shell(
        "cp -a copied copy; mv moved elsewhere; cp -a restored other; mv other restored; ln linked link; cp -a sub/deep sub/deep2; mkdir mine",
        &folder,
    );
    assert_eq!(mark(&volume.path("copy")), mark(&volume.path("copied")), "cp -a takes the mark along");
    volume.replaced(projector);
    volume.cluster.delete("configmaps", "doomed");
    volume.cluster.delete("secrets", "deep");
    let before = inode(&volume.path("a"));
    let files = tree! { "foreign" => "theirs", "a" => "1", "copy" => "2", "elsewhere" => "3", "restored" => "4", "link" => "5", "sub/deep2/deep" => "6" };
    let projector = volume.starts_well(&volume.projector(), &files);
    assert_eq!(inode(&volume.path("a")), before);
    assert_eq!(folders(&folder), ["mine", "sub", "sub/deep2"]);
    projector.wait_output("carry our mark");
    // What came by that way is ours as ever.
    volume.cluster.set_data("stays", &[("b", "2")]);
    let files = tree! { "foreign" => "theirs", "b" => "2", "copy" => "2", "elsewhere" => "3", "restored" => "4", "link" => "5", "sub/deep2/deep" => "6" };
    wait_tree(&folder, &files);
}

#[test]
fn f22_a_new_ledger_takes_ours_back_and_nothing_else_on_tmpfs() {
    a_new_ledger_takes_ours_back_and_nothing_else(&Volume::tmpfs());
}

#[test]
fn f22_a_new_ledger_takes_ours_back_and_nothing_else_on_ext4() {
    a_new_ledger_takes_ours_back_and_nothing_else(&Volume::on(Mount::ext4()));
}

#[test]
fn f22_where_the_file_system_keeps_no_marks_one_warning_counts_what_we_do_not_know() {
    let volume = Volume::on(Mount::of("ramfs", "mode=755"));
    volume.cluster.configmap("stays", &[("a", "1"), ("b", "1")]).create();
    volume.cluster.configmap("doomed", &[("stale", "1"), ("gone", "1")]).create();
    let all = tree! { "a" => "1", "b" => "1", "stale" => "1", "gone" => "1" };
    // An empty FOLDER, and one of which everything is wanted, give no reason for a warning.
    let projector = volume.starts_well(&volume.projector(), &all);
    volume.replaced(projector);
    let projector = volume.starts_well(&volume.projector(), &all);
    volume.replaced(projector);
    volume.cluster.delete("configmaps", "doomed");
    let projector = started(&volume.projector());
    let output = projector.output();
    let warnings: Vec<_> = output.lines().filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\"")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains(UNKNOWN) && warnings[0].contains("\"files\":2"), "{output}");
    assert_tree(&volume.folder(), &all);
    // With that ledger there is nothing new to say.
    let mut projector = projector;
    projector.kill9();
    volume.starts_well(&volume.projector(), &all);
}

#[test]
fn f22_an_unprivileged_uid_marks_files_of_mode_440_and_finds_them() {
    let (cluster, account, state) = (Cluster::in_process(), Account::new(), Mount::tmpfs("size=1m"));
    std::os::unix::fs::chown(state.path(), Some(NOBODY), Some(NOBODY)).expect("these tests need root");
    let ledger = state.path().join("ledger");
    let launch = account.launch(&cluster, "077", NOBODY).env("DEFAULT_FILE_MODE", "0440").env("FINALIZERS", "false");
    let launch = launch.env("LEDGER", &ledger.display().to_string());
    cluster.configmap("stays", &[("a", "1")]).create();
    cluster.configmap("doomed", &[("stale", "1")]).target("sub").create();
    let mut projector = started(&launch);
    let file = fs::metadata(account.folder().join("sub/stale")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid()), (0o440, NOBODY));
    assert!(mark(&account.folder().join("sub/stale")).is_some());
    projector.kill9();
    fs::remove_file(&ledger).unwrap();
    cluster.delete("configmaps", "doomed");
    let projector = started(&launch);
    assert_tree(&account.folder(), &tree! { "a" => "1" });
    assert_eq!(folders(&account.folder()), Vec::<String>::new());
    assert_eq!(count(&projector.output(), "\"WARN\""), 0, "{}", projector.output());
}

#[test]
fn f22_files_that_are_taken_over_are_marked_as_they_are() {
    let volume = Volume::tmpfs();
    volume.cluster.configmap("stays", &[("a", "1")]).create();
    volume.cluster.configmap("doomed", &[("stale", "1")]).create();
    // As a program left them that knows no marks, and whose ledger is gone.
    put(&volume.path("a"), "1");
    put(&volume.path("stale"), "1");
    for name in ["a", "stale"] {
        fs::set_permissions(volume.path(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let inodes = || ["a", "stale"].map(|name| inode(&volume.path(name)));
    let before = inodes();
    let projector = volume.starts_well(&volume.projector(), &tree! { "a" => "1", "stale" => "1" });
    assert_eq!(inodes(), before, "nothing was written");
    assert!(mark(&volume.path("a")).is_some() && mark(&volume.path("stale")).is_some());
    // A look at everything finds nothing to do.
    volume.replaced(projector);
    volume.cluster.delete("configmaps", "doomed");
    volume.starts_well(&volume.projector(), &tree! { "a" => "1" });
}

#[test]
fn f22_what_carries_our_mark_is_ours_whatever_adopt_says() {
    let volume = Volume::tmpfs();
    let builder = volume.projector().env("ADOPT", "never");
    volume.cluster.configmap("rules", &[("a", "1")]).create();
    let projector = volume.starts_well(&builder, &tree! { "a" => "1" });
    volume.replaced(projector);
    volume.cluster.set_data("rules", &[("a", "2")]);
    volume.starts_well(&builder, &tree! { "a" => "2" });
}

#[test]
fn f22_another_selections_mark_is_foreign_and_an_instance_marks_for_whatever_it_selects() {
    for (instance, expected) in [("", tree! { "a" => "1", "b" => "2" }), ("one", tree! { "b" => "2" })] {
        let volume = Volume::tmpfs();
        let builder = volume.projector().env("INSTANCE", instance);
        volume.cluster.configmap("first", &[("a", "1")]).create();
        volume.cluster.configmap("second", &[("b", "2")]).unlabelled().label("seek", "").create();
        let projector = volume.starts_well(&builder, &tree! { "a" => "1" });
        volume.replaced(projector);
        volume.starts_well(&builder.env("LABEL", "seek"), &expected);
    }
}

#[test]
fn f22_files_that_outlive_their_object_outlive_the_ledger_too() {
    let volume = Volume::tmpfs();
    let object = format!("configmap/{}/kept", volume.cluster.namespace());
    let builder = volume.projector().without("LABEL").env("OBJECT", &object);
    volume.cluster.configmap("kept", &[("a", "1")]).create();
    let projector = volume.starts_well(&builder, &tree! { "a" => "1" });
    volume.replaced(projector);
    volume.cluster.delete("configmaps", "kept");
    let projector = started(&builder);
    assert_tree(&volume.folder(), &tree! { "a" => "1" });
    assert!(projector.output().contains("carry our mark"), "{}", projector.output());
}

#[test]
fn f22_a_plan_knows_what_carries_our_mark_and_changes_nothing() {
    let volume = Volume::tmpfs();
    volume.cluster.configmap("doomed", &[("stale", "1")]).create();
    let projector = volume.starts_well(&volume.projector(), &tree! { "stale" => "1" });
    volume.replaced(projector);
    volume.cluster.delete("configmaps", "doomed");
    let finished = volume.projector().args(&["plan", "--output", "json"]).run();
    let plan: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((plan["steps"][0]["action"].as_str(), plan["steps"].as_array().unwrap().len()), (Some("remove"), 1), "{plan}");
    assert!(!volume.ledger().exists() && volume.path("stale").exists());
}

#[test]
fn f22_two_mounts_of_one_file_system_are_two() {
    let mut volume = Volume::tmpfs();
    let (folder, state) = (volume.path("files"), volume.mount.beside("state"));
    for made in [&folder, &volume.path("state"), &state] {
        fs::create_dir(made).unwrap();
    }
    let from = volume.path("state");
    volume.mount.bind(&from, &state);
    volume.cluster.configmap("rules", &[("a", "1")]).create();
    let ledger = state.join("ledger").display().to_string();
    let mut projector = started(&Projector::on(&volume.cluster, &folder).env("LEDGER", &ledger).env("FINALIZERS", "false"));
    assert!(mark(&folder.join("a")).is_some());
    projector.kill9();
}

#[test]
fn f22_on_the_mount_of_the_ledger_nothing_is_marked() {
    let volume = Volume::tmpfs();
    fs::create_dir(volume.path("files")).unwrap();
    volume.cluster.configmap("rules", &[("a", "1")]).target("sub").create();
    for ledger in ["ledger".to_owned(), volume.path("beside").display().to_string()] {
        let folder = volume.path("files");
        let mut projector = started(&Projector::on(&volume.cluster, &folder).env("LEDGER", &ledger).env("FINALIZERS", "false"));
        assert_eq!((mark(&folder.join("sub/a")), mark(&folder.join("sub"))), (None, None), "{ledger}");
        projector.kill9();
        fs::remove_dir_all(folder.join("sub")).unwrap();
    }
}
