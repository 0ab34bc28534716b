//! PROJECTOR_CHANGES: what became of each file, and for whom.

use super::{Bench, completed, healthy, text};
use crate::support::projector::Builder;
use crate::support::*;

/// Appends what became of each file to `runs`.
const RECORD: &str = "#!/bin/sh\ncat \"$PROJECTOR_CHANGES\" >> RUNS\n";

/// With a script that notes the changes.
fn noting(bench: &Bench) -> Builder {
    bench.script("changes", RECORD);
    bench.plain().env("SCRIPT", &text(&bench.setup.beside("changes")))
}

/// A line of this file, which is `NAME/KEY` of an object of this kind.
fn line(bench: &Bench, act: &str, kind: &str, name: &str, key: &str) -> String {
    [act, &text(&bench.setup.path(key)), kind, bench.setup.cluster.namespace(), name].join("\t")
}

/// Waits for exactly these lines since the last time, in any order.
fn told(bench: &Bench, mut expected: Vec<String>) {
    expected.sort();
    let (runs, seen) = (bench.setup.beside("runs"), bench.seen.get());
    wait_until(&format!("{expected:#?} and nothing else"), DEADLINE, || {
        let all = std::fs::read_to_string(&runs).unwrap_or_default();
        let mut found: Vec<String> = all.lines().skip(seen).map(str::to_owned).collect();
        found.sort();
        if found == expected { Ok(()) } else { Err(found) }
    });
    bench.seen.set(seen + expected.len());
}

#[test]
fn projector_changes_tells_what_became_of_each_file_and_for_whom() {
    let bench = Bench::new();
    let cluster = &bench.setup.cluster;
    cluster.configmap("a", &[("a", "1"), ("both", "1")]).create();
    cluster.secret("s", &[("s", "1")]).create();
    let _projector = healthy(&noting(&bench));
    let line = |act, kind, name, key| line(&bench, act, kind, name, key);
    let first = [("ConfigMap", "a", "a"), ("ConfigMap", "a", "both"), ("Secret", "s", "s")];
    told(&bench, first.map(|(kind, name, key)| line("written", kind, name, key)).to_vec());
    cluster.set_data("a", &[("both", "2"), ("new", "1")]);
    let edited = [("removed", "a"), ("written", "both"), ("written", "new")];
    told(&bench, edited.map(|(act, key)| line(act, "ConfigMap", "a", key)).to_vec());
    cluster.delete("secrets", "s");
    told(&bench, vec![line("removed", "Secret", "s", "s")]);
}

#[test]
fn what_an_instance_that_was_killed_owes_is_told_with_its_owner() {
    let bench = Bench::new();
    bench.setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).create();
    bench.script("hangs", "#!/bin/sh\n: > RUNS.begun\nwhile [ -e RUNS.begun ]; do sleep 0.02; done\n");
    let mut projector = healthy(&bench.plain().env("SCRIPT", &text(&bench.setup.beside("hangs"))));
    wait_for("the script", DEADLINE, || bench.setup.beside("runs.begun").exists());
    projector.kill9();
    // The script that was left behind ends.
    std::fs::remove_file(bench.setup.beside("runs.begun")).unwrap();
    completed(&noting(&bench).env("METHOD", "LIST"));
    told(&bench, ["a", "b"].map(|key| line(&bench, "written", "ConfigMap", "a", key)).to_vec());
}
