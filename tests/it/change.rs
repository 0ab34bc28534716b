//! Whatever changes, exactly the wanted files remain; folders of ours go when they are empty; foreign files stay.

use serde_json::{Value, json};

use crate::common::{OURS, Setup, started};
use crate::support::projector::Builder;
use crate::support::*;

const FOLDER: &str = "k8s-sidecar-target-directory";

#[test]
fn dropped_key_takes_its_file_along() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("x", "1"), ("y", "1")]).create();
    setup.cluster.secret("b", &[("z", "1"), ("w", "1")]).create();
    let _projector = setup.start();
    setup.cluster.set_data("a", &[("x", "1")]);
    setup.cluster.set_secret("b", &[("z", "2")]);
    setup.holds(&tree! { "x" => "1", "z" => "2" });
}

#[test]
fn renamed_key_moves_its_file() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("before", "1")]).create();
    let _projector = setup.start();
    setup.cluster.set_data("a", &[("after", "1")]);
    setup.holds(&tree! { "after" => "1" });
}

#[test]
fn changed_annotation_moves_files_and_removes_only_our_folders() {
    let setup = Setup::new();
    std::fs::create_dir(setup.path("theirs")).unwrap();
    setup.cluster.configmap("a", &[("a", "1")]).target("ours/deep").create();
    setup.cluster.configmap("b", &[("b", "1")]).target("theirs").create();
    setup.cluster.configmap("c", &[("c", "1")]).target("mixed/deep").create();
    let _projector = setup.start();
    setup.foreign("mixed/note", "theirs");
    for name in ["a", "b", "c"] {
        setup.cluster.annotate("configmaps", name, &[(FOLDER, Some("new"))]);
    }
    setup.holds(&tree! { "new/a" => "1", "new/b" => "1", "new/c" => "1", "mixed/note" => "theirs" });
    setup.has_folders(&["mixed", "new", "theirs"]);
    for name in ["a", "b", "c"] {
        setup.cluster.annotate("configmaps", name, &[(FOLDER, None)]);
    }
    setup.holds(&tree! { "a" => "1", "b" => "1", "c" => "1", "mixed/note" => "theirs" });
    setup.has_folders(&["mixed", "theirs"]);
}

#[test]
fn respelled_annotation_keeps_the_file() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).target("sub").create();
    let _projector = setup.start();
    let before = inode(&setup.path("sub/a"));
    for spelling in ["./sub/", "sub//.", &setup.path("sub").display().to_string()] {
        setup.cluster.annotate("configmaps", "a", &[(FOLDER, Some(spelling))]);
        setup.settles_at(&tree! { "sub/a" => "1" });
        assert_eq!(inode(&setup.path("sub/a")), before, "{spelling}");
    }
}

#[test]
fn key_moved_between_data_and_binary_data_keeps_the_file() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).create();
    let _projector = setup.start();
    let before = inode(&setup.path("a"));
    setup.cluster.patch("configmaps", "a", &json!({"data": {"a": Value::Null}, "binaryData": {"a": "MQ=="}}));
    setup.settles_at(&tree! { "a" => "1", "b" => "1" });
    setup.cluster.patch("configmaps", "a", &json!({"data": {"a": "1"}, "binaryData": {"a": Value::Null}}));
    setup.settles_at(&tree! { "a" => "1", "b" => "1" });
    assert_eq!(inode(&setup.path("a")), before);
}

#[test]
fn change_of_metadata_alone_touches_no_file() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = setup.start();
    let before = inode(&setup.path("a"));
    setup.cluster.annotate("configmaps", "a", &[("note", Some("x"))]);
    setup.cluster.relabel("configmaps", "a", &[("find", Some("else"))]);
    setup.settles_at(&tree! { "a" => "1" });
    assert_eq!(inode(&setup.path("a")), before);
}

#[test]
fn removed_label_removes_the_files_and_a_new_one_brings_them_back() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let _projector = setup.start();
    setup.cluster.relabel("configmaps", "a", &[("find", None)]);
    setup.cluster.relabel("secrets", "b", &[("find", None)]);
    setup.holds(&tree! {});
    setup.cluster.relabel("configmaps", "a", &[("find", Some("me"))]);
    setup.holds(&tree! { "a" => "1" });
}

#[test]
fn deleted_object_takes_its_files_and_our_folders_along() {
    for finalizers in ["true", "false"] {
        let setup = Setup::new();
        setup.foreign("a.bak", "theirs");
        setup.cluster.configmap("a", &[("a", "1")]).target("x/y").create();
        setup.cluster.secret("b", &[("b", "1")]).create();
        let _projector = started(&setup.projector().env("FINALIZERS", finalizers));
        setup.cluster.delete("configmaps", "a");
        setup.cluster.delete("secrets", "b");
        setup.holds(&tree! { "a.bak" => "theirs" });
        wait_for("our folders to go", DEADLINE, || folders(&setup.folder()).is_empty());
    }
}

#[test]
fn recreated_object_replaces_the_files() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "old"), ("gone", "old")]).create();
    let mut projector = setup.start();
    for (round, down) in [("1", false), ("2", true)] {
        if down {
            projector.kill9();
            // Nobody releases it: the finalizer is taken off by hand.
            setup.cluster.patch("configmaps", "a", &json!({"metadata": {"finalizers": Value::Null}}));
        }
        setup.cluster.delete("configmaps", "a");
        setup.cluster.wait_gone("configmaps", "a");
        setup.cluster.configmap("a", &[("a", round), ("new", round)]).create();
        if down {
            projector = setup.start();
        }
        setup.holds(&tree! { "a" => round, "new" => round });
        // A patch under way would put it back behind the hand that takes it off.
        setup.has_finalizers("configmaps", "a", &[OURS]);
    }
    assert!(projector.is_running());
}

#[test]
fn what_changed_while_nobody_ran_is_caught_up() {
    let setup = Setup::new();
    for name in ["edited", "deleted", "relabelled", "moved", "same"] {
        setup.cluster.configmap(name, &[(name, "1")]).target(&format!("of-{name}")).create();
    }
    let off = setup.projector().env("FINALIZERS", "false");
    started(&off).kill9();
    let before = inode(&setup.path("of-same/same"));
    setup.foreign("of-deleted.bak", "theirs");
    setup.foreign("of-relabelled/theirs", "theirs");
    setup.cluster.set_data("edited", &[("edited", "2")]);
    setup.cluster.delete("configmaps", "deleted");
    setup.cluster.relabel("configmaps", "relabelled", &[("find", None)]);
    setup.cluster.annotate("configmaps", "moved", &[(FOLDER, None)]);
    let _projector = started(&off);
    let expected = tree! {
        "of-edited/edited" => "2", "moved" => "1", "of-same/same" => "1", "of-deleted.bak" => "theirs", "of-relabelled/theirs" => "theirs",
    };
    assert_tree(&setup.folder(), &expected);
    setup.has_folders(&["of-edited", "of-relabelled", "of-same"]);
    assert_eq!(inode(&setup.path("of-same/same")), before, "an equal file is not written again");
}

/// Runs with one setting, then with another; foreign files and folders stay in both.
fn rerun(
    prepare: impl Fn(&Setup),
    before: impl Fn(&Setup, Builder) -> Builder,
    after: impl Fn(&Setup, Builder) -> Builder,
) -> (Setup, Projector) {
    let setup = Setup::new();
    setup.foreign("foreign", "theirs");
    setup.foreign("folder/foreign", "theirs");
    std::fs::create_dir(setup.path("empty")).unwrap();
    prepare(&setup);
    let mut first = started(&before(&setup, setup.projector()));
    assert_eq!(first.terminate().code(), Some(0));
    let second = started(&after(&setup, setup.projector()));
    assert_eq!(folders(&setup.folder()).iter().filter(|name| name.starts_with("ours")).count(), 0);
    assert!(setup.path("empty").is_dir(), "a foreign folder stays");
    (setup, second)
}

/// A deployment that is known to be the same whatever it selects.
fn one(builder: Builder) -> Builder {
    builder.env("INSTANCE", "one")
}

#[test]
fn label_changed_between_runs_leaves_only_what_is_wanted_now() {
    let prepare = |setup: &Setup| {
        setup.cluster.configmap("a", &[("a", "1"), ("shared", "a")]).target("ours").create();
        setup.cluster.configmap("c", &[("c", "1")]).target("folder").create();
        setup.cluster.configmap("b", &[("b", "1")]).unlabelled().label("seek", "x").create();
    };
    let (setup, _projector) = rerun(prepare, |_, builder| one(builder), |_, builder| one(builder).env("LABEL", "seek"));
    assert_tree(&setup.folder(), &tree! { "b" => "1", "foreign" => "theirs", "folder/foreign" => "theirs" });
    assert_eq!(ledgers(&setup.folder()).len(), 1, "one INSTANCE has one ledger");
}

#[test]
fn namespace_changed_between_runs_leaves_only_what_is_wanted_now() {
    let prepare = |setup: &Setup| {
        let other = setup.cluster.create_namespace();
        std::fs::write(setup.beside("other"), &other).unwrap();
        setup.cluster.configmap("a", &[("a", "1")]).target("ours/deep").create();
        setup.cluster.configmap("b", &[("b", "1")]).in_namespace(&other).create();
    };
    let other = |setup: &Setup, builder: Builder| one(builder).env("NAMESPACE", &std::fs::read_to_string(setup.beside("other")).unwrap());
    let (setup, _projector) = rerun(prepare, |_, builder| one(builder), other);
    assert_tree(&setup.folder(), &tree! { "b" => "1", "foreign" => "theirs", "folder/foreign" => "theirs" });
}

#[test]
fn unique_filenames_changed_between_runs_renames_every_file() {
    let prepare = |setup: &Setup| {
        setup.cluster.configmap("a", &[("a", "1")]).create();
        setup.cluster.secret("b", &[("b", "1")]).target("folder").create();
    };
    let (setup, _projector) = rerun(prepare, |_, builder| builder.env("UNIQUE_FILENAMES", "true"), |_, builder| builder);
    assert_tree(&setup.folder(), &tree! { "a" => "1", "folder/b" => "1", "foreign" => "theirs", "folder/foreign" => "theirs" });
}

#[test]
fn resync_repairs_what_somebody_did_to_our_files() {
    let setup = Setup::new();
    for name in ["edited", "same-length", "deleted", "chmodded", "replaced", "untouched"] {
        setup.cluster.configmap(name, &[(name, "right")]).target("sub").create();
    }
    let _projector = started(&setup.projector().env("RESYNC", "1"));
    let expected = tree(&setup.folder());
    let (path, before) = (|name: &str| setup.path("sub").join(name), inode(&setup.path("sub/untouched")));
    std::fs::write(path("edited"), "something else").unwrap();
    std::fs::write(path("same-length"), "wrong").unwrap();
    std::fs::remove_file(path("deleted")).unwrap();
    std::fs::set_permissions(path("chmodded"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::remove_file(path("replaced")).unwrap();
    std::os::unix::fs::symlink("edited", path("replaced")).unwrap();
    setup.holds(&expected);
    wait_for("the mode to be set again", DEADLINE, || mode(&path("chmodded")) == 0o644);
    assert_eq!(inode(&path("untouched")), before);
}

#[test]
fn folder_that_could_not_be_made_is_not_ours_when_somebody_makes_it() {
    let setup = Setup::new();
    std::os::unix::fs::symlink("nowhere", setup.path("theirs")).unwrap();
    setup.cluster.configmap("a", &[("a", "1")]).target("theirs").create();
    let _projector = setup.start();
    std::fs::remove_file(setup.path("theirs")).unwrap();
    std::fs::create_dir(setup.path("theirs")).unwrap();
    setup.holds(&tree! { "theirs/a" => "1" });
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.caught_up();
    setup.has_folders(&["theirs"]);
}

#[test]
fn file_becomes_a_folder_of_its_own_name_and_a_file_again() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("x", "1")]).create();
    let _projector = setup.start();
    for _ in 0..2 {
        setup.cluster.annotate("configmaps", "a", &[(FOLDER, Some("x"))]);
        setup.holds(&tree! { "x/x" => "1" });
        setup.cluster.annotate("configmaps", "a", &[(FOLDER, None)]);
        setup.holds(&tree! { "x" => "1" });
    }
}

#[test]
fn objects_that_swap_their_keys_swap_their_files() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("x", "a")]).create();
    setup.cluster.configmap("b", &[("y", "b")]).create();
    let mut projector = setup.start();
    for down in [false, true] {
        if down {
            projector.kill9();
        }
        let (left, right) = if down { ("x", "y") } else { ("y", "x") };
        setup.cluster.set_data("a", &[(left, "a")]);
        setup.cluster.set_data("b", &[(right, "b")]);
        if down {
            projector = setup.start();
        }
        setup.holds(&tree! { left => "a", right => "b" });
        setup.settles_at(&tree! { left => "a", right => "b" });
    }
    assert!(projector.is_running());
}

#[test]
fn without_finalizers_a_terminating_object_keeps_its_files_until_it_is_gone() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).finalizer("example.com/theirs").create();
    let _projector = started(&setup.projector().env("FINALIZERS", "false"));
    setup.cluster.delete("configmaps", "a");
    setup.settles_at(&tree! { "a" => "1" });
    setup.cluster.patch("configmaps", "a", &json!({"metadata": {"finalizers": Value::Null}}));
    setup.holds(&tree! {});
}
