//! Servers that fail in every way: nothing waits for them, and the last good file stays. Acceptance 2 of issue 4.

use super::{complains, wait_complaint};
use crate::common::count;
use crate::sidecar_hooks::{Bench, healthy};
use crate::support::*;

/// What a server may do instead of a good answer, and what the log says of it.
fn faults() -> Vec<(&'static str, Answer, &'static str)> {
    vec![
        ("404", Answer::status(404), "answered 404 Not Found"),
        ("500", Answer::status(500), "answered 500 Internal Server Error"),
        ("hang", Answer::hang(), "no complete answer in time"),
        ("loop", Answer::redirect("/loop"), "more than 10 redirects"),
        ("sized", Answer::sized(1 << 30), "exceeds 16777216 bytes"),
        ("endless", Answer::endless(), "exceeds 16777216 bytes"),
        ("cut", Answer::cut("0123456789", 4), ""),
        ("stall", Answer::trickle("0123456789", DEADLINE), "no complete answer in time"),
    ]
}

/// Creates an object for each fault, and one with a file of its own; the paths of the files behind URLs.
fn create(bench: &Bench) -> Vec<String> {
    let faults = faults();
    for (name, _, _) in &faults {
        bench.far(name, name, &format!("/{name}"));
    }
    bench.far_at("refused", "refused", &format!("http://127.0.0.1:{}/", free_port()));
    bench.far_at("scheme", "scheme", "file:///etc/passwd");
    bench.far_at("nonsense", "nonsense", "not a url");
    bench.setup.cluster.configmap("near", &[("near", "1")]).create();
    faults.iter().map(|(name, _, _)| (*name).to_owned()).chain(["refused", "scheme", "nonsense"].map(str::to_owned)).collect()
}

#[test]
fn fix_1_7_no_failing_server_delays_other_files_or_readiness() {
    let bench = Bench::new();
    bench.web.on("/hang", Answer::hang());
    for name in ["a", "b", "c", "d", "e", "f"] {
        bench.far(name, name, "/hang");
    }
    bench.far_at("refused", "refused", &format!("http://127.0.0.1:{}/", free_port()));
    bench.setup.cluster.configmap("near", &[("near", "1")]).create();
    let other = WebServer::start();
    other.on("/good", Answer::ok("2"));
    bench.far_at("good", "good", &other.url("/good"));
    // Nothing of the dead server ends within this test.
    let mut projector = healthy(&bench.plain().env("REQ_TIMEOUT", "300").env("REQ_RETRY_BACKOFF_FACTOR", "100"));
    assert_eq!(tree(&bench.setup.folder())["near"], b"1", "ready means on disk");
    bench.setup.holds(&tree! { "near" => "1", "good" => "2" });
    bench.setup.cluster.set_data("near", &[("near", "3"), ("new", "4")]);
    bench.setup.holds(&tree! { "near" => "3", "new" => "4", "good" => "2" });
    bench.setup.cluster.delete("configmaps", "near");
    bench.setup.holds(&tree! { "good" => "2" });
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn keep_1_7_at_the_first_failure_ever_the_file_is_there_and_empty_and_it_is_reported() {
    let bench = Bench::new();
    for (name, answer, _) in faults() {
        bench.web.on(&format!("/{name}"), answer);
    }
    let names = create(&bench);
    let projector = healthy(&bench.plain().env("REQ_TIMEOUT", "0.2").env("REQ_RETRY_TOTAL", "1"));
    let mut files: Tree = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    files.insert("near".to_owned(), b"1".to_vec());
    bench.setup.holds(&files);
    for (name, _, why) in faults() {
        wait_complaint(&projector, &["a file behind a URL cannot be had", &format!("\"{name}\""), why]);
    }
    let log = projector.output();
    assert!(complains(&log, &["\"refused\"", "onnection refused"]) && complains(&log, &["\"scheme\"", "expected http or https"]), "{log}");
    assert!(complains(&log, &["\"nonsense\"", "not a URL"]), "{log}");
    // Two attempts where another one may help, one where it cannot.
    let asked = |name: &str| bench.web.count(&format!("/{name}"));
    assert_eq!((asked("500"), asked("cut"), asked("hang"), asked("404"), asked("sized"), asked("loop")), (2, 2, 2, 1, 1, 11));
    assert_eq!(count(&log, &format!("Max retries exceeded for URL {}", bench.web.url("/500"))), 1);
}

#[test]
fn fix_1_7_the_last_good_file_stays_whatever_its_server_does_later() {
    let bench = Bench::new();
    for (name, _, _) in faults() {
        bench.web.on(&format!("/{name}"), Answer::ok("good"));
    }
    for (name, _, _) in faults() {
        bench.far(name, name, &format!("/{name}"));
    }
    let builder = bench.hooked().env("REQ_TIMEOUT", "0.2").env("REQ_RETRY_TOTAL", "1").env("RESYNC", "1");
    let projector = healthy(&builder);
    let files: Tree = faults().iter().map(|(name, _, _)| ((*name).to_owned(), b"good".to_vec())).collect();
    bench.setup.holds(&files);
    wait_until("the initial run", DEADLINE, || if bench.all_runs().is_empty() { Err(projector.output()) } else { Ok(()) });
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    bench.ran(&[&names]);
    let inodes: Vec<_> = names.iter().map(|name| inode(&bench.setup.path(name))).collect();
    for (name, answer, _) in faults() {
        bench.web.on(&format!("/{name}"), answer);
    }
    for (name, _, why) in faults() {
        wait_complaint(&projector, &["keeping the last good file", &format!("\"{name}\""), why]);
    }
    assert_tree(&bench.setup.folder(), &files);
    assert_eq!(names.iter().map(|name| inode(&bench.setup.path(name))).collect::<Vec<_>>(), inodes);
    // A failure is reported once, however often the server is asked.
    bench.web.clear_requests();
    bench.web.wait_for("/404", 3);
    assert_eq!(projector.output().lines().filter(|line| line.contains("cannot be had") && line.contains("\"404\"")).count(), 1);
    bench.web.on("/404", Answer::ok("better"));
    bench.ran(&[&["404"]]);
    assert_eq!(tree(&bench.setup.folder())["404"], b"better");
    projector.wait_output("can be had again");
}

#[test]
fn fix_1_6e_removal_never_waits_for_a_download() {
    let bench = Bench::new();
    bench.web.on_each("/a", vec![Answer::ok("1"), Answer::hang()]).on("/b", Answer::hang()).on("/c", Answer::ok("3"));
    let (a, b, c) = (bench.web.url("/a"), bench.web.url("/b"), bench.web.url("/c"));
    bench.setup.cluster.configmap("m", &[("near", "1"), ("a.url", &a), ("c.url", &c)]).create();
    let _projector = healthy(&bench.plain().env("REQ_TIMEOUT", "300").env("RESYNC", "1"));
    bench.setup.holds(&tree! { "near" => "1", "a" => "1", "c" => "3" });
    bench.web.wait_for("/a", 2);
    // Its refresh hangs; the key goes, and nobody is asked for it.
    let asked = bench.web.count("/a");
    bench.setup.cluster.set_data("m", &[("near", "1"), ("b.url", &b), ("c.url", &c)]);
    bench.setup.holds(&tree! { "near" => "1", "c" => "3" });
    bench.web.wait_for("/b", 1);
    assert_eq!(bench.web.count("/a"), asked);
    // A key that gets another name while it hangs; then the whole object goes.
    bench.setup.cluster.set_data("m", &[("near", "2"), ("b2.url", &b), ("c2.url", &c)]);
    bench.setup.holds(&tree! { "near" => "2", "c2" => "3" });
    bench.setup.cluster.delete("configmaps", "m");
    bench.setup.holds(&tree! {});
}

#[test]
fn fix_1_7_a_restart_while_the_server_is_dead_keeps_the_last_good_file_and_tells_nobody() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("good"));
    bench.far("a", "a", "/a");
    let builder = bench.hooked().env("REQ_RETRY_TOTAL", "1");
    let mut projector = healthy(&builder);
    bench.ran_only(&[&["a"]]);
    // By script and by request, both times; what nobody knows to be told yet is told again after a restart.
    wait_for("all to be told", DEADLINE, || projector.output().matches("told the application").count() >= 4);
    assert_eq!(projector.terminate().code(), Some(0));
    let before = inode(&bench.setup.path("a"));
    bench.web.on("/a", Answer::status(500));
    let mut projector = healthy(&builder);
    wait_complaint(&projector, &["cannot be had", "\"a\""]);
    bench.ran_only(&[]);
    assert_eq!((tree(&bench.setup.folder())["a"].as_slice(), inode(&bench.setup.path("a"))), (&b"good"[..], before));
    bench.asked(3);
    wait_for("all to be told", DEADLINE, || projector.output().matches("told the application").count() >= 2);
    assert_eq!(projector.terminate().code(), Some(0));
    // Alive again with the same bytes: still nothing to tell.
    bench.web.on("/a", Answer::ok("good"));
    let asked = bench.web.count("/a");
    let _projector = healthy(&builder);
    bench.web.wait_for("/a", asked + 1);
    bench.ran_only(&[]);
    assert_eq!(inode(&bench.setup.path("a")), before);
}
