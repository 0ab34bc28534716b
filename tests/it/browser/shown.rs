//! What the page shows, and how it follows.

use rustix::process::Signal;
use serde_json::json;

use crate::browser::{LINK, Look, PATHS, ROWS, STATE};
use crate::common::{Setup, started};
use crate::support::*;

const SENTENCE: &str = "document.getElementById('sentence').textContent";

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn a_page_shows_what_status_tells() {
    let setup = Setup::in_process();
    setup.cluster.configmap("web", &[("a.yaml", "1234"), ("b.yaml", "")]).create();
    setup.cluster.secret("tls", &[("key", "canary-of-bytes")]).target("tls").create();
    let look = Look::with(setup, |builder| {
        builder.env("REQ_PASSWORD", "canary-of-settings").env("REQ_USERNAME", "me").env("REQ_URL", "http://127.0.0.1:1/x")
    });
    look.shows(PATHS, json!(["a.yaml", "b.yaml", "tls/key"]));
    let status = http::Client::http("127.0.0.1", port(&look)).get("/status").json();
    look.shows(SENTENCE, status["verdict"]["sentence"].clone());
    let namespace = look.setup.cluster.namespace();
    let rows = look.browser.value(ROWS);
    assert_eq!(
        rows[0].as_array().unwrap()[..5],
        [json!("a.yaml"), json!(format!("ConfigMap/{namespace}/web")), json!("ok"), json!("0644"), json!("4 B")]
    );
    assert_eq!(rows[2][1], json!(format!("Secret/{namespace}/tls")));
    look.shows("document.querySelectorAll('#changes li').length > 0", json!(true));
    look.shows("document.querySelectorAll('#watches tr').length", json!(status["watches"].as_array().unwrap().len()));
    let folder = look.setup.folder().display().to_string();
    look.shows(
        "[...document.querySelectorAll('#made tr')].find((tr) => tr.cells[0].textContent === 'FOLDER').cells[1].textContent",
        json!(folder),
    );
    look.shows(
        "[...document.querySelectorAll('#made tr')].find((tr) => tr.cells[0].textContent === 'REQ_PASSWORD').cells[1].textContent",
        json!("set, not shown"),
    );
    let page = look.browser.value("document.documentElement.textContent");
    assert_no_leak("the page", page.as_str().unwrap(), &["canary-of-bytes", "canary-of-settings"]);
    look.browser.said_nothing();
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn an_edit_changes_one_row_and_keeps_it() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a.yaml", "1"), ("b.yaml", "12")]).create();
    setup.cluster.configmap("z", &[("z.yaml", "123")]).create();
    let look = Look::at(setup);
    look.shows(PATHS, json!(["a.yaml", "b.yaml", "z.yaml"]));
    look.run(
        "window.touched = new Set(); window.before = [...document.querySelectorAll('#blocks tr')];
         const row = (node) => (node.nodeType === 1 ? node : node.parentElement)?.closest('tr') ?? node;
         new MutationObserver((all) => all.forEach((one) => [one.target, ...one.addedNodes, ...one.removedNodes].forEach((node) => touched.add(row(node)))))
           .observe(blocks, { subtree: true, childList: true, characterData: true, attributes: true });",
    );
    look.setup.cluster.set_data("a", &[("a.yaml", "1"), ("b.yaml", "a longer text")]);
    look.shows(&format!("{ROWS}[1][4]"), json!("13 B"));
    look.shows("[...touched].filter((node) => node.nodeName === 'TR').map((tr) => tr.cells[0].textContent)", json!(["b.yaml"]));
    look.shows("[...document.querySelectorAll('#blocks tr')].every((tr, index) => tr === before[index])", json!(true));
    look.browser.said_nothing();
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn files_come_and_go_where_they_belong() {
    // Letters that are in no name of a kind or a namespace.
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("t", "12"), ("v", "1234")]).create();
    let look = Look::at(setup);
    look.shows(PATHS, json!(["t", "v"]));
    look.setup.cluster.set_data("a", &[("s", "1"), ("t", "12"), ("u", "123"), ("v", "1234"), ("w", "12345")]);
    look.shows(PATHS, json!(["s", "t", "u", "v", "w"]));
    look.sort("Size");
    look.setup.cluster.set_data("a", &[("s", "123456"), ("t", "12"), ("v", "1234"), ("w", "12345")]);
    look.shows(PATHS, json!(["t", "v", "w", "s"]));
    look.search("w");
    look.shows(PATHS, json!(["w"]));
    look.setup.cluster.set_data("a", &[("s", "123456"), ("t", "12"), ("ww", "1")]);
    look.shows(PATHS, json!(["ww"]));
    look.browser.said_nothing();
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn what_is_wrong_comes_first_with_its_reason_and_what_to_do() {
    let setup = Setup::in_process();
    setup.cluster.configmap("first", &[("same.yaml", "1"), ("good.yaml", "1"), ("fine.yaml", "1")]).create();
    let look = Look::at(setup);
    look.shows(STATE, json!("well"));
    look.setup.cluster.configmap("second", &[("same.yaml", "2")]).create();
    look.shows(STATE, json!("bad"));
    look.shows("document.title.startsWith('(1) /')", json!(true));
    let said = |part: &str| format!("document.querySelector('#problems {part}').textContent");
    look.shows(&said(".tag"), json!("path conflict"));
    for (part, words) in [(".subject span", "same.yaml"), (".reason", "second"), (".advice", "What to do:"), (".since", "ago")] {
        let text = look.browser.value(&said(part));
        assert!(text.as_str().unwrap().contains(words), "{part}: {text}");
    }
    let before = "problems.getBoundingClientRect().top < blocks.getBoundingClientRect().top && sentence.getBoundingClientRect().top < problems.getBoundingClientRect().top";
    look.shows(before, json!(true));
    look.shows(PATHS, json!(["same.yaml", "fine.yaml", "good.yaml"]));
    look.run("bad.click()");
    look.shows(PATHS, json!(["same.yaml"]));
    look.run("document.querySelector('#problems a').click()");
    look.shows("[query.value.endsWith('/same.yaml'), document.activeElement.id]", json!([true, "files"]));
    look.setup.cluster.delete("configmaps", "second");
    look.shows(STATE, json!("well"));
    look.shows("troubles.hidden", json!(true));
    look.browser.said_nothing();
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn a_page_says_that_it_is_disconnected_and_comes_back_with_the_rows_it_has() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a.yaml", "1"), ("b.yaml", "1")]).create();
    let mut look = Look::at(setup);
    look.shows(PATHS, json!(["a.yaml", "b.yaml"]));
    look.run("window.before = [...document.querySelectorAll('#blocks tr')]");
    look.browser.said_nothing();
    look.projector.kill9();
    look.shows(LINK, json!("lost"));
    look.shows("lost.hidden", json!(false));
    look.shows("/^Disconnected.*What you see is as of/.test(document.getElementById('lost-why').textContent)", json!(true));
    look.shows("/^data [1-9]\\d* s old$/.test(age.textContent)", json!(true));
    look.setup.cluster.set_data("a", &[("a.yaml", "1"), ("b.yaml", "changed meanwhile")]);
    look.projector = started(&look.builder);
    look.shows(LINK, json!("live"));
    look.shows("lost.hidden", json!(true));
    look.shows(&format!("{ROWS}[1][4]"), json!("17 B"));
    look.shows("[...document.querySelectorAll('#blocks tr')].every((tr, index) => tr === before[index])", json!(true));
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn a_page_that_hears_nothing_says_so() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a.yaml", "1")]).create();
    let look = Look::at(setup);
    look.shows(PATHS, json!(["a.yaml"]));
    look.projector.signal(Signal::STOP);
    look.shows(LINK, json!("lost"));
    look.shows("document.getElementById('lost-why').textContent.startsWith('Disconnected: nothing was heard')", json!(true));
    look.projector.signal(Signal::CONT);
    look.shows(LINK, json!("live"));
    look.setup.cluster.set_data("a", &[("a.yaml", "123")]);
    look.shows(&format!("{ROWS}[0][4]"), json!("3 B"));
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn a_page_that_is_paused_stands_still_until_it_goes_on() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a.yaml", "1")]).create();
    let look = Look::at(setup);
    look.shows(&format!("{ROWS}[0][4]"), json!("1 B"));
    look.run("pause.click()");
    look.shows(LINK, json!("paused"));
    look.setup.cluster.set_data("a", &[("a.yaml", "123")]);
    look.setup.caught_up();
    look.shows("/^data [1-9]\\d* s old$/.test(age.textContent)", json!(true));
    assert_eq!(look.browser.value(&format!("{ROWS}[0][4]")), json!("1 B"));
    look.run("pause.click()");
    look.shows(&format!("{ROWS}.find((row) => row[0] === 'a.yaml')[4]"), json!("3 B"));
    look.shows("[pause.textContent, pause.getAttribute('aria-pressed')]", json!(["Pause", "false"]));
    look.browser.said_nothing();
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn the_ninth_reader_is_told_so_and_gets_in_when_another_leaves() {
    let look = Look::at(Setup::in_process());
    look.browser.open("about:blank");
    let client = http::Client::http("127.0.0.1", port(&look));
    let mut others: Vec<_> = Vec::new();
    wait_for("eight readers", DEADLINE, || {
        others.extend(client.open("/stream").ok().filter(|stream| stream.status == 200));
        others.len() == 8
    });
    look.browser.open(&look.at);
    look.shows(LINK, json!("lost"));
    look.shows("document.getElementById('lost-why').textContent.startsWith('Turned away: eight others')", json!(true));
    others.pop();
    look.shows(LINK, json!("live"));
}

fn port(look: &Look) -> u16 {
    look.at.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()).unwrap()
}
