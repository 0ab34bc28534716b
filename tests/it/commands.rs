//! The subcommands beside `run`, and the health endpoint: what they say, how they end, and that they leave everything alone.

use std::net::TcpListener;

use serde_json::Value;

use crate::common::{Setup, started, two_seconds_after};
use crate::support::projector::{Builder, Finished};
use crate::support::*;

fn planned(builder: &Builder) -> (Finished, Value) {
    let finished = builder.clone().args(&["plan", "--output", "json"]).run();
    let json = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    (finished, json)
}

/// Action, path below FOLDER, and object of each step, sorted.
fn steps(setup: &Setup, plan: &Value) -> Vec<[String; 3]> {
    let (folder, namespace) = (format!("{}/", setup.folder().display()), format!("/{}/", setup.cluster.namespace()));
    let text = |step: &Value, field: &str| step[field].as_str().unwrap().replace(&folder, "").replace(&namespace, "/");
    let steps = plan["steps"].as_array().unwrap();
    let mut steps: Vec<_> = steps.iter().map(|step| ["action", "path", "object"].map(|field| text(step, field))).collect();
    steps.sort();
    steps
}

/// A folder that a projector has left, and a cluster that has moved on.
fn pending() -> Setup {
    let setup = Setup::new();
    let old = setup.cluster.configmap("old", &[("changed", "1"), ("dropped", "1"), ("same", "1"), ("lost", "old")]).create();
    started(&setup.projector().env("FINALIZERS", "false")).terminate();
    two_seconds_after(&old);
    setup.cluster.set_data("old", &[("changed", "2"), ("same", "1"), ("lost", "old")]);
    setup.cluster.secret("new", &[("new", "1"), ("lost", "new"), ("foreign", "1")]).create();
    setup.cluster.configmap("bad", &[("x", "1")]).target("../x").create();
    std::fs::create_dir(setup.path("blocked")).unwrap();
    setup.cluster.configmap("blocked", &[("blocked", "1")]).create();
    setup.foreign("foreign", "theirs");
    setup
}

#[test]
fn plan_names_every_step_and_ends_with_2() {
    let setup = pending();
    let before = tree_with_dots(&setup.folder());
    let (finished, plan) = planned(&setup.projector().env("FINALIZERS", "false"));
    let expected = [
        ["blocked", "blocked", "ConfigMap/blocked"],
        ["conflict", "lost", "Secret/new"],
        ["rejected", "(all keys)", "ConfigMap/bad"],
        ["remove", "dropped", "ConfigMap/old"],
        ["replace", "changed", "ConfigMap/old"],
        ["replace", "foreign", "Secret/new"],
        ["write", "new", "Secret/new"],
    ];
    assert_eq!((steps(&setup, &plan), finished.code), (expected.map(|step| step.map(str::to_owned)).to_vec(), Some(2)));
    assert_eq!(plan["pending"], true);
    assert_eq!(tree_with_dots(&setup.folder()), before, "plan writes nothing");
}

#[test]
fn plan_as_a_table_is_for_people() {
    let setup = pending();
    let finished = setup.projector().arg("plan").run();
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert!(lines[0].starts_with("ACTION") && lines[0].ends_with("WHY"), "{lines:?}");
    let removal = lines.iter().find(|line| line.starts_with("remove")).unwrap();
    assert!(removal.contains("/files/dropped") && removal.ends_with("no object wants it"), "{removal}");
    assert_eq!(finished.code, Some(2));
}

#[test]
fn plan_beside_a_running_instance_finds_nothing_and_ends_with_0() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).target("sub").create();
    let _projector = setup.start();
    let before = tree_with_dots(&setup.folder());
    let (finished, plan) = planned(&setup.projector());
    assert_eq!((finished.code, steps(&setup, &plan)), (Some(0), vec![]), "{finished:?}");
    assert_eq!(tree_with_dots(&setup.folder()), before);
    assert!(setup.projector().arg("plan").run().stdout.contains("Nothing to do"));
    // The running one still works: nothing was taken from it.
    setup.cluster.set_data("a", &[("b", "2")]);
    setup.holds(&tree! { "sub/b" => "2" });
}

#[test]
fn plan_beside_a_sibling_leaves_the_siblings_files_out() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let _sibling = setup.start();
    let (finished, plan) = planned(&setup.projector().env("LABEL", "seek"));
    assert_eq!((finished.code, steps(&setup, &plan)), (Some(0), vec![]), "{finished:?}");
}

#[test]
fn plan_with_a_changed_label_shows_what_the_change_would_remove() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let one = setup.projector().env("INSTANCE", "one");
    started(&one).terminate();
    let before = tree_with_dots(&setup.folder());
    let (finished, plan) = planned(&one.env("LABEL", "seek").env("PRUNE_EMPTY", "true"));
    assert_eq!((steps(&setup, &plan), finished.code), (vec![["remove", "a", "ConfigMap/a"].map(str::to_owned)], Some(2)));
    assert_eq!(tree_with_dots(&setup.folder()), before);
}

#[test]
fn plan_does_not_make_the_folder() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let folder = setup.beside("missing");
    let (finished, _) = planned(&setup.projector().folder(&folder));
    assert_eq!((finished.code, folder.exists()), (Some(2), false));
}

#[test]
fn check_with_all_rights_ends_with_0_and_writes_nothing() {
    let setup = Setup::new();
    let finished = setup.projector().env("EVENT_LOGGING", "true").arg("check").run();
    assert_eq!((finished.code, finished.stdout.contains("PROBLEM")), (Some(0), false), "{}", finished.stdout);
    for right in ["may watch configmaps", "may patch secrets", "may create events.events.k8s.io"] {
        assert!(finished.stdout.contains(right), "{right}: {}", finished.stdout);
    }
    assert_eq!(tree_with_dots(&setup.folder()), tree! {});
}

#[test]
fn check_names_each_missing_right_and_ends_with_1() {
    let setup = Setup::new();
    let account = setup.cluster.restricted(&[("", "configmaps", &["get", "list", "watch", "patch"]), ("", "secrets", &["get", "watch"])]);
    let finished = setup.projector().kubeconfig(&account.kubeconfig).arg("check").run();
    let problems: Vec<_> = finished.stdout.lines().filter(|line| line.starts_with("PROBLEM")).collect();
    assert_eq!((finished.code, problems.len()), (Some(1), 2), "{}", finished.stdout);
    assert!(problems[0].contains("may not list secrets") && problems[1].contains("may not patch secrets"), "{problems:?}");
}

#[test]
fn check_names_a_folder_that_cannot_be_one() {
    let setup = Setup::new();
    setup.foreign("file", "x");
    let finished = setup.projector().folder(&setup.path("file")).arg("check").run();
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    assert!(finished.stdout.contains("PROBLEM  FOLDER"), "{}", finished.stdout);
}

#[test]
fn every_error_about_folder_has_its_path() {
    let setup = Setup::in_process();
    setup.foreign("file", "x");
    let folder = setup.path("file").join("below");
    let named = format!("FOLDER={}", folder.display());
    let list = setup.projector().folder(&folder).env("METHOD", "LIST").run();
    assert_eq!((list.code, list.stderr.contains(&format!("{named}: "))), (Some(1), true), "{}", list.stderr);
    let check = setup.projector().folder(&folder).arg("check").run();
    assert_eq!((check.code, check.stdout.contains(&named)), (Some(1), true), "{}", check.stdout);
    let waiting = setup.projector().folder(&folder).start();
    waiting.wait_output("not started yet, trying again");
    wait_for("the path in /readyz", DEADLINE, || waiting.ready().1["waiting_for"].as_str().is_some_and(|what| what.starts_with(&named)));
    let staging = setup.path("staging");
    let staged = setup.projector().env("STAGING", &staging.display().to_string()).run();
    let expected = format!("lies in FOLDER={}: ", setup.folder().display());
    assert_eq!((staged.code, staged.stderr.contains(&expected)), (Some(2), true), "{}", staged.stderr);
}

#[test]
fn what_is_missing_to_find_an_api_server_is_told_once() {
    let setup = Setup::in_process();
    let nowhere = setup.projector().without("KUBECONFIG").env("HOME", &setup.beside("home").display().to_string()).run();
    assert_eq!((nowhere.code, nowhere.stderr.matches("environment variable not found").count()), (Some(2), 1), "{}", nowhere.stderr);
    let missing = setup.beside("missing");
    for command in [&["run"][..], &["plan"], &["check"]] {
        let finished = setup.projector().kubeconfig(&missing).args(command).run();
        assert_eq!(format!("{}{}", finished.stdout, finished.stderr).matches("No such file").count(), 1, "{finished:?}");
    }
}

#[test]
fn c6_a_plan_that_could_not_see_everything_says_why_and_ends_with_1() {
    let setup = Setup::new();
    let account = setup.cluster.restricted(&[("", "configmaps", &["get", "list", "watch", "patch"])]);
    let builder = setup.projector().kubeconfig(&account.kubeconfig).env("METHOD", "LIST");
    let table = builder.clone().arg("plan").run();
    assert_eq!((table.code, table.stdout.contains("Nothing to do")), (Some(1), false), "{table:?}");
    assert!(table.stdout.contains("incomplete: not every kind or namespace could be listed"), "{table:?}");
    let why = |line: &str| line.contains("Secret in ") && line.contains("403");
    assert!(table.stdout.lines().any(|line| line.starts_with("incomplete: ") && why(line)), "{table:?}");
    // What is pending is shown, and no reason to say that this were all.
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let (finished, plan) = planned(&builder);
    assert_eq!((finished.code, steps(&setup, &plan).len(), plan["pending"].as_bool()), (Some(1), 1, Some(true)), "{finished:?}");
    assert!(plan["incomplete"].as_array().unwrap().iter().any(|line| why(line.as_str().unwrap())), "{plan}");
}

#[test]
fn c6_a_plan_of_broken_manifests_is_incomplete_and_check_names_each() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("source")).unwrap();
    std::fs::write(home.path().join("source/bad.yaml"), "kind: [").unwrap();
    std::fs::write(home.path().join("source/good.yaml"), "{}").unwrap();
    let source = home.path().join("source").display().to_string();
    let builder = Projector::builder().folder(&home.path().join("files")).env("SOURCE", &source).env("LABEL", "find");
    let plan = builder.clone().arg("plan").run();
    assert_eq!((plan.code, plan.stdout.contains("Nothing to do")), (Some(1), false), "{plan:?}");
    assert!(plan.stdout.contains("incomplete: manifests not taken: 1"), "{plan:?}");
    let check = builder.arg("check").run();
    let problems: Vec<_> = check.stdout.lines().filter(|line| line.starts_with("PROBLEM")).collect();
    assert_eq!((check.code, problems.len()), (Some(1), 1), "{check:?}");
    assert!(problems[0].starts_with(&format!("PROBLEM  SOURCE: {source}/bad.yaml: ")), "{problems:?}");
}

#[test]
fn c6_check_finds_a_missing_script_and_a_server_that_takes_no_connection_and_sends_nothing() {
    let setup = Setup::new();
    let web = WebServer::start();
    let reload = web.url("/canary?canary");
    let run = |url: &str, script: &str| {
        let finished = setup.projector().env("REQ_URL", url).env("SCRIPT", script).args(&["check", "--output", "json"]).run();
        let json: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
        let problems = json["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == "problem");
        let problems: Vec<_> = problems.map(|finding| finding["text"].as_str().unwrap().to_owned()).collect();
        assert_eq!((json["ok"].as_bool(), finished.stdout.contains("canary")), (Some(problems.is_empty()), false), "{json}");
        (finished.code, problems)
    };
    let script = setup.beside("script");
    std::fs::write(&script, "").unwrap();
    assert_eq!(run(&reload, &script.display().to_string()), (Some(0), vec![]));
    assert_eq!(web.wait_for("/canary", 0).len(), 0, "no request is sent");
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let (code, problems) = run(&format!("http://{nobody}/canary"), "/no/such/script");
    let expected = ["SCRIPT: /no/such/script: No such file", &format!("REQ_URL: http://{nobody}: Connection refused")];
    assert_eq!((code, problems.len()), (Some(1), 2), "{problems:?}");
    assert!(expected.iter().zip(&problems).all(|(expected, problem)| problem.starts_with(expected)), "{problems:?}");
}

#[test]
fn c6_check_of_bad_settings_is_json_too() {
    let finished = Projector::builder().env("METHOD", "FOO").args(&["check", "--output", "json"]).run();
    let json: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    assert_eq!((finished.code, json["ok"].as_bool(), json["findings"].as_array().unwrap().len()), (Some(1), Some(false), 3), "{json}");
}

#[test]
fn check_names_bad_settings() {
    let finished = Projector::builder().env("METHOD", "FOO").arg("check").run();
    let problems = finished.stdout.lines().filter(|line| line.starts_with("PROBLEM")).count();
    assert_eq!((finished.code, problems), (Some(1), 3), "LABEL, FOLDER, METHOD: {}", finished.stdout);
}

/// The code with which it ends, and the one line that it prints, up to its colon.
fn healthcheck(port: u16) -> (Option<i32>, String) {
    let finished = Projector::builder().env("HEALTH_PORT", &port.to_string()).arg("healthcheck").run();
    assert_eq!((finished.stdout.lines().count(), finished.stderr.as_str()), (1, ""), "{finished:?}");
    (finished.code, finished.stdout.split(':').next().unwrap().to_owned())
}

#[test]
fn healthcheck_tells_well_from_gone() {
    let setup = Setup::new();
    let mut projector = setup.start();
    assert_eq!(healthcheck(projector.port()), (Some(0), "well".to_owned()));
    projector.terminate();
    assert_eq!(healthcheck(projector.port()), (Some(1), "not well".to_owned()));
}

#[test]
fn healthcheck_tells_an_unwell_one() {
    let setup = Setup::in_process();
    let projector = started(&setup.projector().env("HEALTH_STALE_AFTER", "1"));
    setup.cluster.server().freeze();
    wait_for("503 after a second without contact", DEADLINE, || projector.health().0 == 503);
    assert_eq!(healthcheck(projector.port()), (Some(1), "not well".to_owned()));
    setup.cluster.server().thaw();
    wait_for("200 after contact", DEADLINE, || projector.health().0 == 200);
    assert_eq!(healthcheck(projector.port()), (Some(0), "well".to_owned()));
}

#[test]
fn healthcheck_of_what_serves_no_endpoint_checks_nothing_and_says_so() {
    for (arguments, code) in [(&["healthcheck"][..], 3), (&["healthcheck", "--or-off"], 0)] {
        let finished = Projector::builder().env("LIVENESS", "false").args(arguments).run();
        assert_eq!((finished.code, finished.stdout.starts_with("not checked: ")), (Some(code), true), "{finished:?}");
    }
    // Neither excuses one that is served and gone, and an image knows nobody's settings.
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port().to_string();
    let finished = Projector::builder().env("HEALTH_PORT", &free).args(&["healthcheck", "--or-off"]).run();
    assert_eq!((finished.code, finished.stdout.starts_with("not well: asking 127.0.0.1:")), (Some(1), true), "{finished:?}");
    let dockerfile = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")).unwrap();
    assert!(dockerfile.contains("CMD [\"/kube-projector\", \"healthcheck\", \"--or-off\"]"));
}

#[test]
fn version_is_a_line_or_json() {
    let version = env!("CARGO_PKG_VERSION");
    let said = |arguments: &[&str]| {
        let finished = Projector::builder().env("METHOD", "FOO").args(arguments).run();
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        finished.stdout
    };
    assert_eq!(said(&["version"]), format!("kube-projector {version}\n"));
    assert_eq!(said(&["version"]), said(&["--version"]));
    let json: Value = serde_json::from_str(&said(&["version", "--output", "json"])).unwrap();
    let expected = serde_json::json!({ "name": "kube-projector", "version": version, "os": "linux", "arch": std::env::consts::ARCH });
    assert_eq!(json, expected);
}

#[test]
fn a_program_where_a_subcommand_stands_is_refused_with_what_was_meant() {
    let finished = Projector::builder().args(&["nginx", "-g", "daemon off;"]).run();
    assert_eq!((finished.code, finished.stderr.contains("did you mean `run -- nginx`?")), (Some(2), true), "{finished:?}");
}

#[test]
fn taken_health_port_is_reported_and_does_not_stop_the_files() {
    let setup = Setup::new();
    let taken = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut projector = setup.projector().env("HEALTH_PORT", &port.to_string()).start();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    setup.holds(&tree! { "a" => "1" });
    let output = projector.output();
    let error = output.lines().find(|line| line.contains("ERROR")).unwrap_or_else(|| panic!("no error: {output}"));
    assert!(error.contains("HEALTH_PORT") && error.contains(&port.to_string()), "{error}");
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn health_names_each_watch() {
    let setup = Setup::new();
    let projector = setup.start();
    let (status, body) = projector.health();
    let mut watches: Vec<_> = body["watches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|watch| [watch["kind"].clone(), watch["namespace"].clone(), watch["state"].clone()])
        .collect();
    watches.sort_by_key(|watch| watch[0].to_string());
    let expected = ["ConfigMap", "Secret"].map(|kind| [kind, setup.cluster.namespace(), "watching"].map(Value::from)).to_vec();
    assert_eq!((status, watches), (200, expected), "{body}");
}

#[test]
fn liveness_off_serves_nothing() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = setup.projector().env("LIVENESS", "false").start();
    setup.holds(&tree! { "a" => "1" });
    assert_eq!(projector.health().0, 0);
}
