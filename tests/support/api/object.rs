//! Objects as JSON: the table of resources, their rendering in the real server's order, and time stamps.
//!
//! Nothing here keeps state.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::event;

/// One resource that the server knows.
pub struct Definition {
    /// API group; empty for core.
    pub group: &'static str,
    /// Version within the group.
    pub version: &'static str,
    /// Resource in URLs.
    pub plural: &'static str,
    /// Kind in objects.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// Every resource served. Both groups of `events` share one store.
pub const RESOURCES: &[Definition] = &[
    Definition { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", namespaced: true },
    Definition { group: "", version: "v1", plural: "secrets", kind: "Secret", namespaced: true },
    Definition { group: "", version: "v1", plural: "namespaces", kind: "Namespace", namespaced: false },
    Definition { group: "", version: "v1", plural: "events", kind: "Event", namespaced: true },
    Definition { group: "events.k8s.io", version: "v1", plural: "events", kind: "Event", namespaced: true },
    Definition { group: "", version: "v1", plural: "pods", kind: "Pod", namespaced: true },
    Definition { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease", namespaced: true },
];

impl Definition {
    /// The first resource of that plural name.
    pub fn named(plural: &str) -> &'static Self {
        RESOURCES.iter().find(|def| def.plural == plural).unwrap_or_else(|| panic!("the in-process server has no resource {plural:?}"))
    }

    /// `v1`, or `group/version`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// What a client asked to see of each object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// The whole object.
    Full,
    /// `PartialObjectMetadata`.
    Metadata,
}

/// One version of one object. Immutable; rendered once.
pub struct Stored {
    /// The object, with kind and apiVersion.
    pub value: Value,
    rendered: OnceLock<String>,
}

impl Stored {
    /// Wraps a version.
    pub fn new(value: Value) -> Self {
        Self { value, rendered: OnceLock::new() }
    }

    /// The JSON of the object as a client of `def` sees it.
    pub fn render(&self, def: &Definition, form: Form) -> String {
        match form {
            Form::Metadata => {
                let metadata = &self.value["metadata"];
                render(&json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}))
            }
            Form::Full if def.group == "events.k8s.io" => render(&event::to_new(&self.value)),
            Form::Full => self.rendered.get_or_init(|| render(&self.value)).clone(),
        }
    }

    /// The JSON as an item of a list: without kind and apiVersion, as the real server sends it.
    pub fn render_item(&self, def: &Definition, form: Form) -> String {
        let full = self.render(def, form);
        let prefix = format!(r#"{{"kind":"{}","apiVersion":"{}","#, def.kind, def.api_version());
        match full.strip_prefix(&prefix) {
            Some(rest) if form == Form::Full => format!("{{{rest}"),
            _ => full,
        }
    }

    /// `metadata.resourceVersion`.
    pub fn resource_version(&self) -> &str {
        text(&self.value, "/metadata/resourceVersion")
    }

    /// `metadata.finalizers`.
    pub fn finalizers(&self) -> Vec<String> {
        finalizers(&self.value)
    }
}

/// The string at a JSON pointer, or nothing.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata.finalizers` of an object.
pub fn finalizers(value: &Value) -> Vec<String> {
    let list = value.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

const TOP: &[&str] = &["kind", "apiVersion", "metadata"];
const METADATA: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "finalizers",
    "managedFields",
];

/// JSON with the members in the real server's order and with its escapes.
pub fn render(value: &Value) -> String {
    let mut out = String::new();
    write_ordered(&mut out, value, TOP);
    if out.contains(['<', '>', '&']) {
        out = out.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    }
    out
}

fn write_ordered(out: &mut String, value: &Value, order: &[&str]) {
    let Value::Object(members) = value else {
        out.push_str(&value.to_string());
        return;
    };
    let rank = |name: &str| order.iter().position(|known| *known == name).unwrap_or(order.len());
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by_key(|(name, _)| rank(name));
    out.push('{');
    for (index, (name, member)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        if name == "metadata" && order == TOP { write_ordered(out, member, METADATA) } else { out.push_str(&member.to_string()) }
    }
    out.push('}');
}

/// Brings an object into the form that the real server stores: `stringData` folded in, empty members gone.
pub fn normalize(def: &Definition, value: &mut Value) {
    value["kind"] = def.kind.into();
    value["apiVersion"] = def.api_version().into();
    if def.plural == "secrets" {
        if value.get("type").is_none() {
            value["type"] = "Opaque".into();
        }
        if let Some(Value::Object(plain)) = value.as_object_mut().and_then(|members| members.remove("stringData")) {
            for (key, plain) in plain {
                value["data"][key] = BASE64.encode(plain.as_str().unwrap_or_default()).into();
            }
        }
    }
    for owner in ["/metadata", ""] {
        if let Some(Value::Object(members)) = value.pointer_mut(owner) {
            members.retain(|_, member| !is_empty(member));
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// What the real server records about who set which field: not used by anybody, but a third of the bytes of small objects.
pub fn managed_fields(value: &Value, at: &str) -> Value {
    let set = |members: Option<&Value>| -> Value {
        let names = members.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| (format!("f:{name}"), json!({})));
        std::iter::once((".".to_owned(), json!({}))).chain(names).collect::<Map<_, _>>().into()
    };
    let mut fields = Map::new();
    for member in ["data", "binaryData"].into_iter().filter(|member| value.get(member).is_some()) {
        fields.insert(format!("f:{member}"), set(value.get(member)));
    }
    let mut metadata = Map::new();
    for member in ["labels", "annotations"] {
        if let Some(members) = value["metadata"].get(member) {
            metadata.insert(format!("f:{member}"), set(Some(members)));
        }
    }
    if !metadata.is_empty() {
        fields.insert("f:metadata".to_owned(), metadata.into());
    }
    json!([{"manager": "rig", "operation": "Update", "apiVersion": "v1", "time": at, "fieldsType": "FieldsV1", "fieldsV1": fields}])
}

/// The time now, as `creationTimestamp` has it: `2025-01-31T12:00:00Z`.
pub fn now() -> String {
    rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Seconds since 1970 as RFC 3339.
pub fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days, with years that begin in March so that the leap day comes last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}
