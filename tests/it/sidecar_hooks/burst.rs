//! A burst of changes: one run for each in compatible mode, one run with a window.

use serde_json::json;

use super::{Bench, healthy};
use crate::common::Setup;
use crate::support::*;

const OBJECTS: usize = 1000;

/// Cheap: what is counted is its runs.
const COUNT: &str = "#!/bin/sh\necho x >> RUNS\n";

/// As above, with the number of changed files.
const SIZES: &str = "#!/bin/sh\nwc -l < \"$PROJECTOR_CHANGED\" >> RUNS\n";

/// Creates a thousand objects as fast as the server takes them; the files that must come of them.
fn burst(setup: &Setup) -> Tree {
    let mut files = Tree::new();
    for number in 0..OBJECTS {
        let (name, key, value) = (format!("burst-{number}"), format!("{number}.json"), format!("{{\"n\": {number}}}"));
        match setup.cluster.is_real() {
            true => drop(setup.cluster.configmap(&name, &[(&key, &value)]).create()),
            false => drop(setup.cluster.server().create(&json!({
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": setup.cluster.namespace(), "labels": {"find": "me"}},
                "data": {&key: &value},
            }))),
        }
        files.insert(key, value.into_bytes());
    }
    files
}

fn lines(setup: &Setup) -> Vec<String> {
    let text = std::fs::read_to_string(setup.beside("runs")).unwrap_or_default();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn acceptance_4_a_thousand_changes_are_a_thousand_runs_in_compatible_mode() {
    let bench = Bench::new();
    let script = bench.script("count", COUNT);
    let _projector = healthy(&bench.plain().env("SCRIPT", &super::text(&script)));
    let files = burst(&bench.setup);
    wait_tree_within(&bench.setup.folder(), &files, DEADLINE * 3);
    wait_until(
        "a thousand runs",
        DEADLINE * 3,
        || if lines(&bench.setup).len() >= OBJECTS { Ok(()) } else { Err(lines(&bench.setup).len()) },
    );
    // One more change has one more run, and nothing was behind it.
    bench.setup.cluster.configmap("last", &[("last", "")]).create();
    wait_for("the last run", DEADLINE, || lines(&bench.setup).len() > OBJECTS);
    assert_eq!(lines(&bench.setup).len(), OBJECTS + 1);
}

#[test]
fn acceptance_4_a_thousand_changes_are_one_run_with_a_window() {
    let bench = Bench::new();
    let script = bench.script("sizes", SIZES);
    let _projector = healthy(&bench.plain().env("SCRIPT", &super::text(&script)).env("REACT_WINDOW", "5"));
    let files = burst(&bench.setup);
    wait_tree_within(&bench.setup.folder(), &files, DEADLINE * 3);
    wait_for("a run", DEADLINE * 3, || !lines(&bench.setup).is_empty());
    assert_tree(&bench.setup.folder(), &files);
    bench.setup.cluster.configmap("last", &[("last", "")]).create();
    wait_for("the last run", DEADLINE, || lines(&bench.setup).len() > 1);
    assert_eq!(lines(&bench.setup), [OBJECTS.to_string(), "1".to_owned()]);
}
