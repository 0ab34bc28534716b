//! `on-delete: keep`: files stay after their object, from when the ledger says so until somebody else wants their paths.

use serde_json::Value;

use super::{ON_DELETE, SKIP};
use crate::common::{OURS, Setup, started};
use crate::support::*;

/// Versions of ledgers in the folder.
fn versions(setup: &Setup) -> Vec<u64> {
    let version = |name: &String| {
        let text = std::fs::read_to_string(setup.path(name)).unwrap();
        let header: Value = serde_json::from_str(text.lines().next().unwrap().split_once(' ').unwrap().1).unwrap();
        header["version"].as_u64().unwrap()
    };
    ledgers(&setup.folder()).iter().map(version).collect()
}

fn plan(setup: &Setup) -> (Option<i32>, String) {
    let finished = setup.projector().arg("plan").run();
    (finished.code, finished.stdout)
}

#[test]
fn kept_files_stay_when_their_object_is_deleted_whoever_runs() {
    for running in [true, false] {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).annotation(ON_DELETE, "keep").create();
        setup.cluster.secret("gone", &[("gone", "1")]).create();
        let mut projector = setup.start();
        setup.caught_up();
        assert_eq!(setup.cluster.finalizers_of("configmaps", "a"), Vec::<String>::new(), "there is nothing to wait for");
        if !running {
            projector.kill9();
        }
        setup.cluster.delete("configmaps", "a");
        setup.cluster.delete("secrets", "gone");
        if !running {
            projector = setup.start();
        }
        setup.cluster.wait_gone("configmaps", "a");
        setup.cluster.wait_gone("secrets", "gone");
        let files = tree! { "a" => "1", "b" => "1" };
        setup.settles_at(&files);
        let (code, shown) = plan(&setup);
        assert_eq!((code, shown.contains("/files/a")), (Some(0), false), "{shown}");
        // And once more, by what the ledger says alone.
        projector.terminate();
        let _projector = setup.start();
        setup.settles_at(&files);
    }
}

#[test]
fn kept_files_stay_when_their_object_loses_the_label_or_is_skipped() {
    for edit in [("label", None), (SKIP, Some("true"))] {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("a", "1")]).annotation(ON_DELETE, "keep").finalizer(OURS).create();
        let mut projector = setup.start();
        setup.has_finalizers("configmaps", "a", &[]);
        match edit {
            (SKIP, value) => drop(setup.cluster.annotate("configmaps", "a", &[(SKIP, value)])),
            _ => drop(setup.cluster.relabel("configmaps", "a", &[("find", None)])),
        }
        setup.settles_at(&tree! { "a" => "1" });
        projector.terminate();
        let _projector = setup.start();
        setup.settles_at(&tree! { "a" => "1" });
        if edit.0 == SKIP {
            // It is still seen, and says now that nothing is to stay.
            setup.cluster.annotate("configmaps", "a", &[(ON_DELETE, None)]);
            setup.holds(&tree! {});
        }
    }
}

#[test]
fn kept_files_of_an_object_with_a_finalizer_stay_and_the_object_goes() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.cluster.annotate("configmaps", "a", &[(ON_DELETE, Some("keep"))]);
    setup.has_finalizers("configmaps", "a", &[]);
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.settles_at(&tree! { "a" => "1" });
}

#[test]
fn kept_files_are_named_before_their_object_may_go() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    projector.kill9();
    // The finalizer holds it until somebody has read what it says.
    setup.cluster.annotate("configmaps", "a", &[(ON_DELETE, Some("keep"))]);
    setup.cluster.delete("configmaps", "a");
    let _projector = setup.start();
    setup.cluster.wait_gone("configmaps", "a");
    setup.settles_at(&tree! { "a" => "1" });
}

#[test]
fn kept_files_give_way_to_any_object_that_wants_their_path_and_are_its_own_then() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("same", "1"), ("other", "1"), ("folder", "1")]).annotation(ON_DELETE, "keep").create();
    setup.cluster.configmap("deep", &[("file", "1")]).target("deep").annotation(ON_DELETE, "keep").create();
    let projector = setup.start();
    setup.cluster.delete("configmaps", "a");
    setup.cluster.delete("configmaps", "deep");
    setup.settles_at(&tree! { "same" => "1", "other" => "1", "folder" => "1", "deep/file" => "1" });
    setup.cluster.secret("rival", &[("same", "1"), ("other", "2"), ("deep", "now a file")]).create();
    setup.cluster.secret("beneath", &[("file", "3")]).target("folder").create();
    setup.holds(&tree! { "same" => "1", "other" => "2", "folder/file" => "3", "deep" => "now a file" });
    setup.cluster.delete("secrets", "rival");
    setup.cluster.delete("secrets", "beneath");
    setup.cluster.wait_gone("secrets", "rival");
    setup.holds(&tree! {});
    assert!(!projector.output().contains("path conflict"), "{}", projector.output());
}

#[test]
fn kept_files_of_an_object_that_is_back_are_its_own_again() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).annotation(ON_DELETE, "keep").create();
    let _projector = setup.start();
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.settles_at(&tree! { "a" => "1", "b" => "1" });
    setup.cluster.configmap("a", &[("a", "2")]).create();
    setup.holds(&tree! { "a" => "2" });
    setup.cluster.delete("configmaps", "a");
    setup.holds(&tree! {});
}

#[test]
fn kept_files_no_more_are_gone_with_their_object() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).annotation(ON_DELETE, "keep").create();
    let mut projector = setup.start();
    // A dropped key is no end of the object.
    setup.cluster.set_data("a", &[("a", "1")]);
    setup.holds(&tree! { "a" => "1" });
    setup.cluster.annotate("configmaps", "a", &[(ON_DELETE, None)]);
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.caught_up();
    projector.kill9();
    setup.cluster.relabel("configmaps", "a", &[("find", None)]);
    let _projector = setup.start();
    assert_tree(&setup.folder(), &tree! {});
}

#[test]
fn kept_files_make_the_ledger_one_that_older_programs_leave_alone_and_only_they() {
    let setup = Setup::new();
    setup.cluster.configmap("plain", &[("plain", "1")]).create();
    let mut projector = setup.start();
    assert_eq!(versions(&setup), [1]);
    setup.cluster.configmap("a", &[("a", "1")]).annotation(ON_DELETE, "keep").create();
    setup.holds(&tree! { "plain" => "1", "a" => "1" });
    assert_eq!(versions(&setup), [u64::from(kube_projector::core::files::ledger::VERSION)]);
    setup.cluster.delete("configmaps", "a");
    setup.settles_at(&tree! { "plain" => "1", "a" => "1" });
    projector.terminate();
    // Without annotations nothing is kept, and an older program may go on.
    let mut projector = started(&setup.projector().env("OBJECT_ANNOTATIONS", "false"));
    assert_tree(&setup.folder(), &tree! { "plain" => "1" });
    assert_eq!(versions(&setup), [1]);
    assert_eq!(projector.terminate().code(), Some(0));
}
