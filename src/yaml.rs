//! YAML and JSON as one tree. All YAML is read by this: the parser is compiled once for each type that it gives, and that is a lot of code.
//!
//! The library's own error texts quote the document, which may hold Secrets, so only their place is kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Budget, Options};

/// A document that is not empty.
pub(crate) struct Document {
    /// The line of the text at which it begins, from 1.
    pub(crate) line: u32,
    /// What it holds.
    pub(crate) node: Result<Value, Flaw>,
}

/// Where a document cannot be read, and what was expected there.
#[derive(Clone, Copy)]
pub(crate) struct Flaw {
    /// Line of the text, from 1.
    pub(crate) line: u64,
    /// Column in that line, from 1.
    pub(crate) column: u64,
    pub(crate) expected: &'static str,
}

/// The documents of a text that are not empty, each by itself: one that cannot be read says nothing about the others.
pub(crate) fn documents(text: &[u8]) -> Vec<Document> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    // JSON's escapes are not quite YAML's (surrogate pairs), so what can be read as JSON is.
    if text.trim_ascii_start().starts_with(b"{")
        && let Some(documents) = json(text)
    {
        return documents;
    }
    pieces(text).into_iter().flat_map(|(before, piece)| yaml(before, piece)).collect()
}

fn json(text: &[u8]) -> Option<Vec<Document>> {
    let mut stream = serde_json::Deserializer::from_slice(text).into_iter::<Tree>();
    let mut documents = Vec::new();
    loop {
        let rest = text.get(stream.byte_offset()..).unwrap_or_default();
        let line = number(lines(text) - lines(rest.trim_ascii_start()) + 1);
        match stream.next() {
            None => return Some(documents),
            Some(Ok(Tree(node))) => documents.push(Document { line, node: Ok(node) }),
            Some(Err(_)) => return None,
        }
    }
}

/// The pieces of a text that hold one document each, with the number of lines before: it is split before each line that begins with
/// `---`, alone or with a blank behind, and behind each that ends a document (`...`).
fn pieces(text: &[u8]) -> Vec<(usize, &[u8])> {
    let mut pieces = Vec::new();
    // What was not given to a piece yet, and how much of it was looked at.
    let (mut rest, mut seen, mut before) = (text, 0, 0);
    let (mut holds, mut read) = (false, 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let cut = match () {
            () if marks(line, b"---") && holds => Some(seen),
            () if marks(line, b"...") => Some(seen + line.len()),
            () => None,
        };
        // Comments and directives belong to the document behind them.
        let is_apart = line.trim_ascii().is_empty() || line.starts_with(b"#") || line.starts_with(b"%");
        holds = (holds || !is_apart) && !marks(line, b"...");
        seen += line.len();
        read += 1;
        if let Some((piece, behind)) = cut.and_then(|cut| rest.split_at_checked(cut)) {
            pieces.push((before, piece));
            (rest, seen) = (behind, seen - piece.len());
            before = if seen == 0 { read } else { read - 1 };
        }
    }
    pieces.push((before, rest));
    pieces
}

/// Whether a line is this mark.
fn marks(line: &[u8], mark: &[u8]) -> bool {
    line.strip_prefix(mark).is_some_and(|behind| behind.first().is_none_or(u8::is_ascii_whitespace))
}

/// The one document of a piece, or none. Tags and anchors reach no further.
fn yaml(before: usize, piece: &[u8]) -> Vec<Document> {
    let begins = piece.split(|byte| *byte == b'\n').take_while(|line| line.trim_ascii().is_empty() || line.starts_with(b"#")).count();
    let line = number(before + begins + 1);
    let flawed = |flaw| vec![Document { line, node: Err(flaw) }];
    let text = match str::from_utf8(piece) {
        Ok(text) => text,
        Err(error) => {
            let read = piece.get(..error.valid_up_to()).unwrap_or_default();
            let column = read.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            return flawed(Flaw {
                line: number(before + lines(read) + 1).into(),
                column: number(column).into(),
                expected: "expected UTF-8",
            });
        }
    };
    let nodes: Result<Vec<Tree>, _> = serde_saphyr::from_str_multiple_with_options(text, options());
    match nodes {
        Ok(nodes) => nodes.into_iter().map(|Tree(node)| Document { line, node: Ok(node) }).collect(),
        Err(error) => {
            let place = error.location();
            let (in_piece, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
            let expected = match error.without_snippet() {
                serde_saphyr::Error::DuplicateMappingKey { .. } => "expected each key once",
                serde_saphyr::Error::Budget { .. } => "expected a text within the parser's limits",
                _ if text.contains("{{") => "expected YAML; a template, with {{ }}, must be rendered first",
                _ => "expected YAML",
            };
            flawed(Flaw { line: u64::from(number(before)).saturating_add(in_piece), column, expected })
        }
    }
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
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

/// A value in which no mapping names a key twice.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        // Infinity and what is no number are a number to whoever expects something else.
        Ok(Tree(Number::from_f64(value).unwrap_or_else(|| 0.into()).into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree(text.into()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Tree, E> {
        Ok(Tree(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(Tree(item)) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Tree(items.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut fields = Map::new();
        while let Some((key, Tree(value))) = map.next_entry()? {
            if fields.insert(key, value).is_some() {
                return Err(A::Error::custom("a key twice"));
            }
        }
        Ok(Tree(fields.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m7_a_text_is_split_where_its_documents_begin() {
        let table: &[(&str, &[(usize, &str)])] = &[
            ("", &[(0, "")]),
            ("a: 1\n", &[(0, "a: 1\n")]),
            ("a\n---\nb\n---", &[(0, "a\n"), (1, "---\nb\n"), (3, "---")]),
            ("# c\n\n---\na\n---\n---\nb", &[(0, "# c\n\n---\na\n"), (4, "---\n"), (5, "---\nb")]),
            ("--- # why\r\na\r\n---\r\nb", &[(0, "--- # why\r\na\r\n"), (2, "---\r\nb")]),
            ("%YAML 1.1\n---\na\n...\n%YAML 1.1\n---\nb\n", &[(0, "%YAML 1.1\n---\na\n...\n"), (4, "%YAML 1.1\n---\nb\n")]),
            // What only looks like it: a key's text, and what is indented.
            ("a: \"\n-----BEGIN\n----\n\"\nb: |\n ---\n c\n", &[(0, "a: \"\n-----BEGIN\n----\n\"\nb: |\n ---\n c\n")]),
        ];
        for (text, expected) in table {
            let found: Vec<_> =
                pieces(text.as_bytes()).into_iter().map(|(before, piece)| (before, str::from_utf8(piece).unwrap())).collect();
            assert_eq!(found, *expected, "{text:?}");
        }
    }
}
