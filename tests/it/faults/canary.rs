//! Acceptance 6: whatever goes wrong, content is nowhere but in its files. And the search that says so finds what is planted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{DEADLINE, Stage, row, wait_content};
use crate::support::{
    Fault, Injection, Matcher, PROJECTOR_TOKEN, Projector, Times, assert_no_leak, leak, ledgers, tree, wait_for, wait_tree,
};

/// What the watches ask for, and the look for finalizers of objects that lost their label does not.
const SELECTED: &str = "labelSelector=find";
/// With characters that JSON, URLs and Debug escape.
const IN_CONFIG_MAP: &str = "Cnry+\"config/é <7d1f03>";
const IN_SECRET: &str = "Cnry+\"secret/é <51c9aa>";
/// In what the server sends beside objects: garbage, messages of refusals.
const IN_ANSWERS: &str = "Cnry-answer-9e77b2";
const ALL: [&str; 4] = [IN_CONFIG_MAP, IN_SECRET, IN_ANSWERS, PROJECTOR_TOKEN];

/// Everything that leaves the program, but the files.
fn places(stage: &Stage, projector: &Projector) -> Vec<(&'static str, Vec<u8>)> {
    let requests = stage.server().requests();
    let urls: Vec<String> = requests.iter().map(|request| format!("{}?{}", request.path, request.query)).collect();
    let bodies: Vec<&str> = requests.iter().map(|request| request.body.as_str()).collect();
    let ledgers = ledgers(stage.path()).into_iter().map(|name| std::fs::read(stage.file(&name)).unwrap());
    vec![
        ("the output", projector.output().into_bytes()),
        ("/healthz", projector.health().1.to_string().into_bytes()),
        ("/readyz", projector.ready().1.to_string().into_bytes()),
        ("an Event", json!(stage.server().list("events")).to_string().into_bytes()),
        ("the ledger", ledgers.collect::<Vec<_>>().concat()),
        ("a URL", urls.join("\n").into_bytes()),
        ("the body of a request", bodies.join("\n").into_bytes()),
    ]
}

fn assert_silent(row: &str, stage: &Stage, projector: &Projector) {
    for (place, bytes) in places(stage, projector) {
        assert!(!bytes.is_empty(), "{place} is empty: a search there proves nothing");
        assert_no_leak(&format!("{row}: {place}"), bytes, &ALL);
    }
}

fn launch(stage: &Stage, format: &str) -> Projector {
    let builder = Projector::on(&stage.cluster, stage.path()).env("DEBUG", "true").env("LOG_LEVEL", "trace").env("LOG_FORMAT", format);
    builder.env("EVENT_LOGGING", "true").env("FINALIZER_NAME", "kube-projector.dev/test").start()
}

/// Objects that are written, in conflict, blocked, rejected and broken, all with canaries.
fn furnish(stage: &Stage) {
    let (cluster, server) = (&stage.cluster, stage.server());
    cluster.configmap("plain", &[("plain", IN_CONFIG_MAP)]).binary("binary", IN_CONFIG_MAP.as_bytes()).create();
    cluster.secret("secret", &[("secret", IN_SECRET)]).create();
    cluster.secret("loser", &[("plain", IN_SECRET)]).create();
    cluster.secret("rejected", &[("rejected", IN_SECRET)]).target("../outside").create();
    cluster.secret("blocked", &[("blocked", IN_SECRET)]).create();
    std::fs::create_dir_all(stage.file("blocked/in-the-way")).unwrap();
    let metadata = |name: &str| json!({"name": name, "namespace": cluster.namespace(), "labels": {"find": "me"}});
    server.put_raw(&json!({"kind": "Secret", "metadata": metadata("broken"), "data": {"broken": IN_SECRET}}));
    server.put_raw(&json!({"kind": "ConfigMap", "metadata": metadata("odd"), "data": {"..odd": IN_CONFIG_MAP}}));
}

fn status(code: u16, body: String) -> Fault {
    Fault::Status { code, headers: Vec::new(), body: Some(body.into_bytes()) }
}

fn refusal(code: u16) -> Fault {
    let message = json!({"kind": "Status", "code": code, "reason": IN_ANSWERS, "message": format!("{IN_ANSWERS} {IN_SECRET}")});
    status(code, message.to_string())
}

/// How a read can fail, by the name of its row.
fn failing_reads() -> Vec<(&'static str, Fault)> {
    vec![
        ("a1", Fault::gone_in_stream()),
        ("a2", Fault::HttpGone),
        ("a14", refusal(500)),
        ("a14 without JSON", status(503, format!("<html>{IN_ANSWERS} {IN_SECRET}"))),
        ("a15", refusal(403)),
        ("a16", refusal(401)),
        ("n2 cut", Fault::AfterEvents(0, Injection::Cut)),
        ("n2 half", Fault::AfterEvents(0, Injection::HalfLine)),
    ]
}

/// What cannot be read in a watch.
fn garbage() -> Vec<(&'static str, Fault)> {
    let line = |text: String| Fault::raw_line(text.into_bytes());
    let object = |data: String| format!(r#"{{"type":"ADDED","object":{{"metadata":{{"name":"a","namespace":"b"}},"data":{data}}}}}"#);
    vec![
        ("a17 garbage", line(format!("{IN_ANSWERS} {IN_SECRET}"))),
        ("a17 unquoted", line(object(format!("{{\"k\":{IN_ANSWERS}}}")))),
        ("a17 not an object", line(object(json!(IN_SECRET).to_string()))),
        ("a17 wrong type", line(object(json!({"k": [IN_SECRET]}).to_string()))),
        ("a17 type of event", line(format!(r#"{{"type":"{IN_ANSWERS}","object":{{}}}}"#))),
        ("a17 a Status of our own", line(format!(r#"{{"type":"ERROR","object":{}}}"#, json!({"code": 500, "message": IN_SECRET})))),
    ]
}

/// Whatever `act` breaks: nothing leaks, in either format.
fn nothing_leaks(act: impl Fn(&Stage, &Projector) + Sync) {
    std::thread::scope(|scope| {
        for format in ["text", "json"] {
            let act = &act;
            scope.spawn(move || {
                let stage = Stage::new();
                furnish(&stage);
                let mut projector = launch(&stage, format);
                projector.wait_ready();
                assert_silent("start", &stage, &projector);
                act(&stage, &projector);
                let code = projector.terminate().code();
                assert_eq!(code, Some(0));
                assert_no_leak("the output at the end", projector.output(), &ALL);
            });
        }
    });
}

fn reads_break(stage: &Stage, projector: &Projector, faults: Vec<(&'static str, Fault)>) {
    let server = stage.server();
    for (number, (name, fault)) in faults.into_iter().enumerate() {
        let script = server.fault(Matcher::reads("secrets").query(SELECTED), Times::Once, fault);
        server.drop_connections();
        wait_for(name, DEADLINE, || server.hits(script) == 1);
        let content = format!("{IN_SECRET} {number}");
        stage.cluster.set_secret("secret", &[("secret", &content)]);
        wait_content(&stage.file("secret"), content.as_bytes(), super::LONG);
        server.clear(script);
        assert_silent(name, stage, projector);
    }
}

/// Pages that cannot be read, and pages that are cut in the middle of a value.
fn pages_break(stage: &Stage, projector: &Projector) {
    let server = stage.server();
    server.fault(Matcher::stream_list(""), Times::Always, Fault::RejectSendInitialEvents);
    let page = |items: String| status(200, format!(r#"{{"kind":"List","metadata":{{"resourceVersion":"1"}},"items":[{items}"#));
    let faults = [
        ("a17 page", page(IN_SECRET.to_owned())),
        ("a17 item", page(json!({"metadata": {"name": 5, "x": IN_SECRET}, "data": IN_ANSWERS}).to_string() + "]}")),
        ("a4 page", Fault::CutAfterBytes(700)),
        ("a3 page", Fault::ContinueGone),
    ];
    for (name, fault) in faults {
        let broken = server.fault(Matcher::list("secrets").query(SELECTED), Times::Once, fault);
        let before = row(projector, "Secret")["relists"].as_u64();
        stage.in_a_gap(|| stage.create(&format!("after-{}", name.replace(' ', "-")), IN_CONFIG_MAP));
        wait_for(name, super::LONG, || server.hits(broken) == 1 && row(projector, "Secret")["state"] == "watching");
        assert!(row(projector, "Secret")["relists"].as_u64() > before, "{name}: listed again");
        // An event is the proof that the watch works: the next loss begins with a short wait again.
        let content = format!("{IN_SECRET} {name}");
        stage.cluster.set_secret("secret", &[("secret", &content)]);
        wait_content(&stage.file("secret"), content.as_bytes(), super::LONG);
        assert_silent(name, stage, projector);
    }
}

/// Finalizers and Events that the server refuses with words of its own.
fn writes_are_refused(stage: &Stage, projector: &Projector) {
    let server = stage.server();
    // After 403 a namespace is left in peace for a while: it comes last.
    for code in [409, 422, 429, 500, 403] {
        let patch = server.fault(Matcher::patch("secrets"), Times::Once, refusal(code));
        let create = server.fault(Matcher::create("events"), Times::Once, refusal(code));
        let name = format!("refused-{code}");
        stage.cluster.secret(&name, &[(name.as_str(), IN_SECRET)]).create();
        wait_content(&stage.file(&name), IN_SECRET.as_bytes(), DEADLINE);
        wait_for("the refusal of an Event", super::LONG, || server.hits(create) == 1);
        server.clear(patch);
        server.clear(create);
        assert_silent(&name, stage, projector);
    }
}

#[test]
fn canaries_stay_in_their_files_while_reads_fail() {
    nothing_leaks(|stage, projector| reads_break(stage, projector, failing_reads()));
}

#[test]
fn canaries_stay_in_their_files_while_watches_bring_garbage() {
    nothing_leaks(|stage, projector| reads_break(stage, projector, garbage()));
}

#[test]
fn canaries_stay_in_their_files_while_pages_break() {
    nothing_leaks(pages_break);
}

#[test]
fn canaries_stay_in_their_files_while_finalizers_and_events_are_refused() {
    nothing_leaks(writes_are_refused);
}

#[test]
fn the_search_finds_a_leak_planted_in_each_place() {
    const PLANTED: &str = "cnry-planted-5a5a5a";
    let stage = Stage::new();
    // Names are no secrets and may be told: a canary in a name is told everywhere.
    let (written, blocked) = (format!("{PLANTED}-written"), format!("{PLANTED}-blocked"));
    std::fs::create_dir_all(stage.file(&blocked).join("in-the-way")).unwrap();
    stage.cluster.configmap(PLANTED, &[(&written, "1"), (&blocked, "1")]).create();
    let projector = launch(&stage, "text");
    let written_tree = tree! { written.as_str() => "1" };
    wait_tree(stage.path(), &written_tree);
    let hidden = || {
        let found = places(&stage, &projector).into_iter().filter(|(_, bytes)| leak::find(bytes, PLANTED).is_empty());
        found.map(|(place, _)| place).collect::<Vec<_>>()
    };
    wait_for("the leak to be found in every place", DEADLINE, || hidden().is_empty());
}

#[test]
fn the_search_finds_a_leak_in_every_form() {
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    for lead in ["", "x", "xy"] {
        let text = STANDARD.encode(format!("{lead}{IN_SECRET}tail"));
        assert!(!leak::find(text.as_bytes(), IN_SECRET).is_empty(), "base64 at offset {}", lead.len());
    }
    let hex: String = IN_SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let json = json!({"log": format!("a value: {IN_SECRET}")}).to_string();
    let url = format!("Cnry%2B%22secret%2F{}%20%3C51c9aa%3E", escaped("é"));
    for (form, text) in [("raw", IN_SECRET.to_owned()), ("hex", hex), ("JSON", json), ("URL", url)] {
        assert!(!leak::find(text.as_bytes(), IN_SECRET).is_empty(), "{form}");
    }
}
