//! S8, S9 on real file systems that cannot do what others can, by FUSE: the stage `fuse` of `.ci/run` runs these where the machine has it.
//! The same is shown everywhere by a stand-in, in `engine::odd`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::mount::command;
use crate::support::{Cluster, DEADLINE, Projector, tree, wait_for, wait_tree};

/// A file system of one's own, behind FUSE.
struct Fuse {
    home: TempDir,
    /// The device that a file was made to be.
    device: Option<String>,
}

impl Fuse {
    fn new(mount: impl FnOnce(&Self)) -> Self {
        let fuse = Self { home: TempDir::new().unwrap(), device: None };
        fs::create_dir(fuse.path()).unwrap();
        mount(&fuse);
        fuse
    }

    /// Modes are not set, without a word or with EPERM; nothing renames without replacing, but there are hard links.
    fn bindfs(chmod: &str) -> Self {
        Self::new(|fuse| {
            let below = fuse.home.path().join("below");
            fs::create_dir(&below).unwrap();
            command(&["bindfs", chmod, &below.display().to_string(), &fuse.shown()]);
        })
    }

    /// No links, modes, files without a name and fractions of a second; case is ignored.
    fn exfat() -> Self {
        let mut fuse = Self::new(|_| {});
        let image = fuse.home.path().join("image").display().to_string();
        File::create(&image).unwrap().set_len(16 << 20).unwrap();
        command(&["mkfs.exfat", &image]);
        let device = Command::new("losetup").args(["--find", "--show", &image]).output().unwrap();
        assert!(device.status.success(), "losetup: {}", String::from_utf8_lossy(&device.stderr));
        let device = String::from_utf8(device.stdout).unwrap().trim().to_owned();
        fuse.device = Some(device.clone());
        command(&["mount.exfat-fuse", &device, &fuse.shown()]);
        fuse
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("mounted")
    }

    fn shown(&self) -> String {
        self.path().display().to_string()
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).output());
        if let Some(device) = &self.device {
            drop(Command::new("losetup").args(["--detach", device]).output());
        }
    }
}

fn written(projector: &Projector) -> usize {
    projector.output().matches("file written").count()
}

/// Files come, change and go; nothing is written without need, and what is odd is told once.
fn lives_on(folder: &Path, oddities: &[&str]) {
    let cluster = Cluster::in_process();
    cluster.configmap("rules", &[("a", "1"), ("b", "2")]).create();
    cluster.configmap("deep", &[("c", "3")]).target("sub").create();
    let mut projector = Projector::on(&cluster, folder).env("RESYNC", "1").start();
    projector.wait_ready();
    wait_tree(folder, &tree! { "a" => "1", "b" => "2", "sub/c" => "3" });
    cluster.set_data("rules", &[("a", "new"), ("d", "4")]);
    wait_tree(folder, &tree! { "a" => "new", "d" => "4", "sub/c" => "3" });
    assert_eq!(written(&projector), 5, "{}", projector.output());
    // A pass of RESYNC, seen by what it repairs: of the same length, in place.
    for round in 0..2 {
        fs::write(folder.join("d"), "9").unwrap();
        wait_tree(folder, &tree! { "a" => "new", "d" => "4", "sub/c" => "3" });
        wait_for("the line", DEADLINE, || written(&projector) == 6 + round);
    }
    for oddity in oddities {
        projector.wait_output(oddity);
    }
    assert_eq!(projector.output().matches("cannot keep every promise").count(), 1, "{}", projector.output());
    assert_eq!(projector.health().1["stuck"], serde_json::json!([]));
    assert_eq!(projector.terminate().code(), Some(0));
    // A new start finds all of it right, and removes what went meanwhile.
    cluster.delete("configmaps", "deep");
    let mut again = Projector::on(&cluster, folder).env("RESYNC", "1").start();
    again.wait_ready();
    wait_tree(folder, &tree! { "a" => "new", "d" => "4" });
    assert_eq!(written(&again), 0, "{}", again.output());
    assert_eq!(again.terminate().code(), Some(0));
}

#[test]
#[ignore = "needs FUSE: the stage fuse of .ci/run"]
fn s9_a_life_where_modes_are_ignored_or_refused() {
    for chmod in ["--chmod-ignore", "--chmod-deny"] {
        let fuse = Fuse::bindfs(chmod);
        lives_on(&fuse.path(), &["files have the modes that the mount gives them"]);
    }
}

#[test]
#[ignore = "needs FUSE: the stage fuse of .ci/run"]
fn s8_s9_a_life_on_exfat() {
    let fuse = Fuse::exfat();
    let oddities = [
        "files have the modes that the mount gives them",
        "times have whole seconds",
        "differ only in case",
        "a foreign file that appears",
    ];
    lives_on(&fuse.path(), &oddities);
}

#[test]
#[ignore = "needs FUSE: the stage fuse of .ci/run"]
fn s9_names_that_are_one_on_exfat_do_not_take_turns() {
    let fuse = Fuse::exfat();
    let cluster = Cluster::in_process();
    cluster.configmap("rules", &[("RULES", "upper"), ("rules", "lower"), ("z", "1")]).create();
    let mut projector = Projector::on(&cluster, &fuse.path()).env("RESYNC", "1").start();
    projector.wait_ready();
    projector.wait_output("the file system ignores case");
    projector.wait_output("not in sync yet");
    for round in 0..2 {
        fs::write(fuse.path().join("z"), "2").unwrap();
        wait_for("the repair", DEADLINE, || written(&projector) == 3 + round);
    }
    wait_tree(&fuse.path(), &tree! { "RULES" => "upper", "z" => "1" });
    assert!(!projector.output().contains("\"in sync\""), "{}", projector.output());
}

#[test]
#[ignore = "needs FUSE: the stage fuse of .ci/run"]
fn s8_adopt_never_ends_with_2_on_exfat() {
    let fuse = Fuse::exfat();
    let cluster = Cluster::in_process();
    cluster.configmap("rules", &[("a", "1")]).create();
    for adopt in ["never", "equal"] {
        let finished = Projector::on(&cluster, &fuse.path()).env("ADOPT", adopt).run();
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains("use ADOPT=overwrite"), "{}", finished.stderr);
    }
}
