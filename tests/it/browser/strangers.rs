//! Pages of others get nothing, and names of objects stay text.

use serde_json::json;

use crate::browser::driver::REBOUND;
use crate::browser::{Look, PATHS};
use crate::common::Setup;
use crate::support::{Answer, DEADLINE, WebServer};

/// Every way for a page to get at something elsewhere: each says "got" if it did.
const GRAB: &str = "Promise.all([
    fetch(at + 'status').then(() => 'got', () => 'refused'),
    fetch(at + 'status', { mode: 'no-cors' }).then((answer) => answer.type, () => 'refused'),
    fetch(at + 'stream').then(() => 'got', () => 'refused'),
    new Promise((done) => { const stream = new EventSource(at + 'stream'); stream.onmessage = stream.onopen = () => done('got'); stream.onerror = () => { stream.close(); done('refused'); }; }),
    new Promise((done) => { const script = document.head.appendChild(document.createElement('script')); script.onload = () => done('got'); script.onerror = () => done('refused'); script.src = at + 'status'; }),
])";

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn a_page_of_another_origin_gets_nothing() {
    let look = Look::at(Setup::in_process());
    let web = WebServer::start();
    web.on("/", Answer::ok("<!doctype html><title>stranger</title>").header("Content-Type", "text/html"));
    // The same machine by another port is the same site; by another name it is another one.
    for origin in [web.url("/"), web.url("/").replace("127.0.0.1", "localhost")] {
        look.browser.open(&origin);
        look.browser.run("window.at = arguments[0]", &[json!(look.at)]);
        assert_eq!(look.browser.promised(GRAB, DEADLINE), json!(["refused", "refused", "refused", "refused", "refused"]), "{origin}");
        let framed = "new Promise((done) => { const frame = document.body.appendChild(document.createElement('iframe')); frame.onload = () => { try { done(frame.contentDocument?.title ?? 'closed'); } catch (error) { done('closed'); } }; frame.src = at; })";
        assert_eq!(look.browser.promised(framed, DEADLINE), json!("closed"), "{origin}");
    }
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn a_name_that_was_bound_to_us_gets_nothing() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a.yaml", "1")]).create();
    let look = Look::at(setup);
    look.shows(PATHS, json!(["a.yaml"]));
    let there = look.at.replace("127.0.0.1", REBOUND);
    look.browser.open(&there);
    assert_eq!(look.browser.value("location.hostname"), json!(REBOUND));
    assert_eq!(look.browser.value("document.getElementById('blocks')"), json!(null));
    let asked = "Promise.all(['/', '/status', '/stream', '/files'].map((path) => fetch(path).then((answer) => answer.status)))";
    assert_eq!(look.browser.promised(asked, DEADLINE), json!([403, 403, 403, 403]));
    look.browser.open(&look.at.replace("127.0.0.1", "localhost"));
    look.shows(PATHS, json!(["a.yaml"]));
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn what_looks_like_markup_stays_text() {
    let setup = Setup::in_process();
    let evil = "<img src=x onerror=document.title='owned'>";
    setup.cluster.configmap("a", &[("a.yaml", "1")]).target(evil).create();
    let look = Look::at(setup);
    look.shows(PATHS, json!([format!("{evil}/a.yaml")]));
    assert_eq!(look.browser.value("document.querySelectorAll('img').length"), json!(0));
    look.browser.said_nothing();
    // The page cannot do otherwise: its own policy keeps it from it.
    let tried = look
        .browser
        .value("(() => { try { document.body.innerHTML = '<b>x</b>'; return 'done'; } catch (error) { return error.name; } })()");
    assert_eq!(tried, json!("TypeError"));
    let elsewhere = look.browser.promised("fetch('http://127.0.0.1:1/').then(() => 'got', () => 'refused')", DEADLINE);
    assert_eq!(elsewhere, json!("refused"));
}
