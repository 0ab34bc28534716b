//! Contract 1.1 and 1.3: METHOD, and how it ends.

use serde_json::json;

use super::{READ, passes, plain, sidecar};
use crate::common::{Setup, count, started};
use crate::support::*;

#[test]
fn keep_1_3_list_writes_once_and_ends_with_0() {
    let setup = Setup::new();
    setup.foreign("theirs", "1");
    setup.cluster.configmap("a", &[("a", "1")]).target("sub").create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let finished = sidecar(&setup).env("METHOD", "LIST").run();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{}", finished.stderr);
    assert_eq!(tree_with_dots(&setup.folder()), tree! { "theirs" => "1", "sub/a" => "1", "b" => "1" });
}

#[test]
fn fix_1_3_list_removes_what_is_ours_and_stale() {
    let setup = Setup::new();
    setup.foreign("theirs", "1");
    setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).target("sub").create();
    setup.cluster.secret("c", &[("c", "1")]).create();
    let list = sidecar(&setup).env("METHOD", "LIST");
    assert_eq!(list.run().code, Some(0));
    setup.cluster.set_data("a", &[("b", "2")]);
    setup.cluster.delete("secrets", "c");
    setup.cluster.wait_gone("secrets", "c");
    assert_eq!(list.run().code, Some(0));
    assert_eq!(tree_with_dots(&setup.folder()), tree! { "theirs" => "1", "sub/b" => "2" });
}

/// LIST of both kinds while Secrets are refused: the files of ConfigMaps are written, those of Secrets stay.
fn refused(code: u16) {
    let setup = Setup::in_process();
    let server = setup.cluster.server();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let list = sidecar(&setup).env("METHOD", "LIST").env("REQ_RETRY_CONNECT", "9");
    assert_eq!(list.run().code, Some(0));
    setup.cluster.set_data("a", &[("a", "2")]);
    let fault = server.fault(Matcher::reads("secrets"), Times::Always, Fault::status(code));
    let finished = list.run();
    assert_eq!((finished.code, server.hits(fault)), (Some(1), 1), "{code}: {}", finished.stderr);
    assert_tree(&setup.folder(), &tree! { "a" => "2", "b" => "1" });
}

#[test]
fn fix_1_1_list_that_is_refused_ends_at_once_with_1() {
    [401, 403, 404].into_iter().for_each(refused);
}

#[test]
fn fix_1_1_list_without_permission_ends_with_1_and_the_files_of_the_other_kind() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let account = setup.cluster.restricted(&[("", "configmaps", READ)]);
    let finished = sidecar(&setup).kubeconfig(&account.kubeconfig).env("METHOD", "LIST").run();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
}

/// LIST of a server that fails like this: so many attempts, then 1.
fn given_up(fault: Fault, retries: usize) {
    let setup = Setup::in_process();
    let fault = setup.cluster.server().fault(Matcher::reads("configmaps"), Times::Always, fault);
    let list = plain(&setup).env("METHOD", "LIST").env("REQ_RETRY_CONNECT", &retries.to_string());
    let finished = list.env("REQ_RETRY_BACKOFF_FACTOR", "0.01").run();
    assert_eq!((finished.code, setup.cluster.server().hits(fault)), (Some(1), retries + 1), "{}", finished.stderr);
}

#[test]
fn fix_1_1_list_that_cannot_reach_the_server_ends_with_1_after_its_retries() {
    given_up(Fault::Reset, 0);
    given_up(Fault::Reset, 2);
    given_up(Fault::status(503), 1);
}

#[test]
fn fix_1_1_list_of_a_server_that_is_down_ends_with_1() {
    let setup = Setup::in_process();
    setup.cluster.server().stop();
    let finished = sidecar(&setup).env("METHOD", "LIST").env("REQ_RETRY_CONNECT", "1").run();
    assert_eq!((finished.code, tree(&setup.folder())), (Some(1), tree! {}), "{}", finished.stderr);
}

#[test]
fn fix_1_1_list_waits_for_a_server_that_comes_late() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let fault = setup.cluster.server().fault(Matcher::reads("configmaps"), Times::N(2), Fault::Reset);
    let finished = sidecar(&setup).env("METHOD", "LIST").run();
    assert_eq!((finished.code, setup.cluster.server().hits(fault)), (Some(0), 2), "{}", finished.stderr);
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
}

#[test]
fn keep_1_3_sleep_lists_again_and_fix_1_3_removes_in_the_namespace_concerned() {
    let setup = Setup::new();
    let (first, second) = (setup.cluster.namespace().to_owned(), setup.cluster.create_namespace());
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.cluster.configmap("b", &[("b", "1")]).in_namespace(&second).create();
    let builder = sidecar(&setup).env("NAMESPACE", &format!("{first},{second}"));
    let mut projector = started(&builder.env("METHOD", "SLEEP").env("SLEEP_TIME", "1"));
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2", "b" => "1" });
    setup.cluster.delete("configmaps", "a");
    setup.holds(&tree! { "b" => "1" });
    setup.cluster.delete("configmaps", &format!("{second}/b"));
    setup.holds(&tree! {});
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn keep_1_3_sleep_opens_no_watch_and_fix_1_3_a_list_takes_few_requests() {
    let setup = Setup::in_process();
    for number in 0..49 {
        setup.cluster.configmap(&format!("a{number}"), &[(&format!("a{number}"), "1")]).create();
    }
    let server = setup.cluster.server();
    let _projector = started(&plain(&setup).env("METHOD", "SLEEP").env("SLEEP_TIME", "1"));
    wait_for("three lists", DEADLINE, || server.counts_of("configmaps").lists >= 3);
    let counts = server.counts_of("configmaps");
    assert_eq!((counts.watches, counts.stream_lists), (0, 0));
    assert!(server.requests().iter().all(|request| !request.query.contains("continue=")), "one page is enough: {:?}", server.requests());
}

#[test]
fn keep_1_2_method_is_watch_unless_spelled_exactly_otherwise() {
    for method in ["", "list", "sleep", "WATCH", "Watch", "nonsense"] {
        let setup = Setup::new();
        let mut projector = started(&sidecar(&setup).env("METHOD", method));
        setup.cluster.configmap("a", &[("a", "1")]).create();
        setup.holds(&tree! { "a" => "1" });
        assert!(projector.is_running(), "{method}");
    }
}

#[test]
fn fix_1_3_watch_goes_on_where_the_last_one_ended_and_sends_nothing_again() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", &"x".repeat(100_000))]).create();
    let server = setup.cluster.server();
    // As Loki's chart has it, both timeouts are equal; that the client's is raised is a test of the configuration.
    let projector = started(&plain(&setup).env("WATCH_SERVER_TIMEOUT", "1").env("WATCH_CLIENT_TIMEOUT", "1"));
    let sent = server.counts().bytes;
    wait_for("three watches after one another", DEADLINE, || server.counts_of("configmaps").watches >= 3);
    let counts = server.counts_of("configmaps");
    assert_eq!((counts.stream_lists, counts.lists, counts.gets), (1, 0, 0), "{:?}", server.requests());
    assert!(counts.bytes - sent < 10_000, "objects were sent again: {:?}", server.requests());
    assert!(server.requests().iter().all(|request| request.query.contains("timeoutSeconds=1")), "{:?}", server.requests());
    assert_eq!(projector.ready().1["watches"][0]["errors"], 0, "the end of a watch is no error: {}", projector.ready().1);
}

#[test]
fn fix_1_10_idle_watch_and_verification_passes_transfer_nothing() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", &"x".repeat(100_000))]).create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let projector = started(&sidecar(&setup).env("RESYNC", "1").env("LOG_LEVEL", "DEBUG"));
    let server = setup.cluster.server();
    let before = (server.requests().len(), server.counts().bytes);
    passes(&projector, &setup.path("a"), 3);
    let after = (server.requests().len(), server.counts().bytes);
    assert_eq!(after.0, before.0, "{:?}", server.requests());
    assert!(after.1 - before.1 < 10_000, "more than bookmarks: {:?}", server.requests());
}

#[test]
fn keep_1_3_hand_deleted_and_edited_files_come_back_within_a_watch_timeout() {
    for (name, value) in [("RESYNC", "1"), ("WATCH_SERVER_TIMEOUT", "1")] {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).create();
        let _projector = started(&sidecar(&setup).env(name, value));
        std::fs::remove_file(setup.path("a")).unwrap();
        std::fs::write(setup.path("b"), "edited").unwrap();
        setup.holds(&tree! { "a" => "1", "b" => "1" });
    }
}

#[test]
fn keep_1_3_ignore_already_processed_is_accepted_and_fix_1_3_still_repairs() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = started(&sidecar(&setup).env("IGNORE_ALREADY_PROCESSED", "true").env("RESYNC", "1"));
    std::fs::remove_file(setup.path("a")).unwrap();
    setup.holds(&tree! { "a" => "1" });
}

/// The first list fails in this way twice: it is tried again, and nothing is ready until it is there.
fn first_list_fails(method: &str, code: u16) {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let server = setup.cluster.server();
    let fault = server.fault(Matcher::reads("configmaps"), Times::Always, Fault::status(code));
    let mut projector = plain(&setup).env("METHOD", method).env("SLEEP_TIME", "1").start();
    wait_for("the first failures", DEADLINE, || server.hits(fault) >= 2);
    assert!(projector.is_running() && tree(&setup.folder()).is_empty());
    assert_eq!(projector.health().0, 503, "{method} {code}");
    server.clear(fault);
    projector.wait_ready();
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    assert_eq!(projector.health().0, 200);
}

#[test]
fn fix_1_1_first_list_of_watch_and_sleep_is_tried_again() {
    for method in ["WATCH", "SLEEP"] {
        first_list_fails(method, 503);
        first_list_fails(method, 401);
    }
}

#[test]
fn fix_1_1_watch_survives_500_and_garbage() {
    let faults = [Fault::status(500), Fault::raw_line("{garbage"), Fault::AfterEvents(0, Injection::Error(500)), Fault::Reset];
    for fault in faults {
        let setup = Setup::in_process();
        let server = setup.cluster.server();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        let mut projector = started(&sidecar(&setup));
        let id = server.fault(Matcher::any_watch("configmaps"), Times::N(2), fault.clone());
        server.drop_connections();
        wait_for("the fault to strike", DEADLINE, || server.hits(id) >= 1);
        setup.cluster.delete("configmaps", "a");
        setup.settles_at(&tree! {});
        assert!(projector.is_running(), "{fault:?}");
    }
}

#[test]
fn fix_1_3_event_410_and_continue_token_410_lose_nothing() {
    let setup = Setup::in_process();
    let server = setup.cluster.server();
    for number in 0..501 {
        let metadata = json!({"name": format!("a{number}"), "namespace": setup.cluster.namespace(), "labels": {"find": "me"}});
        server.create(&json!({"kind": "ConfigMap", "metadata": metadata, "data": {format!("a{number}"): "1"}}));
    }
    let gone = server.fault(Matcher::list("configmaps").page(2), Times::Once, Fault::ContinueGone);
    let finished = plain(&setup).env("METHOD", "LIST").env("INSTANCE", "one").run();
    assert_eq!((finished.code, server.hits(gone), tree(&setup.folder()).len()), (Some(0), 1, 501), "{}", finished.stderr);
    let _projector = started(&sidecar(&setup).env("INSTANCE", "one"));
    let expired = server.fault(Matcher::watch("configmaps"), Times::Once, Fault::gone_in_stream());
    server.stop();
    server.delete("configmaps", setup.cluster.namespace(), "a7");
    server.restart();
    wait_for("the deletion", DEADLINE, || !setup.path("a7").exists());
    assert_eq!(server.hits(expired), 1);
    setup.caught_up();
    assert_eq!(tree(&setup.folder()).len(), 500);
}

#[test]
fn fix_1_1_config_maps_work_without_permission_on_secrets_which_join_when_granted() {
    for method in ["WATCH", "SLEEP"] {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        setup.cluster.secret("b", &[("b", "1")]).create();
        let account = setup.cluster.restricted(&[("", "configmaps", READ)]);
        let builder = sidecar(&setup).kubeconfig(&account.kubeconfig).env("METHOD", method).env("SLEEP_TIME", "1");
        let projector = started(&builder);
        assert_eq!(projector.health().0, 200);
        setup.holds(&tree! { "a" => "1" });
        assert!(projector.output().contains("403"), "a warning: {}", projector.output());
        let refused = projector.ready().1["watches"].as_array().unwrap().iter().any(|watch| watch["state"] == "refused");
        assert!(refused, "health tells of it: {}", projector.ready().1);
        setup.cluster.set_data("a", &[("a", "2")]);
        setup.holds(&tree! { "a" => "2" });
        setup.cluster.grant(&account, &[("", "configmaps", READ), ("", "secrets", READ)]);
        wait_tree_within(&setup.folder(), &tree! { "a" => "2", "b" => "1" }, std::time::Duration::from_secs(75));
    }
}

#[test]
fn keep_1_1_sigterm_ends_every_mode_with_0() {
    for method in ["WATCH", "SLEEP"] {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("a", "1")]).create();
        let mut projector = started(&sidecar(&setup).env("METHOD", method));
        assert_eq!(projector.terminate().code(), Some(0), "{method}: {}", projector.output());
        assert_eq!(tree_with_dots(&setup.folder()), tree! { "a" => "1" }, "files stay, nothing else does");
        assert_eq!(count(&projector.output(), "Removing "), 0);
    }
}
