//! What the application is told, what lies behind URLs, and lines of the log that nobody takes.

use std::fs::File;
use std::io::Read as _;

use super::{Figures, wait_moved};
use crate::common::{Setup, started};
use crate::support::projector::Builder;
use crate::support::*;

const ATTEMPTS: &str = "projector_reaction_attempts_total{kind=\"request\"}";
const FAILURES: &str = "projector_reaction_failures_total{kind=\"request\"}";
const UNANSWERED: &str = "projector_reactions_unanswered_total{kind=\"request\"}";
const OWED: &str = "projector_reaction_owed_since_timestamp_seconds{kind=\"request\"}";
const SUCCESSFUL: &str = "reloader_last_reload_successful";

fn telling(setup: &Setup, web: &WebServer) -> Builder {
    let builder = setup.projector().env("FINALIZERS", "false").env("REQ_URL", &web.url("/reload")).env("REQ_METHOD", "POST");
    builder.env("REQ_RETRY_BACKOFF_FACTOR", "0.01").env("RESYNC", "0")
}

/// Changes the file and waits until it is there.
fn change(setup: &Setup, value: &str) {
    setup.cluster.set_data("a", &[("a", value)]);
    setup.holds(&tree! { "a" => value });
}

#[test]
fn attempts_are_counted_and_whether_the_last_one_worked() {
    let setup = Setup::in_process();
    let web = WebServer::start();
    let (good, bad) = (Answer::ok(""), Answer::status(503));
    web.on_each("/reload", vec![good.clone(), bad.clone(), bad.clone(), good.clone(), good]);
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = started(&telling(&setup, &web));
    web.wait_for("/reload", 1);
    wait_for("the first answer", DEADLINE, || Figures::of(&projector).get(ATTEMPTS) == 1.0);
    let before = Figures::of(&projector);
    assert_eq!((before.get(SUCCESSFUL), before.get(FAILURES)), (1.0, 0.0));
    let first = before.get("reloader_last_reload_success_timestamp_seconds");
    change(&setup, "2");
    let again = wait_moved(
        &projector,
        &before,
        &[
            ("projector_file_writes_total", 1.0),
            ("projector_file_delay_seconds_count", 1.0),
            // That something is owed, and that it is not any more.
            ("projector_ledger_appends_total", 2.0),
            (ATTEMPTS, 3.0),
            (FAILURES, 2.0),
            ("reloader_reloads_total", 3.0),
            ("reloader_reloads_failed_total", 2.0),
        ],
    );
    assert_eq!(web.count("/reload"), 4);
    assert!(again.get("reloader_last_reload_success_timestamp_seconds") > first);
    assert_eq!(again.0.get(OWED), None, "nothing is owed");
}

#[test]
fn what_fails_is_owed_since_its_change() {
    let setup = Setup::in_process();
    let web = WebServer::start();
    web.on("/reload", Answer::status(404));
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let began = now();
    let projector = started(&telling(&setup, &web));
    wait_for("a failure", DEADLINE, || Figures::of(&projector).get(FAILURES) >= 1.0);
    let failing = Figures::of(&projector);
    let owed = failing.get(OWED);
    assert!(owed >= began - 0.01 && owed <= now(), "{owed}");
    assert_eq!(failing.get(SUCCESSFUL), 0.0);
    assert!(!failing.0.contains_key("reloader_last_reload_success_timestamp_seconds"), "it never was told");
    web.on("/reload", Answer::ok(""));
    change(&setup, "2");
    wait_for("the success", DEADLINE, || Figures::of(&projector).get(SUCCESSFUL) == 1.0);
    let told = Figures::of(&projector);
    assert!(told.get("reloader_last_reload_success_timestamp_seconds") >= owed);
    wait_for("nothing owed", DEADLINE, || !Figures::of(&projector).0.contains_key(OWED));
}

#[test]
fn who_never_answers_is_counted_apart() {
    let setup = Setup::in_process();
    let web = WebServer::start();
    web.on("/reload", Answer::hang());
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let builder = telling(&setup, &web).env("REQ_TIMEOUT", "1").env("REQ_ANSWER_TIMEOUT", "1");
    let projector = started(&builder);
    wait_for("an attempt without an answer", DEADLINE, || Figures::of(&projector).get(UNANSWERED) >= 1.0);
    let figures = Figures::of(&projector);
    assert_eq!((figures.get(ATTEMPTS), figures.get(FAILURES)), (figures.get(UNANSWERED), figures.get(UNANSWERED)));
}

#[test]
fn each_way_of_telling_has_a_kind() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let script = setup.beside("script");
    crate::sidecar_hooks::write_by_child(&script, "#!/bin/sh\nexit 0\n", "755");
    let projector = started(&setup.projector().env("FINALIZERS", "false").env("SCRIPT", &script.display().to_string()));
    let kind = |what: &str| Figures::of(&projector).get(&format!("projector_reaction_attempts_total{{kind=\"{what}\"}}"));
    wait_for("the run", DEADLINE, || kind("script") == 1.0);
    assert_eq!(["signal", "child", "request", "exec"].map(kind), [0.0; 4]);
    assert_eq!(Figures::of(&projector).get(SUCCESSFUL), 1.0);
}

#[test]
fn a_child_that_is_told_by_its_signal_is_counted() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let child = "trap : HUP; while :; do sleep 0.05; done";
    let mut projector = started(&setup.projector().env("FINALIZERS", "false").args(&["run", "--", "/bin/sh", "-c", child]));
    change(&setup, "2");
    let attempts = "projector_reaction_attempts_total{kind=\"child\"}";
    wait_for("the signal", DEADLINE, || Figures::of(&projector).get(attempts) == 1.0);
    assert_eq!(Figures::of(&projector).get("reloader_reloads_total"), 1.0);
    // It would outlive one that is killed.
    projector.terminate();
}

#[test]
fn downloads_are_counted_by_what_came() {
    let setup = Setup::in_process();
    let web = WebServer::start();
    web.on("/a", Answer::ok("1").etag("\"1\"")).on("/b", Answer::status(404));
    let (a, b) = (web.url("/a"), web.url("/b"));
    setup.cluster.configmap("far", &[("a.url", &a), ("b.url", &b)]).create();
    let builder = setup.projector().env("FINALIZERS", "false").env("URL_KEYS", "true").env("RESYNC", "1");
    let projector = started(&builder);
    let result = |what: &str| Figures::of(&projector).get(&format!("projector_downloads_total{{result=\"{what}\"}}"));
    wait_for("another look", DEADLINE, || result("unchanged") >= 2.0 && result("failed") >= 2.0);
    wait_until("the counts of the server", DEADLINE, || {
        let counts = ((web.count("/a"), result("fetched") + result("unchanged")), (web.count("/b"), result("failed")));
        let is_same = |(asked, counted): (usize, f64)| asked as f64 == counted;
        if is_same(counts.0) && is_same(counts.1) { Ok(()) } else { Err(counts) }
    });
    assert_eq!(result("fetched"), 1.0);
}

/// A shell that gives what follows it a full pipe as standard error, which nobody reads.
const FULL: &str = "exec 2<>\"$0\"; dd if=/dev/zero bs=65536 count=1 >&2 2>/dev/null; exec \"$@\"";

#[test]
fn lines_that_nobody_reads_are_counted_while_they_are_lost() {
    let setup = Setup::in_process();
    let fifo = setup.beside("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success(), "mkfifo is there");
    let files: Vec<(String, String)> = (0..3000).map(|number| (format!("f{number}"), String::new())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    setup.cluster.configmap("many", &files).create();
    let builder = setup.projector().env("FINALIZERS", "false").wrapper(&["/bin/sh", "-c", FULL, &fifo.display().to_string()]);
    let projector = started(&builder);
    let lost = Figures::of(&projector).get("projector_log_lines_lost_total");
    assert!(lost > 0.0, "before anybody reads");
    let mut reader = File::open(&fifo).unwrap();
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&text).contains("log lines lost") {
        let read = reader.read(&mut buffer).unwrap();
        assert!(read > 0, "the log ended");
        text.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let (before, _) = text.split_once(" log lines lost").unwrap();
    let told: f64 = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    assert_eq!(Figures::of(&projector).get("projector_log_lines_lost_total"), told);
}
