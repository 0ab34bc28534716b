//! SOURCE=DIR: a folder of manifests drives the same engine, without a cluster.

mod documents;
mod found;
mod places;
mod settle;

use std::path::PathBuf;

use tempfile::TempDir;

use crate::common::{put, started};
use crate::support::projector::Builder;
use crate::support::*;

struct Manifests {
    home: TempDir,
}

impl Manifests {
    fn new(files: &[(&str, &str)]) -> Self {
        let manifests = Self { home: tempfile::tempdir().unwrap() };
        std::fs::create_dir(manifests.source()).unwrap();
        files.iter().for_each(|(name, text)| manifests.put(name, text));
        manifests
    }

    fn source(&self) -> PathBuf {
        self.home.path().join("source")
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("files")
    }

    fn put(&self, name: &str, text: &str) {
        put(&self.source().join(name), text);
    }

    fn projector(&self) -> Builder {
        Projector::builder().folder(&self.folder()).env("SOURCE", &self.source().display().to_string()).env("LABEL", "find")
    }

    fn holds(&self, files: &Tree) {
        wait_tree(&self.folder(), files);
    }
}

/// A ConfigMap with one key.
fn map(name: &str, key: &str, value: &str) -> String {
    format!("kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: {name}\n  labels: {{find: me}}\ndata:\n  {key}: {value:?}\n")
}

#[test]
fn documents_lists_and_string_data_become_files() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  apiVersion: v1\n  metadata: {name: s, labels: {find: x}, annotations: {k8s-sidecar-target-directory: sub}}\n  data: {bytes: /wD+}\n  stringData: {text: \"crlf\\r\\n\"}\n";
    let two =
        format!("{}---\n{}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d}}\n", map("a", "a", "1"), map("b", "b", ""));
    let other = map("c", "c", "1").replace("find", "seek");
    let manifests =
        Manifests::new(&[("two.yaml", &two), ("deep/list.yml", list), ("other.yaml", &other), ("note.txt", &map("n", "n", "1"))]);
    let _projector = started(&manifests.projector());
    let expected = tree! { "a" => "1", "b" => "", "sub/bytes" => b"\xff\x00\xfe", "sub/text" => b"crlf\r\n" };
    assert_tree(&manifests.folder(), &expected);
}

#[test]
fn edits_new_files_and_deletions_are_followed() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "1")), ("b.yaml", &map("b", "b", "1"))]);
    put(&manifests.folder().join("foreign"), "theirs");
    let _projector = started(&manifests.projector());
    manifests.put("a.yaml", &map("a", "renamed", "2"));
    manifests.holds(&tree! { "renamed" => "2", "b" => "1", "foreign" => "theirs" });
    manifests.put("deep/c.yaml", &map("c", "c", "1"));
    manifests.holds(&tree! { "renamed" => "2", "b" => "1", "c" => "1", "foreign" => "theirs" });
    std::fs::remove_file(manifests.source().join("b.yaml")).unwrap();
    std::fs::remove_dir_all(manifests.source().join("deep")).unwrap();
    manifests.holds(&tree! { "renamed" => "2", "foreign" => "theirs" });
}

#[test]
fn broken_yaml_keeps_the_last_good_files_of_its_objects() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "1")), ("b.yaml", &map("b", "b", "1"))]);
    let projector = started(&manifests.projector());
    manifests.put("a.yaml", "kind: ConfigMap\n  broken: [");
    manifests.put("b.yaml", &map("b", "b", "2"));
    manifests.holds(&tree! { "a" => "1", "b" => "2" });
    projector.wait_output("a.yaml");
    manifests.put("a.yaml", &map("a", "a", "3"));
    manifests.holds(&tree! { "a" => "3", "b" => "2" });
}

#[test]
fn yaml_that_is_broken_at_start_removes_nothing() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "1")), ("b.yaml", &map("b", "b", "1"))]);
    started(&manifests.projector()).terminate();
    manifests.put("a.yaml", "broken: [");
    manifests.put("b.yaml", &map("b", "b", "2"));
    let _projector = started(&manifests.projector());
    manifests.holds(&tree! { "a" => "1", "b" => "2" });
    std::fs::remove_file(manifests.source().join("a.yaml")).unwrap();
    manifests.holds(&tree! { "b" => "2" });
}

#[test]
fn conflicts_are_settled_by_name_and_the_loser_inherits() {
    let manifests = Manifests::new(&[("1.yaml", &map("b", "key", "b")), ("2.yaml", &map("a", "key", "a"))]);
    let _projector = started(&manifests.projector());
    assert_tree(&manifests.folder(), &tree! { "key" => "a" });
    std::fs::remove_file(manifests.source().join("2.yaml")).unwrap();
    manifests.holds(&tree! { "key" => "b" });
}

#[test]
fn once_writes_prunes_and_ends() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "1"))]);
    let once = manifests.projector().arg("--once");
    assert_eq!((once.run().code, tree(&manifests.folder())), (Some(0), tree! { "a" => "1" }));
    manifests.put("a.yaml", &map("a", "b", "2"));
    assert_eq!((once.run().code, tree(&manifests.folder())), (Some(0), tree! { "b" => "2" }));
    manifests.put("c.yaml", "broken: [");
    assert_eq!((once.run().code, tree(&manifests.folder())), (Some(1), tree! { "b" => "2" }));
}

#[test]
fn plan_works_on_manifests() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "1"))]);
    assert_eq!((manifests.projector().arg("plan").run().code, manifests.folder().exists()), (Some(2), false));
    let _projector = started(&manifests.projector());
    assert_eq!(manifests.projector().arg("plan").run().code, Some(0));
}
