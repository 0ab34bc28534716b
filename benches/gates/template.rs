//! Lines of a watch as an API server sends them, made at no cost that would be measured: digits are set in place.

/// Bytes of the one value of an object.
pub const PAYLOAD: usize = 1024;
/// Digits of every number in a line.
const DIGITS: usize = 6;
/// Stand for numbers in the text that a template is made of.
const OBJECT: &str = "<objt>";
const REVISION: &str = "<rvsn>";
const CONTENT: &str = "<cont>";

/// A line whose object, resourceVersion and content can be set.
pub struct Template {
    line: Vec<u8>,
    object: Vec<usize>,
    revision: Vec<usize>,
    content: Vec<usize>,
}

impl Template {
    /// A MODIFIED ConfigMap with managedFields and one key of [`PAYLOAD`] bytes, a line break every 64.
    pub fn object() -> Self {
        let rest = format!("{}\\n", "x".repeat(63)).repeat(PAYLOAD / 64 - 1);
        let value = format!("{CONTENT}{}\\n{rest}", "x".repeat(63 - DIGITS));
        let fields = r#"{"f:data":{".":{},"f:rules.yaml":{}},"f:metadata":{"f:labels":{".":{},"f:find":{}}}}"#;
        let manager = format!(
            r#"{{"manager":"kubectl","operation":"Update","apiVersion":"v1","time":"2026-01-02T03:04:05Z","fieldsType":"FieldsV1","fieldsV1":{fields}}}"#
        );
        let metadata = format!(
            r#"{{"name":"object-{OBJECT}","namespace":"monitoring","uid":"bd24ad0f-0a3e-4a5d-9c3e-000000{OBJECT}","resourceVersion":"{REVISION}","creationTimestamp":"2026-01-02T03:04:05Z","labels":{{"find":"me"}},"annotations":{{"example.com/owner":"team"}},"managedFields":[{manager}]}}"#
        );
        Self::new(&format!(
            r#"{{"type":"MODIFIED","object":{{"kind":"ConfigMap","apiVersion":"v1","metadata":{metadata},"data":{{"file-{OBJECT}":"{value}"}}}}}}"#
        ))
    }

    /// A bookmark.
    pub fn bookmark() -> Self {
        Self::new(&format!(
            r#"{{"type":"BOOKMARK","object":{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"resourceVersion":"{REVISION}","creationTimestamp":null}}}}}}"#
        ))
    }

    fn new(text: &str) -> Self {
        let places = |mark: &str| text.match_indices(mark).map(|(at, _)| at).collect();
        Self { line: format!("{text}\n").into_bytes(), object: places(OBJECT), revision: places(REVISION), content: places(CONTENT) }
    }

    /// The line with these numbers, its line break included.
    pub fn line(&mut self, object: u64, revision: u64, content: u64) -> &[u8] {
        for (places, number) in [(&self.object, object), (&self.revision, revision), (&self.content, content)] {
            for at in places {
                set(&mut self.line[*at..at + DIGITS], number);
            }
        }
        &self.line
    }
}

fn set(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}
