//! The example that is shipped.

use serde_json::Value;

use super::Bench;
use crate::common::started;

/// The texts of a field.
fn words(value: &Value, field: &str) -> Vec<String> {
    serde_json::from_value(value[field].clone()).unwrap()
}

#[test]
fn the_example_is_enough_with_the_rights_that_it_grants() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/dovecot-director/deployment.yaml")).unwrap();
    let manifests: Vec<Value> = text.split("\n---\n").map(|manifest| serde_saphyr::from_str(manifest).unwrap()).collect();
    let of_kind = |kind: &str| manifests.iter().find(|manifest| manifest["kind"] == kind).unwrap();
    let mut rights: Vec<(String, Vec<String>)> = Vec::new();
    for rule in of_kind("Role")["rules"].as_array().unwrap() {
        assert_eq!(words(rule, "apiGroups"), [""]);
        rights.extend(words(rule, "resources").into_iter().map(|resource| (resource, words(rule, "verbs"))));
    }
    let verbs: Vec<Vec<&str>> = rights.iter().map(|(_, verbs)| verbs.iter().map(String::as_str).collect()).collect();
    let borrowed: Vec<(&str, &str, &[&str])> =
        rights.iter().zip(&verbs).map(|((resource, _), verbs)| ("", resource.as_str(), &verbs[..])).collect();
    let bench = Bench::new();
    let account = bench.cluster().restricted(&borrowed);
    let mut builder = bench.original().kubeconfig(&account.kubeconfig);
    for variable in of_kind("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("metadata.namespace") => bench.cluster().namespace(),
            Some(other) => panic!("{name} is {other}"),
            None => variable["value"].as_str().unwrap(),
        };
        builder = builder.env(name, value);
    }
    let check = builder.clone().arg("check").run();
    assert_eq!(check.code, Some(0), "{check:?}");
    // The labels of the example are not those of the bench.
    let label = |name: &str, value: &str| bench.cluster().pod(name).label("app", value).ready(true).create();
    label("director-of-the-example", "dovecot-director");
    let _projector = started(&builder);
    // EXEC_ON_START.
    bench.ran(1);
    label("dovecot-of-the-example", "dovecot");
    bench.ran(2);
}
