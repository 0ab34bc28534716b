//! From the API server's JSON to [`Object`]s: only the members that we use are kept, the rest is skipped unread.
//!
//! Errors tell a position, never what stands there.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use serde::Deserialize;

use crate::api::json::{Cursor, Unreadable};
use crate::api::pod::PodStatus;
use crate::core::object::annotations::{self, Annotations};
use crate::core::object::pod::{PodState, Ready};
use crate::core::object::uid::uid_number;
use crate::core::object::{Datum, Kind, Object, ObjectEvent, ObjectKey, Payload};

/// Marks the bookmark that ends a streaming list (KEP-3157).
const ENDS_LIST: &str = "k8s.io/initial-events-end";

/// What a line of a watch says.
pub enum Event {
    /// The object is there, or changed; or it is gone, or left the selector.
    Object {
        /// Its resourceVersion.
        revision: u64,
        /// What is known of it.
        event: ObjectEvent,
    },
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
pub struct Decoder {
    /// Decides how `data` is encoded.
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
#[derive(Default)]
struct Slim<'a> {
    name: Cow<'a, str>,
    namespace: Cow<'a, str>,
    uid: u128,
    revision: u64,
    created: i64,
    terminating: bool,
    finalizers: Vec<String>,
    folder: Option<String>,
    annotations: Annotations,
    /// Labels, where there is a place for them: the server has selected most objects already.
    labels: Option<BTreeMap<String, String>>,
    ends_list: bool,
    data: Vec<Datum>,
    /// Of a pod.
    ready: Option<Ready>,
    code: u16,
}

impl Decoder {
    /// Reads one line of a watch.
    ///
    /// # Errors
    /// [`DecodeError`] when the line is not one that an API server sends.
    pub fn line(&self, line: &[u8]) -> Result<Event, DecodeError> {
        let (mut kind, mut slim, mut is_there) = (Cow::Borrowed(""), Slim::default(), false);
        whole(line, |cursor| {
            cursor.object(|cursor, key| match &*key {
                "type" => cursor.string().map(|text| kind = text),
                // The type comes first: a deleted object's content is passed over.
                "object" => {
                    is_there = true;
                    self.slim(cursor, kind != "DELETED", &mut slim)
                }
                _ => cursor.skip().map(drop),
            })
        })?;
        let revision = slim.revision;
        match &*kind {
            _ if !is_there => Err(DecodeError::Missing("`object`")),
            "ADDED" | "MODIFIED" => slim.applied(self.kind).map(|event| Event::Object { revision, event }),
            "DELETED" => slim.deleted(self.kind).map(|event| Event::Object { revision, event }),
            "BOOKMARK" => Ok(Event::Bookmark { revision: slim.revision, ends_list: slim.ends_list }),
            "ERROR" => Ok(Event::Error(slim.code)),
            _ => Err(DecodeError::Missing("a known type")),
        }
    }

    /// Reads one item of a list.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub(crate) fn item(&self, json: &[u8]) -> Result<ObjectEvent, DecodeError> {
        let mut slim = Slim::default();
        whole(json, |cursor| self.slim(cursor, true, &mut slim))?;
        slim.applied(self.kind)
    }

    /// Reads one object and its labels.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub(crate) fn labelled(&self, json: &[u8]) -> Result<(Object, BTreeMap<String, String>), DecodeError> {
        let mut slim = Slim { labels: Some(BTreeMap::new()), ..Slim::default() };
        whole(json, |cursor| self.slim(cursor, true, &mut slim))?;
        let labels = slim.labels.take().unwrap_or_default();
        Ok((slim.into_object(self.kind)?, labels))
    }

    fn slim<'a>(&self, cursor: &mut Cursor<'a>, content: bool, slim: &mut Slim<'a>) -> Result<(), Unreadable> {
        cursor.object(|cursor, key| match &*key {
            "metadata" => cursor.object(|cursor, key| self.metadata(cursor, &key, slim)),
            "data" if content => values(cursor, self.kind == Kind::Secret, &mut slim.data),
            "binaryData" if content => values(cursor, true, &mut slim.data),
            "status" if content && self.kind == Kind::Pod => {
                slim.ready = cursor.parsed::<Option<PodStatus>>()?.and_then(PodStatus::ready);
                Ok(())
            }
            "code" => cursor.skip().map(|code| slim.code = code.parse().unwrap_or_default()),
            _ => cursor.skip().map(drop),
        })
    }

    fn metadata<'a>(&self, cursor: &mut Cursor<'a>, key: &str, slim: &mut Slim<'a>) -> Result<(), Unreadable> {
        match key {
            "name" => slim.name = cursor.string()?,
            "namespace" => slim.namespace = cursor.string()?,
            "uid" => slim.uid = uid_number(&cursor.string()?),
            "resourceVersion" => slim.revision = revision(&cursor.string()?),
            "creationTimestamp" => slim.created = cursor.text()?.as_deref().and_then(seconds).unwrap_or_default(),
            "deletionTimestamp" => slim.terminating = cursor.text()?.is_some(),
            "finalizers" => slim.finalizers = cursor.parsed::<Option<_>>()?.unwrap_or_default(),
            "annotations" => cursor.object(|cursor, key| {
                match &*key {
                    folder if folder == self.folder_annotation => slim.folder = cursor.text()?.map(Cow::into_owned),
                    ENDS_LIST => slim.ends_list = cursor.text()?.as_deref() == Some("true"),
                    own if annotations::ALL.contains(&own) => {
                        cursor.text()?.iter().for_each(|value| slim.annotations.note(own, value));
                    }
                    _ => drop(cursor.skip()?),
                }
                Ok(())
            })?,
            "labels" if slim.labels.is_some() => slim.labels = Some(cursor.parsed::<Option<_>>()?.unwrap_or_default()),
            _ => drop(cursor.skip()?),
        }
        Ok(())
    }
}

/// Adds the values of `data` or `binaryData`, in their order.
fn values(cursor: &mut Cursor<'_>, encoded: bool, into: &mut Vec<Datum>) -> Result<(), Unreadable> {
    cursor.object(|cursor, key| {
        let value = cursor.string()?;
        let payload = if encoded { decoded(value.as_bytes()) } else { Some(Payload::from(value.into_owned().into_bytes())) };
        // Most objects have one key.
        into.reserve_exact(usize::from(into.is_empty()));
        into.push(Datum { key: key.into_owned(), payload, encoded });
        Ok(())
    })
}

impl Slim<'_> {
    fn key(&self, kind: Kind) -> Result<ObjectKey, DecodeError> {
        match self.name.is_empty() || self.namespace.is_empty() {
            true => Err(DecodeError::Missing("name and namespace")),
            false => Ok(ObjectKey::new(kind, &*self.namespace, &*self.name)),
        }
    }

    fn applied(self, kind: Kind) -> Result<ObjectEvent, DecodeError> {
        if kind != Kind::Pod {
            return self.into_object(kind).map(|object| ObjectEvent::Apply(Box::new(object)));
        }
        Ok(ObjectEvent::Pod(Box::new(PodState { key: self.key(kind)?, uid: self.uid, ready: self.ready.filter(|_| !self.terminating) })))
    }

    fn deleted(self, kind: Kind) -> Result<ObjectEvent, DecodeError> {
        Ok(ObjectEvent::Delete { key: self.key(kind)?, uid: self.uid, overrides: false, finalizers: self.finalizers.into() })
    }

    fn into_object(self, kind: Kind) -> Result<Object, DecodeError> {
        let key = self.key(kind)?;
        Ok(Object {
            uid: self.uid,
            resource_version: self.revision,
            created: self.created,
            terminating: self.terminating,
            finalizers: self.finalizers,
            folder: self.folder,
            annotations: self.annotations,
            ..Object::new(key, self.data)
        })
    }
}

/// Reads a text that holds one value and nothing else. It is checked to be UTF-8 once, so that no string in it is checked again.
fn whole<'a>(json: &'a [u8], read: impl FnOnce(&mut Cursor<'a>) -> Result<(), Unreadable>) -> Result<(), DecodeError> {
    let place = |at: usize| {
        let before = json.get(..at).unwrap_or(json);
        let line = before.iter().filter(|byte| **byte == b'\n').count();
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
        DecodeError::Json { line: line + 1, column: column + 1 }
    };
    let text = std::str::from_utf8(json).map_err(|error| place(error.valid_up_to()))?;
    let mut cursor = Cursor::new(text);
    read(&mut cursor).and_then(|()| cursor.end()).map_err(|error| place(error.at))
}

/// What a list says of itself besides its items: its resourceVersion, and the token of the next page.
///
/// # Errors
/// [`DecodeError`]
pub(crate) fn envelope(json: &[u8]) -> Result<(u64, Option<String>), DecodeError> {
    #[derive(Deserialize)]
    struct List {
        metadata: ListMeta,
    }
    let position = |error: serde_json::Error| DecodeError::Json { line: error.line(), column: error.column() };
    let List { metadata } = serde_json::from_slice(json).map_err(position)?;
    Ok((metadata.resource_version.as_deref().map(revision).unwrap_or_default(), metadata.continue_.filter(|token| !token.is_empty())))
}

fn revision(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

fn decoded(value: &[u8]) -> Option<Payload> {
    STANDARD.decode(value).ok().map(Payload::from)
}

/// Seconds since 1970 of an RFC 3339 time.
fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[cfg(test)]
#[path = "decode_corpus_tests.rs"]
mod corpus;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::object::annotations::Said;

    fn reader(kind: Kind) -> Decoder {
        Decoder { kind, folder_annotation: "k8s-sidecar-target-directory".into() }
    }

    fn values(object: &Object) -> Vec<(&str, Option<&[u8]>)> {
        object.data.iter().map(|datum| (datum.key.as_str(), datum.payload.as_ref().map(Payload::bytes))).collect()
    }

    #[test]
    fn a_config_map_is_read_exactly() {
        let line = br#"{"type":"ADDED","object":{"kind":"ConfigMap","metadata":{"name":"a","namespace":"n","uid":"00000000-0000-0000-0000-000000000001","resourceVersion":"7",
            "creationTimestamp":"2026-11-21T10:20:30Z","annotations":{"x":"y","k8s-sidecar-target-directory":"s\u00fcb"},"managedFields":[{"fieldsV1":{"f:data":{}}}],
            "finalizers":["z"]},"data":{"crlf":"a\r\nb","empty":""},"binaryData":{"b":"AP8="}}}"#;
        let Ok(Event::Object { event: ObjectEvent::Apply(object), .. }) = reader(Kind::ConfigMap).line(line) else { panic!("no object") };
        assert_eq!(object.key, ObjectKey::new(Kind::ConfigMap, "n", "a"));
        assert_eq!((object.uid, object.resource_version, object.created, object.terminating), (1, 7, 1_795_256_430, false));
        assert_eq!((object.folder.as_deref(), object.finalizers.as_slice()), (Some("süb"), &["z".to_owned()][..]));
        assert!(values(&object) == [("crlf", Some(&b"a\r\nb"[..])), ("empty", Some(b"")), ("b", Some(b"\0\xff"))]);
    }

    #[test]
    fn annotations_of_ours_are_understood_and_others_passed_over() {
        let annotated = |annotations: &str| {
            let json = format!(r#"{{"metadata":{{"name":"a","namespace":"n","annotations":{{{annotations}}}}}}}"#);
            reader(Kind::ConfigMap).labelled(json.as_bytes()).unwrap().0
        };
        let object = annotated(
            r#""kube-projector.dev/file-mode":"640","x":"y","kube-projector.dev/skip":"nonsense","k8s-sidecar-target-directory":"sub",
            "kube-projector.dev/on-delete":"keep","kube-projector.dev/other":"keep""#,
        );
        let expected = Annotations { file_mode: Said::Value(0o640), skip: Said::Wrong, keep: Said::Value(()) };
        assert_eq!((object.annotations, object.folder.as_deref()), (expected, Some("sub")));
        assert_eq!(annotated(r#""kube-projector.dev/skip":null"#).annotations, Annotations::default());
    }

    #[test]
    fn a_secret_is_decoded_and_a_bad_value_spoils_only_itself() {
        let json = br#"{"metadata":{"name":"a","namespace":"n","labels":{"l":"v"}},"data":{"good":"/w==","bad":"%%"}}"#;
        let (object, labels) = reader(Kind::Secret).labelled(json).unwrap();
        assert!(values(&object) == [("good", Some(&b"\xff"[..])), ("bad", None)]);
        assert_eq!(labels, [("l".to_owned(), "v".to_owned())].into());
        let (bare, _) = reader(Kind::Secret).labelled(br#"{"metadata":{"name":"a","namespace":"n"},"data":null}"#).unwrap();
        assert!(values(&bare).is_empty());
    }

    #[test]
    fn of_a_pod_only_what_tells_of_readiness_is_read() {
        let read = |json: &[u8]| match reader(Kind::Pod).item(json) {
            Ok(ObjectEvent::Pod(pod)) => pod.ready,
            _ => panic!("expected a pod"),
        };
        let pod = |phase: &str, ready: &str| {
            let json = format!(
                r#"{{"metadata":{{"name":"a","namespace":"n"}},"spec":{{"containers":[{{"data":1}}]}},"status":{{"phase":"{phase}",
                "conditions":[{{"type":"Initialized","status":"True"}},{{"type":"Ready","status":"{ready}","lastTransitionTime":"T"}}],"podIP":"10.0.0.1",
                "containerStatuses":[{{"ready":true}},{{"ready":true}}]}}}}"#
            );
            read(json.as_bytes())
        };
        let ready = Ready { address: "10.0.0.1".to_owned(), since: "T".to_owned() };
        assert_eq!(pod("Running", "True"), Some(ready));
        for (phase, is_ready) in
            [("Running", "False"), ("Running", "Unknown"), ("Succeeded", "True"), ("Failed", "True"), ("Pending", "True")]
        {
            assert_eq!(pod(phase, is_ready), None, "{phase} {is_ready}");
        }
        assert_eq!(read(br#"{"metadata":{"name":"a","namespace":"n"},"status":{"conditions":null,"podIP":null}}"#), None);
        let terminating = br#"{"metadata":{"name":"a","namespace":"n","deletionTimestamp":"T"},
            "status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}"#;
        assert_eq!(read(terminating), None);
    }

    #[test]
    fn bookmarks_deletions_and_errors() {
        let reader = reader(Kind::ConfigMap);
        let end =
            br#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
        assert!(matches!(reader.line(end), Ok(Event::Bookmark { revision: 9, ends_list: true })));
        let plain = br#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","creationTimestamp":null}}}"#;
        assert!(matches!(reader.line(plain), Ok(Event::Bookmark { revision: 9, ends_list: false })));
        let gone = br#"{"type":"DELETED","object":{"metadata":{"name":"a","namespace":"n"},"data":{"k":"v"}}}"#;
        assert!(matches!(reader.line(gone), Ok(Event::Object { event: ObjectEvent::Delete { .. }, .. })));
        assert!(matches!(reader.line(br#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#), Ok(Event::Error(410))));
    }

    #[test]
    fn errors_tell_a_position_and_never_a_value() {
        for bad in [
            &br#"{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"n"},"data":{"k":canary}}}"#[..],
            b"canary",
            br#"{"type":"canary","object":{}}"#,
            b"\xff",
        ] {
            let Err(error) = reader(Kind::Secret).line(bad) else { panic!("expected an error") };
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn times_are_seconds_since_1970() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2024-12-31T23:59:59Z", Some(1_735_689_599)),
            ("garbage", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
