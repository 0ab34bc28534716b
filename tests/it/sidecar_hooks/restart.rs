//! What was committed and not told when the container ended is told at the next start, and only then.

use super::{Bench, healthy, text};
use crate::support::*;

/// Hangs for as long as the test leaves it alone, and records nothing.
const HANGS: &str = "#!/bin/sh\n: > RUNS.begun\nwhile [ -e RUNS.begun ]; do sleep 0.02; done\n";

#[test]
fn fix_1_7_a_container_that_is_killed_between_commit_and_delivery_tells_at_its_next_start_and_not_again() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let script = bench.script("hangs", HANGS);
    let hooked = bench.hooked().env("SCRIPT", &text(&script));
    let mut projector = healthy(&hooked);
    wait_for("the script", DEADLINE, || bench.setup.beside("runs.begun").exists());
    bench.setup.cluster.configmap("b", &[("b", "1")]).create();
    bench.setup.holds(&tree! { "a" => "1", "b" => "1" });
    projector.kill9();
    // The script that was left behind ends.
    std::fs::remove_file(bench.setup.beside("runs.begun")).unwrap();
    let mut projector = healthy(&bench.hooked());
    bench.ran(&[&["a", "b"]]);
    bench.ran_only(&[]);
    bench.asked(2);
    assert_eq!(projector.terminate().code(), Some(0));
    let _projector = healthy(&bench.hooked());
    bench.ran_only(&[]);
    bench.asked(3);
}

#[test]
fn fix_1_7_a_container_that_is_killed_while_the_application_is_unwell_tells_at_its_next_start() {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::hang());
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = healthy(&bench.hooked());
    bench.web.wait_for("/reload", 1);
    projector.kill9();
    bench.web.on("/reload", Answer::ok(""));
    bench.ran(&[&["a"]]);
    // REQ_SKIP_INIT is about the initial pass: this is not its change.
    let _projector = healthy(&bench.hooked().env("REQ_SKIP_INIT", "true"));
    bench.ran(&[&["a"]]);
    bench.asked(2);
    bench.ran_only(&[]);
    bench.asked(3);
}

#[test]
fn fix_1_7_a_stop_while_a_script_hangs_is_quick_and_leaves_the_rest_to_the_next_start() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let script = bench.script("hangs", HANGS);
    let mut projector = healthy(&bench.hooked().env("SCRIPT", &text(&script)));
    wait_for("the script", DEADLINE, || bench.setup.beside("runs.begun").exists());
    assert_eq!(projector.terminate().code(), Some(0));
    let _projector = healthy(&bench.hooked());
    bench.ran(&[&["a"]]);
    bench.ran_only(&[]);
    bench.asked(2);
}

#[test]
fn fix_1_6g_files_of_objects_that_went_while_nobody_watched_are_told_with_the_initial_pass() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    bench.setup.cluster.configmap("b", &[("b", "1")]).create();
    let mut projector = healthy(&bench.hooked());
    bench.ran(&[&["a", "b"]]);
    bench.asked(1);
    projector.kill9();
    bench.setup.cluster.delete("configmaps", "a");
    bench.setup.cluster.set_data("b", &[("b", "2")]);
    let _projector = healthy(&bench.hooked());
    bench.setup.holds(&tree! { "b" => "2" });
    let all = || bench.all_runs().split_off(1).into_iter().flatten().collect::<std::collections::BTreeSet<_>>();
    wait_until("runs for both", DEADLINE, || if all().len() == 2 { Ok(()) } else { Err(bench.all_runs()) });
    assert!(bench.all_runs().len() <= 3, "{:?}", bench.all_runs());
}
