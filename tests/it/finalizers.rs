//! The finalizer: after the file, gone before the object, never anybody else's.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::common::{OURS, Setup, count, started};
use crate::support::*;

const FOREIGN: &str = "example.com/theirs";

#[test]
fn file_is_written_first_and_the_finalizer_added_after() {
    let setup = Setup::in_process();
    let held = setup.cluster.server().fault(Matcher::patch("configmaps"), Times::Always, Fault::Delay(Duration::from_secs(60)));
    let _projector = setup.start();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    wait_for("the patch to be asked for", DEADLINE, || setup.cluster.server().hits(held) == 1);
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
}

#[test]
fn object_whose_file_cannot_be_written_gets_no_finalizer() {
    let setup = Setup::new();
    std::fs::create_dir(setup.path("a")).unwrap();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.configmap("b", &[("b", "1")]).create();
    let _projector = setup.start();
    setup.has_finalizers("configmaps", "b", &[OURS]);
    setup.caught_up();
    setup.has_finalizers("configmaps", "marker-0", &[OURS]);
    assert_eq!(setup.cluster.finalizers_of("configmaps", "a"), Vec::<String>::new());
}

#[test]
fn delete_returns_and_the_file_is_gone_before_the_object() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let _projector = setup.start();
    for (plural, name) in [("configmaps", "a"), ("secrets", "b")] {
        setup.has_finalizers(plural, name, &[OURS]);
        setup.cluster.delete(plural, name);
        setup.cluster.wait_gone(plural, name);
        assert!(!setup.path(name).exists());
    }
}

#[test]
fn object_that_has_no_files_any_more_can_be_deleted() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.cluster.set_data("a", &[]);
    setup.holds(&tree! {});
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
}

#[test]
fn object_deleted_while_nobody_ran_is_released_at_the_next_start() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    projector.kill9();
    setup.cluster.delete("configmaps", "a");
    let _projector = setup.start();
    setup.cluster.wait_gone("configmaps", "a");
    assert_tree(&setup.folder(), &tree! {});
}

#[test]
fn object_relabelled_while_nobody_ran_is_released_by_the_sweep() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).finalizer(FOREIGN).create();
    let mut projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.has_finalizers("secrets", "b", &[FOREIGN, OURS]);
    projector.kill9();
    setup.cluster.relabel("configmaps", "a", &[("find", None)]);
    setup.cluster.relabel("secrets", "b", &[("find", None)]);
    let _projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[]);
    setup.has_finalizers("secrets", "b", &[FOREIGN]);
    assert_tree(&setup.folder(), &tree! {});
}

#[test]
fn object_relabelled_while_running_is_released() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.cluster.relabel("configmaps", "a", &[("find", None)]);
    setup.has_finalizers("configmaps", "a", &[]);
    assert_tree(&setup.folder(), &tree! {});
}

#[test]
fn foreign_finalizer_stays_where_it_is() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).finalizer(FOREIGN).finalizer("example.com/second").create();
    let _projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[FOREIGN, "example.com/second", OURS]);
    setup.cluster.delete("configmaps", "a");
    setup.has_finalizers("configmaps", "a", &[FOREIGN, "example.com/second"]);
    setup.holds(&tree! {});
}

/// Ends a thread also when the test that waits for it has failed.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn foreign_finalizers_survive_an_actor_that_edits_all_the_time() {
    let setup = Setup::new();
    let names: Vec<String> = (0..10).map(|number| format!("a{number}")).collect();
    let _projector = setup.start();
    let (stop, edits) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for name in &names {
            setup.cluster.configmap(name, &[(name, "1")]).finalizer(FOREIGN).create();
        }
        scope.spawn(|| {
            // Puts a finalizer in front of the list and takes it away again, so that every index is wrong half of the time.
            while !stop.load(Ordering::SeqCst) {
                let add = json!([{"op": "add", "path": "/metadata/finalizers/0", "value": "example.com/front"}]);
                let test = json!({"op": "test", "path": "/metadata/finalizers/0", "value": "example.com/front"});
                let remove = json!([test, {"op": "remove", "path": "/metadata/finalizers/0"}]);
                for (name, patch) in names.iter().map(|name| (name, &add)).chain(names.iter().map(|name| (name, &remove))) {
                    setup.cluster.json_patch("configmaps", name, patch);
                    edits.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let _ends = StopAtEnd(&stop);
        wait_for("finalizers among all the edits", DEADLINE, || {
            names.iter().all(|name| setup.cluster.finalizers_of("configmaps", name).contains(&OURS.to_owned()))
        });
        // However fast the server and we are.
        wait_for("every object to be edited", DEADLINE, || edits.load(Ordering::SeqCst) >= 2 * names.len());
        for name in &names {
            setup.cluster.relabel("configmaps", name, &[("find", None)]);
        }
        wait_for("releases among all the edits", DEADLINE, || {
            names.iter().all(|name| !setup.cluster.finalizers_of("configmaps", name).contains(&OURS.to_owned()))
        });
    });
    for name in &names {
        assert_eq!(setup.cluster.finalizers_of("configmaps", name), [FOREIGN]);
    }
}

#[test]
fn finalizer_put_in_front_while_our_patch_is_under_way_survives() {
    let setup = Setup::in_process();
    let server = setup.cluster.server();
    let front = json!([{"op": "add", "path": "/metadata/finalizers/0", "value": "example.com/front"}]);
    setup.cluster.configmap("a", &[("a", "1")]).finalizer(FOREIGN).create();
    let _projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[FOREIGN, OURS]);
    let slow = server.fault(Matcher::patch("configmaps"), Times::Once, Fault::Delay(Duration::from_millis(300)));
    setup.cluster.relabel("configmaps", "a", &[("find", None)]);
    wait_for("our patch to be under way", DEADLINE, || server.hits(slow) == 1);
    setup.cluster.json_patch("configmaps", "a", &front).ok("a finalizer in front");
    setup.has_finalizers("configmaps", "a", &["example.com/front", FOREIGN]);
}

#[test]
fn former_names_are_replaced() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).finalizer("old.example.com/x").finalizer(FOREIGN).create();
    setup.cluster.secret("b", &[("b", "1")]).finalizer("old.example.com/y").unlabelled().create();
    let _projector = started(&setup.projector().env("FINALIZER_FORMER", "old.example.com/x, old.example.com/y"));
    setup.has_finalizers("configmaps", "a", &[FOREIGN, OURS]);
    setup.has_finalizers("secrets", "b", &[]);
}

#[test]
fn two_replicas_share_the_name_and_both_clean_up() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _first = setup.start();
    let _second = started(&setup.projector().folder(&setup.beside("second")));
    assert_tree(&setup.beside("second"), &tree! { "a" => "1" });
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.holds(&tree! {});
    wait_tree(&setup.beside("second"), &tree! {});
}

#[test]
fn winner_by_equal_bytes_is_guarded_when_it_inherits_the_file() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("key", "same")]).create();
    let _projector = setup.start();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.cluster.secret("b", &[("key", "same")]).create();
    setup.caught_up();
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.has_finalizers("secrets", "b", &[OURS]);
}

#[test]
fn without_finalizers_none_is_added() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = started(&setup.projector().env("FINALIZERS", "false"));
    setup.caught_up();
    projector.terminate();
    assert_eq!(setup.cluster.server().counts().patches, 0);
}

#[test]
fn two_refused_patches_are_one_warning_and_the_files_work() {
    let setup = Setup::new();
    let account = setup.cluster.restricted(&[("", "configmaps", &["get", "list", "watch"]), ("", "secrets", &["get", "list", "watch"])]);
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let projector = started(&setup.projector().kubeconfig(&account.kubeconfig));
    projector.wait_output("may not set finalizers");
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.settles_at(&tree! { "a" => "2", "b" => "1" });
    setup.cluster.delete("configmaps", "a");
    setup.holds(&tree! { "b" => "1" });
    assert_eq!(count(&projector.output(), "may not set finalizers"), 1, "{}", projector.output());
    assert!(projector.output().contains("\"verb\":\"patch\""), "the missing verb is named");
}

/// Objects with finalizers of ours, of another deployment, and of somebody else.
fn guarded(setup: &Setup) {
    setup.cluster.configmap("a", &[("a", "1")]).finalizer(FOREIGN).finalizer(OURS).create();
    setup.cluster.secret("b", &[("b", "1")]).unlabelled().finalizer(OURS).create();
    setup.cluster.configmap("c", &[("c", "1")]).finalizer("kube-projector.dev/other").create();
}

fn finalizers(setup: &Setup) -> [Vec<String>; 3] {
    [("configmaps", "a"), ("secrets", "b"), ("configmaps", "c")].map(|(plural, name)| setup.cluster.finalizers_of(plural, name))
}

fn released(arguments: &[&str], expected: [&[&str]; 3]) {
    let setup = Setup::new();
    guarded(&setup);
    let finished = setup.projector().without("LABEL").without("FOLDER").arg("release").args(arguments).run();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finalizers(&setup), expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()));
    assert!(setup.folder().read_dir().unwrap().next().is_none(), "release writes no file");
}

#[test]
fn release_leaves_none_of_ours_and_keeps_all_others() {
    released(&[], [&[FOREIGN], &[], &["kube-projector.dev/other"]]);
}

#[test]
fn release_all_takes_every_name_of_our_domain() {
    released(&["--all", "--yes"], [&[FOREIGN], &[], &[]]);
}

#[test]
fn release_all_takes_a_name_of_another_domain_that_is_ours() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).finalizer("example.org/ours").finalizer(FOREIGN).create();
    let finished = setup.projector().env("FINALIZER_NAME", "example.org/ours").args(&["release", "--all", "--yes"]).run();
    assert_eq!((finished.code, setup.cluster.finalizers_of("configmaps", "a")), (Some(0), vec![FOREIGN.to_owned()]), "{}", finished.stdout);
}

#[test]
fn dry_run_names_the_objects_and_changes_nothing() {
    let setup = Setup::new();
    guarded(&setup);
    let before = finalizers(&setup);
    let finished = setup.projector().args(&["release", "--dry-run"]).run();
    assert_eq!((finished.code, finalizers(&setup)), (Some(0), before));
    for name in ["ConfigMap", "Secret"] {
        assert!(finished.stdout.contains(&format!("would be released  {name}/")), "{}", finished.stdout);
    }
}
