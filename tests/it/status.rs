//! The status page from outside: what it says, to whom, and that nobody who looks makes a file later.

mod command;
mod readers;
mod schema;

use std::path::Path;

use serde_json::Value;

use crate::common::Setup;
use crate::support::http::{Client, Response};
use crate::support::projector::Builder;
use crate::support::*;

const IN_CONFIG_MAP: &str = "Cnry+\"config/é <83b2c0>";
const IN_SECRET: &str = "Cnry+\"secret/é <1d09fe>";
/// What a script prints, which may be anything.
const IN_OUTPUT: &str = "canary-of-a-script-77ab01";

/// A projector with its page, and where that is.
struct Shown {
    projector: Projector,
    port: u16,
}

impl Shown {
    fn start(builder: &Builder) -> Self {
        let port = free_port();
        let mut projector = builder.clone().env("STATUS_ADDR", &format!("127.0.0.1:{port}")).start();
        projector.wait_ready();
        let shown = Self { projector, port };
        wait_for("the status page", DEADLINE, || shown.try_get("/status?files=no").is_some());
        shown
    }

    fn client(&self) -> Client {
        Client::http("127.0.0.1", self.port)
    }

    fn try_get(&self, path: &str) -> Option<Response> {
        self.client().try_send("GET", path, &[], &[]).ok()
    }

    fn get(&self, path: &str) -> Value {
        self.client().get(path).ok(path)
    }

    /// Waits until an answer is as it should be.
    fn wait(&self, what: &str, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, DEADLINE, || {
            let answer = self.get(path);
            if is_so(&answer) { Ok(answer) } else { Err(answer) }
        })
    }
}

/// The row of a file, by the end of its path.
fn row<'a>(status: &'a Value, end: &str) -> Option<&'a Vec<Value>> {
    let rows = status["files"]["rows"].as_array()?;
    rows.iter().filter_map(Value::as_array).find(|row| row[0].as_str().is_some_and(|path| path.ends_with(end)))
}

/// Kinds of problems, in order.
fn kinds(status: &Value) -> Vec<&str> {
    let mut kinds: Vec<_> = status["problems"].as_array().unwrap().iter().filter_map(|problem| problem["kind"].as_str()).collect();
    kinds.sort_unstable();
    kinds
}

/// A script that prints something and fails, until a file beside it is there.
fn failing_script(folder: &Path) -> String {
    let (script, works) = (folder.join("script.sh"), folder.join("works"));
    std::fs::write(&script, format!("#!/bin/sh\necho {IN_OUTPUT} >&2\ntest -e {}\n", works.display())).unwrap();
    format!("{}", script.display())
}

/// Everything that can be wrong with objects and files, with canaries in all of it.
fn furnish(setup: &Setup) {
    let cluster = &setup.cluster;
    cluster.configmap("plain", &[("plain", IN_CONFIG_MAP), ("shared", "older")]).create();
    cluster.secret("secret", &[("secret", IN_SECRET)]).create();
    cluster.secret("loser", &[("shared", IN_SECRET)]).create();
    cluster.secret("rejected", &[("rejected", IN_SECRET)]).target("../outside").create();
    cluster.secret("blocked", &[("blocked", IN_SECRET)]).create();
    std::fs::create_dir_all(setup.path("blocked/in-the-way")).unwrap();
}

#[test]
fn what_is_wrong_is_shown_and_no_value_is() {
    let setup = Setup::new();
    furnish(&setup);
    let script = failing_script(setup.beside(".").as_path());
    let builder = setup.projector().env("SCRIPT", &script).env("SCRIPT_RETRIES", "0").env("EVENT_LOGGING", "false");
    let shown = Shown::start(&builder.env("REQ_PASSWORD", IN_SECRET).env("REQ_USERNAME", "somebody"));
    let expected = ["blocked", "conflict", "rejected", "reload_failed"];
    let status = shown.wait("all that is wrong", "/status", |status| kinds(status) == expected);
    schema::check(&status);
    assert_eq!(status["verdict"]["ok"], false, "{status:#}");
    for problem in status["problems"].as_array().unwrap() {
        let said = |field: &str| problem[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(["what", "reason", "since", "todo"].into_iter().all(said), "{problem:#}");
    }
    let state = |end: &str| row(&status, end).map(|row| (row[1].as_str().unwrap(), row[3].as_str().unwrap(), row[6].as_str().unwrap()));
    assert_eq!(state("/plain"), Some(("ConfigMap", "plain", "ok")));
    assert_eq!(state("/secret"), Some(("Secret", "secret", "ok")));
    assert_eq!(state("/shared"), Some(("ConfigMap", "plain", "conflict")));
    assert_eq!(state("/blocked"), Some(("Secret", "blocked", "blocked")));
    assert_eq!(row(&status, "/secret").unwrap()[4], "0644");
    assert_eq!(row(&status, "/secret").unwrap()[5], IN_SECRET.len());
    let told = &status["timeline"][0]["told"][0];
    assert_eq!((&told["reaction"], &told["state"]), (&"script".into(), &"given_up".into()), "{:#}", status["timeline"]);
    let masked = |name: &str| status["settings"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned().unwrap();
    assert_eq!((&masked("REQ_PASSWORD")["value"], &masked("REQ_PASSWORD")["masked"]), (&"***".into(), &true.into()));
    assert_eq!(masked("SCRIPT")["origin"], "environment");
    for path in ["/", "/status", "/files?only=bad"] {
        let answer = shown.client().get(path).text();
        assert!(answer.len() > 100, "{path}: {answer}");
        assert_no_leak(path, answer, &[IN_CONFIG_MAP, IN_SECRET, IN_OUTPUT]);
    }
    // What is over is not shown any more.
    std::fs::remove_dir_all(setup.path("blocked")).unwrap();
    setup.cluster.delete("secrets", "loser");
    setup.cluster.delete("secrets", "rejected");
    setup.cluster.delete("secrets", "blocked");
    std::fs::write(setup.beside("works"), "").unwrap();
    setup.cluster.set_data("plain", &[("plain", IN_CONFIG_MAP), ("shared", "newer")]);
    let status = shown.wait("all is well", "/status", |status| kinds(status).is_empty());
    assert_eq!(
        (&status["verdict"]["ok"], status["verdict"]["sentence"].as_str().unwrap()),
        (&true.into(), "All is well: 3 files of 2 objects are as they should be.")
    );
}

#[test]
fn pages_of_files_are_searched_sorted_and_cut() {
    let setup = Setup::new();
    for (name, bytes) in [("b", 10), ("a", 30), ("c", 20)] {
        setup.cluster.configmap(name, &[(&format!("{name}-key"), &"x".repeat(bytes)), ("same", name)]).create();
    }
    let shown = Shown::start(&setup.projector());
    let paths = |query: &str| {
        let page = shown.get(&format!("/files?{query}"));
        let rows = page["rows"].as_array().unwrap().clone();
        let names = rows.iter().map(|row| row[0].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ");
        (names, page["matching"].as_u64().unwrap())
    };
    let is = |names: &str, matching| (names.to_owned(), matching);
    assert_eq!(paths("sort=path"), is("a-key b-key c-key same", 4));
    assert_eq!(paths("search=KEY&sort=size&order=desc"), is("a-key c-key b-key", 3));
    assert_eq!(paths("search=key&sort=size&offset=1&limit=1"), is("c-key", 3));
    let object = format!("search=ConfigMap/{}/a", setup.cluster.namespace());
    assert_eq!(paths(&object), is("a-key same", 2));
    assert_eq!(paths("only=bad&sort=state"), is("same", 1));
    assert_eq!(paths("search=files"), is("", 0), "the name of FOLDER is in every path");
    assert_eq!(paths(&format!("search={}/b", setup.folder().display())), is("b-key", 1));
}

#[test]
fn nobody_but_this_machine_can_be_served() {
    let setup = Setup::new();
    let ended = setup.projector().env("STATUS_ADDR", "0.0.0.0:9191").run();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for recipe in ["STATUS_ADDR", "kubectl port-forward POD 9191", "ssh -L 9191:127.0.0.1:9191 HOST"] {
        assert!(ended.stderr.contains(recipe), "{recipe}: {}", ended.stderr);
    }
    let mut off = setup.projector().start();
    off.wait_ready();
    assert!(!off.output().contains("status page"), "{}", off.output());
}

#[test]
fn manifests_that_cannot_be_used_are_no_good_news() {
    let setup = Setup::new();
    let source = setup.beside("source");
    std::fs::create_dir_all(&source).unwrap();
    let manifest = |namespace: &str| {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: {namespace}, labels: {{find: me}}}}\ndata: {{key: value}}\n"
        );
        std::fs::write(source.join("a.yaml"), text).unwrap();
    };
    manifest("n");
    let builder = Projector::builder().folder(&setup.folder()).env("SOURCE", &source.display().to_string()).env("LABEL", "find");
    let shown = Shown::start(&builder);
    let status = shown.wait("the manifest among the problems", "/status", |status| kinds(status) == ["manifest_rejected"]);
    assert_eq!(status["verdict"]["ok"], false, "n is no text in YAML: {status:#}");
    manifest("shop");
    shown.wait("one file", "/status", |status| kinds(status).is_empty() && status["counts"]["files"] == 1);
}

#[test]
fn a_selection_that_matches_nothing_and_a_refused_watch_are_named() {
    let setup = Setup::new();
    setup.cluster.configmap("other", &[("key", "value")]).create();
    let shown = Shown::start(&setup.projector().env("LABEL", "nothing-has-it"));
    let status = shown.wait("an empty selection", "/status", |status| kinds(status) == ["nothing_selected"]);
    assert_eq!(status["verdict"]["ok"], true);
    assert!(status["verdict"]["sentence"].as_str().unwrap().contains("1 empty selection"), "{status:#}");
    assert!(status["problems"][0]["todo"].as_str().unwrap().contains("LABEL"), "{status:#}");
}

#[test]
fn a_file_that_cannot_be_written_says_why_until_it_can() {
    let setup = Setup::new();
    let shown = Shown::start(&setup.projector());
    // A link where a folder is to be is never followed, whoever we are.
    std::os::unix::fs::symlink("elsewhere", setup.path("sub")).unwrap();
    setup.cluster.configmap("a", &[("key", "value")]).target("sub/deeper").create();
    let status = shown.wait("the file among the problems", "/status", |status| kinds(status) == ["failed"]);
    let problem = &status["problems"][0];
    assert!(problem["path"].as_str().unwrap().ends_with("/sub/deeper/key"), "{problem:#}");
    let state = row(&status, "/key").map(|row| (row[6].as_str().unwrap().to_owned(), row[7].as_str().unwrap().to_owned()));
    assert_eq!(state, Some(("failed".to_owned(), format!("{}; it is tried again", problem["reason"].as_str().unwrap()))), "{status:#}");
    std::fs::remove_file(setup.path("sub")).unwrap();
    shown.wait("all is well", "/status", |status| kinds(status).is_empty() && status["counts"]["files"] == 1);
}
