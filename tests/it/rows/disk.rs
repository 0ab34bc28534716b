//! F1, F4, F12, F13, F19: a disk that is full, read-only, meddled with, gone, and what a reader sees of it all.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use inotify::{EventMask, Inotify, WatchMask};
use rustix::process::Signal;

use super::mount::Mount;
use crate::support::{Cluster, DEADLINE, Projector, assert_tree, ledgers, mode, temps, tree, wait_for, wait_tree};

const NO_SPACE: &str = "No space left on device";
const READ_ONLY: &str = "Read-only file system";

fn text(length: usize, letter: &str) -> String {
    letter.repeat(length)
}

#[test]
fn f1_a_full_disk_keeps_the_old_files_and_space_alone_brings_the_new_ones() {
    let cluster = Cluster::in_process();
    let mount = Mount::tmpfs("size=256k");
    let (old, new) = (text(8_000, "o"), text(600_000, "n"));
    cluster.configmap("rules", &[("a", &old), ("b", "1")]).create();
    let mut projector = Projector::on(&cluster, &mount.path()).env("EVENT_LOGGING", "true").env("RESYNC", "0").start();
    projector.wait_ready();
    cluster.set_data("rules", &[("a", &new), ("b", "2"), ("c", "3")]);
    projector.wait_output(NO_SPACE);
    wait_for("the Event", DEADLINE, || cluster.reasons_for("rules").contains(&"WriteFailed".to_owned()));
    wait_tree(&mount.path(), &tree! { "a" => old.as_bytes(), "b" => "2", "c" => "3" });
    // Each further attempt has one for as long as it lasts.
    wait_for("no temporary file", DEADLINE, || temps(&mount.path()).is_empty());
    assert!(projector.is_running());
    assert_eq!(projector.health().0, 200);
    mount.remount("size=4m");
    wait_tree(&mount.path(), &tree! { "a" => new.as_bytes(), "b" => "2", "c" => "3" });
    projector.wait_output("file is right again");
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn f20_on_a_full_disk_a_renamed_key_takes_the_place_of_the_old_one_at_once() {
    let cluster = Cluster::in_process();
    let mount = Mount::tmpfs("size=256k");
    let large = text(150_000, "x");
    cluster.configmap("rules", &[("old", &large)]).create();
    let mut projector = Projector::on(&cluster, &mount.path()).env("RESYNC", "0").start();
    projector.wait_ready();
    cluster.set_data("rules", &[("new", &large)]);
    // Not by reading the folder: the old file takes its room for as long as we had it open.
    projector.wait_output("mounted/new\",\"bytes\"");
    wait_tree(&mount.path(), &tree! { "new" => large.as_bytes() });
    assert_eq!(temps(&mount.path()), Vec::<String>::new());
    assert!(!projector.output().contains(NO_SPACE), "it is no failure:\n{}", projector.output());
}

#[test]
fn f20_removing_makes_no_room_on_another_disk_so_that_the_old_file_stays() {
    let cluster = Cluster::in_process();
    let (mount, full) = (Mount::tmpfs("size=1m"), Mount::tmpfs("size=64k"));
    let elsewhere = full.path().display().to_string();
    let large = text(150_000, "x");
    cluster.configmap("rules", &[("a", &large)]).create();
    let mut projector = Projector::on(&cluster, &mount.path()).env("RESYNC", "0").env("ALLOWED_FOLDERS", &elsewhere).start();
    projector.wait_ready();
    cluster.annotate("configmaps", "rules", &[("k8s-sidecar-target-directory", Some(&elsewhere))]);
    projector.wait_output("old file stays");
    assert_tree(&mount.path(), &tree! { "a" => large.as_bytes() });
    full.remount("size=1m");
    wait_tree(&full.path(), &tree! { "a" => large.as_bytes() });
    wait_tree(&mount.path(), &tree! {});
}

/// FOLDER, STAGING and ledger on one mount.
fn staged(cluster: &Cluster, mount: &Mount) -> crate::support::projector::Builder {
    fs::create_dir_all(mount.path().join("state")).unwrap();
    let at = |name: &str| mount.path().join(name).display().to_string();
    Projector::on(cluster, &mount.path().join("rules")).env("LEDGER", &at("state/ledger")).env("STAGING", &at("staging"))
}

#[test]
fn f21_a_folder_is_told_of_wanted_names_alone_where_files_come_from_staging() {
    let cluster = Cluster::in_process();
    let mount = Mount::tmpfs("size=4m");
    let folder = mount.path().join("rules");
    fs::create_dir(&folder).unwrap();
    let mut inotify = Inotify::init().unwrap();
    inotify.watches().add(&folder, WatchMask::ALL_EVENTS).unwrap();
    cluster.configmap("rules", &[("a", "1"), ("b", "1")]).create();
    let mut projector = staged(&cluster, &mount).start();
    projector.wait_ready();
    cluster.set_data("rules", &[("a", "2"), ("c", "2")]);
    wait_tree(&folder, &tree! { "a" => "2", "c" => "2" });
    let mut buffer = [0; 16_384];
    let names: std::collections::BTreeSet<String> = inotify
        .read_events(&mut buffer)
        .unwrap()
        .filter(|event| !event.mask.contains(EventMask::ISDIR))
        .filter_map(|event| event.name.map(|name| name.to_string_lossy().into_owned()))
        .collect();
    assert_eq!(names, ["a", "b", "c"].map(str::to_owned).into());
    assert_eq!(fs::read_dir(mount.path().join("staging")).unwrap().count(), 0);
    assert!(!projector.output().contains("STAGING"), "{}", projector.output());
}

#[test]
fn f21_what_lies_on_another_mount_than_staging_is_made_beside_its_place() {
    let cluster = Cluster::in_process();
    let (mut mount, other) = (Mount::tmpfs("size=4m"), Mount::tmpfs("size=4m"));
    let below = mount.path().join("rules/sub");
    fs::create_dir_all(&below).unwrap();
    mount.bind(&other.path(), &below);
    cluster.configmap("here", &[("a", "1")]).create();
    cluster.configmap("there", &[("b", "1")]).target("sub").create();
    let mut projector = staged(&cluster, &mount).start();
    projector.wait_ready();
    assert_tree(&mount.path().join("rules"), &tree! { "a" => "1", "sub/b" => "1" });
    projector.wait_output("STAGING cannot be used");
    assert_eq!(projector.terminate().code(), Some(0));
    // The same file system, by another mount.
    let elsewhere = mount.beside("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    mount.bind(&mount.path(), &elsewhere);
    let mut projector = staged(&cluster, &mount).env("STAGING", &elsewhere.join("staging").display().to_string()).start();
    projector.wait_ready();
    cluster.set_data("here", &[("a", "2")]);
    wait_tree(&mount.path().join("rules"), &tree! { "a" => "2", "sub/b" => "1" });
    projector.wait_output(&format!("it lies on another mount than FOLDER={}", mount.path().join("rules").display()));
    drop(projector);
    mount.unbind();
}

#[test]
fn f21_staging_in_the_folder_is_refused_also_through_a_link() {
    let cluster = Cluster::in_process();
    let mount = Mount::tmpfs("size=1m");
    let folder = mount.path().join("rules");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&folder, mount.path().join("link")).unwrap();
    for staging in [folder.join("new"), folder.clone(), mount.path().join("link/new"), mount.path().join("link")] {
        let finished = staged(&cluster, &mount).env("STAGING", &staging.display().to_string()).run();
        assert_eq!(finished.code, Some(2), "{}: {}", staging.display(), finished.stderr);
        assert!(finished.stderr.contains("STAGING"), "{}", finished.stderr);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn f4_a_read_only_folder_at_start_is_waited_for() {
    let cluster = Cluster::in_process();
    let mount = Mount::tmpfs("ro");
    cluster.configmap("rules", &[("a", "1")]).create();
    let mut projector = Projector::on(&cluster, &mount.path()).start();
    projector.wait_output(READ_ONLY);
    wait_for("the health server", DEADLINE, || projector.ready().0 == 503);
    assert_eq!(projector.health().0, 200);
    assert!(projector.is_running());
    mount.remount("rw");
    projector.wait_ready();
    assert_tree(&mount.path(), &tree! { "a" => "1" });
}

#[test]
fn f4_a_folder_that_turns_read_only_degrades_and_recovers() {
    let cluster = Cluster::in_process();
    let mount = Mount::tmpfs("size=1m");
    fs::create_dir(mount.beside("state")).unwrap();
    let ledger = mount.beside("state").join(".kube-projector.test.ledger");
    cluster.configmap("rules", &[("a", "1"), ("gone", "1")]).create();
    // With its ledger elsewhere nothing is open for writing, so that the kernel lets us remount.
    let mut projector = Projector::on(&cluster, &mount.path()).env("LEDGER", &ledger.display().to_string()).env("RESYNC", "0").start();
    projector.wait_ready();
    mount.remount("ro");
    cluster.set_data("rules", &[("a", "2"), ("b", "2")]);
    projector.wait_output(READ_ONLY);
    assert_tree(&mount.path(), &tree! { "a" => "1", "gone" => "1" });
    assert_eq!((projector.health().0, projector.ready().0), (200, 200));
    mount.remount("rw");
    wait_tree(&mount.path(), &tree! { "a" => "2", "b" => "2" });
    assert_eq!(temps(&mount.path()), Vec::<String>::new());
}

#[test]
fn f12_files_that_a_consumer_edits_deletes_truncates_or_chmods_are_restored() {
    let cluster = Cluster::in_process();
    let folder = tempfile::tempdir().unwrap();
    let files = tree! { "deleted" => "1", "edited" => "22", "same-length" => "333", "truncated" => "4444", "opened" => "5" };
    let data: Vec<(&str, &str)> = files.iter().map(|(path, bytes)| (path.as_str(), std::str::from_utf8(bytes).unwrap())).collect();
    cluster.configmap("rules", &data).create();
    let mut projector = Projector::on(&cluster, folder.path()).env("RESYNC", "1").start();
    projector.wait_ready();
    let at = |name: &str| folder.path().join(name);
    fs::remove_file(at("deleted")).unwrap();
    fs::write(at("edited"), "something else").unwrap();
    fs::write(at("same-length"), "xxx").unwrap();
    fs::write(at("truncated"), "").unwrap();
    fs::set_permissions(at("opened"), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    wait_tree(folder.path(), &files);
    wait_for("the mode", DEADLINE, || mode(&at("opened")) == 0o644);
}

#[test]
fn f13_a_folder_that_is_removed_comes_back_with_the_next_resync() {
    let cluster = Cluster::in_process();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folder");
    cluster.configmap("rules", &[("a", "1")]).target("sub").create();
    let mut projector = Projector::on(&cluster, &folder).env("RESYNC", "1").start();
    projector.wait_ready();
    fs::remove_dir_all(&folder).unwrap();
    wait_tree(&folder, &tree! { "sub/a" => "1" });
    the_ledger_counts(&cluster, projector, &folder);
}

#[test]
fn f13_a_folder_that_is_removed_comes_back_with_the_next_change() {
    let cluster = Cluster::in_process();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folder");
    cluster.configmap("rules", &[("a", "1")]).target("sub").create();
    let mut projector = Projector::on(&cluster, &folder).env("RESYNC", "0").start();
    projector.wait_ready();
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    cluster.configmap("more", &[("b", "2")]).create();
    wait_tree(&folder, &tree! { "sub/a" => "1", "b" => "2" });
    cluster.delete("configmaps", "more");
    wait_tree(&folder, &tree! { "sub/a" => "1" });
    the_ledger_counts(&cluster, projector, &folder);
}

#[test]
fn f13_a_folder_that_is_unmounted_is_filled_where_it_was() {
    let cluster = Cluster::in_process();
    let mount = Mount::tmpfs("size=1m");
    cluster.configmap("rules", &[("a", "1")]).target("sub").create();
    let mut projector = Projector::on(&cluster, &mount.path()).env("RESYNC", "1").start();
    projector.wait_ready();
    mount.unmount();
    wait_tree(&mount.path(), &tree! { "sub/a" => "1" });
    mount.again("size=1m");
    assert_tree(&mount.path(), &tree! {});
    wait_tree(&mount.path(), &tree! { "sub/a" => "1" });
    the_ledger_counts(&cluster, projector, &mount.path());
}

/// The ledger followed the folder: what was made there is known to be ours at the next start.
fn the_ledger_counts(cluster: &Cluster, mut projector: Projector, folder: &Path) {
    assert_eq!(ledgers(folder).len(), 1);
    projector.kill9();
    cluster.annotate("configmaps", "rules", &[("k8s-sidecar-target-directory", None)]);
    let mut again = Projector::on(cluster, folder).start();
    again.wait_ready();
    assert_tree(folder, &tree! { "a" => "1" });
    assert_eq!(crate::support::folders(folder), Vec::<String>::new());
    again.signal(Signal::TERM);
}

#[test]
fn f19_a_reader_keeps_the_old_file_and_inotify_tells_each_change_once() {
    let cluster = Cluster::in_process();
    let folder = tempfile::tempdir().unwrap();
    cluster.configmap("rules", &[("a", "1")]).create();
    let mut projector = Projector::on(&cluster, folder.path()).start();
    projector.wait_ready();
    let mut held = fs::File::open(folder.path().join("a")).unwrap();
    let mut inotify = Inotify::init().unwrap();
    inotify.watches().add(folder.path(), WatchMask::ALL_EVENTS).unwrap();
    for value in ["22", "333"] {
        cluster.set_data("rules", &[("a", value)]);
        wait_tree(folder.path(), &tree! { "a" => value });
    }
    cluster.configmap("marker", &[("z", "")]).create();
    let mut seen: Vec<(String, EventMask)> = Vec::new();
    wait_for("the marker", DEADLINE, || {
        let mut buffer = [0; 4096];
        match inotify.read_events(&mut buffer) {
            Ok(events) => seen.extend(events.map(|event| (event.name.unwrap_or_default().to_string_lossy().into_owned(), event.mask))),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        seen.contains(&("z".to_owned(), EventMask::MOVED_TO))
    });
    let changes =
        EventMask::CREATE | EventMask::MOVED_TO | EventMask::MOVED_FROM | EventMask::MODIFY | EventMask::DELETE | EventMask::CLOSE_WRITE;
    let of_a: Vec<_> = seen.iter().filter(|(name, mask)| name == "a" && changes.intersects(*mask)).map(|(_, mask)| *mask).collect();
    assert_eq!(of_a, [EventMask::MOVED_TO, EventMask::MOVED_TO]);
    let mut text = String::new();
    held.read_to_string(&mut text).unwrap();
    assert_eq!(text, "1", "the reader's file is the one that it opened");
    assert!(!tree(folder.path()).is_empty());
}
