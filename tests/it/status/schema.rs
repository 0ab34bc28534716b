//! The published schema, and a small reader of such schemas: types, required fields, fields that are not foreseen, items, enums.

use serde_json::{Map, Value};

/// `docs/status.schema.json`.
fn published() -> Value {
    serde_json::from_str(include_str!("../../../docs/status.schema.json")).unwrap()
}

/// Panics unless an answer is as the published schema says.
pub fn check(answer: &Value) {
    let schema = published();
    let wrong = wrong(answer, &schema, &schema, "");
    assert!(wrong.is_empty(), "docs/status.schema.json says otherwise:\n{}\n{answer:#}", wrong.join("\n"));
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema has a type {other} that this does not know"),
    }
}

/// What is wrong with a value.
fn wrong(value: &Value, schema: &Value, root: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("the schema has no {name}"));
        return wrong(value, target, root, at);
    }
    let mut found = Vec::new();
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(value, kind)) {
        found.push(format!("{at}: {value} is none of {kinds:?}"));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    if let Some(fields) = value.as_object() {
        let known = schema["properties"].as_object().cloned().unwrap_or_else(Map::new);
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        found.extend(required.filter(|name| !fields.contains_key(*name)).map(|name| format!("{at}: {name} is missing")));
        for (name, value) in fields {
            match known.get(name) {
                Some(schema) => found.extend(wrong(value, schema, root, &format!("{at}/{name}"))),
                None => found.push(format!("{at}: {name} is not in the schema")),
            }
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        let of_place = schema["prefixItems"].get(number).unwrap_or(&schema["items"]);
        if !of_place.is_null() && !of_place.is_boolean() {
            found.extend(wrong(item, of_place, root, &format!("{at}/{number}")));
        }
    }
    found
}

#[test]
fn the_check_of_answers_finds_what_it_looks_for() {
    let schema = serde_json::json!({
        "type": "object", "required": ["a", "b"],
        "properties": {"a": {"type": ["string", "null"]}, "c": {"type": "array", "items": {"enum": ["x"]}}, "d": {"$ref": "#/properties/a"}}
    });
    let wrong = |value: Value| wrong(&value, &schema, &schema, "").len();
    assert_eq!(wrong(serde_json::json!({"a": null, "b": 1})), 1, "b is not foreseen");
    assert_eq!(wrong(serde_json::json!({"a": 1})), 2, "a has another type, b is missing");
    assert_eq!(wrong(serde_json::json!({"a": "", "b": 1, "c": ["x", "y"], "d": 1, "e": 1})), 4);
}
