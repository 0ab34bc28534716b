//! The sidecar containers of well-known charts under PROFILE=k8s-sidecar: their variables mean what they meant, and each container works.
//!
//! `tests/fixtures/charts` holds the containers. What a kubelet would do to them (references, `$(NAME)`) is done here.

use std::path::Path;
use std::time::Duration;

use kube_projector::config::Arguments;
use kube_projector::config::{Config, Context, Method};
use kube_projector::core::files::project::FileNames;
use kube_projector::core::object::{Kind, Namespaces};
use serde_json::Value;

use crate::common::Setup;
use crate::support::*;

const BOTH: &[Kind] = &[Kind::ConfigMap, Kind::Secret];
const CONFIGMAPS: &[Kind] = &[Kind::ConfigMap];
const CASC: &str = "/var/jenkins_home/casc_configs";
const PROVISIONING: &str = "/etc/grafana/provisioning";

/// What a container's variables have to mean.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Meaning {
    selector: String,
    /// `OWN` where the chart says nothing.
    namespaces: Namespaces,
    kinds: Vec<Kind>,
    method: Method,
    folder: String,
    annotation: String,
    unique: bool,
    file_mode: u32,
    health_port: Option<u16>,
    warnings: Vec<String>,
}

/// The namespace of the pod, which stands in for a NAMESPACE that is unset.
const OWN: &str = "own";

impl Meaning {
    /// What most containers say: a watch of both kinds in their own namespace.
    fn of(selector: &str, folder: &str) -> Self {
        Self {
            selector: selector.to_owned(),
            namespaces: only(&[OWN]),
            kinds: BOTH.to_vec(),
            method: Method::Watch,
            folder: folder.to_owned(),
            annotation: "k8s-sidecar-target-directory".to_owned(),
            unique: false,
            file_mode: 0o644,
            health_port: Some(8080),
            warnings: Vec::new(),
        }
    }

    fn everywhere(self) -> Self {
        Self { namespaces: Namespaces::All, ..self }
    }

    fn within(self, namespaces: &[&str]) -> Self {
        Self { namespaces: only(namespaces), ..self }
    }

    fn kinds(self, kinds: &[Kind]) -> Self {
        Self { kinds: kinds.to_vec(), ..self }
    }

    fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    fn port(self, port: u16) -> Self {
        Self { health_port: Some(port), ..self }
    }
}

fn only(namespaces: &[&str]) -> Namespaces {
    let mut names: Vec<_> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    Namespaces::Only(names)
}

/// Fixture, container, meaning: every container of every fixture.
fn table() -> Vec<(&'static str, &'static str, Meaning)> {
    let provisioned = |what: &str| format!("{PROVISIONING}/{what}");
    let list = |label: &str, folder: &str, port| Meaning::of(label, folder).within(&["monitoring", "apps"]).method(Method::List).port(port);
    let jenkins = || Meaning::of("jenkins-jenkins-config", CASC).within(&["jenkins"]).kinds(CONFIGMAPS).port(8060);
    let perses = || Meaning::of("perses.dev/resource=true", "/etc/perses/provisioning").kinds(CONFIGMAPS);
    let seconds = Duration::from_secs;
    vec![
        ("cortex", "cortex-sc-alertmanager", Meaning::of("cortex_alertmanager", "/data").port(8081)),
        ("cortex", "cortex-sc-rules", Meaning::of("cortex_rules", "/data/rules").port(8081)),
        ("grafana", "grafana-sc-alerts", Meaning::of("grafana_alert", &provisioned("alerting"))),
        ("grafana", "grafana-sc-dashboard", Meaning::of("grafana_dashboard", "/tmp/dashboards")),
        ("grafana", "grafana-sc-datasources", Meaning::of("grafana_datasource", &provisioned("datasources"))),
        ("grafana", "grafana-sc-notifiers", Meaning::of("grafana_notifier", &provisioned("notifiers"))),
        ("grafana", "grafana-sc-plugins", Meaning::of("grafana_plugin", &provisioned("plugins"))),
        ("grafana-init", "grafana-init-sc-alerts", list("grafana_alert", &provisioned("alerting"), 8081)),
        ("grafana-init", "grafana-init-sc-datasources", list("grafana_datasource", &provisioned("datasources"), 8082)),
        ("grafana-init", "grafana-init-sc-notifiers", list("grafana_notifier", &provisioned("notifiers"), 8083)),
        (
            "grafana-init",
            "grafana-sc-dashboard",
            Meaning {
                annotation: "grafana_folder".to_owned(),
                unique: true,
                ..Meaning::of("grafana_dashboard", "/tmp/dashboards/team").everywhere().port(8084)
            },
        ),
        (
            "grafana-init",
            "grafana-sc-datasources",
            Meaning::of("grafana_datasource", &provisioned("datasources")).within(&["monitoring"]).method(Method::Sleep(seconds(60))),
        ),
        ("jenkins", "config-reload", jenkins()),
        ("jenkins", "config-reload-init", jenkins().method(Method::List)),
        ("jenkins-log-config", "config-reload", jenkins().method(Method::Sleep(seconds(5)))),
        ("jenkins-log-config", "config-reload-init", jenkins().method(Method::List)),
        ("kube-prometheus-stack", "grafana-sc-dashboard", Meaning::of("grafana_dashboard=1", "/tmp/dashboards").everywhere()),
        ("kube-prometheus-stack", "grafana-sc-datasources", Meaning::of("grafana_datasource=1", &provisioned("datasources"))),
        ("loki", "loki-sc-rules", Meaning::of("loki_rule", "/rules")),
        ("perses", "perses-provisioning-sidecar", perses()),
        ("perses", "perses-provisioning-sidecar-all", perses().everywhere()),
    ]
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/charts")
}

fn fixture(name: &str) -> Value {
    let path = folder().join(name).with_extension("yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn containers(fixture: &Value) -> Vec<Value> {
    let lists = ["initContainers", "containers"].into_iter().filter_map(|list| fixture[list].as_array());
    lists.flatten().cloned().collect()
}

fn container(fixture: &Value, name: &str) -> Value {
    let found = containers(fixture).into_iter().find(|container| container["name"] == name);
    found.unwrap_or_else(|| panic!("no container {name}"))
}

/// A container's variables as its process sees them: a Secret's key is its own value, and the pod is called app-0.
fn variables(container: &Value) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for entry in container["env"].as_array().into_iter().flatten() {
        let referred = || {
            let secret = entry.pointer("/valueFrom/secretKeyRef/key").and_then(Value::as_str);
            let field = entry.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str);
            match (secret, field) {
                (Some(key), _) => key,
                (None, Some("metadata.name")) => "app-0",
                other => panic!("{other:?} in {entry}"),
            }
        };
        let mut value = entry["value"].as_str().map_or_else(|| referred().to_owned(), str::to_owned);
        for (name, known) in &variables {
            value = value.replace(&format!("$({name})"), known);
        }
        variables.push((entry["name"].as_str().unwrap().to_owned(), value));
    }
    variables.push(("PROFILE".to_owned(), "k8s-sidecar".to_owned()));
    variables
}

fn get<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
    variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn set(variables: &mut Vec<(String, String)>, name: &str, value: &str) {
    variables.retain(|(known, _)| known != name);
    variables.push((name.to_owned(), value.to_owned()));
}

/// The one place that reads variables.
fn meaning(variables: Vec<(String, String)>) -> Meaning {
    let log_config = get(&variables, "LOG_CONFIG").map(|path| std::fs::read_to_string(path).map_err(|error| error.to_string()));
    let context = Context { current_dir: "/".into(), own_namespace: Some(OWN.to_owned()), log_config, ..Context::default() };
    let config = Config::from_vars(variables.into_iter(), &Arguments::default(), &context);
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    let mut kinds = config.kinds;
    kinds.sort();
    Meaning {
        selector: config.selector.unwrap().to_string(),
        namespaces: config.namespaces,
        kinds,
        method: config.method,
        folder: config.folder.display().to_string(),
        annotation: config.files.folder_annotation,
        unique: config.files.names != FileNames::Key,
        file_mode: config.files.file_mode,
        health_port: config.health.map(|health| health.port),
        warnings: config.warnings,
    }
}

#[test]
fn every_container_of_every_fixture_is_in_the_table() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files
        .flat_map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            containers(&fixture(&name)).into_iter().map(move |one| (name.clone(), one["name"].as_str().unwrap().to_owned()))
        })
        .collect();
    found.sort();
    let told: Vec<_> = table().into_iter().map(|(fixture, container, _)| (fixture.to_owned(), container.to_owned())).collect();
    assert_eq!(found, told);
}

#[test]
fn variables_of_charts_mean_what_they_meant_without_a_warning() {
    for (name, of, expected) in table() {
        let fixture = fixture(name);
        let mut variables = variables(&container(&fixture, of));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, fixture["logConfig"].to_string()).unwrap();
        if get(&variables, "LOG_CONFIG").is_some() {
            set(&mut variables, "LOG_CONFIG", &file.path().display().to_string());
        }
        assert_eq!(meaning(variables), expected, "{name}: {of}");
    }
}

/// The reload of the application, as a container asks for it.
struct Reload {
    web: WebServer,
    path: String,
    query: String,
}

impl Reload {
    /// Points REQ_URL to a server of ours.
    fn instead(variables: &mut Vec<(String, String)>) -> Option<Self> {
        let url = get(variables, "REQ_URL")?.to_owned();
        let web = WebServer::start();
        let local = url.strip_prefix("http://localhost:").and_then(|rest| rest.find('/').map(|slash| rest[slash..].to_owned())).unwrap();
        let (path, query) = local.split_once('?').unwrap_or((&local, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        web.on(&path, Answer::ok("{\"message\":\"reloaded\"}"));
        set(variables, "REQ_URL", &web.url(&local));
        Some(Self { web, path, query })
    }

    /// Waits for the request, and checks what every such request has.
    fn comes(&self, credentials: Option<&str>) {
        for request in self.web.wait_for(&self.path, 1) {
            let found = (request.method.as_str(), request.query.as_str(), request.body.as_slice(), request.header("content-type"));
            assert_eq!(found, ("POST", self.query.as_str(), b"".as_slice(), None));
            assert_eq!(request.credentials(), credentials.map(|text| text.as_bytes().to_vec()));
        }
    }
}

/// A container's variables with what is a place of this test: namespaces, folders, ports.
fn placed(setup: &Setup, fixture: &Value, mut variables: Vec<(String, String)>, expected: &Meaning) -> Vec<(String, String)> {
    let namespaces = match &expected.namespaces {
        Namespaces::All => "ALL".to_owned(),
        Namespaces::Only(names) => std::iter::once(setup.cluster.namespace().to_owned())
            .chain(names.iter().skip(1).map(|_| setup.cluster.create_namespace()))
            .collect::<Vec<_>>()
            .join(","),
    };
    set(&mut variables, "NAMESPACE", &namespaces);
    set(&mut variables, "FOLDER", &setup.folder().display().to_string());
    set(&mut variables, "LEDGER", &setup.beside("ledger").display().to_string());
    if matches!(expected.method, Method::Sleep(_)) {
        set(&mut variables, "SLEEP_TIME", "1");
    }
    if get(&variables, "LOG_CONFIG").is_some() {
        let logs = setup.beside("logs");
        std::fs::create_dir(&logs).unwrap();
        let text = fixture["logConfig"].to_string().replace("/var/jenkins_home/auto-reload-logs", &logs.display().to_string());
        std::fs::write(setup.beside("log.yaml"), text).unwrap();
        set(&mut variables, "LOG_CONFIG", &setup.beside("log.yaml").display().to_string());
    }
    // HEALTH_PORT is the launcher's, since all containers of a fixture run on one machine here.
    variables.retain(|(name, _)| name != "HEALTH_PORT");
    variables
}

/// Creates one object of each kind that the container wants, and one that it does not; the files that must come of it.
fn create(setup: &Setup, expected: &Meaning) -> Tree {
    let (label, value) = expected.selector.split_once('=').unwrap_or((&expected.selector, "any"));
    setup.cluster.configmap("app", &[("map.json", "1")]).unlabelled().label(label, value).create();
    setup.cluster.secret("app", &[("secret.json", b"2")]).unlabelled().label(label, value).create();
    setup.cluster.configmap("other", &[("other.json", "3")]).unlabelled().label("other", value).create();
    let files = [(Kind::ConfigMap, "map.json", "1"), (Kind::Secret, "secret.json", "2")];
    let name = |kind: Kind, key: &str| match expected.unique {
        true => format!("namespace_{}.{}_app.{key}", setup.cluster.namespace(), kind.lower()),
        false => key.to_owned(),
    };
    let files = files.into_iter().filter(|(kind, _, _)| expected.kinds.contains(kind));
    files.map(|(kind, key, content)| (name(kind, key), content.as_bytes().to_vec())).collect()
}

/// Starts a container of a chart on a server of its own, and sees its files and the reload.
fn works(name: &str, of: &str, expected: &Meaning) {
    let setup = Setup::in_process();
    let fixture = fixture(name);
    let given = variables(&container(&fixture, of));
    let mut variables = placed(&setup, &fixture, given, expected);
    let reload = Reload::instead(&mut variables);
    let builder = Projector::builder().folder(&setup.folder()).kubeconfig(&setup.cluster.kubeconfig());
    let builder = variables.iter().fold(builder, |builder, (name, value)| builder.env(name, value));

    let files = if expected.method == Method::List {
        let files = create(&setup, expected);
        let finished = builder.run();
        assert_eq!(finished.code, Some(0), "{name}: {of}: {finished:?}");
        files
    } else {
        let mut projector = builder.start();
        wait_until(&format!("health of {name}: {of}"), DEADLINE, || {
            if projector.health().0 == 200 { Ok(()) } else { Err(projector.output()) }
        });
        let files = create(&setup, expected);
        setup.holds(&files);
        let credentials = get(&variables, "REQ_USERNAME").is_some().then_some("admin-user:admin-password");
        reload.iter().for_each(|reload| reload.comes(credentials));
        assert_eq!(projector.terminate().code(), Some(0), "{}", projector.output());
        projector.assert_no_leak(&["admin-password"]);
        files
    };
    assert_eq!(tree_with_dots(&setup.folder()), files, "{name}: {of}: projected files and nothing else");
    let asked = setup.cluster.server().requests().iter().any(|request| request.resource == "secrets");
    assert_eq!(asked, expected.kinds.contains(&Kind::Secret), "{name}: {of}: whether Secrets are asked for");
    if setup.beside("logs").exists() {
        assert!(setup.beside("logs").join("file.log").exists(), "{name}: {of}: the handler of LOG_CONFIG writes its file");
    }
}

/// Runs every container of a fixture, one after the other.
fn all_work(fixture: &str) {
    for (name, container, expected) in table().into_iter().filter(|(name, _, _)| *name == fixture) {
        works(name, container, &expected);
    }
}

#[test]
fn containers_of_the_cortex_chart_work() {
    all_work("cortex");
}

#[test]
fn containers_of_the_grafana_chart_work() {
    all_work("grafana");
}

#[test]
fn init_containers_and_options_of_the_grafana_chart_work() {
    all_work("grafana-init");
}

#[test]
fn containers_of_the_jenkins_chart_work() {
    all_work("jenkins");
}

#[test]
fn containers_of_the_jenkins_chart_with_a_log_config_work() {
    all_work("jenkins-log-config");
}

#[test]
fn containers_of_the_kube_prometheus_stack_chart_work() {
    all_work("kube-prometheus-stack");
}

#[test]
fn containers_of_the_loki_chart_work() {
    all_work("loki");
}

#[test]
fn containers_of_the_perses_chart_work() {
    all_work("perses");
}
