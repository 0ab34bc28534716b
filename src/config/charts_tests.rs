//! The table of settings as the charts have it: their schema, what the library checks values by, and the table in a README. Only a test
//! writes it, so that it is no part of the program.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::config::docs::{cell, is_written};
use crate::config::help::{push, under};
use crate::config::setting::{Heading, Setting};
use crate::config::table::{SECRETS, SETTINGS};

/// What a chart's value of a setting may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ChartValue {
    /// A truth value of YAML.
    Boolean,
    /// A whole number, or a text such as `5m`.
    Integer,
    /// A number, or a text such as `250ms`.
    Number,
    /// One of the setting's words.
    Words,
    /// A text, in quotes where YAML would take it for something else.
    Text,
    /// A key of a Secret, and nothing that would stand in the values: mounted, and named by the setting's `_FILE`.
    Secret,
    /// A text, or a key of a Secret that becomes the variable.
    TextOrSecret,
    /// A path, or a key of a Secret that is mounted.
    FileOrSecret,
}

impl ChartValue {
    fn of(setting: &Setting) -> Self {
        let (takes, is_secret) = (setting.takes, SECRETS.contains(&setting.name));
        let has_file = SETTINGS.iter().any(|other| other.name.strip_suffix("_FILE") == Some(setting.name));
        match () {
            () if is_secret && has_file => Self::Secret,
            () if is_secret => Self::TextOrSecret,
            () if setting.name.starts_with("REQ_") && setting.name.ends_with("_FILE") => Self::FileOrSecret,
            () if takes("true") && takes("0") && takes("no") && !takes("2") => Self::Boolean,
            () if takes("80") && !takes("HUP") && !takes("a") && !takes("/a") => match setting.bounds.is_some() && takes("1.5") {
                true => Self::Number,
                false => Self::Integer,
            },
            () if !(setting.words)().is_empty() => Self::Words,
            () => Self::Text,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Words => "words",
            Self::Text => "text",
            Self::Secret => "secret",
            Self::TextOrSecret => "textOrSecret",
            Self::FileOrSecret => "fileOrSecret",
        }
    }

    /// As a person writes it.
    fn shown(self, setting: &Setting) -> String {
        match self {
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Integer => "number".to_owned(),
            Self::Number => "number, or text such as `\"1.5\"`".to_owned(),
            Self::Words => (setting.words)().iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Self::Text => "text".to_owned(),
            Self::Secret => "`{secretKeyRef: {name, key}}`".to_owned(),
            Self::TextOrSecret => "text, or `{secretKeyRef: {name, key}}`".to_owned(),
            Self::FileOrSecret => "path, or `{secretKeyRef: {name, key}}`".to_owned(),
        }
    }

    fn schema(self, setting: &Setting) -> Value {
        let reference = json!({"$ref": "#/definitions/secretKeyRef"});
        match self {
            Self::Boolean => json!({"enum": [true, false, "true", "false", null]}),
            Self::Integer | Self::Number => {
                let kind = if self == Self::Integer { "integer" } else { "number" };
                let mut schema = json!({"type": [kind, "string", "null"]});
                if let Some(bounds) = setting.bounds {
                    schema["minimum"] = bounds.least.into();
                }
                schema
            }
            Self::Words => {
                let words: Vec<Value> = (setting.words)().into_iter().map(Value::from).chain([Value::Null]).collect();
                json!({"enum": words})
            }
            Self::Text => json!({"type": ["string", "null"]}),
            Self::Secret => json!({"anyOf": [reference, {"type": "null"}]}),
            Self::TextOrSecret | Self::FileOrSecret => json!({"anyOf": [{"type": ["string", "null"]}, reference]}),
        }
    }
}

/// The schema of `config`: strict, so that a slip of the pen is told of by its name.
fn schema() -> Value {
    let mut properties = Map::new();
    for setting in SETTINGS {
        let mut schema = ChartValue::of(setting).schema(setting);
        schema["description"] = setting.meaning.into();
        properties.insert(setting.name.to_owned(), schema);
    }
    json!({"type": ["object", "null"], "additionalProperties": false, "properties": properties})
}

/// The same for the templates, which have to look themselves where a library's values have no schema.
fn template() -> String {
    let mut text = "{{- /* Written from src/config/table.rs by: UPDATE_DOCS=1 cargo test --lib */ -}}\n{{- define \"kube-projector-lib.settings\" -}}\n"
        .to_owned();
    for setting in SETTINGS {
        let value = ChartValue::of(setting);
        let words = match value {
            ChartValue::Words => format!(", words: [{}]", (setting.words)().join(", ")),
            _ => String::new(),
        };
        push(&mut text, format_args!("{}: {{type: {}{words}}}\n", setting.name, value.name()));
    }
    text + "{{- end -}}\n"
}

/// The table of a README, between its marks.
fn readme() -> String {
    let mut text = "\n".to_owned();
    for heading in Heading::ALL {
        push(
            &mut text,
            format_args!("\n### {}\n\n| `config.` | Value | Default | Meaning |\n| --- | --- | --- | --- |\n", heading.title()),
        );
        for setting in under(heading) {
            let shown = ChartValue::of(setting).shown(setting);
            push(&mut text, format_args!("| `{}` | {shown} | {} | {} |\n", setting.name, cell(setting.default), setting.meaning));
        }
    }
    text + "\n"
}

/// The schema of all values, with that of `config` in it.
fn whole_schema(written: &str) -> String {
    let mut whole: Value = serde_json::from_str(written).unwrap();
    whole["definitions"]["config"] = schema();
    serde_json::to_string_pretty(&whole).unwrap() + "\n"
}

/// A README, with the table in it.
fn whole_readme(written: &str) -> String {
    let (before, rest) = written.split_once("<!-- settings -->").expect("the mark before the table");
    let (_, after) = rest.split_once("<!-- end of settings -->").expect("the mark behind the table");
    format!("{before}<!-- settings -->{}<!-- end of settings -->{after}", readme())
}

#[test]
fn the_charts_have_the_table_of_settings() {
    is_written("charts/kube-projector-lib/templates/_settings.tpl", |_| template());
    is_written("charts/kube-projector/values.schema.json", whole_schema);
    is_written("charts/kube-projector/README.md", whole_readme);
}

#[test]
fn the_chart_has_the_alerts_and_the_dashboard_of_the_examples() {
    for name in ["alerts.yaml", "dashboard.json"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/monitoring").join(name);
        is_written(&format!("charts/kube-projector/files/{name}"), |_| std::fs::read_to_string(source).unwrap());
    }
}

#[test]
fn values_are_what_their_settings_take() {
    let of = |name: &str| ChartValue::of(SETTINGS.iter().find(|setting| setting.name == name).unwrap());
    let cases = [
        (ChartValue::Boolean, &["FINALIZERS", "UNIQUE_FILENAMES", "SKIP_TLS_VERIFY", "LIVENESS"][..]),
        (ChartValue::Integer, &["HEALTH_PORT", "HEALTHCHECK_PORT", "RESYNC", "URL_MAX_BYTES", "EXEC_CONCURRENCY"]),
        (ChartValue::Number, &["REACT_WINDOW", "REQ_TIMEOUT", "KILL_TIMEOUT"]),
        (ChartValue::Words, &["RESOURCE", "ADOPT", "EXEC_ON", "CHILD_START"]),
        // YAML and Helm make other things of 0644, yes and 1000000 where there are no quotes.
        (
            ChartValue::Text,
            &["DEFAULT_FILE_MODE", "FOLDER_MODE", "LABEL", "LABEL_VALUE", "NAMESPACE", "OBJECT", "METHOD", "SIGNAL", "INSTANCE", "PROFILE"],
        ),
        (ChartValue::Secret, &["REQ_USERNAME", "REQ_PASSWORD", "REQ_HEADERS"]),
        (ChartValue::TextOrSecret, &["REQ_URL", "REQ_PAYLOAD"]),
        (ChartValue::FileOrSecret, &["REQ_TOKEN_FILE", "REQ_PASSWORD_FILE"]),
    ];
    for (expected, names) in cases {
        for name in names {
            assert_eq!(of(name), expected, "{name}");
        }
    }
}
