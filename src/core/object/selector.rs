//! Which objects are wanted: label selectors in the form of the API's `labelSelector` parameter.
//!
//! The API server selects; we select again where no server does it for us: objects read by name, manifests, objects that lost a label.

use std::collections::BTreeMap;
use std::fmt;

/// A label selector: every requirement must hold. Without requirements it selects everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    text: String,
    requirements: Vec<Requirement>,
}

/// What one label must be.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

/// The text is no label selector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

impl Selector {
    /// Objects that carry this label, with this value unless any will do; `Some("")` is the empty value.
    pub fn label(key: &str, value: Option<&str>) -> Self {
        let (text, test) = match value {
            None => (key.to_owned(), Test::Exists),
            Some(value) => (format!("{key}={value}"), Test::In(vec![value.to_owned()])),
        };
        Self { text, requirements: vec![Requirement { key: key.to_owned(), test }] }
    }

    /// Reads `a`, `!a`, `a=b`, `a==b`, `a!=b`, `a in (b,c)` and `a notin (b,c)`, with commas between them.
    ///
    /// # Errors
    /// [`Malformed`]. Whether keys and values are ones that the API admits is for the server to say.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        let requirements = match text {
            "" => Vec::new(),
            _ => parts(text).into_iter().map(requirement).collect::<Option<_>>().ok_or(Malformed)?,
        };
        Ok(Self { text: text.to_owned(), requirements })
    }

    /// Whether an object is selected whose labels `value_of` looks up.
    pub(crate) fn matches<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|Requirement { key, test }| match (test, value_of(key)) {
            (Test::Exists, value) => value.is_some(),
            (Test::Absent, value) => value.is_none(),
            (Test::In(values), value) => value.is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            (Test::NotIn(values), value) => value.is_none_or(|value| values.iter().all(|unwanted| unwanted != value)),
        })
    }

    /// Whether an object with these labels is selected.
    pub(crate) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches(|key| labels.get(key).map(String::as_str))
    }

    /// The keys of the labels that decide.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().map(|requirement| requirement.key.as_str())
    }

    /// Whether every object is selected.
    pub(crate) fn selects_everything(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl fmt::Display for Selector {
    /// The form of the API's `labelSelector` parameter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What stands between the commas that are not in parentheses.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0_u32, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.extend(text.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(from..));
    parts
}

fn requirement(part: &str) -> Option<Requirement> {
    let part = part.trim();
    let made = |key: &str, test| is_word(key.trim()).then(|| Requirement { key: key.trim().to_owned(), test });
    let value = |value: &str| Some(value.trim()).filter(|value| value.is_empty() || is_word(value)).map(|value| vec![value.to_owned()]);
    if let Some(key) = part.strip_prefix('!') {
        return made(key, Test::Absent);
    }
    if let Some((head, list)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let values: Vec<String> = list.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        let (key, operator, end) = (words.next()?, words.next()?, words.next());
        return match operator {
            _ if end.is_some() || !values.iter().all(|value| value.is_empty() || is_word(value)) => None,
            "in" => made(key, Test::In(values)),
            "notin" => made(key, Test::NotIn(values)),
            _ => None,
        };
    }
    if let Some((key, unwanted)) = part.split_once("!=") {
        return made(key, Test::NotIn(value(unwanted)?));
    }
    match part.split_once("==").or_else(|| part.split_once('=')) {
        Some((key, wanted)) => made(key, Test::In(value(wanted)?)),
        None => made(part, Test::Exists),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, selected: &[&[(&str, &str)]], left: &[&[(&str, &str)]]) {
        let selector = Selector::parse(text).expect(text);
        assert_eq!(selector.to_string(), text.trim());
        let matches =
            |labels: &[(&str, &'static str)]| selector.matches(|key| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| *value));
        let fixed = |labels: &[(&str, &str)]| -> Vec<(String, &'static str)> {
            labels.iter().map(|(name, value)| ((*name).to_owned(), &*Box::leak((*value).to_owned().into_boxed_str()))).collect()
        };
        for (labels, expected) in selected.iter().map(|labels| (labels, true)).chain(left.iter().map(|labels| (labels, false))) {
            let owned = fixed(labels);
            let borrowed: Vec<(&str, &'static str)> = owned.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            assert_eq!(matches(&borrowed), expected, "{text} {labels:?}");
        }
    }

    #[test]
    fn each_form_selects_as_the_api_does() {
        check("", &[&[], &[("a", "1")]], &[]);
        check("a", &[&[("a", "")], &[("a", "1"), ("b", "2")]], &[&[], &[("b", "a")]]);
        check("!a", &[&[], &[("b", "1")]], &[&[("a", "")]]);
        check("a=1,!b", &[&[("a", "1")]], &[&[("a", "1"), ("b", "")], &[("a", "2")]]);
        check("a==1", &[&[("a", "1")]], &[&[("a", "11")], &[]]);
        check("a=", &[&[("a", "")]], &[&[("a", "1")], &[]]);
        check("a!=1", &[&[], &[("a", "2")]], &[&[("a", "1")]]);
        check("a in (1, 2),b", &[&[("a", "2"), ("b", "")]], &[&[("a", "3"), ("b", "")], &[("b", "")], &[("a", "1")]]);
        check("example.com/a notin (1,2)", &[&[], &[("example.com/a", "3")]], &[&[("example.com/a", "1")]]);
    }

    #[test]
    fn labels_with_and_without_a_value_are_told_apart() {
        assert_eq!(Selector::label("a", None), Selector::parse("a").unwrap());
        assert_eq!(Selector::label("a", Some("1")), Selector::parse("a=1").unwrap());
        assert_eq!(Selector::label("a", Some("")), Selector::parse("a=").unwrap());
    }

    #[test]
    fn other_text_is_no_selector() {
        for text in [",", "a,", "=1", "a in 1", "a in", "a b", "a of (1)", "a=b=c", "!", "a=1 2", "(", "a (1)", "ä"] {
            assert_eq!(Selector::parse(text), Err(Malformed), "{text}");
        }
    }
}
