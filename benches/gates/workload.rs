//! What is measured under valgrind, in a process of its own: lines of a watch through decoder, mailbox, store, plan and disk.
//!
//! Everything of the library but the network. Nothing is freed at the end, so that what lives then can be counted.

mod crowd;
mod storm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use kube_projector::api::decode::{Decoder, Event};
use kube_projector::api::lines::LineSplitter;
use kube_projector::core::files::project::{FileNames, Rules, Urls};
use kube_projector::core::files::store::SourceScope;
use kube_projector::core::object::{Kind, SourceEvent, SourceId};
use kube_projector::core::path::Roots;
use kube_projector::core::policy::{Adopt, Durability, Precedence};
use kube_projector::core::watch::Machine;
use kube_projector::core::watch::wire::{Input, Tell};
use kube_projector::disk::Disk;
use kube_projector::disk::dry::Overlay;
use kube_projector::disk::fs::Kernel;
use kube_projector::disk::ledger::Place;
use kube_projector::engine::outcome::Settings;
use kube_projector::engine::{Engine, store};
use kube_projector::source::mailbox::Mailbox;

use crate::template::Template;

/// What happens to the files once they are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// Every event changes the bytes of one file, and comes alone.
    Changed,
    /// Every event is an object that changed in nothing that we use, and comes alone.
    Unchanged,
    /// Every event is a bookmark.
    Bookmark,
    /// Lines are made and read by nobody: what the others cost beside what is measured.
    Nothing,
    /// Every event changes the bytes of one file, and of one whose name is a folder's, while as many others as there are files lie
    /// below that folder, are blocked, rejected, handed over, or wait for their bytes.
    Crowded,
    /// So many events are objects that come and go in namespaces of their own.
    Stormy,
}

impl Workload {
    const ALL: [Self; 6] = [Self::Changed, Self::Unchanged, Self::Bookmark, Self::Nothing, Self::Crowded, Self::Stormy];

    /// The name on the command line of the process.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Bookmark => "bookmark",
            Self::Nothing => "nothing",
            Self::Crowded => "crowded",
            Self::Stormy => "stormy",
        }
    }
}

const SOURCE: SourceId = SourceId(0);
/// Events that wait in the mailbox while a list comes in: fewer than its budget of bytes allows.
const BATCH: u64 = 128;

/// `workload NAME FILES EVENTS FOLDER`
pub fn run(words: &[String]) -> ExitCode {
    let [name, files, events, folder] = words else { panic!("expected: workload NAME FILES EVENTS FOLDER") };
    let workload = Workload::ALL.into_iter().find(|workload| workload.name() == name).expect("a known workload");
    let number = |word: &String| word.parse::<u64>().expect("a number");
    let (files, events) = (number(files), number(events));
    let mut projector = Projector::open(Path::new(folder));
    if workload == Workload::Crowded {
        return crowded(projector, files, events);
    }
    projector.list(files);
    if workload == Workload::Stormy {
        storm::pass(&mut projector, events);
        projector.check(files);
        std::process::exit(0)
    }
    for event in 0..events {
        projector.happen(workload, event % files, files + event);
    }
    projector.check(files);
    // Without the destructors: what the program keeps is measured as it is.
    std::process::exit(0)
}

fn crowded(mut projector: Projector, files: u64, events: u64) -> ExitCode {
    projector.list(1);
    crowd::gather(&mut projector, files);
    for event in 0..events {
        crowd::edit(&mut projector, files + event);
    }
    crowd::check(&projector, files);
    std::process::exit(0)
}

/// The library without its network: one source, one engine.
pub struct Projector {
    folder: PathBuf,
    lines: LineSplitter,
    reader: Decoder,
    machine: Machine,
    mailbox: Mailbox,
    engine: Engine<Overlay<Kernel>>,
    objects: Template,
    bookmarks: Template,
    now: Duration,
    written: u64,
}

impl Projector {
    fn open(folder: &Path) -> Self {
        let roots = Roots::new(folder.to_str().expect("a folder in UTF-8"), []);
        let rules = Rules {
            roots: roots.clone(),
            names: FileNames::Key,
            folder_per_namespace: false,
            file_mode: 0o644,
            terminating_is_gone: false,
            urls: Urls::Plain,
            gzip_max: None,
            annotations: true,
            tells_outside: false,
        };
        let settings = Settings { rules, adopt: Adopt::Overwrite, finalizers: None, adds_finalizers: false, reacts: false, shows: false };
        let place = Place {
            folder: folder.to_owned(),
            name: ".kube-projector.gates.ledger".into(),
            others: vec![folder.to_owned()],
            former: Vec::new(),
            prune_empty: false,
            selection: "find".into(),
            instance: String::new(),
            pod: String::new(),
            fresh_id: "0123456789abcdef".into(),
        };
        let disk = Disk::open(Overlay::through(Kernel::with_names()), roots, 0o755, Durability::None).expect("a folder");
        let scope = SourceScope { kind: Some(Kind::ConfigMap), namespace: None, name: None };
        let store = store([scope], Precedence::Oldest, (1, 2));
        let (engine, _) = Engine::open(disk, place, settings, store).map_err(|error| error.to_string()).expect("an engine");
        Self {
            folder: folder.to_owned(),
            lines: LineSplitter::default(),
            reader: Decoder { kind: Kind::ConfigMap, folder_annotation: "k8s-sidecar-target-directory".into() },
            machine: Machine::new(1),
            mailbox: Mailbox::default(),
            engine,
            objects: Template::object(),
            bookmarks: Template::bookmark(),
            now: Duration::ZERO,
            written: 0,
        }
    }

    /// A streaming list of so many objects.
    fn list(&mut self, files: u64) {
        self.machine.next(Input::Ready, self.now);
        self.machine.next(Input::Opened, self.now);
        let generation = self.machine.generation();
        self.mailbox.push(SourceEvent::ListBegin { source: SOURCE, generation, consistent: false });
        for object in 0..files {
            self.read(false, object, object + 1, 0);
            if object % BATCH == BATCH - 1 {
                self.commit();
            }
        }
        self.machine.next(Input::Bookmark { revision: files, ends_list: true }, self.now);
        self.mailbox.push(SourceEvent::ListEnd { source: SOURCE, generation });
        self.commit();
        assert!(self.engine.store().settled() && self.written == files, "{} of {files} files were written", self.written);
    }

    fn happen(&mut self, workload: Workload, object: u64, revision: u64) {
        self.now += Duration::from_millis(10);
        match workload {
            Workload::Changed => self.read(false, object, revision + 1, revision + 1),
            Workload::Unchanged => self.read(false, object, revision + 1, 0),
            Workload::Bookmark => return self.read(true, object, revision + 1, 0),
            Workload::Crowded | Workload::Stormy => unreachable!("has events of its own"),
            Workload::Nothing => {
                let _ = self.objects.line(object, revision + 1, revision + 1);
                return;
            }
        }
        self.commit();
    }

    /// What `source::cluster` does with a chunk of a stream.
    fn read(&mut self, bookmark: bool, object: u64, revision: u64, content: u64) {
        let template = if bookmark { &mut self.bookmarks } else { &mut self.objects };
        let mut chunk = template.line(object, revision, content);
        while let Some(line) = self.lines.next(&mut chunk).expect("short lines") {
            match self.reader.line(line).expect("a line of the API") {
                Event::Bookmark { revision, ends_list } => drop(self.machine.next(Input::Bookmark { revision, ends_list }, self.now)),
                Event::Object { revision, event } => {
                    let next = self.machine.next(Input::Object { revision }, self.now);
                    assert!(next.tell == Tell::Object, "the object counts");
                    self.mailbox.push(SourceEvent::of(SOURCE, self.machine.generation(), event));
                }
                Event::Error(_) => panic!("not in the template"),
            }
        }
    }

    fn commit(&mut self) {
        while !self.mailbox.is_empty() {
            let outcome = self.engine.converge(self.mailbox.take(), self.now);
            self.written += u64::try_from(outcome.changes.len()).unwrap_or_default();
        }
    }

    /// The work was done: what is measured is not the cost of doing nothing.
    fn check(&self, files: u64) {
        assert_eq!(self.engine.files(), usize::try_from(files).unwrap_or_default());
        let there = std::fs::read_dir(&self.folder).expect("the folder").count();
        assert_eq!(there, self.engine.files() + 1, "the files and the ledger");
    }
}
