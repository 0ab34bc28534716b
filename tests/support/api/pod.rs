//! What is particular to pods: a status that has a path of its own.

use serde_json::{Value, json};

use super::object::Definition;
use super::route::Asked;

/// A pod begins without any status but its phase, whatever its creator says.
pub fn begin(def: &Definition, value: &mut Value) {
    if def.plural == "pods" {
        value["status"] = json!({"phase": "Pending"});
    }
}

/// An update of a pod leaves its status alone, and one of its status leaves its spec alone, but not its labels.
pub fn keep_other_half(asked: &Asked, old: &Value, value: &mut Value) {
    match (asked.plural(), asked.subresource) {
        ("pods", None) => value["status"] = old["status"].clone(),
        ("pods", Some(_)) => value["spec"] = old["spec"].clone(),
        _ => {}
    }
}
