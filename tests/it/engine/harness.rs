//! The engine with the sources' part played by the test: lists, watches, answers to fetches, and time that only the test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use kube_projector::core::files::ledger;
use kube_projector::core::files::project::{FileNames, Rules, Urls};
use kube_projector::core::files::store::SourceScope;
use kube_projector::core::object::finalizers::{FinalizerTask, Finalizers};
use kube_projector::core::object::remote::Arrival;
use kube_projector::core::object::{Kind, ObjectKey, Payload, SourceEvent, SourceId};
use kube_projector::core::path::Roots;
use kube_projector::core::policy::{Adopt, Durability, Precedence};
use kube_projector::core::tell::difference::Difference;
use kube_projector::disk::Disk;
use kube_projector::disk::dry::Overlay;
use kube_projector::disk::ledger::Place;
use kube_projector::disk::mount::OddMount;
use kube_projector::engine::outcome::{Change, Note, Outcome, Settings};
use kube_projector::engine::{self, Engine, FETCH_MAX};
use kube_projector::source::mailbox::Mailbox;
use tempfile::TempDir;

mod looking;
mod objects;
mod web;

use super::faulty::{Control, Faulty};
use super::model::{Files, Thing, wanted};
use crate::support::tree_with_dots;
pub use web::Web;

/// One watch a kind.
pub const SOURCES: [(SourceId, Kind); 2] = [(SourceId(0), Kind::ConfigMap), (SourceId(1), Kind::Secret)];
/// The name of the finalizer, where objects are guarded.
pub const FINALIZER: &str = "example.com/projected";
/// DEFAULT_FILE_MODE.
pub const FILE_MODE: u16 = 0o640;
/// More commits than any scenario needs until nothing is left to do.
const COMMITS_MAX: usize = 2000;

/// A folder, the objects, and the engine between them while it runs.
pub struct World {
    pub folder: TempDir,
    /// Where the ledger lies if not in the folder.
    pub elsewhere: Option<TempDir>,
    pub control: Control,
    pub objects: BTreeMap<ObjectKey, Thing>,
    pub foreign: Files,
    pub label: &'static str,
    /// Objects whose files stay when they are deleted, as the next start has it.
    pub kept: Vec<ObjectKey>,
    pub notes: Vec<Note>,
    /// File systems of which something odd was told.
    pub odd: Vec<OddMount>,
    pub adopt: Adopt,
    /// LEDGER, where it is a name.
    pub ledger: Option<&'static str>,
    /// Where the ledger lies, if not in the folder.
    pub beside: Option<PathBuf>,
    pub staging: Option<PathBuf>,
    /// Why files were not made in STAGING.
    pub unstaged: Vec<String>,
    pub reacts: bool,
    /// GZIP_KEYS, and how much such a key may become.
    pub gzip_max: Option<usize>,
    /// OBJECT_ANNOTATIONS.
    pub annotations: bool,
    /// What lies behind URLs, where keys that end in `.url` name any. Nothing: they are plain keys.
    pub web: Option<Web>,
    pub differences: Vec<Difference>,
    pub now: Duration,
    engine: Option<Engine<Overlay<Faulty>>>,
    generations: [u32; 2],
    /// The program's own: what waits merges as it does there.
    mailbox: Mailbox,
    /// Objects that the engine wants to be read again, with what it knew of them when it asked.
    asked: BTreeMap<ObjectKey, (SourceId, u32)>,
    /// How many events were sent, and how many the engine got.
    pub sent: usize,
    pub taken: usize,
    pub changes: Vec<Change>,
    /// Whether whoever is asked for an object refuses to give it.
    pub refuses: bool,
    /// PRUNE_EMPTY.
    pub prune_empty: bool,
    /// DRY_RUN, from the next start on.
    pub dry: bool,
    /// Whether objects are guarded by finalizers.
    pub guards: bool,
    pub finalizer_tasks: Vec<(ObjectKey, FinalizerTask)>,
    wake: Option<Duration>,
    starts: u32,
    version: u64,
    pub ready: bool,
}

impl World {
    pub fn new() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Self {
            folder: folder.unwrap(),
            elsewhere: None,
            control: Control::default(),
            objects: BTreeMap::new(),
            foreign: Files::new(),
            label: "a",
            kept: Vec::new(),
            notes: Vec::new(),
            odd: Vec::new(),
            adopt: Adopt::Overwrite,
            ledger: None,
            beside: None,
            staging: None,
            unstaged: Vec::new(),
            reacts: false,
            gzip_max: None,
            annotations: true,
            web: None,
            differences: Vec::new(),
            now: Duration::from_secs(1),
            engine: None,
            generations: [0; 2],
            mailbox: Mailbox::default(),
            asked: BTreeMap::new(),
            sent: 0,
            taken: 0,
            changes: Vec::new(),
            refuses: false,
            prune_empty: true,
            dry: false,
            guards: false,
            finalizer_tasks: Vec::new(),
            wake: None,
            starts: 0,
            version: 100,
            ready: false,
        }
    }

    /// A new process: the former one, dead or alive, is gone, and nothing that it knew is left.
    pub fn start(&mut self, label: &'static str) {
        self.stop();
        self.label = label;
        self.starts += 1;
        for _ in 0..COMMITS_MAX {
            match self.open() {
                Ok(engine) => {
                    self.engine = Some(engine);
                    return;
                }
                Err(_) if self.control.is_dead() => return,
                Err(_) => self.now += Duration::from_millis(500),
            }
        }
        panic!("the engine does not open");
    }

    pub fn stop(&mut self) {
        (self.engine, self.wake, self.ready) = (None, None, false);
        (self.mailbox, self.asked) = Default::default();
        if let Some(web) = &mut self.web {
            web.questions.clear();
            web.stale.clear();
        }
    }

    pub fn open(&self) -> Result<Engine<Overlay<Faulty>>, String> {
        let folder = self.folder.path().display().to_string();
        let roots = Roots::new(&folder, []);
        let rules = Rules {
            roots: roots.clone(),
            names: FileNames::Key,
            folder_per_namespace: false,
            file_mode: FILE_MODE,
            terminating_is_gone: true,
            urls: if self.web.is_some() { Urls::Follow { empty_at_first_failure: true } } else { Urls::Plain },
            gzip_max: self.gzip_max,
            annotations: self.annotations,
            tells_outside: false,
        };
        let place = Place {
            folder: self.beside.clone().unwrap_or_else(|| self.elsewhere.as_ref().unwrap_or(&self.folder).path().to_owned()),
            name: self.ledger.map_or_else(|| format!(".kube-projector.{}.ledger", self.label), str::to_owned),
            others: Vec::new(),
            former: ["a", "b"].map(|label| (None, format!(".kube-projector.{label}.ledger"))).to_vec(),
            prune_empty: self.prune_empty,
            selection: self.label.to_owned(),
            instance: String::new(),
            pod: String::new(),
            fresh_id: format!("{:016x}", self.starts),
        };
        let faulty = Faulty::new(&self.control);
        let fs = if self.dry { Overlay::dry(faulty) } else { Overlay::through(faulty) };
        let mut disk = Disk::open(fs, roots, 0o755, Durability::None).map_err(|error| error.to_string())?;
        self.staging.iter().for_each(|staging| disk.stage_in(staging));
        let scopes = SOURCES.map(|(_, kind)| SourceScope { kind: Some(kind), namespace: None, name: None });
        let store = engine::store(scopes, Precedence::Oldest, (1, u64::from(self.starts))).keeping(self.kept.clone());
        let finalizers = self.guards.then(|| Finalizers { name: FINALIZER.to_owned(), former: Vec::new() });
        let settings = Settings { rules, adopt: self.adopt, finalizers, adds_finalizers: true, reacts: self.reacts, shows: false };
        match Engine::open(disk, place, settings, store) {
            Ok((_, start)) if start.unkeepable => Err("ADOPT cannot be kept".into()),
            opened => opened.map(|(engine, _)| engine).map_err(|error| error.to_string()),
        }
    }

    /// Lists a source; `bodies` tells which objects come with their bytes.
    pub fn list(&mut self, index: usize, bodies: impl Fn(&Thing) -> bool) {
        self.list_with(index, bodies, |_| {});
    }

    /// As `list`; `meanwhile` happens when every object was told and the list is not at its end.
    pub fn list_with(&mut self, index: usize, bodies: impl Fn(&Thing) -> bool, meanwhile: impl FnOnce(&mut Self)) {
        self.generations[index] += 1;
        let ((source, kind), generation) = (SOURCES[index], self.generations[index]);
        self.send(SourceEvent::ListBegin { source, generation, consistent: true });
        let listed: Vec<Thing> =
            self.objects.values().filter(|thing| thing.kind == kind && thing.labels.contains(self.label)).cloned().collect();
        for thing in listed {
            let event = self.applied(&thing);
            self.send(if bodies(&thing) { event } else { event.without_body() });
        }
        meanwhile(self);
        self.send(SourceEvent::ListEnd { source, generation });
    }

    pub fn list_all(&mut self) {
        (0..SOURCES.len()).for_each(|index| self.list(index, |_| true));
    }

    /// One commit of the first `count` events that wait.
    pub fn commit(&mut self, count: usize) {
        self.deliver();
        let batch = self.mailbox.take_at_most(count);
        self.taken += batch.len();
        let Some(engine) = &mut self.engine else { return };
        let outcome = engine.converge(batch, self.now);
        self.take(outcome);
    }

    pub fn verify(&mut self) {
        let Some(engine) = &mut self.engine else { return };
        let outcome = engine.verify(self.now);
        self.take(outcome);
    }

    fn take(&mut self, outcome: Outcome) {
        self.wake = outcome.wake;
        self.ready = outcome.ready;
        if let Some(web) = &mut self.web {
            let answers = web.take(&outcome);
            answers.into_iter().for_each(|answer| self.send(answer));
        }
        self.notes.extend(outcome.notes);
        self.odd.extend(outcome.odd);
        self.unstaged.extend(outcome.unstaged);
        self.differences.extend(outcome.differences);
        self.changes.extend(outcome.changes);
        self.finalizer_tasks.extend(outcome.finalizer_tasks);
        if outcome.fetch.len() > FETCH_MAX {
            self.list_all();
            return;
        }
        for key in outcome.fetch {
            // The engine asks only for what lives.
            let live = self.engine.as_ref().and_then(|engine| engine.store().object(&key));
            self.asked.extend(live.map(|live| ((*key).clone(), (live.source, live.generation))));
        }
    }

    /// The server behind the nth file's URL answers; `unchanged` if it may say so.
    pub fn answer(&mut self, index: usize, unchanged: bool) {
        let Some(web) = &mut self.web else { return };
        let name = web.questions.keys().nth(index).cloned();
        let answer = name.and_then(|name| web.answer(&name, unchanged));
        answer.into_iter().for_each(|answer| self.send(answer));
    }

    /// Somebody answers a question that nobody asks any more.
    pub fn answer_late(&mut self, index: usize, bytes: &[u8]) {
        let stale = self.web.as_ref().and_then(|web| web.stale.get(index).cloned());
        let late = |(key, path, ticket)| SourceEvent::Arrived { key, path, ticket, arrival: Arrival::Body(Payload::from(bytes.to_vec())) };
        stale.map(late).into_iter().for_each(|answer| self.send(answer));
    }

    /// Answers every question that was not, until there are none. Every server must live.
    pub fn answer_all(&mut self) {
        for _ in 0..COMMITS_MAX {
            let open = self
                .web
                .as_ref()
                .and_then(|web| web.questions.values().position(|question| question.had.as_ref() != web.served.get(&question.url)));
            match open {
                Some(index) => self.answer(index, false),
                None => return,
            }
            self.settle();
        }
        panic!("still asking");
    }

    /// Paths whose only claimant has them in the ledger, as the engine knows.
    pub fn undisputed(&self) -> BTreeSet<String> {
        let Some(engine) = &self.engine else { return BTreeSet::new() };
        let undisputed =
            engine.store().paths().filter(|(_, entry)| entry.claimants.len() == 1 && entry.claimants.first() == entry.owner.as_ref());
        undisputed.map(|(path, _)| path.as_str().to_owned()).collect()
    }

    /// Commits, and lets time pass, until nothing is left to do. Ends at once when the process dies.
    pub fn settle(&mut self) {
        self.settle_looking(|_| {});
    }

    /// As `settle`, with a look at the world after each commit.
    pub fn settle_looking(&mut self, mut look: impl FnMut(&Self)) {
        for _ in 0..COMMITS_MAX {
            if self.is_quiet() {
                let Some(wake) = self.wake else { return };
                assert!(wake > self.now || self.now < Duration::from_secs(86_400 * 365), "time stands still");
                self.now = self.now.max(wake);
            }
            self.commit(usize::MAX);
            look(self);
            if self.control.is_dead() {
                return;
            }
        }
        panic!("still busy after {COMMITS_MAX} commits, at {:?}, wake at {:?}", self.now, self.wake);
    }

    /// Lets time pass until the engine wants to be called, unless something waits for it already.
    pub fn pass_until_wake(&mut self) {
        if let (Some(wake), true) = (self.wake, self.is_quiet()) {
            self.now = self.now.max(wake);
        }
    }

    /// How many paths are kept free for us by nobody: a folder of somebody else stands there.
    pub fn blocked(&self) -> usize {
        let here = self.wanted();
        wanted(&self.selected(), &Files::new()).keys().filter(|path| !here.contains_key(*path)).count()
    }

    /// The application was told of everything.
    pub fn reacted(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.reacted();
        }
    }

    /// Whether a ledger says that the application is to be told.
    pub fn owed(&self) -> bool {
        let roots = Roots::new(&self.folder.path().display().to_string(), []);
        let ledgers = tree_with_dots(self.folder.path()).into_iter().filter(|(path, _)| path.ends_with(".ledger"));
        ledgers.into_iter().any(|(_, bytes)| ledger::read(&bytes, &roots).is_ok_and(|contents| contents.owed))
    }
}

pub fn show(files: &Files) -> String {
    let line = |(path, bytes): (&String, &Vec<u8>)| {
        format!("{path}={:?}({})", String::from_utf8_lossy(&bytes[..bytes.len().min(12)]), bytes.len())
    };
    files.iter().map(line).collect::<Vec<_>>().join(" ")
}
