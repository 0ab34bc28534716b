//! The list of files: filters, order, addresses that lead to them, and ten thousand rows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::{Look, PATHS, bulk};
use crate::common::Setup;
use crate::support::DEADLINE;

/// How often each thing is timed.
const TIMES: usize = 3;

fn few() -> Setup {
    let setup = Setup::in_process();
    setup.cluster.configmap("rules", &[("latency.yaml", "123"), ("errors.yaml", "12345")]).target("rules").create();
    setup.cluster.secret("token", &[("token", "1")]).create();
    setup
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn a_search_finds_paths_and_objects_and_stands_in_the_address() {
    let look = Look::at(few());
    for (text, found) in [
        ("LATENCY", json!(["rules/latency.yaml"])),
        ("configmap/ /rules", json!(["rules/errors.yaml", "rules/latency.yaml"])),
        ("secret/ token", json!(["token"])),
        ("nobody", json!([])),
    ] {
        look.search(text);
        look.shows(PATHS, found);
    }
    look.shows(
        "[document.getElementById('nothing').textContent, shown.textContent.slice(0, 12)]",
        json!(["No file and no object is called so.", "0 of 3 files"]),
    );
    look.shows("location.hash", json!("#q=nobody"));
    look.run("document.getElementById('clear').click()");
    look.shows("[document.querySelectorAll('#blocks tr').length, location.hash, document.activeElement.id]", json!([3, "", "query"]));
    look.browser.said_nothing();
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn titles_sort_and_say_so() {
    let look = Look::at(few());
    let sorted = "[...document.querySelectorAll('#titles [aria-sort]')].map((cell) => [cell.textContent, cell.getAttribute('aria-sort')])";
    look.shows(sorted, json!([["State", "ascending"]]));
    look.sort("Size");
    look.shows(PATHS, json!(["token", "rules/latency.yaml", "rules/errors.yaml"]));
    look.sort("Size");
    look.shows(PATHS, json!(["rules/errors.yaml", "rules/latency.yaml", "token"]));
    look.shows(sorted, json!([["Size", "descending"]]));
    look.shows("location.hash", json!("#sort=-size"));
    look.sort("Object");
    look.shows(PATHS, json!(["rules/errors.yaml", "rules/latency.yaml", "token"]));
    look.browser.said_nothing();
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn an_address_leads_to_what_it_was_taken_from() {
    let look = Look::at(few());
    look.open("#q=yaml&sort=size");
    look.shows(PATHS, json!(["rules/latency.yaml", "rules/errors.yaml"]));
    look.shows("[query.value, bad.checked]", json!(["yaml", false]));
    look.run("location.hash = '#bad=1'");
    look.shows("[query.value, bad.checked, document.querySelectorAll('#blocks tr').length]", json!(["", true, 0]));
    look.run("history.back()");
    look.shows(PATHS, json!(["rules/latency.yaml", "rules/errors.yaml"]));
    look.browser.said_nothing();
}

/// How long a deed takes until it is painted, in milliseconds: the middle of several.
fn painted(look: &Look, deed: &str) -> f64 {
    let promise = format!(
        "new Promise((done) => {{ const from = performance.now(); {deed}; requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - from))); }})"
    );
    let mut times: Vec<f64> = (0..TIMES).map(|_| look.browser.promised(&promise, DEADLINE).as_f64().unwrap()).collect();
    times.sort_by(f64::total_cmp);
    times[TIMES / 2]
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn ten_thousand_rows_are_all_there_and_none_is_built_anew() {
    let setup = Setup::in_process();
    bulk(&setup, 100);
    let look = Look::at(setup);
    let count = "document.querySelectorAll('#blocks tr').length";
    look.shows(count, json!(10_000));
    look.shows("document.querySelectorAll('.block').length", json!(100));
    look.shows("getComputedStyle(document.querySelector('.block')).contentVisibility", json!("auto"));
    look.run("window.known = new Set(document.querySelectorAll('#blocks tr'))");
    let strange = "[...document.querySelectorAll('#blocks tr')].filter((tr) => !known.has(tr)).length";
    look.sort("Size");
    look.shows(&format!("[{count}, {strange}]"), json!([10_000, 0]));
    look.search("bulk-42");
    look.shows(&format!("[{count}, {strange}]"), json!([100, 0]));
    look.search("");
    look.shows(&format!("[{count}, {strange}]"), json!([10_000, 0]));
    let ours = painted(&look, "document.querySelector('#titles button').click()");
    let rows = look.browser.value(crate::browser::ROWS);
    look.browser.said_nothing();
    let plain = plain_table(&look, rows);
    println!("browser: 10000 rows are sorted and painted in {ours:.0} ms, those of a plain table in {plain:.0} ms");
    assert!(plain >= 5.0 * ours, "{plain} ms against {ours} ms");
}

/// The same rows as a table of one piece, on a page of its own.
fn plain_table(look: &Look, rows: Value) -> f64 {
    look.browser.open("about:blank");
    look.browser.run(
        "const table = document.body.appendChild(document.createElement('table'));
         for (const cells of arguments[0]) {
           const tr = table.insertRow();
           for (const text of cells) tr.insertCell().textContent = text;
         }
         window.down = false;
         window.again = () => {
           down = !down;
           const rows = [...table.rows].map((tr) => [tr.cells[0].textContent, tr]);
           rows.sort((one, other) => (one[0] < other[0] ? -1 : 1) * (down ? -1 : 1));
           table.tBodies[0].replaceChildren(...rows.map(([, tr]) => tr));
         };",
        &[rows],
    );
    painted(look, "again()")
}

#[test]
#[ignore = "needs Chromium: .ci/run browser"]
fn more_than_twenty_thousand_come_in_pages() {
    let setup = Setup::in_process();
    bulk(&setup, 201);
    let look = Look::at(setup);
    let page = "[document.querySelectorAll('#blocks tr').length, document.querySelector('#blocks .path')?.textContent, document.getElementById('page-of').textContent]";
    look.shows(page, json!([1000, "000-00.yaml", "1 to 1\u{202f}000 of 20\u{202f}100"]));
    look.run("next.click()");
    look.shows(page, json!([1000, "010-00.yaml", "1\u{202f}001 to 2\u{202f}000 of 20\u{202f}100"]));
    look.sort("File");
    look.sort("File");
    look.shows("document.querySelector('#blocks .path')?.textContent", json!("200-99.yaml"));
    look.search("bulk-9 077");
    look.shows(PATHS, json!([]));
    look.search("bulk-77 077-00");
    look.shows(PATHS, json!(["077-00.yaml"]));
    let longer = "y".repeat(5000);
    look.setup.cluster.set_data("bulk-77", &[("077-00.yaml", &longer), ("077-00-too.yaml", "")]);
    look.browser.shows("document.querySelector('#blocks .size')?.textContent", &json!("5\u{202f}000 B"));
    look.shows(PATHS, json!(["077-00.yaml", "077-00-too.yaml"]));
    // The server cannot sort by what it does not keep.
    look.shows(
        "[...document.querySelectorAll('#titles button')].filter((button) => button.disabled).map((button) => button.textContent)",
        json!(["Since", "Why"]),
    );
    look.browser.said_nothing();
}

/// Long enough for a sweep over a page by axe-core on a busy machine.
pub const SWEEP: Duration = Duration::from_secs(120);
