//! The pages in docs/reloading: what they tell a reader to type is configured without a problem.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use kube_projector::cli::Cli;
use kube_projector::config::{Config, Context};

use crate::common::put;

/// The pages by their names.
fn pages() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reloading");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let named = |path: PathBuf| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap());
    paths.into_iter().map(named).collect()
}

/// The blocks of a page that start our program.
fn launches(page: &str) -> Vec<&str> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.lines().any(|line| line.starts_with("kube-projector"))).collect()
}

/// What a shell gives to our program: its variables and its arguments.
fn run(block: &str) -> (Vec<(String, String)>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (stand_in, variables) = (folder.path().join("kube-projector"), folder.path().join("variables"));
    put(&stand_in, format!("#!/bin/sh\nenv -0 > {}\nfor argument; do printf '%s\\n' \"$argument\"; done\n", variables.display()));
    std::fs::set_permissions(&stand_in, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let mut shell = Command::new("sh");
    let output = shell.args(["-ec", block]).env_clear().env("PATH", path).env("POD_NAME", "jenkins-0").output().unwrap();
    assert!(output.status.success(), "{block}{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&variables).unwrap();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    let own = pairs.filter(|(name, _)| !["PATH", "POD_NAME", "PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    let arguments = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    (own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), arguments)
}

#[test]
fn every_launch_of_the_pages_is_configured_and_tells_somebody() {
    let known = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let context = Context { current_dir: "/".into(), own_namespace: Some("a-namespace".into()), ..Context::default() };
    for (name, page) in pages().into_iter().filter(|(name, _)| name != "README") {
        let launches = launches(&page);
        assert!(!launches.is_empty(), "{name} says how to begin");
        for block in launches {
            let (variables, arguments) = run(block);
            for (variable, _) in &variables {
                assert!(known.contains(&format!("\n| `{variable}`")), "{name}: {variable} is no setting");
            }
            let cli = Cli::try_parse_from(std::iter::once("kube-projector".to_owned()).chain(arguments));
            let cli = cli.unwrap_or_else(|error| panic!("{name}: {error}"));
            let config = Config::from_vars(variables.into_iter(), &cli.arguments(), &context);
            let config = config.unwrap_or_else(|problems| panic!("{name}: {problems}\n{block}"));
            assert_eq!(config.warnings, Vec::<String>::new(), "{name}: {block}");
            assert!(kube_projector::tell::is_set(&config), "{name}: nobody is told\n{block}");
        }
    }
}
