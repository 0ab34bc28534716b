//! What the real server checks on every write, as far as a projector may meet it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::object::{Definition, finalizers, text};

/// The checks of the real server that a projector may meet.
pub fn validate(def: &Definition, value: &Value) -> Result<(), Failure> {
    let name = text(value, "/metadata/name");
    let invalid = |field: &str, reason: &str, message: String| Err(Failure::invalid(def.kind, name, field, reason, &message));
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if name.is_empty() || name.len() > 253 || !name.chars().all(fine) || name.starts_with(['-', '.']) || name.ends_with(['-', '.']) {
        let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'";
        return invalid("metadata.name", "FieldValueInvalid", format!("Invalid value: \"{name}\": {rule}"));
    }
    if let Some(odd) = finalizers(value).into_iter().find(|finalizer| !finalizer.contains('/')) {
        let rule = "name is neither a standard finalizer name nor is it fully qualified";
        return invalid("metadata.finalizers[0]", "FieldValueInvalid", format!("Invalid value: \"{odd}\": {rule}"));
    }
    let none = Map::new();
    let members = |field: &str| value.get(field).and_then(Value::as_object).unwrap_or(&none);
    for field in ["data", "binaryData"] {
        for (key, content) in members(field) {
            let fine = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if key.is_empty() || key.len() > 253 || !key.chars().all(fine) || key == "." || key.starts_with("..") {
                let rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
                return invalid(&format!("{field}[{key}]"), "FieldValueInvalid", format!("Invalid value: \"{key}\": {rule}"));
            }
            let encoded = def.plural == "secrets" || field == "binaryData";
            if !content.is_string() || encoded && BASE64.decode(content.as_str().unwrap_or_default()).is_err() {
                let what =
                    format!("{} in version \"v1\" cannot be handled as a {}: illegal base64 data at input byte 0", def.kind, def.kind);
                return Err(Failure::bad_request(&what));
            }
        }
    }
    if let Some((key, _)) = members("data").iter().find(|(key, _)| members("binaryData").contains_key(*key)) {
        let rule = "duplicate of key present in binaryData";
        return invalid(&format!("data[{key}]"), "FieldValueInvalid", format!("Invalid value: \"{key}\": {rule}"));
    }
    Ok(())
}
