//! What is read, what is told of it, and that looking at it is contact enough.

use crate::common::started;
use crate::support::*;

use super::{Manifests, map};

#[test]
fn m8_what_is_nearly_ours_is_told_of_once_and_counted() {
    let manifests = Manifests::new(&[
        ("a.yaml", &(map("a", "a", "1") + "---\n" + &map("b", "b", "1"))),
        ("c.YAML", &map("c", "c", "1")),
        ("d.yaml", &map("d", "d", "1").replace("ConfigMap", "Configmap")),
        ("e.yaml", &map("e", "e", "1").replace("v1", "v2")),
        ("f.json", "[{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\"}]"),
    ]);
    let projector = started(&manifests.projector());
    manifests.put("a.yaml", &(map("a", "a", "2") + "---\n" + &map("b", "b", "1")));
    manifests.holds(&tree! { "a" => "2", "b" => "1" });
    let output = projector.output();
    let said = |text: &str| output.lines().filter(|line| line.contains("\"WARN\"") && line.contains(text)).count();
    assert_eq!(["c.YAML", "d.yaml", "e.yaml", "f.json"].map(said), [1; 4], "{output}");
    let synced = output.lines().find(|line| line.contains("in sync")).unwrap();
    assert!(["\"manifests\":4", "\"objects\":2", "\"not_taken\":4"].iter().all(|part| synced.contains(part)), "{synced}");
}

#[test]
fn m6_a_quiet_folder_is_not_stale() {
    let manifests = Manifests::new(&[("a.yaml", &map("a", "a", "1"))]);
    let projector = started(&manifests.projector().env("HEALTH_STALE_AFTER", "3"));
    // Looks go on although nothing happens, and none of the answers in between is a failure.
    wait_until("five looks", DEADLINE, || {
        let (status, body) = projector.health();
        assert_eq!(status, 200, "{body}");
        match body["watches"][0]["relists"].as_u64() {
            Some(looks) if looks >= 5 => Ok(()),
            looks => Err(looks),
        }
    });
}
