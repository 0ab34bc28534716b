//! Watches, and what the API server answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Figures, wait_moved};
use crate::common::{OURS, Setup, started};
use crate::support::projector::Builder;
use crate::support::*;

fn quiet(setup: &Setup) -> Builder {
    setup.projector().env("FINALIZERS", "false").env("RESYNC", "0")
}

/// The requests in the server's own log that were answered, as they are counted.
fn answered(server: &ApiServer) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for request in server.requests() {
        let verb = match request.verb {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::StreamList | Verb::Watch => "watch",
            Verb::Create | Verb::Review => "create",
            Verb::Patch => "patch",
            Verb::Exec => "connect",
            Verb::Update | Verb::Delete | Verb::Other => panic!("{request:?}"),
        };
        let code = match request.status {
            0 => "none".to_owned(),
            500.. => "5xx".to_owned(),
            code => code.to_string(),
        };
        *counts.entry(format!("projector_api_requests_total{{verb=\"{verb}\",code=\"{code}\"}}")).or_default() += 1.0;
    }
    counts
}

fn counted(projector: &Projector) -> BTreeMap<String, f64> {
    let figures = Figures::of(projector).0;
    figures.into_iter().filter(|(series, number)| series.starts_with("projector_api_requests_total") && *number > 0.0).collect()
}

#[test]
fn requests_are_those_in_the_servers_log() {
    let setup = Setup::in_process();
    let server = setup.cluster.server();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    server.fault(Matcher::stream_list("secrets"), Times::Once, Fault::status(403));
    server.fault(Matcher::stream_list("secrets"), Times::Once, Fault::status(500));
    server.fault(Matcher::stream_list("configmaps"), Times::Once, Fault::retry_after(429, "1"));
    server.fault(Matcher::stream_list("configmaps"), Times::Once, Fault::RejectSendInitialEvents);
    // With finalizers and Events there are patches and creations, too.
    let projector = started(&setup.projector().env("EVENT_LOGGING", "true"));
    setup.cluster.secret("b", &[("b", "1")]).create();
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    wait_until("the counts of the server", DEADLINE, || {
        let (answered, counted) = (answered(server), counted(&projector));
        if answered == counted { Ok(()) } else { Err((answered, counted)) }
    });
    let counted = counted(&projector);
    for part in
        ["\"watch\",code=\"403\"", "\"watch\",code=\"5xx\"", "\"watch\",code=\"429\"", "\"list\",code=\"200\"", "\"create\",code=\"201\""]
    {
        assert!(counted.keys().any(|series| series.contains(part)), "no {part} in {counted:?}");
    }
    assert!(counted.keys().any(|series| series.contains("\"patch\",code=\"200\"")), "{counted:?}");
}

#[test]
fn a_request_without_an_answer_is_counted_as_that() {
    let setup = Setup::in_process();
    setup.cluster.server().stop();
    let projector = quiet(&setup).start();
    let errors = |row: &serde_json::Value| row["errors"].as_u64().unwrap() as f64;
    wait_until("as many requests without an answer as errors", DEADLINE, || {
        let errors: f64 = projector.health().1["watches"].as_array().map(|rows| rows.iter().map(errors).sum()).unwrap_or_default();
        if errors < 4.0 {
            return Err((errors, 0.0));
        }
        let counted: f64 = counted(&projector).values().sum();
        if errors == counted { Ok(()) } else { Err((errors, counted)) }
    });
    let counted = counted(&projector);
    assert!(counted.keys().all(|series| series.contains("code=\"none\"")), "nobody answered: {counted:?}");
}

#[test]
fn a_watch_that_breaks_off_is_a_restart_and_one_whose_time_is_over_is_none() {
    let setup = Setup::in_process();
    let server = setup.cluster.server();
    let projector = started(&quiet(&setup).env("WATCH_SERVER_TIMEOUT", "2"));
    let restarts = |resource: &str| Figures::of(&projector).get(&format!("projector_watch_restarts_total{{resource=\"{resource}\"}}"));
    // One that is asked for but not yet answered would be no watch that breaks off: both have just been answered anew.
    let answered = || Figures::of(&projector).get("projector_api_requests_total{verb=\"watch\",code=\"200\"}");
    wait_for("watches after one another", DEADLINE, || answered() >= 4.0 && answered() % 2.0 == 0.0);
    assert_eq!([restarts("configmaps"), restarts("secrets")], [0.0; 2], "the server ends them");
    server.drop_connections();
    wait_for("a restart of each", DEADLINE, || [restarts("configmaps"), restarts("secrets")] == [1.0; 2]);
    assert_eq!([restarts("pods"), restarts("manifests")], [0.0; 2]);
}

#[test]
fn a_list_that_is_begun_anew_is_counted_for_its_resource() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let server = setup.cluster.server();
    let projector = started(&quiet(&setup));
    let before = Figures::of(&projector);
    server.inject(Matcher::any_watch("configmaps"), Injection::Error(410));
    let (ok, restarts) =
        ("projector_api_requests_total{verb=\"watch\",code=\"200\"}", "projector_watch_restarts_total{resource=\"configmaps\"}");
    wait_moved(&projector, &before, &[("projector_relists_total{resource=\"configmaps\"}", 1.0), (ok, 1.0), (restarts, 1.0)]);
}

#[test]
fn contact_and_bookmarks_are_times_that_go_on_and_stop_with_the_server() {
    let cluster = Cluster::in_process_with(Options { bookmark_interval: Duration::from_millis(50), ..Options::default() });
    let folder = tempfile::tempdir().unwrap();
    let mut projector = Projector::on(&cluster, folder.path()).env("FINALIZERS", "false").env("RESOURCE", "configmap").start();
    projector.wait_ready();
    let time = |what: &str| {
        let series = format!("projector_watch_oldest_{what}_timestamp_seconds{{resource=\"configmaps\"}}");
        Figures::of(&projector).0.get(&series).copied()
    };
    wait_for("a bookmark", DEADLINE, || time("bookmark").is_some());
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    for what in ["contact", "bookmark"] {
        let first = time(what).unwrap();
        assert!(first <= now() + 0.01 && first > now() - DEADLINE.as_secs_f64(), "{first}");
        wait_for("the next", DEADLINE, || time(what) > Some(first + 0.01));
    }
    let figures = Figures::of(&projector);
    assert!(!figures.0.keys().any(|series| series.contains("_timestamp_seconds") && series.contains("secrets")), "they are not watched");
    cluster.server().stop();
    wait_for("the loss to be noticed", DEADLINE, || projector.health().1["watches"][0]["errors"].as_u64() >= Some(1));
    // Of an age, a later look would give another time; a millisecond comes from rounding.
    let stopped = time("contact").unwrap();
    let again = time("contact").unwrap();
    assert!((again - stopped).abs() < 0.005, "{stopped} {again}");
}

#[test]
fn manifests_are_a_watch_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    let (source, folder) = (home.path().join("source"), home.path().join("files"));
    std::fs::create_dir(&source).unwrap();
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns, labels: {find: me}}\ndata: {a: '1'}\n";
    std::fs::write(source.join("a.yaml"), manifest).unwrap();
    let mut projector = Projector::builder().folder(&folder).env("LABEL", "find").env("SOURCE", &source.display().to_string()).start();
    projector.wait_ready();
    let figures = Figures::of(&projector);
    let watches = |resource: &str| figures.get(&format!("projector_watches{{resource=\"{resource}\"}}"));
    assert_eq!(["configmaps", "secrets", "pods", "manifests"].map(watches), [0.0, 0.0, 0.0, 1.0]);
    assert!(figures.0.contains_key("projector_watch_oldest_contact_timestamp_seconds{resource=\"manifests\"}"));
    assert_eq!((figures.get("projector_objects"), figures.get("projector_file_writes_total")), (1.0, 1.0));
}
