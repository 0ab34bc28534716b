//! Where SOURCE may lie, and what it may be.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::{put, started};
use crate::rows::Mount;
use crate::support::projector::Builder;
use crate::support::*;

use super::{Manifests, map};

/// Fails with 2 and both names, and leaves the manifest alone.
fn check_refused(launch: &Builder, other: &str, manifest: &Path) {
    let before = fs::read_to_string(manifest).unwrap();
    for arguments in [&[][..], &["--once"], &["plan"]] {
        let ended = launch.clone().args(arguments).run();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("SOURCE=") && ended.stderr.contains(&format!("{other}=")), "{ended:?}");
    }
    let checked = launch.clone().arg("check").run();
    assert!(checked.code == Some(1) && checked.stdout.contains(&format!("{other}=")), "{checked:?}");
    assert_eq!(fs::read_to_string(manifest).unwrap(), before, "the manifest is as it was");
}

#[test]
fn m1_manifests_that_lie_where_files_are_written_are_refused() {
    // The key is the manifest's own name: its file would take the manifest's place.
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a.yaml", "1"))]);
    let (source, manifest) = (manifests.source(), manifests.source().join("a.yaml"));
    let text = |path: &Path| path.display().to_string();
    symlink("source", manifests.home.path().join("link")).unwrap();
    for folder in [source.clone(), source.join("out"), manifests.home.path().to_path_buf(), manifests.home.path().join("link/out")] {
        check_refused(&manifests.projector().folder(&folder), "FOLDER", &manifest);
    }
    check_refused(&manifests.projector().env("SOURCE", &text(&manifest)).folder(&source), "FOLDER", &manifest);
    check_refused(&manifests.projector().env("ALLOWED_FOLDERS", &text(&source)), "ALLOWED_FOLDERS", &manifest);
    check_refused(&manifests.projector().env("LEDGER", &text(&manifest)), "LEDGER", &manifest);
    check_refused(&manifests.projector().env("STAGING", &text(&source.join("staging"))), "STAGING", &manifest);
}

#[test]
fn m1_a_mount_that_shows_folder_is_refused() {
    let manifests = Manifests::new(&[("sub/a.yaml", &map("a", "a.yaml", "1"))]);
    let (mut mount, shown) = (Mount::tmpfs("size=1m"), manifests.home.path().join("shown"));
    fs::create_dir(&shown).unwrap();
    // FOLDER is a part of SOURCE that is seen elsewhere, and the other way round.
    mount.bind(&manifests.source().join("sub"), &shown);
    let manifest = manifests.source().join("sub/a.yaml");
    check_refused(&manifests.projector().folder(&shown), "FOLDER", &manifest);
    check_refused(&manifests.projector().folder(&shown.join("out")), "FOLDER", &manifest);
    let turned = manifests.projector().env("SOURCE", &shown.display().to_string());
    check_refused(&turned.folder(&manifests.source()), "FOLDER", &manifest);
}

#[test]
fn m1_a_link_that_is_pointed_to_folder_later_ends_with_2() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "1"))]);
    let link = manifests.home.path().join("link");
    symlink("source", &link).unwrap();
    let mut projector = started(&manifests.projector().env("SOURCE", &link.display().to_string()));
    put(&manifests.folder().join("b.yaml"), map("b", "b.yaml", "destroyed"));
    fs::remove_file(&link).unwrap();
    symlink("files", &link).unwrap();
    assert_eq!(projector.wait_exit(DEADLINE).code(), Some(2));
    assert!(projector.output().contains("SOURCE=") && projector.output().contains("FOLDER="), "{}", projector.output());
    assert_tree(&manifests.folder(), &tree! { "a" => "1", "b.yaml" => map("b", "b.yaml", "destroyed").as_bytes() });
}

#[test]
fn m1_an_object_may_not_name_the_manifests_for_its_files() {
    let manifests = Manifests::new(&[("b.yaml", &map("b", "b", "1"))]);
    let text = map("a", "a.yaml", "destroyed");
    let annotated =
        text.replace("\ndata:", &format!("\n  annotations: {{k8s-sidecar-target-directory: {}}}\ndata:", manifests.source().display()));
    manifests.put("a.yaml", &annotated);
    let projector = started(&manifests.projector().env("ALLOWED_FOLDERS", "/"));
    projector.wait_output("expected a folder apart from SOURCE");
    assert_tree(&manifests.folder(), &tree! { "b" => "1" });
    assert_eq!(fs::read_to_string(manifests.source().join("a.yaml")).unwrap(), annotated);
}

#[test]
fn m2_once_without_a_source_ends_with_1_and_a_file_is_a_source() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "1"))]);
    let at = |name: &str| manifests.projector().env("SOURCE", &manifests.source().join(name).display().to_string());
    for arguments in [&["--once"][..], &["plan"]] {
        let ended = at("missing").args(arguments).run();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(format!("{}{}", ended.stderr, ended.stdout).contains("source/missing"), "{ended:?}");
    }
    assert_eq!((at("a.yaml").arg("--once").run().code, tree(&manifests.folder())), (Some(0), tree! { "a" => "1" }));
    let checked = at("a.yaml").arg("check").run();
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn m2_a_source_that_is_missing_is_waited_for_and_told_of_once() {
    let manifests = Manifests::new(&[]);
    let later = manifests.source().join("later");
    let projector = manifests.projector().env("SOURCE", &later.display().to_string()).start();
    projector.wait_output("cannot be read");
    put(&later.join("a.yaml"), map("a", "a", "1"));
    manifests.holds(&tree! { "a" => "1" });
    assert_eq!(projector.output().matches("cannot be read").count(), 1, "{}", projector.output());
}
