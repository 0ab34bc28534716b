//! JSON patch and merge patch, with the habits of the real server.
//!
//! A `test` of a missing last member against null succeeds, `replace` of a missing member adds it, and `-` appends.

use serde_json::Value;

use super::failure::Failure;

/// Applies a JSON patch (RFC 6902: test, add, remove, replace).
pub fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Failure> {
    let Value::Array(operations) = patch else {
        return Err(Failure::bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ));
    };
    operations.iter().try_for_each(|operation| apply(target, operation).ok_or_else(Failure::patch_rejected))
}

/// One operation; nothing if it does not apply.
fn apply(target: &mut Value, operation: &Value) -> Option<()> {
    let path = operation["path"].as_str()?;
    let (parent, last) = path.rsplit_once('/')?;
    let parent = target.pointer_mut(parent)?;
    let last = last.replace("~1", "/").replace("~0", "~");
    let wanted = operation.get("value").cloned().unwrap_or(Value::Null);
    match (operation["op"].as_str()?, parent) {
        ("test", Value::Object(members)) => (members.get(&last).unwrap_or(&Value::Null) == &wanted).then_some(()),
        ("test", Value::Array(items)) => (items.get(index(&last)?)? == &wanted).then_some(()),
        ("add" | "replace", Value::Object(members)) => {
            members.insert(last, wanted);
            Some(())
        }
        ("add", Value::Array(items)) if last == "-" => {
            items.push(wanted);
            Some(())
        }
        ("add", Value::Array(items)) => {
            let at = index(&last).filter(|at| *at <= items.len())?;
            items.insert(at, wanted);
            Some(())
        }
        ("replace", Value::Array(items)) => {
            *items.get_mut(index(&last)?)? = wanted;
            Some(())
        }
        ("remove", Value::Object(members)) => members.remove(&last).map(|_| ()),
        ("remove", Value::Array(items)) => {
            let at = index(&last).filter(|at| *at < items.len())?;
            items.remove(at);
            Some(())
        }
        _ => None,
    }
}

fn index(text: &str) -> Option<usize> {
    text.parse().ok()
}

/// Applies a merge patch (RFC 7396): null removes, objects merge, all else replaces.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    for (name, member) in members {
        if member.is_null() {
            target.as_object_mut().map(|into| into.remove(name));
        } else {
            merge_patch(&mut target[name], member);
        }
    }
}
