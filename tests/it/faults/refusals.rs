//! Row A15: one kind is forbidden, the other goes on.

use super::{DEADLINE, Presence, Stage, row};
use crate::support::{Account, Projector, assert_tree, tree, wait_for, wait_tree};

const READ: &[&str] = &["get", "list", "watch"];
const BOTH: &[(&str, &str, &[&str])] = &[("", "configmaps", READ), ("", "secrets", READ)];
const CONFIG_MAPS: &[(&str, &str, &[&str])] = &[("", "configmaps", READ)];

fn stage(rights: &[(&str, &str, &[&str])]) -> (Stage, Account) {
    let stage = Stage::new();
    stage.create("public", "1");
    stage.cluster.secret("private", &[("private", b"2")]).create();
    let account = stage.cluster.restricted(rights);
    (stage, account)
}

fn start(stage: &Stage, account: &Account) -> Projector {
    let mut projector = stage.builder().kubeconfig(&account.kubeconfig).start();
    projector.wait_ready();
    projector
}

#[test]
fn a15_secrets_forbidden_config_maps_go_on_and_secrets_follow_when_granted() {
    let (stage, account) = stage(CONFIG_MAPS);
    let mut projector = start(&stage, &account);
    assert_tree(stage.path(), &tree! { "public" => "1" });
    let refused = row(&projector, "Secret");
    assert_eq!(refused["state"], "refused", "{refused}");
    assert!(refused["last_error"].as_str().unwrap().contains("403"), "{refused}");
    assert_eq!(row(&projector, "ConfigMap")["state"], "watching");
    assert_eq!(projector.health().0, 200);
    stage.edit("public", "3");
    wait_tree(stage.path(), &tree! { "public" => "3" });
    let output = projector.output();
    let warnings = output.lines().filter(|line| line.contains("WARN") && line.contains("Secret")).count();
    assert_eq!(warnings, 1, "one warning, not one a try:\n{output}");
    stage.cluster.grant(&account, BOTH);
    wait_tree(stage.path(), &tree! { "public" => "3", "private" => "2" });
    assert!(projector.is_running());
    assert_eq!(row(&projector, "Secret")["state"], "watching");
}

#[test]
fn a15_a_right_that_is_taken_away_takes_no_file_along() {
    let (stage, account) = stage(BOTH);
    let projector = start(&stage, &account);
    assert_tree(stage.path(), &tree! { "public" => "1", "private" => "2" });
    let presence = Presence::of(&stage, &["private"]);
    stage.cluster.grant(&account, CONFIG_MAPS);
    stage.server().drop_connections();
    wait_for("the refusal", DEADLINE, || row(&projector, "Secret")["state"] == "refused");
    stage.server().delete("secrets", stage.cluster.namespace(), "private");
    let lists =
        |stage: &Stage| stage.server().requests().iter().filter(|request| request.resource == "secrets" && request.status == 403).count();
    wait_for("the watch to be given up for lists", DEADLINE, || lists(&stage) >= 4);
    stage.marker("marker");
    presence.assert_unbroken();
    stage.cluster.grant(&account, BOTH);
    wait_tree(stage.path(), &tree! { "public" => "1", "marker" => "marker" });
}

#[test]
fn a15_files_of_a_kind_that_became_forbidden_survive_a_restart() {
    let (stage, account) = stage(BOTH);
    start(&stage, &account).terminate();
    stage.cluster.grant(&account, CONFIG_MAPS);
    stage.delete("public");
    let _projector = start(&stage, &account);
    wait_tree(stage.path(), &tree! { "private" => "2" });
}

#[test]
fn a15_a_list_once_run_that_is_refused_fails_and_writes_the_rest() {
    let (stage, account) = stage(CONFIG_MAPS);
    let finished = stage.builder().kubeconfig(&account.kubeconfig).env("METHOD", "LIST").run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.stdout, finished.stderr);
    assert_tree(stage.path(), &tree! { "public" => "1" });
    assert!(stage.server().requests().iter().any(|request| request.status == 403));
}
