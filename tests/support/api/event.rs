//! Events in both groups: kept in the form of core/v1, shown in either.

use serde_json::Value;

use super::failure::Failure;
use super::object::text;

/// Names of Event fields: in events.k8s.io/v1, and in core/v1.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// A stored (core) Event as events.k8s.io/v1 shows it.
pub fn to_new(core: &Value) -> Value {
    rename(core, EVENT_FIELDS.iter().map(|(new, old)| (*old, *new)), "events.k8s.io/v1")
}

/// An events.k8s.io/v1 Event in the form of the store.
pub fn to_core(new: &Value) -> Value {
    rename(new, EVENT_FIELDS.iter().copied(), "v1")
}

fn rename(event: &Value, names: impl Iterator<Item = (&'static str, &'static str)>, api_version: &str) -> Value {
    let mut members = event.as_object().cloned().unwrap_or_default();
    for (from, to) in names {
        if let Some(member) = members.remove(from) {
            members.insert(to.to_owned(), member);
        }
    }
    members.insert("apiVersion".to_owned(), api_version.into());
    Value::Object(members)
}

/// The checks of events.k8s.io/v1 on creation.
pub fn validate(event: &Value, namespace: &str) -> Result<(), Failure> {
    let name = text(event, "/metadata/name");
    let invalid = |field: &str, message: &str| Err(Failure::invalid("Event", name, field, "FieldValueInvalid", message));
    if text(event, "/regarding/namespace") != namespace {
        return invalid("involvedObject.namespace", "Invalid value: \"\": does not match event.namespace");
    }
    if !["Normal", "Warning"].contains(&text(event, "/type")) {
        return invalid("type", "Invalid value: \"\": has invalid value: ");
    }
    for (field, max) in [("eventTime", 64), ("reportingController", 253), ("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        let length = event[field].as_str().unwrap_or_default().len();
        if length == 0 {
            return invalid(field, "Required value");
        }
        if length > max {
            return invalid(field, &format!("Invalid value: can have at most {max} characters"));
        }
    }
    if text(event, "/note").len() > 1024 {
        return invalid("note", "Invalid value: can have at most 1024 characters");
    }
    Ok(())
}
