//! Each fault once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::protocol::{stream_list, watch};
use crate::support::api::object::text;
use crate::support::http::{Client, Line};
use crate::support::{Cluster, Counts, DEADLINE, Fault, Injection, Loss, Matcher, Options, PROJECTOR_TOKEN, Times, wait_for};

/// Long enough to be sure that nothing comes, when the test does not depend on it.
pub const QUIET: Duration = Duration::from_millis(50);

/// A cluster with ConfigMaps a, b, c; a client that faults hit; and the path of their list.
pub fn setup() -> (Cluster, Client, String) {
    let cluster = Cluster::in_process_with(Options { bookmark_interval: Duration::from_secs(3_600), ..Options::default() });
    for name in ["a", "b", "c"] {
        cluster.configmap(name, &[("k", name)]).create();
    }
    let client = cluster.server().client_for(PROJECTOR_TOKEN);
    let path = format!("{}?labelSelector=find", cluster.path("configmaps", cluster.namespace(), ""));
    (cluster, client, path)
}

/// The events of a stream up to its end mark or end, as `ADDED a`. Silence counts only after as many as are expected: a
/// machine with other work may take its time before.
fn events(cluster: &Cluster, client: &Client, expected: usize) -> (Vec<String>, Line) {
    let mut stream = stream_list(client, cluster, "");
    let mut seen = Vec::new();
    loop {
        let patience = if seen.len() < expected { DEADLINE } else { Duration::from_secs(1) };
        match stream.line(patience) {
            Line::Text(line) => {
                let event: Value = serde_json::from_slice(&line).unwrap_or_default();
                if event["type"] == "BOOKMARK" {
                    return (seen, Line::Quiet);
                }
                seen.push(format!("{} {}", text(&event, "/type"), text(&event, "/object/metadata/name")).trim().to_owned());
            }
            end => return (seen, end),
        }
    }
}

#[test]
fn statuses_strike_so_often_and_in_order() {
    let (cluster, client, path) = setup();
    let server = cluster.server();
    let first = server.fault(Matcher::list("configmaps"), Times::N(2), Fault::retry_after(429, "30"));
    server.fault(Matcher::list("configmaps"), Times::Once, Fault::HttpGone);
    let busy = client.get(&path);
    assert_eq!((busy.status, busy.json()["reason"].clone()), (429, json!("TooManyRequests")));
    assert!(busy.headers.contains(&("retry-after".to_owned(), "30".to_owned())));
    assert_eq!(cluster.client().get(&path).status, 200, "the rig itself is not hit");
    assert_eq!([client.get(&path).status, client.get(&path).status, client.get(&path).status], [429, 410, 200]);
    assert_eq!(server.hits(first), 2);
    assert_eq!(server.counts(), Counts { lists: 4, ..Counts { bytes: server.counts().bytes, ..Counts::default() } });
    let body = Fault::Status { code: 500, headers: Vec::new(), body: Some(b"<html>".to_vec()) };
    let always = server.fault(Matcher::any(), Times::Always, body);
    assert_eq!(client.get(&path).text(), "<html>");
    server.clear(always);
    assert_eq!(client.get(&path).status, 200);
}

#[test]
fn pages_and_tokens_can_be_hit() {
    let (cluster, client, path) = setup();
    let server = cluster.server();
    server.fault(Matcher::list("configmaps").page(2), Times::Once, Fault::ContinueGone);
    let page = |token: &str| client.get(&format!("{path}&limit=1&continue={token}"));
    let token = text(&page("").ok("page 1"), "/metadata/continue").to_owned();
    assert_eq!((page(&token).status, page(&token).status), (410, 200));
    server.compact();
    let gone = page(&token);
    assert_eq!((gone.status, gone.json()["reason"].clone()), (410, json!("Expired")));
    let on = text(&gone.json(), "/metadata/continue").to_owned();
    assert_eq!(page(&on).ok("the rest")["items"][0]["metadata"]["name"], "b");
}

#[test]
fn watches_from_before_a_compaction_are_told_in_the_stream() {
    let (cluster, client, _) = setup();
    let mut open = watch(&client, &cluster, "1001");
    assert_eq!(open.event().0, "ADDED");
    cluster.server().compact();
    let mut late = watch(&client, &cluster, "1001");
    let (kind, status) = late.event();
    assert_eq!((late.status, kind.as_str(), &status["code"], &status["reason"]), (200, "ERROR", &json!(410), &json!("Expired")));
    assert_eq!(late.line(DEADLINE), Line::End(Vec::new()));
    cluster.configmap("d", &[]).create();
    let seen = std::iter::repeat_with(|| open.event().1).find(|object| text(object, "/metadata/name") == "d");
    assert!(seen.is_some(), "a watch that was open goes on");
}

#[test]
fn streams_end_in_every_way() {
    let (cluster, client, _) = setup();
    let half = br#"{"type":"MODIFIED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"ha"#.to_vec();
    let cases = [
        (Fault::close_after(2), vec!["ADDED a", "ADDED b"], Line::End(Vec::new())),
        (Fault::cut_after(2), vec!["ADDED a", "ADDED b"], Line::Broken(half.clone())),
        (Fault::AfterEvents(1, Injection::HalfLine), vec!["ADDED a"], Line::End(half)),
        (Fault::gone_in_stream(), vec!["ERROR"], Line::End(Vec::new())),
        (Fault::AfterEvents(3, Injection::Error(500)), vec!["ADDED a", "ADDED b", "ADDED c", "ERROR"], Line::End(Vec::new())),
        (Fault::AfterEvents(2, Injection::Silence), vec!["ADDED a", "ADDED b"], Line::Quiet),
        (Fault::NoEndBookmark, vec!["ADDED a", "ADDED b", "ADDED c"], Line::Quiet),
        (Fault::IgnoreSendInitialEvents, vec![], Line::Quiet),
        (Fault::raw_line("{garbage"), vec!["", "ADDED a", "ADDED b", "ADDED c"], Line::Quiet),
        (Fault::raw_line(b"\xff\xfe"), vec!["", "ADDED a", "ADDED b", "ADDED c"], Line::Quiet),
        (Fault::AfterEvents(1, Injection::HugeLine(1 << 20)), vec!["ADDED a", "ADDED huge", "ADDED b", "ADDED c"], Line::Quiet),
        (
            Fault::AfterEvents(0, Injection::Event("DELETED", json!({"metadata": {"name": "z"}}))),
            vec!["DELETED z", "ADDED a", "ADDED b", "ADDED c"],
            Line::Quiet,
        ),
        (Fault::AfterEvents(1, Injection::Stall(QUIET)), vec!["ADDED a", "ADDED b", "ADDED c"], Line::Quiet),
        (Fault::Lose(Loss { name: Some("b".to_owned()), ..Loss::default() }), vec!["ADDED a", "ADDED c"], Line::Quiet),
        (Fault::Duplicate, vec!["ADDED a", "ADDED a", "ADDED b", "ADDED b", "ADDED c", "ADDED c"], Line::Quiet),
        (Fault::Reorder(3), vec!["ADDED c", "ADDED b", "ADDED a"], Line::Quiet),
    ];
    for (fault, seen, end) in cases {
        let what = format!("{fault:?}");
        let id = cluster.server().fault(Matcher::stream_list("configmaps"), Times::Once, fault);
        let (found, how) = events(&cluster, &client, seen.len() + usize::from(end != Line::Quiet));
        assert_eq!((found, how), (seen.into_iter().map(str::to_owned).collect(), end), "{what}");
        assert_eq!(cluster.server().hits(id), 1, "{what}");
    }
    assert_eq!(events(&cluster, &client, 3).0, ["ADDED a", "ADDED b", "ADDED c"]);
}

#[test]
fn streaming_lists_can_be_refused_for_good() {
    let (cluster, client, _) = setup();
    cluster.server().fault(Matcher::stream_list(""), Times::Once, Fault::RejectSendInitialEvents);
    assert_eq!(stream_list(&client, &cluster, "").status, 422);
    assert_eq!(stream_list(&client, &cluster, "").status, 200);
    let old = Cluster::in_process_with(Options { streaming_lists: false, ..Options::default() });
    assert_eq!(stream_list(old.client(), &old, "").status, 422);
}

#[test]
fn bodies_break_stall_and_trickle() {
    let (cluster, client, path) = setup();
    let server = cluster.server();
    let list = || Matcher::list("configmaps");
    server.fault(list(), Times::Once, Fault::CloseAfterBytes(10));
    assert_eq!(client.get(&path).text(), r#"{"kind":"C"#);
    server.fault(list(), Times::Once, Fault::CutAfterBytes(10));
    let mut cut = client.open(&path).expect("headers");
    assert_eq!((cut.status, cut.line(DEADLINE)), (200, Line::Broken(br#"{"kind":"C"#.to_vec())));
    server.fault(list(), Times::Once, Fault::StallHeaders);
    let mut stalled = client.open(&path).expect("headers");
    assert_eq!((stalled.status, stalled.line(QUIET)), (200, Line::Quiet));
    server.fault(list(), Times::Once, Fault::Trickle(Duration::from_millis(1)));
    let mut slow = client.open(&path).expect("headers");
    wait_for("some bytes, but not all", DEADLINE, || {
        assert_eq!(slow.line(Duration::from_millis(5)), Line::Quiet);
        slow.partial().len() > 3
    });
    server.fault(list(), Times::Once, Fault::Reset);
    assert!(client.open(&path).is_err());
    server.fault(list(), Times::Once, Fault::Delay(QUIET));
    server.fault(list(), Times::Once, Fault::status(503));
    let before = Instant::now();
    assert_eq!(client.get(&path).status, 503);
    assert!(before.elapsed() >= QUIET);
}

#[test]
fn a_hanging_request_ends_with_its_connection() {
    let (cluster, client, path) = setup();
    let server = cluster.server();
    let hang = server.fault(Matcher::list("configmaps"), Times::Once, Fault::Hang);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| client.open(&path).map(|stream| stream.status));
        wait_for("the request", DEADLINE, || server.hits(hang) == 1);
        server.drop_connections();
        assert!(asking.join().expect("no panic").is_err());
    });
}

#[test]
fn old_events_come_again() {
    let (cluster, client, _) = setup();
    cluster.server().fault(Matcher::watch("configmaps"), Times::Once, Fault::ReplayOld);
    let mut watch = watch(&client, &cluster, &cluster.server().version().to_string());
    cluster.set_data("a", &[("k", "new")]);
    let (new, old) = (watch.event(), watch.event());
    assert_eq!((new.1["data"].clone(), old.1["data"].clone()), (json!({"k": "new"}), json!({"k": "a"})));
}

#[test]
fn open_watches_can_be_injected() {
    let (cluster, client, _) = setup();
    let server = cluster.server();
    let mut watch = watch(&client, &cluster, &server.version().to_string());
    wait_for("an open watch", DEADLINE, || server.open_watches("configmaps") == 1);
    server.inject(Matcher::any_watch("secrets"), Injection::Close);
    server.inject(Matcher::any_watch("configmaps"), Injection::Line(b"{".to_vec()));
    server.inject(Matcher::any_watch("configmaps"), Injection::Error(410));
    assert_eq!(watch.line(DEADLINE), Line::Text(b"{".to_vec()));
    assert_eq!(watch.event().1["code"], 410);
    assert_eq!(watch.line(DEADLINE), Line::End(Vec::new()));
    wait_for("the end of the watch in the log", DEADLINE, || server.open_watches("configmaps") == 0);
}
