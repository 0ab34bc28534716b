//! The manifests in `examples`: every container of ours is configured without a problem or a warning.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use kube_projector::cli::{Cli, Subcommand};
use kube_projector::config::{Config, Context};
use serde_json::Value;

/// Every manifest of a folder and those below, but for values of charts, a chart and rules for Prometheus.
fn manifests(folder: &Path, into: &mut Vec<(PathBuf, Value)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !["chart", "k8s-sidecar", "monitoring"].iter().any(|other| path.ends_with(other)) {
                manifests(&path, into);
            }
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for document in text.split("\n---\n") {
            let value = serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            into.push((path.clone(), value));
        }
    }
}

/// Every container that a manifest would start.
fn containers(manifest: &Value) -> Vec<&Value> {
    let templates = ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"];
    let lists = templates.iter().flat_map(|at| ["containers", "initContainers"].map(|list| manifest.pointer(&format!("{at}/{list}"))));
    lists.flatten().filter_map(Value::as_array).flatten().collect()
}

/// The arguments with which a container starts our program; nothing for one of somebody else.
fn arguments(container: &Value) -> Option<Vec<String>> {
    let words = |field: &str| -> Vec<String> { serde_json::from_value(container[field].clone()).unwrap_or_default() };
    let (command, args) = (words("command"), words("args"));
    let is_ours = container["image"].as_str().unwrap().starts_with("kube-projector:");
    match command.split_first() {
        None => is_ours.then_some(args),
        Some((program, rest)) => program.ends_with("/kube-projector").then(|| rest.iter().cloned().chain(args).collect()),
    }
}

/// An argument with the variables that the kubelet puts in.
fn expanded(argument: String, variables: &[(String, String)]) -> String {
    variables.iter().fold(argument, |text, (name, value)| text.replace(&format!("$({name})"), value))
}

fn variables(container: &Value) -> Vec<(String, String)> {
    let list = container["env"].as_array().cloned().unwrap_or_default();
    let value = |variable: &Value| match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
        Some(_) => "a-namespace".to_owned(),
        None => variable["value"].as_str().unwrap().to_owned(),
    };
    list.iter().map(|variable| (variable["name"].as_str().unwrap().to_owned(), value(variable))).collect()
}

#[test]
fn every_container_of_the_examples_is_configured_without_a_warning() {
    let mut all = Vec::new();
    manifests(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"), &mut all);
    let context = Context { current_dir: "/".into(), own_namespace: Some("a-namespace".into()), ..Context::default() };
    let mut configured = Vec::new();
    for (path, manifest) in &all {
        for container in containers(manifest) {
            let Some(arguments) = arguments(container) else { continue };
            let name = format!("{} in {}", container["name"], path.display());
            let variables = variables(container);
            let arguments = arguments.into_iter().map(|argument| expanded(argument, &variables));
            let cli = Cli::try_parse_from(std::iter::once("kube-projector".to_owned()).chain(arguments));
            let cli = cli.unwrap_or_else(|error| panic!("{name}: {error}"));
            if !matches!(cli.command, None | Some(Subcommand::Run { .. })) {
                continue;
            }
            let config = Config::from_vars(variables.into_iter(), &cli.arguments(), &context);
            let config = config.unwrap_or_else(|problems| panic!("{name}: {problems}"));
            assert_eq!(config.warnings, Vec::<String>::new(), "{name}");
            configured.push((path.file_stem().unwrap().to_string_lossy().into_owned(), kube_projector::tell::is_set(&config)));
        }
    }
    configured.sort();
    let told = |name: &str, tells: bool| (name.to_owned(), tells);
    // In `deployment` of the Dovecot example a command is run in pods, in the other of that name nobody is told.
    let expected = [
        told("deployment", false),
        told("deployment", true),
        told("haproxy-pidfile", true),
        told("nginx-child", true),
        told("prometheus-replicas", true),
        told("prometheus-signal", true),
        told("sidecar", false),
        told("web", true),
    ];
    assert_eq!(configured, expected);
}
