//! Debian's Chromium by WebDriver: a dozen of its commands over plain HTTP.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http::Client;
use crate::support::{DEADLINE, free_port, wait_until};

/// Keys that are no letters.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";
pub const SPACE: &str = " ";

/// The name that leads to this machine although it is not its own.
pub const REBOUND: &str = "rebound.test";

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1280,1000",
];

/// A browser with one page. Dropping it ends it.
pub struct Browser {
    driver: Child,
    client: Client,
    session: String,
    _profile: TempDir,
}

impl Browser {
    pub fn start() -> Self {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver: {error}: see the stage `browser` of .ci/run"));
        let profile = TempDir::new().unwrap();
        let client = Client::http("127.0.0.1", port);
        let mut browser = Self { driver, client, session: String::new(), _profile: profile };
        wait_until("chromedriver", DEADLINE, || browser.client.try_send("GET", "/status", &[], &[]));
        let mut flags: Vec<_> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--host-resolver-rules=MAP {REBOUND} 127.0.0.1"));
        flags.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let wanted = json!({"goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL"}});
        let session = browser.client.post("/session", &json!({"capabilities": {"alwaysMatch": wanted}})).ok("a session");
        browser.session = format!("/session/{}", session["value"]["sessionId"].as_str().unwrap());
        browser
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.client.post(&format!("{}/{name}", self.session), body).ok(name)["value"].clone()
    }

    /// Goes to an address and waits until the document is there.
    pub fn open(&self, url: &str) {
        self.command("url", &json!({"url": url}));
    }

    /// What a script returns; it finds its arguments in `arguments`.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.command("execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// The value of an expression.
    pub fn value(&self, expression: &str) -> Value {
        self.run(&format!("return {expression};"), &[])
    }

    /// Waits until an expression has this value.
    pub fn shows(&self, expression: &str, expected: &Value) {
        wait_until(&format!("{expression} to be {expected}"), DEADLINE, || {
            let found = self.value(expression);
            if &found == expected { Ok(()) } else { Err(found) }
        });
    }

    /// Waits until a promise is kept, and says with what.
    pub fn promised(&self, promise: &str, within: Duration) -> Value {
        self.run(
            &format!(
                "window.kept = undefined; ({promise}).then((value) => window.kept = [value], (error) => window.kept = [String(error)]);"
            ),
            &[],
        );
        wait_until(promise, within, || {
            let kept = self.value("window.kept ?? null");
            kept.get(0).cloned().ok_or(kept)
        })
    }

    /// A command of the developer tools.
    pub fn tool(&self, name: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
    }

    /// What the user prefers: `("prefers-color-scheme", "dark")`.
    pub fn prefers(&self, feature: &str, value: &str) {
        self.tool("Emulation.setEmulatedMedia", &json!({"features": [{"name": feature, "value": value}]}));
    }

    pub fn size(&self, width: u32, height: u32) {
        self.tool(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
    }

    /// Presses keys one after the other, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let strokes: Vec<_> = keys
            .chars()
            .flat_map(|key| [json!({"type": "keyDown", "value": key.to_string()}), json!({"type": "keyUp", "value": key.to_string()})])
            .collect();
        self.command("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}));
    }

    /// The page as PNG.
    pub fn picture(&self) -> Vec<u8> {
        let answer = self.client.get(&format!("{}/screenshot", self.session)).ok("a picture");
        BASE64.decode(answer["value"].as_str().unwrap()).unwrap()
    }

    /// Fails if anything was written to the console.
    pub fn said_nothing(&self) {
        assert_eq!(self.command("se/log", &json!({"type": "browser"})), json!([]), "the console");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without a session nothing is left to end but the driver.
        drop(self.client.try_send("DELETE", &self.session, &[], &[]));
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}
