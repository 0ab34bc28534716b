//! S3: a crowd of objects in every book that the engine keeps, none of which an edit of another object may go through.

use std::time::Duration;

use kube_projector::core::object::annotations::Annotations;
use kube_projector::core::object::{Datum, Kind, Object, ObjectEvent, ObjectKey, Payload, SourceEvent};

use super::{Projector, SOURCE};

/// The name that is wanted as a file, and as the folder of the crowd.
const CONTESTED: &str = "sub";

/// An object with one key; bytes that cannot be decoded where there are none.
fn object(name: String, (created, revision): (i64, u64), folder: Option<&str>, (key, bytes): (String, Option<&[u8]>)) -> SourceEvent {
    let object = Object {
        key: ObjectKey::new(Kind::ConfigMap, "crowd", name),
        uid: 1,
        resource_version: revision,
        created,
        terminating: false,
        finalizers: Vec::new(),
        held: Vec::new(),
        folder: folder.map(str::to_owned),
        annotations: Annotations::default(),
        data: vec![Datum { key, payload: bytes.map(|bytes| Payload::from(bytes.to_vec())), encoded: false }],
    };
    SourceEvent::of(SOURCE, 1, ObjectEvent::Apply(Box::new(object)))
}

/// Puts so many objects into each book.
pub fn gather(projector: &mut Projector, count: u64) {
    let mut come = Vec::new();
    for number in 0..count {
        let one = |prefix: &str, age, folder, bytes: Option<&[u8]>| {
            let name = format!("{prefix}-{number}");
            object(name.clone(), (age, 1), folder, (name, bytes))
        };
        come.push(one("beneath", 5, Some(CONTESTED), Some(b"1")));
        std::fs::create_dir(projector.folder.join(format!("blocked-{number}"))).expect("a folder");
        come.push(one("blocked", 5, None, Some(b"1")));
        come.push(one("rejected", 5, None, None));
        come.push(one("dropped", 5, None, Some(b"1")).without_body());
        // Two that want one path; the bytes of the second are not here when the first goes.
        let path = format!("handed-{number}");
        come.push(object(format!("first-{number}"), (1, 1), None, (path.clone(), Some(b"1"))));
        come.push(object(format!("second-{number}"), (2, 1), None, (path, Some(b"2"))));
    }
    projector.engine.converge(come, projector.now);
    let first = |number| ObjectKey::new(Kind::ConfigMap, "crowd", format!("first-{number}"));
    let gone = |number| {
        SourceEvent::of(SOURCE, 1, ObjectEvent::Delete { key: first(number), uid: 1, overrides: false, finalizers: Box::default() })
    };
    let outcome = projector.engine.converge((0..count).map(gone).collect(), projector.now);
    assert!(outcome.fetch.len() == usize::try_from(count).unwrap_or_default(), "{} are handed over", outcome.fetch.len());
    edit(projector, 1);
}

/// Changes the contested file, and one that has nothing to do with it.
pub fn edit(projector: &mut Projector, revision: u64) {
    projector.now += Duration::from_millis(10);
    let content = revision.to_string();
    let changed = |name: &str| object(name.to_owned(), (1, revision + 1), None, (name.to_owned(), Some(content.as_bytes())));
    let outcome = projector.engine.converge(vec![changed(CONTESTED), changed("other")], projector.now);
    assert!(outcome.changes.len() == 2 || revision == 1, "{} files changed", outcome.changes.len());
    assert!(outcome.fetch.is_empty(), "nothing is asked for again meanwhile");
}

/// Everybody is where they were put.
pub fn check(projector: &Projector, count: u64) {
    let count = usize::try_from(count).unwrap_or_default();
    assert_eq!(projector.engine.stuck(), count, "blocked");
    // The first list's one file, the two that are edited, and those that are handed over.
    assert_eq!(projector.engine.files(), 3 + count);
}
