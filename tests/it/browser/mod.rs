//! The status page in Debian's Chromium: what it shows, how it is used without a mouse, in the dark and on paper, and who gets nothing.
//!
//! Needs chromium, chromium-driver and axe-core: the stage `browser` of `.ci/run` installs them.

mod driver;
mod list;
mod people;
mod shown;
mod strangers;

use serde_json::{Value, json};

use crate::common::{Setup, started};
use crate::support::projector::Builder;
use crate::support::{Projector, free_port};

use driver::Browser;

/// The texts of all rows of the list.
const ROWS: &str = "[...document.querySelectorAll('#blocks tr')].map((tr) => [...tr.cells].map((cell) => cell.textContent))";
/// The paths alone.
const PATHS: &str = "[...document.querySelectorAll('#blocks .path')].map((cell) => cell.textContent)";
const LINK: &str = "document.body.dataset.link";
const STATE: &str = "document.body.dataset.state";

/// A projector and its page.
struct Look {
    setup: Setup,
    projector: Projector,
    builder: Builder,
    at: String,
    browser: Browser,
}

impl Look {
    /// With what is in the cluster already; the page is open and has caught up.
    fn at(setup: Setup) -> Self {
        Self::with(setup, |builder| builder)
    }

    fn with(setup: Setup, change: impl FnOnce(Builder) -> Builder) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let builder = change(setup.projector().env("STATUS_ADDR", &address));
        let projector = started(&builder);
        let look = Self { setup, projector, builder, at: format!("http://{address}/"), browser: Browser::start() };
        look.open("");
        look
    }

    /// Opens the page with this fragment, and waits until its rows are there.
    fn open(&self, fragment: &str) {
        self.browser.open("about:blank");
        self.browser.open(&format!("{}{fragment}", self.at));
        self.browser.shows(LINK, &json!("live"));
        self.browser.shows("document.getElementById('shown').textContent !== ''", &json!(true));
    }

    fn run(&self, script: &str) -> Value {
        self.browser.run(script, &[])
    }

    /// Waits until an expression has this value.
    fn shows(&self, expression: &str, expected: Value) {
        self.browser.shows(expression, &expected);
    }

    /// Types into the search field, in place of what is in it.
    fn search(&self, text: &str) {
        self.browser.run("query.value = arguments[0]; query.dispatchEvent(new Event('input'));", &[json!(text)]);
    }

    /// Clicks on the title of a column.
    fn sort(&self, title: &str) {
        self.browser.run(
            "[...document.querySelectorAll('#titles button')].find((button) => button.textContent === arguments[0]).click();",
            &[json!(title)],
        );
    }
}

/// ConfigMaps `bulk-0…` with a hundred files each.
fn bulk(setup: &Setup, objects: usize) {
    for object in 0..objects {
        let files: Vec<_> =
            (0..100).map(|file| (format!("{object:03}-{file:02}.yaml"), "x".repeat((object * 37 + file * 61) % 997))).collect();
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        setup.cluster.configmap(&format!("bulk-{object}"), &files).create();
    }
}
