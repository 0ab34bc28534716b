//! Rows about a server that is there and does not serve: A13, A14, A16.

use std::time::Duration;

use serde_json::json;

use super::{LONG, Presence, Stage, inodes, relists, wait_content};
use crate::support::{DEADLINE, Fault, Matcher, Projector, Request, Times, tree, tree_with_dots, wait_for, wait_tree, wait_tree_within};

/// Requests for ConfigMaps, oldest first.
fn asked(stage: &Stage) -> Vec<Request> {
    stage.server().requests().into_iter().filter(|request| request.resource == "configmaps").collect()
}

/// The shortest time between two requests that failed.
fn shortest_gap(requests: &[Request]) -> Duration {
    let failed: Vec<_> = requests.iter().filter(|request| request.status >= 400).collect();
    assert!(failed.len() >= 2, "too few failures to compare: {requests:?}");
    failed.windows(2).map(|pair| pair[1].at - pair[0].at).min().unwrap()
}

/// 429 twice: the pause is as long as asked, and files and process are untouched.
fn too_many_requests(retry_after: &str, at_least: Duration) {
    let stage = Stage::new();
    stage.create("a", "1");
    let server = stage.server();
    let projector = stage.start();
    let presence = Presence::of(&stage, &["a"]);
    server.clear_requests();
    let fault = server.fault(Matcher::reads("configmaps"), Times::N(2), Fault::retry_after(429, retry_after));
    server.drop_connections();
    wait_for("the first refusal", DEADLINE, || server.hits(fault) >= 1);
    assert_eq!((projector.ready().0, projector.health().0), (200, 200), "an API server that is busy is not our failure");
    stage.create("b", "1");
    wait_tree_within(stage.path(), &tree! { "a" => "1", "b" => "1" }, LONG);
    presence.assert_unbroken();
    assert_eq!(projector.health().0, 200);
    let gap = shortest_gap(&asked(&stage));
    assert!(gap >= at_least, "asked again after {gap:?}");
}

#[test]
fn a13_retry_after_one_second() {
    too_many_requests("1", Duration::from_secs(1));
}

#[test]
fn a13_retry_after_garbage_is_the_usual_backoff() {
    too_many_requests("soon", Duration::from_millis(500));
}

#[test]
fn a13_retry_after_a_day_is_half_a_minute() {
    let stage = Stage::new();
    stage.create("a", "1");
    let server = stage.server();
    let _projector = stage.start();
    server.clear_requests();
    server.fault(Matcher::reads("configmaps"), Times::Once, Fault::retry_after(429, "86400"));
    server.drop_connections();
    stage.create("b", "1");
    wait_tree_within(stage.path(), &tree! { "a" => "1", "b" => "1" }, LONG);
    let requests = asked(&stage);
    let refused = requests.iter().position(|request| request.status == 429).unwrap();
    assert!(requests[refused + 1].at - requests[refused].at >= Duration::from_secs(30), "{requests:?}");
}

#[test]
fn a14_a_storm_of_errors_leaves_files_alone_and_is_asked_with_patience() {
    let stage = Stage::new();
    ["a", "b", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    let projector = stage.start();
    let before = inodes(&stage, &["b"]);
    let presence = Presence::of(&stage, &["a", "b"]);
    for code in [500, 503, 504] {
        server.clear_requests();
        let tree_before = tree_with_dots(stage.path());
        let storm = server.fault(Matcher::any(), Times::Always, Fault::status(code));
        server.drop_connections();
        wait_for("the storm", LONG, || asked(&stage).iter().filter(|request| request.status == code).count() >= 4);
        assert_eq!(tree_with_dots(stage.path()), tree_before, "something on disk changed during an outage");
        assert_eq!((projector.ready().0, projector.health().0), (200, 200));
        let gap = shortest_gap(&asked(&stage));
        assert!(gap >= Duration::from_millis(500), "{code}: asked again after {gap:?}");
        server.clear(storm);
        // An event is the proof that the watch works: the next storm begins with a short wait again.
        wait_for("the end of the storm", DEADLINE, || server.open_watches("configmaps") == 1);
        stage.edit("a", &code.to_string());
        wait_content(&stage.file("a"), code.to_string().as_bytes(), DEADLINE);
    }
    stage.delete("deleted");
    wait_tree(stage.path(), &tree! { "a" => "504", "b" => "1" });
    presence.assert_unbroken();
    assert_eq!(inodes(&stage, &["b"]), before);
}

#[test]
fn a14_nothing_deleted_in_a_storm_comes_back_and_nothing_created_is_lost() {
    let stage = Stage::new();
    ["kept", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    let _projector = stage.start();
    let presence = Presence::of(&stage, &["kept"]);
    let storm = server.fault(Matcher::any(), Times::Always, Fault::status(503));
    stage.in_a_gap(|| {
        stage.delete("deleted");
        stage.create("created", "1");
    });
    wait_for("the storm", DEADLINE, || server.hits(storm) >= 4);
    server.clear(storm);
    wait_tree(stage.path(), &tree! { "kept" => "1", "created" => "1" });
    presence.assert_unbroken();
}

/// A launch with a token in a file, as in a pod.
fn with_token_file(stage: &Stage) -> (Projector, std::path::PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "first").unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(stage.cluster.kubeconfig()).unwrap()).unwrap();
    config["users"][0]["user"] = json!({"tokenFile": token});
    let path = folder.path().join("kubeconfig.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let mut projector = stage.builder().kubeconfig(&path).start();
    projector.wait_ready();
    (projector, token, folder)
}

#[test]
fn a16_a_token_that_was_rotated_is_read_again_at_the_first_401() {
    let stage = Stage::new();
    stage.create("a", "1");
    let server = stage.server();
    server.set_tokens(&["first"]);
    let (projector, token, _folder) = with_token_file(&stage);
    let presence = Presence::of(&stage, &["a"]);
    server.set_tokens(&["second"]);
    std::fs::write(&token, "second").unwrap();
    server.clear_requests();
    server.drop_connections();
    // Both watches have one token: the first that is refused reads it again, perhaps in time for the other.
    let refused = || server.requests().iter().filter(|request| request.status == 401).count();
    wait_for("the refusal", DEADLINE, || refused() >= 1);
    stage.marker("marker");
    presence.assert_unbroken();
    assert!(refused() <= 2, "the fresh token must be used at once: {:?}", server.requests());
    assert_eq!(relists(&projector), 0);
}

#[test]
fn a16_a_while_of_401_is_waited_for_and_the_token_is_read_again_each_time() {
    let stage = Stage::new();
    ["kept", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    server.set_tokens(&["first"]);
    let (projector, token, _folder) = with_token_file(&stage);
    let presence = Presence::of(&stage, &["kept"]);
    server.set_tokens(&[]);
    server.clear_requests();
    server.drop_connections();
    let refusals = || asked(&stage).iter().filter(|request| request.status == 401).count();
    wait_for("a while of refusals", LONG, || refusals() >= 4);
    assert_eq!((projector.ready().0, projector.health().0), (200, 200));
    let gap = shortest_gap(&asked(&stage));
    assert!(gap >= Duration::from_millis(500), "asked again after {gap:?}");
    stage.delete("deleted");
    // The token comes later than the right to use it.
    server.set_tokens(&["second"]);
    let before = refusals();
    wait_for("one more refusal", DEADLINE, || refusals() > before);
    std::fs::write(&token, "second").unwrap();
    wait_tree(stage.path(), &tree! { "kept" => "1" });
    presence.assert_unbroken();
    projector.assert_no_leak(&["first-token", "second-token"]);
}
