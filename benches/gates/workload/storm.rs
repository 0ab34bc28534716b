//! S15: objects that come and go in namespaces of their own, of which nothing may be left.

use std::time::Duration;

use kube_projector::core::object::annotations::Annotations;
use kube_projector::core::object::{Datum, Kind, Object, ObjectEvent, ObjectKey, Payload, SourceEvent};

use super::{BATCH, Projector, SOURCE};

/// Objects that are there at once.
const WAVE: u64 = 10_000;
/// Objects in one namespace, whose files lie in a folder of their own.
const TOGETHER: u64 = 10;

/// As long as this it is quiet afterwards.
const QUIET: Duration = Duration::from_secs(60);

fn namespace(number: u64) -> String {
    format!("short-lived-{}", number / TOGETHER)
}

fn key(number: u64) -> ObjectKey {
    ObjectKey::new(Kind::ConfigMap, namespace(number), format!("storm-{number}"))
}

fn comes(number: u64) -> SourceEvent {
    let object = Object {
        key: key(number),
        uid: u128::from(number),
        resource_version: number + 1,
        created: 5,
        terminating: false,
        finalizers: Vec::new(),
        held: Vec::new(),
        folder: Some(namespace(number)),
        annotations: Annotations::default(),
        // Some of it cannot be decoded.
        data: vec![
            Datum { key: format!("storm-{number}"), payload: Some(Payload::from(b"1".to_vec())), encoded: false },
            Datum { key: "broken".into(), payload: None, encoded: true },
        ],
    };
    SourceEvent::of(SOURCE, 1, ObjectEvent::Apply(Box::new(object)))
}

fn goes(number: u64) -> SourceEvent {
    let (key, uid) = (key(number), u128::from(number));
    SourceEvent::of(SOURCE, 1, ObjectEvent::Delete { key, uid, overrides: false, finalizers: Box::default() })
}

/// So many objects come and go; then nothing happens for a while.
pub fn pass(projector: &mut Projector, objects: u64) {
    let files = projector.engine.files();
    for first in (0..objects).step_by(usize::try_from(WAVE).unwrap_or(1)) {
        let wave = first..objects.min(first + WAVE);
        let most = files + usize::try_from(wave.end - wave.start).unwrap_or_default();
        tell(projector, wave.clone().map(comes));
        assert_eq!(projector.engine.files(), most);
        tell(projector, wave.map(goes));
        assert_eq!(projector.engine.files(), files);
    }
    projector.now += QUIET;
    let wake = projector.engine.converge(Vec::new(), projector.now).wake;
    assert!(wake.is_none(), "it has nothing left to do");
}

fn tell(projector: &mut Projector, events: impl Iterator<Item = SourceEvent>) {
    for (event, number) in events.zip(1..) {
        projector.mailbox.push(event);
        if number % BATCH == 0 {
            projector.commit();
        }
    }
    projector.commit();
}
