//! Files of which not every document can be read.

use crate::common::started;
use crate::support::*;

use super::{Manifests, map};

const TEMPLATE: &str = "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: {{ .Release.Name }}\n";

#[test]
fn m7_a_broken_document_keeps_what_its_file_gave_and_stops_no_other() {
    let documents = |texts: &[&str]| texts.join("---\n");
    let (first, second) = (map("a", "a", "1"), map("b", "b", "1"));
    let manifests = Manifests::new(&[("two.yaml", &documents(&[&first, &second])), ("c.yaml", &map("c", "c", "1"))]);
    let mut projector = started(&manifests.projector());
    manifests.put("two.yaml", &documents(&[&map("a", "a", "2"), TEMPLATE, &map("d", "d", "1")]));
    manifests.holds(&tree! { "a" => "2", "b" => "1", "c" => "1", "d" => "1" });
    projector.wait_output("document 2 (line 12, column 10): expected YAML; a template");
    projector.terminate();
    // Nobody knows what it gave before: nothing at all goes.
    std::fs::remove_file(manifests.source().join("c.yaml")).unwrap();
    let _projector = started(&manifests.projector());
    assert_tree(&manifests.folder(), &tree! { "a" => "2", "b" => "1", "c" => "1", "d" => "1" });
    manifests.put("two.yaml", &first);
    manifests.holds(&tree! { "a" => "1" });
}
