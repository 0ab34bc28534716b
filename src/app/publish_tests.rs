//! The lines that a run prints, from the engine's commits on a real folder.

use std::path::Path;
use std::time::Duration;

use crate::config::Arguments;
use crate::config::{Context, LogFormat, LogLevel};
use crate::core::object::{Datum, Kind, Object, ObjectEvent, ObjectKey, SourceEvent, SourceId};
use crate::core::policy::Precedence;
use crate::disk::Disk;
use crate::disk::dry::{Overlay, RunFs};
use crate::disk::fs::Kernel;
use crate::disk::ledger::LedgerError;
use crate::engine::{self, Engine};
use crate::telemetry::tests::captured;

use super::*;

fn config(folder: &Path, wording: Wording) -> Config {
    let vars = [("LABEL", "l"), ("NAMESPACE", "n"), ("FOLDER", folder.to_str().unwrap())];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = Context { current_dir: "/".into(), ..Context::default() };
    Config { wording, ..Config::from_vars(vars.into_iter(), &Arguments::default(), &context).unwrap() }
}

fn object(kind: Kind, name: &str, folder: Option<&str>, data: &[(&str, &str)]) -> SourceEvent {
    let object = Object {
        uid: 1,
        resource_version: 1,
        created: 1,
        folder: folder.map(str::to_owned),
        ..Object::new(ObjectKey::new(kind, "n", name), data.iter().map(|(key, value)| Datum::text(*key, *value)).collect())
    };
    SourceEvent::of(SourceId(0), 1, ObjectEvent::Apply(Box::new(object)))
}

fn deleted(kind: Kind, name: &str) -> SourceEvent {
    SourceEvent::of(
        SourceId(0),
        1,
        ObjectEvent::Delete { key: ObjectKey::new(kind, "n", name), uid: 1, overrides: false, finalizers: Box::default() },
    )
}

/// An engine on `config`'s folder, listed.
fn engine(config: &Config) -> Engine<RunFs> {
    let open = || {
        let settings = crate::app::settings(config);
        let disk = Disk::open(Overlay::through(Kernel::default()), settings.rules.roots.clone(), 0o755, config.files.durability).unwrap();
        let store = engine::store(crate::app::followed::scopes(config), config.ownership.conflict, (1, 2));
        Engine::open(disk, crate::app::place(config, None), settings, store)
    };
    // A process that another test starts has our descriptors, and so the lock of an engine that is no more, until it runs its program.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut engine = loop {
        match open() {
            Err(LedgerError::Held { .. }) if std::time::Instant::now() < deadline => std::thread::yield_now(),
            opened => break opened.unwrap().0,
        }
    };
    let ends = [0, 1].map(|source| SourceEvent::ListEnd { source: SourceId(source), generation: 1 });
    engine.converge(ends.into(), Duration::ZERO);
    engine
}

/// Level and message of each line, FOLDER as `F`.
fn said(folder: &Path, act: impl FnOnce()) -> Vec<String> {
    let log = captured(LogLevel::Debug, LogFormat::SidecarJson, act);
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line.as_object().unwrap().len(), 3, "{line}");
        format!("{} {}", line["level"].as_str().unwrap(), line["msg"].as_str().unwrap()).replace(folder.to_str().unwrap(), "F")
    };
    log.lines().map(line).collect()
}

#[test]
fn the_sidecar_tells_writes_removals_folders_and_empty_objects() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), Wording::Sidecar);
    let (mut engine, publisher) = (engine(&config), Publisher::new(&config, None, None));
    let mut commit = |event: SourceEvent| {
        let outcome = engine.converge(vec![event], Duration::ZERO);
        said(folder.path(), || publisher.publish(&outcome, engine.store()))
    };
    assert_eq!(commit(object(Kind::ConfigMap, "a", None, &[("a.yaml", "1")])), ["INFO Writing F/a.yaml (ascii)"]);
    let placed = ["INFO Found a folder override annotation, placing the b in: F/sub", "INFO Writing F/sub/b.yaml (ascii)"];
    assert_eq!(commit(object(Kind::ConfigMap, "b", Some("sub"), &[("b.yaml", "1")])), placed);
    assert_eq!(commit(object(Kind::ConfigMap, "c", None, &[])), ["WARNING No data/binaryData field in configmap"]);
    assert_eq!(commit(object(Kind::Secret, "d", None, &[])), ["WARNING No data/binaryData field in secret"]);
    assert_eq!(commit(deleted(Kind::ConfigMap, "a")), ["INFO Removing F/a.yaml"]);
}

#[test]
fn encoded_values_are_binary() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), Wording::Sidecar);
    let mut engine = engine(&config);
    let mut outcome = engine.converge(vec![object(Kind::Secret, "a", None, &[("a.yaml", "1")])], Duration::ZERO);
    for change in &mut outcome.changes {
        if let Act::Written { encoded, .. } = &mut change.act {
            *encoded = true;
        }
    }
    let lines = said(folder.path(), || Publisher::new(&config, None, None).publish(&outcome, engine.store()));
    assert_eq!(lines, ["INFO Writing F/a.yaml (binary)"]);
}

#[test]
fn a_verification_pass_names_each_object_and_each_unchanged_path() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), Wording::Sidecar);
    let (mut engine, publisher) = (engine(&config), Publisher::new(&config, None, None));
    engine.converge(vec![object(Kind::ConfigMap, "a", None, &[("a.yaml", "1"), ("b.yaml", "1"), ("c.yaml", "1")])], Duration::ZERO);
    std::fs::write(folder.path().join("b.yaml"), "edited").unwrap();
    std::fs::remove_file(folder.path().join("c.yaml")).unwrap();
    let outcome = engine.verify(Duration::ZERO);
    let lines = said(folder.path(), || publisher.verified(&outcome, engine.store()));
    let unchanged = "DEBUG Contents of F/a.yaml haven't changed. Not overwriting existing file";
    assert_eq!(lines, ["DEBUG Working on configmap n/a", unchanged]);
}

#[test]
fn our_own_words_stay_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), Wording::Own);
    let (mut engine, publisher) = (engine(&config), Publisher::new(&config, None, None));
    let outcome = engine.converge(vec![object(Kind::ConfigMap, "b", Some("sub"), &[("b.yaml", "1")])], Duration::ZERO);
    let log = captured(LogLevel::Debug, LogFormat::Text, || {
        publisher.publish(&outcome, engine.store());
        publisher.verified(&outcome, engine.store());
    });
    let expected = format!("file written path=\"{}/sub/b.yaml\" bytes=1 object=\"ConfigMap/n/b\"\n", folder.path().display());
    assert!(log.ends_with(&expected) && log.lines().count() == 1, "{log}");
}

#[test]
fn f24_a_conflict_names_the_setting_that_decided_it() {
    let folder = tempfile::tempdir().unwrap();
    for (order, wording) in [(Precedence::Oldest, Wording::Own), (Precedence::Newest, Wording::Sidecar)] {
        let mut config = config(folder.path(), wording);
        config.ownership.conflict = order;
        let mut engine = engine(&config);
        let both = ["a", "b"].map(|name| object(Kind::ConfigMap, name, None, &[("k", name)]));
        let outcome = engine.converge(both.into(), Duration::ZERO);
        let log = captured(LogLevel::Warn, LogFormat::Text, || Publisher::new(&config, None, None).publish(&outcome, engine.store()));
        assert!(log.contains(&format!("path conflict: another object keeps the path (CONFLICT={order})")), "{log}");
    }
}

#[test]
fn the_start_names_the_api_server_as_the_sidecar_does() {
    let log = |wording| {
        captured(LogLevel::Info, LogFormat::Logfmt, || {
            crate::app::greet(&config(Path::new("/f"), wording), Some(("https://10.0.0.1:443/", None)))
        })
    };
    let line = "level=INFO msg=\"Config for cluster api at 'https://10.0.0.1:443'\"\n";
    assert!(log(Wording::Sidecar).ends_with(line), "{}", log(Wording::Sidecar));
    assert!(!log(Wording::Own).contains("cluster api"), "{}", log(Wording::Own));
}
