//! S15: what is left in the engine's books of objects that came and went.

use tempfile::TempDir;

use super::*;
use crate::core::files::project::{FileNames, Rules, Urls};
use crate::core::files::store::SourceScope;
use crate::core::object::finalizers::{FinalizerTask, FinalizerVerb, Finalizers};
use crate::core::object::{Datum, Kind, Object, ObjectEvent, ObjectKey, Payload, SourceEvent, SourceId};
use crate::core::path::Roots;
use crate::core::policy::{Adopt, Durability, Precedence};
use crate::disk::Disk;
use crate::disk::fs::Kernel;
use crate::disk::ledger::Place;
use crate::engine::attempts::Agenda;
use crate::engine::notices::Notices;
use crate::engine::outcome::Settings;

const SOURCE: SourceId = SourceId(0);
const OURS: &str = "example.com/projected";
/// Objects of a storm, in groups of ten that have a namespace each.
const STORM: u64 = 10_000;

/// An engine over an empty folder, of which everything is listed.
fn engine() -> (TempDir, Engine<Kernel>) {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
    let roots = Roots::new(folder.path().to_str().unwrap(), []);
    let rules = Rules {
        roots: roots.clone(),
        names: FileNames::Key,
        folder_per_namespace: false,
        file_mode: 0o640,
        terminating_is_gone: true,
        urls: Urls::Plain,
        gzip_max: None,
        annotations: true,
        tells_outside: true,
    };
    let finalizers = Some(Finalizers { name: OURS.to_owned(), former: Vec::new() });
    let settings = Settings { rules, adopt: Adopt::Overwrite, finalizers, adds_finalizers: true, reacts: false, shows: false };
    let place = Place {
        folder: folder.path().to_owned(),
        name: ".kube-projector.a.ledger".into(),
        others: Vec::new(),
        former: Vec::new(),
        prune_empty: true,
        selection: "a".into(),
        instance: String::new(),
        pod: String::new(),
        fresh_id: "0123456789abcdef".into(),
    };
    let disk = Disk::open(Kernel::default(), roots, 0o755, Durability::None).unwrap();
    let scope = SourceScope { kind: None, namespace: None, name: None };
    let opened = Engine::open(disk, place, settings, crate::engine::store([scope], Precedence::Oldest, (1, 2)));
    let mut engine = opened.map(|(engine, _)| engine).map_err(|error| error.to_string()).unwrap();
    engine.converge(vec![SourceEvent::ListEnd { source: SOURCE, generation: 0 }], Duration::ZERO);
    (folder, engine)
}

fn key(number: u64) -> ObjectKey {
    ObjectKey::new(Kind::ConfigMap, format!("short-lived-{}", number / 10), format!("object-{number}"))
}

/// An object with a file of its own, one for which it contends with the others of its namespace, and a key that is no file; of some the
/// bytes were dropped.
fn comes(number: u64) -> SourceEvent {
    let datum =
        |key: String, bytes: Option<String>| Datum { key, payload: bytes.map(|bytes| Payload::from(bytes.into_bytes())), encoded: false };
    let object = Object {
        uid: u128::from(number) + 1,
        resource_version: 1,
        created: 1,
        finalizers: vec![OURS.to_owned()],
        folder: Some(format!("folder-{}", number / 10)),
        ..Object::new(
            key(number),
            vec![
                datum(format!("file-{number}"), Some("1".to_owned())),
                datum("contested".to_owned(), Some(number.to_string())),
                datum("broken".to_owned(), None),
            ],
        )
    };
    let event = SourceEvent::of(SOURCE, 0, ObjectEvent::Apply(Box::new(object)));
    if number % 100 == 7 { event.without_body() } else { event }
}

fn goes(number: u64) -> SourceEvent {
    let (key, uid, finalizers) = (key(number), u128::from(number) + 1, vec![OURS.to_owned()]);
    SourceEvent::of(SOURCE, 0, ObjectEvent::Delete { key, uid, overrides: false, finalizers: finalizers.into() })
}

fn tell(engine: &mut Engine<Kernel>, events: impl Iterator<Item = SourceEvent>, now: Duration) -> Vec<Outcome> {
    let mut events = events.peekable();
    let mut outcomes = Vec::new();
    while events.peek().is_some() {
        outcomes.push(engine.converge(events.by_ref().take(250).collect(), now));
    }
    outcomes
}

/// What every book has room for.
fn room(engine: &Engine<Kernel>) -> [usize; 7] {
    let Engine { releasing, notices, attempts, .. } = engine;
    let Notices { conflicts, blocked, rejected, rejections: _, outside } = notices;
    let Agenda { failing, unanswered, .. } = attempts;
    let (keys, paths) = ([releasing.capacity(), outside.capacity(), rejected.capacity()], [conflicts.capacity(), blocked.capacity()]);
    [keys[0], keys[1], keys[2], paths[0], paths[1], failing.capacity(), unanswered.capacity()]
}

#[test]
fn s15_a_minute_after_a_storm_every_book_is_as_it_was_before() {
    let (_folder, mut engine) = engine();
    let at = Duration::from_secs;
    tell(&mut engine, (STORM..STORM + 10).map(comes), at(1));
    // Bytes that were dropped are not read again here.
    let before = room(&engine);
    tell(&mut engine, (0..STORM).map(comes), at(2));
    let during = room(&engine);
    assert!(during.iter().zip(&before).filter(|(during, before)| during > before).count() >= 2, "{during:?}");
    let outcomes = tell(&mut engine, (0..STORM).map(goes), at(3));
    let released = outcomes.iter().flat_map(|outcome| &outcome.finalizer_tasks).filter(|(_, task)| task.is_release()).count();
    assert_eq!(released, usize::try_from(STORM).unwrap());
    assert!(outcomes.iter().all(|outcome| outcome.wake.is_some_and(|wake| wake <= at(3) + TIDY_AFTER)), "it will look again");
    engine.converge(Vec::new(), at(3) + TIDY_AFTER);
    assert_eq!(room(&engine), before);
    assert_eq!(engine.tidy_due, None, "and that was all");
}

#[test]
fn s15_where_nothing_went_nobody_is_woken() {
    let (_folder, mut engine) = engine();
    let at = Duration::from_secs(1);
    let outcomes = tell(&mut engine, (0..5).map(comes), at);
    assert!(outcomes.iter().all(|outcome| outcome.wake.is_none()));
    assert_eq!(engine.tidy_due, None);
}

#[test]
fn s15_what_was_wished_for_an_object_is_over_once_it_is_gone() {
    let (_folder, mut engine) = engine();
    let at = Duration::from_secs(1);
    tell(&mut engine, [comes(1)].into_iter(), at);
    let SourceEvent::Object { source, generation, event: ObjectEvent::Delete { key, uid, overrides, .. } } = goes(1) else {
        unreachable!("goes")
    };
    let gone = SourceEvent::of(source, generation, ObjectEvent::Delete { key: key.clone(), uid, overrides, finalizers: Box::default() });
    let outcomes = tell(&mut engine, [gone].into_iter(), at);
    assert_eq!(outcomes[0].finalizer_tasks, [(key, FinalizerTask::new(FinalizerVerb::Forget, uid, Vec::new()))]);
}
