//! From the API server's JSON to [`Object`]s: only the members that we use are kept, the rest is skipped unread.
//!
//! Errors tell a position, never what stands there.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::core::object::{Kind, Object, ObjectKey, Payload};
use crate::core::uid::uid_number;

/// Marks the bookmark that ends a streaming list (KEP-3157).
const ENDS_LIST: &str = "k8s.io/initial-events-end";

/// One line of a watch.
#[derive(Deserialize)]
pub struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: Slim<'a>,
}

/// What a line of a watch says.
pub enum Event {
    /// The object is there, or changed.
    Applied(Object),
    /// The object is gone, or left the selector: its last state without its content.
    Deleted(Object),
    /// A heartbeat.
    Bookmark {
        /// resourceVersion so far.
        revision: u64,
        /// Whether it ends a streaming list.
        ends_list: bool,
    },
    /// The server reports an error with this code.
    Error(u16),
}

/// How objects of one source are read.
#[derive(Clone, Debug)]
pub struct Reader {
    /// ConfigMap or Secret: decides how `data` is encoded.
    pub kind: Kind,
    /// FOLDER_ANNOTATION.
    pub folder_annotation: String,
}

/// An object that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON of the expected form.
    #[error("not an object of the API (line {line}, column {column})")]
    Json {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// A member that every object has is missing.
    #[error("an object without {0}")]
    Missing(&'static str),
}

/// An object, bookmark or Status, as far as it matters here.
#[derive(Deserialize)]
struct Slim<'a> {
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
    /// Values stay as they came until their bytes are made of them, in one allocation each.
    #[serde(borrow, default)]
    data: Option<Pairs<'a, &'a RawValue>>,
    #[serde(borrow, default, rename = "binaryData")]
    binary_data: Option<Pairs<'a, &'a RawValue>>,
    #[serde(default)]
    code: u16,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(borrow, default)]
    creation_timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    deletion_timestamp: Option<Cow<'a, str>>,
    #[serde(default)]
    finalizers: Option<Vec<String>>,
    #[serde(borrow, default)]
    annotations: Option<Pairs<'a, &'a RawValue>>,
    #[serde(borrow, default)]
    labels: Option<&'a RawValue>,
}

/// Text that borrows from the line where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A JSON object as a list, in its order.
struct Pairs<'a, V>(Vec<(Cow<'a, str>, V)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a, V>(std::marker::PhantomData<(&'a (), V)>);
        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for Members<'a, V> {
            type Value = Pairs<'a, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(1));
                while let Some((Text(key), value)) = map.next_entry::<Text<'de>, V>()? {
                    pairs.push((key as Cow<'a, str>, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}

impl Reader {
    /// Reads one line of a watch.
    ///
    /// # Errors
    /// [`DecodeError`] when the line is not one that an API server sends.
    pub fn line(&self, line: &[u8]) -> Result<Event, DecodeError> {
        let Line { kind, object } = serde_json::from_str(text(line)?).map_err(position)?;
        match &*kind {
            "ADDED" | "MODIFIED" => self.object_of(object).map(Event::Applied),
            "DELETED" => self.object_of(Slim { data: None, binary_data: None, ..object }).map(Event::Deleted),
            "BOOKMARK" => Ok(Event::Bookmark { revision: revision(&object.metadata.resource_version), ends_list: object.metadata.annotation(ENDS_LIST).is_some_and(|value| value == "true") }),
            "ERROR" => Ok(Event::Error(object.code)),
            _ => Err(DecodeError::Missing("a known type")),
        }
    }

    /// Reads one object of a list.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn object(&self, json: &[u8]) -> Result<Object, DecodeError> {
        self.object_of(serde_json::from_str(text(json)?).map_err(position)?)
    }

    /// Reads one object and the value of one of its labels.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn labelled(&self, json: &[u8], label: &str) -> Result<(Object, Option<String>), DecodeError> {
        let slim: Slim<'_> = serde_json::from_str(text(json)?).map_err(position)?;
        let labels: Option<Pairs<'_, Text<'_>>> = slim.metadata.labels.map(|labels| serde_json::from_str(labels.get())).transpose().map_err(position)?;
        let value = labels.and_then(|labels| labels.0.into_iter().find(|(key, _)| key == label)).map(|(_, Text(value))| value.into_owned());
        Ok((self.object_of(slim)?, value))
    }

    fn object_of(&self, slim: Slim<'_>) -> Result<Object, DecodeError> {
        let Slim { metadata, data, binary_data, .. } = slim;
        if metadata.name.is_empty() || metadata.namespace.is_empty() {
            return Err(DecodeError::Missing("name and namespace"));
        }
        let folder = metadata.annotation(&self.folder_annotation);
        let (data, binary_data) = (data.map_or(Vec::new(), |pairs| pairs.0), binary_data.map_or(Vec::new(), |pairs| pairs.0));
        let mut values = Vec::with_capacity(data.len() + binary_data.len());
        for (key, value) in data {
            let payload = match self.kind {
                Kind::ConfigMap => Some(Payload(plain(value)?.into_owned().into_bytes())),
                Kind::Secret => decoded(&plain(value)?),
            };
            values.push((key.into_owned(), payload));
        }
        for (key, value) in binary_data {
            values.push((key.into_owned(), decoded(&plain(value)?)));
        }
        Ok(Object {
            key: ObjectKey::new(self.kind, &*metadata.namespace, &*metadata.name),
            uid: uid_number(&metadata.uid),
            resource_version: revision(&metadata.resource_version),
            created: metadata.creation_timestamp.as_deref().and_then(seconds).unwrap_or_default(),
            terminating: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.unwrap_or_default(),
            folder,
            data: values,
        })
    }
}

impl Metadata<'_> {
    fn annotation(&self, name: &str) -> Option<String> {
        let (_, raw) = self.annotations.as_ref()?.0.iter().find(|(key, _)| key == name)?;
        serde_json::from_str(raw.get()).ok()
    }
}

/// What a list says of itself: everything but its items.
#[derive(Deserialize)]
pub struct Envelope {
    metadata: ListMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

impl Envelope {
    /// Reads the envelope of a list.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn read(json: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(json).map_err(position)
    }

    /// resourceVersion of the list.
    pub fn revision(&self) -> u64 {
        revision(&self.metadata.resource_version)
    }

    /// The token of the next page.
    pub fn token(self) -> Option<String> {
        self.metadata.token.filter(|token| !token.is_empty())
    }
}

fn position(error: serde_json::Error) -> DecodeError {
    DecodeError::Json { line: error.line(), column: error.column() }
}

fn revision(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

/// Checked once for the whole text, so that no string in it is checked again.
fn text(json: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(json).map_err(|error| DecodeError::Json { line: 1, column: error.valid_up_to() + 1 })
}

fn plain(value: &RawValue) -> Result<Cow<'_, str>, DecodeError> {
    unescaped(value.get()).ok_or(DecodeError::Missing("text for each key"))
}

/// The text of a JSON string. serde_json would collect it in a buffer that grows, and copy it then.
///
/// `None` where it is no string, or holds half of a surrogate pair.
fn unescaped(json: &str) -> Option<Cow<'_, str>> {
    let mut rest = json.strip_prefix('"')?.strip_suffix('"')?;
    let Some(mut at) = memchr(b'\\', rest.as_bytes()) else { return Some(Cow::Borrowed(rest)) };
    let mut text = String::with_capacity(rest.len());
    loop {
        text.push_str(rest.get(..at)?);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        text.push(match escape {
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => unicode(&mut rest)?,
            itself => char::from(itself),
        });
        match memchr(b'\\', rest.as_bytes()) {
            Some(next) => at = next,
            None => break,
        }
    }
    text.push_str(rest);
    if text.len() < text.capacity() / 2 {
        text.shrink_to_fit();
    }
    Some(Cow::Owned(text))
}

/// The character after `\u`: one unit of UTF-16, or two.
fn unicode(rest: &mut &str) -> Option<char> {
    let unit = |rest: &mut &str| {
        let (digits, after) = rest.split_at_checked(4)?;
        *rest = after;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(rest)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some(character);
    }
    *rest = rest.strip_prefix("\\u")?;
    char::decode_utf16([first, unit(rest)?]).next()?.ok()
}

fn decoded(value: &str) -> Option<Payload> {
    STANDARD.decode(value.as_bytes()).ok().map(Payload)
}

/// Seconds since 1970 of an RFC 3339 time in UTC, the only form that the API server writes.
fn seconds(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // Days from the civil calendar, with years that begin in March.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * shifted_year + shifted_year.div_euclid(4) - shifted_year.div_euclid(100) + shifted_year.div_euclid(400) + (153 * shifted_month + 2) / 5 + day - 719_469;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(kind: Kind) -> Reader {
        Reader { kind, folder_annotation: "k8s-sidecar-target-directory".into() }
    }

    fn values(object: &Object) -> Vec<(&str, Option<&[u8]>)> {
        object.data.iter().map(|(key, value)| (key.as_str(), value.as_ref().map(|value| &*value.0))).collect()
    }

    #[test]
    fn a_config_map_is_read_exactly() {
        let line = br#"{"type":"ADDED","object":{"kind":"ConfigMap","metadata":{"name":"a","namespace":"n","uid":"00000000-0000-0000-0000-000000000001","resourceVersion":"7",
            "creationTimestamp":"2026-11-21T10:20:30Z","annotations":{"x":"y","k8s-sidecar-target-directory":"s\u00fcb"},"managedFields":[{"fieldsV1":{"f:data":{}}}],
            "finalizers":["z"]},"data":{"crlf":"a\r\nb","empty":""},"binaryData":{"b":"AP8="}}}"#;
        let Ok(Event::Applied(object)) = reader(Kind::ConfigMap).line(line) else { panic!("expected an object") };
        assert_eq!(object.key, ObjectKey::new(Kind::ConfigMap, "n", "a"));
        assert_eq!((object.uid, object.resource_version, object.created, object.terminating), (1, 7, 1_795_256_430, false));
        assert_eq!((object.folder.as_deref(), object.finalizers.as_slice()), (Some("süb"), &["z".to_owned()][..]));
        assert!(values(&object) == [("crlf", Some(&b"a\r\nb"[..])), ("empty", Some(b"")), ("b", Some(b"\0\xff"))]);
    }

    #[test]
    fn strings_are_read_as_serde_json_reads_them() {
        for json in [
            r#""""#,
            r#""plain ünïcode""#,
            r#""a\nb\t\r\b\f\"\\\/""#,
            r#""\u0041\u00e9\u20ac\ud83d\ude00 \u0000""#,
            r#""ends\n""#,
            r#""\ud83d""#,
            r#""\ud83d\u0041""#,
            r#""\ude00""#,
            "5",
            "null",
            "[]",
        ] {
            assert_eq!(unescaped(json).map(Cow::into_owned), serde_json::from_str::<String>(json).ok(), "{json}");
        }
    }

    #[test]
    fn a_secret_is_decoded_and_a_bad_value_spoils_only_itself() {
        let json = br#"{"metadata":{"name":"a","namespace":"n","labels":{"l":"v"}},"data":{"good":"/w==","bad":"%%"}}"#;
        let (object, label) = reader(Kind::Secret).labelled(json, "l").unwrap();
        assert!(values(&object) == [("good", Some(&b"\xff"[..])), ("bad", None)]);
        assert_eq!(label.as_deref(), Some("v"));
        let bare = reader(Kind::Secret).object(br#"{"metadata":{"name":"a","namespace":"n"},"data":null}"#).unwrap();
        assert!(values(&bare).is_empty());
    }

    #[test]
    fn bookmarks_deletions_and_errors() {
        let reader = reader(Kind::ConfigMap);
        let end = br#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
        assert!(matches!(reader.line(end), Ok(Event::Bookmark { revision: 9, ends_list: true })));
        let plain = br#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","creationTimestamp":null}}}"#;
        assert!(matches!(reader.line(plain), Ok(Event::Bookmark { revision: 9, ends_list: false })));
        let gone = br#"{"type":"DELETED","object":{"metadata":{"name":"a","namespace":"n"},"data":{"k":"v"}}}"#;
        assert!(matches!(reader.line(gone), Ok(Event::Deleted(object)) if object.data.is_empty()));
        assert!(matches!(reader.line(br#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#), Ok(Event::Error(410))));
    }

    #[test]
    fn errors_tell_a_position_and_never_a_value() {
        for bad in [&br#"{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"n"},"data":{"k":canary}}}"#[..], b"canary", br#"{"type":"canary","object":{}}"#, b"\xff"] {
            let Err(error) = reader(Kind::Secret).line(bad) else { panic!("expected an error") };
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn times_are_seconds_since_1970() {
        for (text, expected) in [("1970-01-01T00:00:00Z", Some(0)), ("2000-02-29T12:00:00Z", Some(951_825_600)), ("2024-12-31T23:59:59Z", Some(1_735_689_599)), ("garbage", None)] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
