//! PROFILE=config-controller by the contract: what k8s-config-controller's command lines and variables do with our binary.

mod child;

use serde_json::Value;

use crate::common::Setup;
use crate::support::projector::Builder;
use crate::support::*;

/// An application that is asked to reload.
struct Bench {
    setup: Setup,
    web: WebServer,
}

impl Bench {
    fn new() -> Self {
        let web = WebServer::start();
        web.on("/reload", Answer::status(204));
        Self { setup: Setup::new(), web }
    }

    /// The binary and a way to the cluster, nothing else.
    fn bare(&self) -> Builder {
        Projector::builder().kubeconfig(&self.setup.cluster.kubeconfig()).env("REQ_RETRY_BACKOFF_FACTOR", "0.02")
    }

    /// The predecessor's command line in its sidecar mode.
    fn launch(&self) -> Builder {
        let configmap = format!("--configmap={}/settings", self.setup.cluster.namespace());
        let configroot = format!("--configroot={}", self.setup.folder().display());
        self.bare().args(&[&configroot, &configmap, &format!("--reload-http={}", self.web.url("/reload"))])
    }

    fn create(&self, data: &[(&str, &str)]) {
        self.setup.cluster.configmap("settings", data).unlabelled().create();
    }

    /// Starts, and waits until it has caught up and the application was asked so often, and no more.
    fn started(&self, launch: &Builder) -> Projector {
        let projector = crate::common::started(launch);
        self.asked(1);
        projector
    }

    fn asked(&self, times: usize) -> Vec<Received> {
        let found = self.web.wait_for("/reload", times);
        assert_eq!(found.len(), times, "requests to reload");
        found
    }
}

/// Standard error of a launch that must end for its settings.
fn refused(launch: &Builder) -> String {
    let finished = launch.run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    finished.stderr
}

#[test]
fn c1_the_config_map_is_required_and_its_namespace_is_default_unless_it_is_given() {
    let bench = Bench::new();
    let with = |configmap: &str| bench.bare().args(&["--configroot=/nowhere", "--reload-http=http://127.0.0.1:1/", configmap]);
    let stderr = refused(&bench.bare().args(&["--configroot=/nowhere", "--reload-http=http://127.0.0.1:1/"]));
    assert!(stderr.starts_with("OBJECT is required: "), "{stderr}");
    let stderr = refused(&with("--configmap=a/b/c"));
    assert!(stderr.starts_with("--configmap=\"a/b/c\": expected NAME or NAMESPACE/NAME"), "{stderr}");
    let check = with("--configmap=settings").arg("check").run();
    assert!(check.stdout.contains(" object=configmap/default/settings\n"), "{}{}", check.stdout, check.stderr);
}

#[test]
fn c2_the_folder_is_required() {
    let bench = Bench::new();
    let stderr = refused(&bench.bare().args(&["--configmap=settings", "--reload-http=http://127.0.0.1:1/"]));
    assert!(stderr.starts_with("FOLDER is required: "), "{stderr}");
}

#[test]
fn c3_c4_files_come_first_and_then_a_post_by_default() {
    let bench = Bench::new();
    bench.create(&[("a", "1"), ("b", "2")]);
    let _projector = bench.started(&bench.launch());
    bench.setup.holds(&tree! { "a" => "1", "b" => "2" });
    let asked = bench.asked(1);
    assert_eq!((asked[0].method.as_str(), asked[0].body.len()), ("POST", 0));
    bench.setup.cluster.set_data("settings", &[("a", "2")]);
    bench.asked(2);
    assert_tree(&bench.setup.folder(), &tree! { "a" => "2" });
}

#[test]
fn c4_another_method_is_used() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let _projector = bench.started(&bench.launch().arg("--reload-http-method=PUT"));
    assert_eq!(bench.asked(1)[0].method, "PUT");
}

#[test]
fn c5_flags_of_its_libraries_are_taken_and_told() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let launch = bench.launch().args(&["--running-in-cluster=true", "-logtostderr", "--v=2", "--kubeconfig", "/nowhere"]);
    let projector = bench.started(&launch);
    for flag in ["--logtostderr", "--v", "--kubeconfig"] {
        projector.wait_output(&format!("{flag} has no effect"));
    }
    drop(projector);
    // Outside of a cluster the file counts, and one dash does.
    let file = bench.setup.cluster.kubeconfig().display().to_string();
    let configmap = format!("{}/settings", bench.setup.cluster.namespace());
    let folder = bench.setup.folder().display().to_string();
    let url = bench.web.url("/reload");
    let words =
        ["-configroot", &folder, "-configmap", &configmap, "-reload-http", &url, "--running-in-cluster=false", "--kubeconfig", &file];
    bench.setup.cluster.set_data("settings", &[("a", "2")]);
    let _projector = crate::common::started(&bench.bare().without("KUBECONFIG").args(&words));
    bench.setup.holds(&tree! { "a" => "2" });
}

#[test]
fn c7_somebody_must_be_told_by_a_command_or_a_url() {
    let bench = Bench::new();
    let stderr = refused(&bench.bare().args(&["--configroot=/nowhere", "--configmap=settings"]));
    let expected = "REQ_URL: nobody is told of changes: give a command after --, or a URL as --reload-http or REQ_URL\n";
    assert_eq!(stderr, expected);
}

#[test]
fn c8_the_variables_of_its_image_do_the_same() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let launch = bench
        .bare()
        .env("PROFILE", "config-controller")
        .env("CONFIG_CONTROLLER_CONFIGROOT", &bench.setup.folder().display().to_string())
        .env("CONFIG_CONTROLLER_CONFIGMAP", &format!("{}/settings", bench.setup.cluster.namespace()))
        .env("CONFIG_CONTROLLER_URL", &bench.web.url("/reload"));
    let _projector = bench.started(&launch);
    bench.setup.holds(&tree! { "a" => "1" });
    assert_eq!(bench.asked(1)[0].method, "POST");
}

#[test]
fn c9_a_config_map_that_is_not_there_is_waited_for() {
    let bench = Bench::new();
    let projector = crate::common::started(&bench.launch());
    projector.wait_output("there is no such object");
    bench.create(&[("a", "1")]);
    bench.setup.holds(&tree! { "a" => "1" });
    bench.asked(1);
}

#[test]
fn c10_get_and_watch_on_the_one_config_map_are_enough() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let account = bench.setup.cluster.restricted(&[]);
    bench.setup.cluster.grant_named(&account, "settings", &[("", "configmaps", &["get", "watch"])]);
    let launch = bench.launch().kubeconfig(&account.kubeconfig);
    let check = launch.clone().arg("check").run();
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    let projector = bench.started(&launch.env("SLEEP_TIME", "86400"));
    bench.setup.cluster.set_data("settings", &[("a", "2")]);
    bench.setup.holds(&tree! { "a" => "2" });
    assert!(!projector.output().contains("answered 403"), "{}", projector.output());
    assert_eq!(bench.setup.cluster.finalizers_of("configmaps", "settings"), Vec::<String>::new());
    assert_eq!(bench.setup.cluster.reasons_for("settings"), Vec::<String>::new());
}

#[test]
fn c11_a_deletion_keeps_files_and_what_is_created_anew_counts_at_once() {
    let bench = Bench::new();
    bench.create(&[("a", "1"), ("b", "1")]);
    let projector = bench.started(&bench.launch());
    // A change that no file shows is none.
    bench.setup.cluster.relabel("configmaps", "settings", &[("any", Some("label"))]);
    bench.setup.cluster.delete("configmaps", "settings");
    projector.wait_output("object is gone, its files stay");
    assert_tree(&bench.setup.folder(), &tree! { "a" => "1", "b" => "1" });
    bench.create(&[("b", "2")]);
    bench.setup.holds(&tree! { "b" => "2" });
    bench.asked(2);
}

#[test]
fn c12_edits_in_quick_succession_are_told_of_together() {
    let bench = Bench::new();
    bench.create(&[("a", "0")]);
    let _projector = bench.started(&bench.launch().env("REACT_WINDOW", "3"));
    for round in ["1", "2", "3", "4", "5"] {
        bench.setup.cluster.set_data("settings", &[("a", round)]);
    }
    bench.setup.holds(&tree! { "a" => "5" });
    bench.asked(2);
    // Whatever had been told apart would have come before this.
    bench.setup.cluster.set_data("settings", &[("a", "6")]);
    bench.asked(3);
}

#[test]
fn c16_any_success_counts_and_failures_are_tried_again() {
    let bench = Bench::new();
    bench.web.on_each("/reload", vec![Answer::status(503), Answer::status(503), Answer::status(204)]);
    bench.create(&[("a", "1")]);
    let _projector = crate::common::started(&bench.launch());
    bench.web.wait_for("/reload", 3);
    bench.setup.cluster.set_data("settings", &[("a", "2")]);
    bench.asked(4);
}

#[test]
fn c19_asked_to_stop_it_ends_with_success() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let mut projector = bench.started(&bench.launch());
    assert_eq!(projector.terminate().code(), Some(0));
    assert_tree(&bench.setup.folder(), &tree! { "a" => "1" });
}

#[test]
fn started_under_its_name_it_is_its_profile() {
    let bench = Bench::new();
    bench.create(&[("a", "1")]);
    let program = bench.setup.beside("k8s-config-controller");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kube-projector"), &program).unwrap();
    let launch = bench
        .bare()
        .binary(&program)
        .arg("--alsologtostderr")
        .env("FOLDER", &bench.setup.folder().display().to_string())
        .env("OBJECT", &format!("configmap/{}/settings", bench.setup.cluster.namespace()))
        .env("REQ_URL", &bench.web.url("/reload"));
    let _projector = bench.started(&launch);
    bench.setup.holds(&tree! { "a" => "1" });
    assert_eq!(bench.asked(1)[0].method, "POST");
}

/// The objects of the shipped example.
fn example() -> Vec<Value> {
    let path = format!("{}/examples/config-controller/web.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

#[test]
fn the_example_works_with_the_rights_that_it_gives() {
    let bench = Bench::new();
    bench.web.on("/", Answer::ok("<p>Hello.</p>"));
    let objects = example();
    let one = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let words = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let rules = one("Role")["rules"].as_array().unwrap();
    let (resources, names, verbs) = (words(&rules[0]["resources"]), words(&rules[0]["resourceNames"]), words(&rules[0]["verbs"]));
    assert_eq!((rules.len(), resources.len(), names.len()), (1, 1, 1));
    let account = bench.setup.cluster.restricted(&[]);
    let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
    bench.setup.cluster.grant_named(&account, &names[0], &[("", &resources[0], &verbs)]);
    let page = one("ConfigMap")["data"]["index.html"].as_str().unwrap();
    bench.setup.cluster.configmap(&names[0], &[("index.html", page)]).unlabelled().create();
    let arguments = words(&one("Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]);
    let here = |argument: &String| {
        let argument = argument.replace("$(NAMESPACE)", bench.setup.cluster.namespace());
        argument.replace("/config", &bench.setup.folder().display().to_string()).replace("http://127.0.0.1:8000/", &bench.web.url("/"))
    };
    let arguments: Vec<String> = arguments.iter().map(here).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let launch = bench.bare().kubeconfig(&account.kubeconfig).args(&arguments);
    let check = launch.clone().arg("check").run();
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    let _projector = crate::common::started(&launch);
    bench.setup.holds(&tree! { "index.html" => page });
    assert_eq!(bench.web.wait_for("/", 1)[0].method, "GET");
}
