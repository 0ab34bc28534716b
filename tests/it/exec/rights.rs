//! What is said and done without rights, and that rbac/exec.yaml is enough.

use super::{Bench, RECORD};
use crate::common::{count, started};
use crate::support::*;

const FILES: [(&str, &str, &[&str]); 3] = [
    ("", "configmaps", &["get", "list", "watch"]),
    ("", "secrets", &["get", "list", "watch"]),
    ("events.k8s.io", "events", &["create", "patch"]),
];

fn with(more: &[(&'static str, &'static str, &'static [&'static str])]) -> Vec<(&'static str, &'static str, &'static [&'static str])> {
    FILES.iter().chain(more).copied().collect()
}

#[test]
fn without_create_on_pods_exec_that_is_said_all_else_goes_on_and_it_recovers() {
    let bench = Bench::new();
    bench.director("a").create();
    let few = with(&[("", "pods", &["list", "watch"]), ("", "pods/exec", &["get"])]);
    let account = bench.setup.cluster.restricted(&few);
    let projector = started(&bench.runs(RECORD).kubeconfig(&account.kubeconfig));
    bench.change("1");
    let namespace = bench.setup.cluster.namespace();
    let expected = format!("not permitted: create pods/exec in namespace {namespace} (see rbac/exec.yaml)");
    assert_eq!(bench.setup.event("a", "ReloadFailed")["note"], *expected);
    projector.wait_output(&expected);
    projector.wait_output("the command did not work in every pod, trying again later");
    bench.change("2");
    bench.setup.cluster.grant(&account, &with(&[("", "pods", &["list", "watch"]), ("", "pods/exec", &["get", "create"])]));
    bench.change("3");
    wait_for("the command to run", DEADLINE, || bench.log().contains(&"a".to_owned()));
    bench.setup.event("a", "ReloadSucceeded");
}

#[test]
fn without_list_on_pods_that_is_said() {
    let bench = Bench::new();
    let account = bench.setup.cluster.restricted(&with(&[("", "pods/exec", &["get", "create"])]));
    let projector = started(&bench.runs(RECORD).kubeconfig(&account.kubeconfig));
    bench.change("1");
    projector.wait_output(&format!("not permitted: list pods in namespace {} (see rbac/exec.yaml)", bench.setup.cluster.namespace()));
}

#[test]
fn the_shipped_rights_are_enough_and_none_is_too_many() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/rbac/exec.yaml")).unwrap();
    let role: serde_json::Value = serde_saphyr::from_str(text.split("\n---\n").next().unwrap()).unwrap();
    let words = |rule: &serde_json::Value, field: &str| -> Vec<String> { serde_json::from_value(rule[field].clone()).unwrap() };
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in words(rule, "resources") {
            rights.extend(words(rule, "verbs").into_iter().map(|verb| format!("{verb} {resource}")));
        }
    }
    // Those about Secrets and the watch are for WATCH_PODS_LABELS and WATCH_SECRET_TYPE.
    assert_eq!(rights, ["list pods", "watch pods", "list secrets", "watch secrets", "get pods/exec", "create pods/exec"]);
    let bench = Bench::new();
    bench.director("a").create();
    let account = bench.setup.cluster.restricted(&with(&[("", "pods", &["list", "watch"]), ("", "pods/exec", &["get", "create"])]));
    let projector = started(&bench.runs(RECORD).kubeconfig(&account.kubeconfig));
    bench.change("1");
    bench.ran(&["a"]);
    assert_eq!(count(&projector.output(), "not permitted"), 0);
}

#[test]
fn check_names_what_is_missing() {
    let bench = Bench::new();
    let account = bench.setup.cluster.restricted(&with(&[("", "pods", &["list"]), ("", "pods/exec", &["get"])]));
    let checked = bench.runs(RECORD).kubeconfig(&account.kubeconfig).arg("check").run();
    let namespace = bench.setup.cluster.namespace();
    let lines: Vec<&str> = checked.stdout.lines().filter(|line| line.contains("pods")).collect();
    let expected = [
        format!("ok       RBAC: may list pods in {namespace}"),
        format!("ok       RBAC: may get pods/exec in {namespace}"),
        format!("PROBLEM  RBAC: may not create pods/exec in {namespace} (see rbac/)"),
    ];
    assert_eq!((lines, checked.code), (expected.iter().map(String::as_str).collect(), Some(1)), "{}", checked.stdout);
}
