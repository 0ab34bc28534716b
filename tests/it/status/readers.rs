//! Readers that follow, that stand still, and that leave.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use super::Shown;
use crate::common::Setup;
use crate::support::*;

/// Streams that are served at a time.
const STREAMS: usize = 8;

/// A stream that nobody reads yet.
fn open(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

/// Events of a stream, as they come.
struct Events(BufReader<TcpStream>);

impl Events {
    fn next(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("a line in time") > 0, "the stream ended");
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).unwrap());
            }
        }
    }

    /// Events up to one that is so, which is the last.
    fn until(&mut self, is_so: impl Fn(&str, &Value) -> bool) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        loop {
            let (name, data) = self.next();
            let found = is_so(&name, &data);
            events.push((name, data));
            if found {
                return events;
            }
        }
    }
}

/// Rows of some events: how many, and the ends of their paths.
fn rows(events: &[(String, Value)]) -> Vec<String> {
    let rows = events.iter().filter(|(name, _)| name == "rows").flat_map(|(_, data)| data["rows"].as_array().unwrap());
    rows.map(|row| row[0].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn a_reader_gets_everything_once_and_then_what_changes() {
    let setup = Setup::new();
    for name in ["a", "b", "c"] {
        setup.cluster.configmap(name, &[(name, "1")]).create();
    }
    let shown = Shown::start(&setup.projector());
    shown.wait("three files", "/status", |status| status["counts"]["files"] == 3);
    let mut events = Events(BufReader::new(open(shown.port)));
    let first = events.until(|name, _| name == "complete");
    assert_eq!(first[0].0, "begin");
    let mut all = rows(&first);
    all.sort();
    assert_eq!((all, &first.last().unwrap().1["total"]), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], &3.into()));
    setup.cluster.set_data("b", &[("b", "22")]);
    let change = events.until(|name, data| name == "timeline" && data["entries"][0]["paths"][0].as_str().unwrap().ends_with("/b"));
    assert_eq!(rows(&change), ["b"], "only what changed: {change:#?}");
    setup.cluster.delete("configmaps", "c");
    let gone = events.until(|name, data| name == "rows" && !data["gone"].as_array().unwrap().is_empty());
    assert!(gone.last().unwrap().1["gone"][0].as_str().unwrap().ends_with("/c"), "{gone:#?}");
}

/// A folder of manifests: as many ConfigMaps of 100 keys.
fn manifests(folder: &Path, maps: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for map in 0..maps {
        let keys: String = (0..100).map(|key| format!("  m{map:03}-k{key:02}: \"1\"\n")).collect();
        let text =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{map:03}, namespace: shop, labels: {{find: me}}}}\ndata:\n{keys}");
        std::fs::write(folder.join(format!("{map:03}.yaml")), text).unwrap();
    }
}

/// A projector of so many files, 100 to an object.
fn of_manifests(setup: &Setup, maps: usize) -> Shown {
    let source = setup.beside("source");
    manifests(&source, maps);
    let builder = Projector::builder().folder(&setup.folder()).env("SOURCE", &source.display().to_string()).env("LABEL", "find");
    let shown = Shown::start(&builder);
    shown.wait("all files", "/status?files=no", |status| status["counts"]["files"] == maps * 100);
    shown
}

#[test]
fn eight_that_stand_still_keep_nobody_waiting() {
    let setup = Setup::new();
    let shown = of_manifests(&setup, 60);
    let still: Vec<TcpStream> = (0..STREAMS).map(|_| open(shown.port)).collect();
    wait_for("the ninth to be refused", DEADLINE, || shown.try_get("/stream").is_some_and(|answer| answer.status == 503));
    // Each round changes 100 files, and more in all than any buffer between us holds.
    for round in 0..40 {
        let name = format!("round-{round}");
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m000, namespace: shop, labels: {{find: me}}}}\ndata: {{{name}: now}}\n"
        );
        std::fs::write(setup.beside("source").join("000.yaml"), text).unwrap();
        wait_for(&format!("the file of round {round}"), DEADLINE, || setup.path(&name).exists());
        assert_eq!((shown.projector.health().0, shown.projector.ready().0), (200, 200));
        let status = shown.get("/status?files=no");
        assert_eq!(status["verdict"]["ok"], true, "{status:#}");
    }
    assert_eq!(shown.try_get("/stream").unwrap().status, 503, "they are still there");
    // Whoever wakes up is told how it is now, not all that was: what lies in buffers, one more beginning, and the end.
    let mut events = Events(BufReader::new(still.into_iter().next().unwrap()));
    let woken = events.until(|name, data| name == "rows" && data["rows"].to_string().contains("/round-39"));
    assert!(woken.iter().filter(|(name, _)| name == "begin").count() <= 3, "{}", woken.len());
}

#[test]
fn memory_is_given_back_when_ten_thousand_rows_were_read() {
    let setup = Setup::new();
    let shown = of_manifests(&setup, 100);
    let read_all = || {
        let answer = shown.get("/status");
        assert_eq!(answer["files"]["rows"].as_array().unwrap().len(), 10_000);
        let mut events = Events(BufReader::new(open(shown.port)));
        assert_eq!(rows(&events.until(|name, _| name == "complete")).len(), 10_000);
        assert_eq!(shown.get("/files?sort=size&order=desc")["matching"], 10_000);
    };
    // What is made once and kept, such as a thread and the policy of the page, is there before.
    shown.get("/status?files=no");
    shown.get("/files?limit=1");
    let before = shown.projector.rss_kib();
    for _ in 0..3 {
        read_all();
    }
    wait_until("memory as before", DEADLINE, || {
        let now = shown.projector.rss_kib();
        if now <= before + 1024 { Ok(()) } else { Err(format!("{before} KiB before, {now} KiB now")) }
    });
    println!("10000 rows: {before} KiB before, {} KiB after, {} KiB at most", shown.projector.rss_kib(), shown.projector.peak_kib());
}
