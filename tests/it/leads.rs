//! Five broken set-ups: whether log and status page lead to what is wrong, and whether all is well once that is put right.

use serde_json::Value;

use crate::common::Setup;
use crate::support::http::Client;
use crate::support::projector::{Builder, Projector, free_port};
use crate::support::web::{Answer, WebServer};
use crate::support::*;

/// A projector, and where its status page is.
struct Watched {
    projector: Projector,
    port: u16,
}

impl Watched {
    fn start(builder: &Builder) -> Self {
        let port = free_port();
        let projector = builder.clone().env("FINALIZERS", "false").env("STATUS_ADDR", &format!("127.0.0.1:{port}")).start();
        Self { projector, port }
    }

    fn status(&self) -> Option<Value> {
        Client::http("127.0.0.1", self.port).try_send("GET", "/status?files=no", &[], &[]).ok().map(|answer| answer.json())
    }

    /// The reasons of the problems of a kind, once there are any.
    fn reasons(&self, kind: &str) -> Vec<String> {
        let mut reasons = Vec::new();
        wait_until(&format!("a problem {kind}"), DEADLINE, || {
            let status = self.status().unwrap_or_default();
            let problems = status["problems"].as_array().into_iter().flatten().filter(|problem| problem["kind"] == kind);
            reasons = problems.map(|problem| format!("{}: {}", text(&problem["what"]), text(&problem["reason"]))).collect();
            if reasons.is_empty() { Err(status.to_string()) } else { Ok(()) }
        });
        reasons
    }

    /// Waits for a line of the log that holds all of these.
    fn line(&self, words: &[&str]) {
        wait_until(&format!("a line with {words:?}"), DEADLINE, || {
            let output = self.projector.output();
            let found = output.lines().any(|line| words.iter().all(|word| line.contains(word)));
            if found { Ok(()) } else { Err(output) }
        });
    }

    /// Waits until the page has no problem.
    fn is_well(&self) {
        wait_until("no problem", DEADLINE, || {
            let status = self.status().unwrap_or_default();
            if status["problems_total"] == 0 { Ok(()) } else { Err(status.to_string()) }
        });
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn who_may_not_list_is_told_which_right_is_missing() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let account = setup.cluster.restricted(&[("", "configmaps", &["get"])]);
    let watched = Watched::start(&setup.projector().kubeconfig(&account.kubeconfig).env("RESOURCE", "configmap"));
    let reasons = watched.reasons("watch_refused");
    assert!(reasons.len() == 1 && reasons[0].contains("configmaps") && reasons[0].contains("403"), "{reasons:?}");
    watched.line(&["WARN", "403 Forbidden", "needs get, list and watch (rbac/)"]);
    watched.line(&["WARN", "in sync, but for what may not be listed"]);
    setup.cluster.grant(&account, &[("", "configmaps", &["get", "list", "watch"])]);
    setup.holds(&tree! { "a" => "1" });
    watched.is_well();
}

#[test]
fn who_selects_nothing_is_told_by_what() {
    let setup = Setup::new();
    let watched = Watched::start(&setup.projector().env("LABEL", "finds"));
    let selection = format!("label=finds namespaces={} kinds=ConfigMap,Secret", setup.cluster.namespace());
    let reasons = watched.reasons("nothing_selected");
    assert!(reasons.len() == 1 && reasons[0].contains(&selection), "{reasons:?}");
    watched.line(&["WARN", "no object matches: are LABEL, NAMESPACE and RESOURCE right?", &selection]);
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().label("finds", "").create();
    setup.holds(&tree! { "a" => "1" });
    watched.is_well();
}

#[test]
fn whoever_has_a_folder_that_cannot_be_used_is_told_what_the_system_says() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    // As root there is no folder that may not be written; a file in its place is refused to everybody.
    let place = setup.beside("place");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("files"), "").unwrap();
    let watched = Watched::start(&setup.projector().folder(&place.join("files")));
    let reasons = watched.reasons("not_started");
    assert!(reasons.len() == 1 && reasons[0].contains("Not a directory"), "{reasons:?}");
    watched.line(&["ERROR", "not started yet, trying again", "Not a directory", &place.display().to_string()]);
    std::fs::remove_file(place.join("files")).unwrap();
    wait_until("the file", DEADLINE, || std::fs::read_to_string(place.join("files/a")).map(drop));
    watched.is_well();
}

#[test]
fn whose_application_refuses_a_reload_is_led_to_its_answer() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let application = WebServer::start();
    application.on("/reload", Answer::ok("a:1: unknown field").with_status(422));
    let builder = setup.projector().env("REQ_URL", &application.url("/reload")).env("REQ_METHOD", "POST");
    let watched = Watched::start(&builder);
    assert_eq!(watched.reasons("reload_failed").len(), 1);
    watched.line(&["WARN", "the application answered", "422", "a:1: unknown field"]);
    let status = watched.status().unwrap();
    assert!(text(&status["problems"][0]["todo"]).contains("`the application answered`"), "{status}");
    application.on("/reload", Answer::ok(""));
    setup.cluster.set_data("a", &[("a", "2")]);
    watched.is_well();
}

#[test]
fn whose_objects_want_one_path_is_told_of_both() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("key", "1")]).create();
    setup.cluster.configmap("b", &[("key", "2")]).create();
    let watched = Watched::start(&setup.projector());
    let reasons = watched.reasons("conflict");
    let named = |name: &str| format!("ConfigMap/{}/{name}", setup.cluster.namespace());
    assert!(reasons.len() == 1 && reasons[0].contains(&named("a")) && reasons[0].contains(&named("b")), "{reasons:?}");
    watched.line(&["WARN", "path conflict: another object keeps the path (CONFLICT=oldest)", &named("a"), &named("b")]);
    setup.cluster.set_data("b", &[("other", "2")]);
    setup.holds(&tree! { "key" => "1", "other" => "2" });
    watched.is_well();
}
