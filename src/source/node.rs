//! YAML and JSON as a tree, with nothing but what a manifest can hold: strings, mappings, sequences.
//!
//! The library's own error texts quote the document, which may hold Secrets, so only their place is kept.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Budget, Options};

use crate::source::yaml::YamlError;

/// One node of a document. Numbers and booleans lose their value: no field that we read may be one.
pub(crate) enum Node {
    Null,
    Bool,
    Number,
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(String, Node)>),
}

/// The documents of a text that are not empty.
///
/// # Errors
/// The place of the first error; the text is then not used at all.
pub(crate) fn documents(text: &[u8]) -> Result<Vec<Node>, YamlError> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let text = str::from_utf8(text).map_err(|error| {
        let read = text.get(..error.valid_up_to()).unwrap_or_default();
        let line = read.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = read.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        syntax(u64::try_from(line), u64::try_from(column), "expected UTF-8")
    })?;
    // JSON's escapes are not quite YAML's (surrogate pairs), so what can be read as JSON is.
    if text.trim_start().starts_with('{')
        && let Ok(nodes) = serde_json::Deserializer::from_str(text).into_iter::<Node>().collect()
    {
        return Ok(nodes);
    }
    serde_saphyr::from_str_multiple_with_options(text, options()).map_err(|error| {
        let place = error.location();
        let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
        let expected = match error.without_snippet() {
            serde_saphyr::Error::DuplicateMappingKey { .. } => "expected each key once",
            serde_saphyr::Error::Budget { .. } => "expected a text within the parser's limits",
            _ => "expected YAML",
        };
        YamlError::Syntax { line, column, expected }
    })
}

fn syntax<E>(line: Result<u64, E>, column: Result<u64, E>, expected: &'static str) -> YamlError {
    YamlError::Syntax { line: line.unwrap_or(0), column: column.unwrap_or(0), expected }
}

/// Limits fit for the largest file that is read (64 MiB); they stop alias bombs, not big files.
fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_documents = 1_000_000;
    budget.max_nodes = 10_000_000;
    budget.max_events = 40_000_000;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.with_snippet = false;
    options.emit_comments = false;
    options.legacy_octal_numbers = true;
    options
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Bool)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = sequence.next_element()? {
            nodes.push(node);
        }
        Ok(Node::Sequence(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            fields.push((key, map.next_value()?));
        }
        let mut seen = HashSet::with_capacity(fields.len());
        match fields.iter().all(|(key, _)| seen.insert(key.as_str())) {
            true => Ok(Node::Mapping(fields)),
            false => Err(A::Error::custom("a key twice")),
        }
    }
}
