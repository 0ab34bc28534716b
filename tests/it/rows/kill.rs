//! Acceptance: the built binary is killed again and again while objects change, most of the times between what it noted and what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kube_projector::core::files::ledger;
use kube_projector::core::object::Kind;
use kube_projector::core::path::Roots;
use serde_json::{Value, json};

use crate::engine::model::{Files, Thing, wanted};
use crate::support::{Cluster, DEADLINE, Projector, inode, ledgers, temps, times, tree, wait_tree};

/// How often in full, and how many of these are to fall into a window.
const KILLS: usize = 200;
const IN_THE_MIDDLE: usize = 100;
/// Files that one change brings: the longer the batch, the wider the window.
const BATCH: usize = 60;
const FOREIGN: [&str; 5] = ["k0.bak", ".k0", "k0~", "sub/k1.orig", "moving/.keep"];

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A value that shows whether it is whole: one word, many times, and an end.
fn value(word: &str) -> String {
    format!("{}end {word}", format!("{word} ").repeat(20))
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.split_once(' ').is_some_and(|(word, _)| text == value(word))
}

/// What the server has, and what the folder must hold for it.
struct Objects<'a> {
    cluster: &'a Cluster,
    things: BTreeMap<String, Thing>,
    foreign: Files,
}

impl Objects<'_> {
    fn put(&mut self, kind: Kind, name: &str, created: i64, folder: Option<&'static str>, data: BTreeMap<String, String>) {
        let bytes = data.iter().map(|(key, value)| (key.clone(), value.as_bytes().to_vec())).collect();
        let labels = BTreeSet::from(["find"]);
        let (namespace, own_name, annotations) = ("", name.to_owned(), Default::default());
        let thing = Thing { kind, namespace, name: own_name, uid: 0, version: 0, created, labels, folder, annotations, data: bytes };
        self.things.insert(name.to_owned(), thing);
        let field = if kind == Kind::Secret { "stringData" } else { "data" };
        let mut object: Value = json!({
            "kind": kind.as_str(),
            "metadata": {
                "name": name, "namespace": self.cluster.namespace(), "labels": {"find": "me"},
                "creationTimestamp": format!("2020-01-01T00:00:{created:02}Z"),
            },
            "data": {},
        });
        object[field] = json!(data);
        if kind == Kind::Secret {
            object["data"] =
                data.iter().map(|(key, value)| (key.clone(), Value::from(base64(value)))).collect::<serde_json::Map<_, _>>().into();
        }
        if let Some(folder) = folder {
            object["metadata"]["annotations"] = json!({"k8s-sidecar-target-directory": folder});
        }
        let server = self.cluster.server();
        match server.get(kind.plural(), self.cluster.namespace(), name) {
            Some(known) => {
                object["metadata"]["uid"] = known["metadata"]["uid"].clone();
                server.put_raw(&object);
            }
            None => drop(server.create(&object)),
        }
    }

    fn delete(&mut self, name: &str) {
        if let Some(thing) = self.things.remove(name) {
            self.cluster.server().delete(thing.kind.plural(), self.cluster.namespace(), name);
        }
    }

    fn wanted(&self) -> Files {
        let mut files = wanted(self.things.values(), &self.foreign);
        files.retain(|path, _| !path.split('/').any(|part| part.starts_with('.')));
        files
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn data(keys: impl IntoIterator<Item = String>, word: &str) -> BTreeMap<String, String> {
    keys.into_iter().map(|key| (key, value(word))).collect()
}

/// What changes while the process lives: many new files at once, a move, a conflict that turns, a creation.
fn change(objects: &mut Objects<'_>, round: usize) {
    let bulk = format!("bulk-{}", round % 3);
    let keys = (0..BATCH).map(|number| format!("{bulk}-{round}-{number}"));
    let kind = if round % 3 == 2 { Kind::Secret } else { Kind::ConfigMap };
    objects.put(kind, &bulk, 10, [None, Some("sub"), Some("deep/er")][round % 3], data(keys, &format!("b{round}")));
    let folder = ["moving", "moving/on", "./sub/", "k-folder"][round % 4];
    objects.put(Kind::ConfigMap, "mover", 11, Some(folder), data(["m".to_owned(), "n".to_owned()], &format!("m{round}")));
    match round % 4 {
        0 => objects.put(Kind::ConfigMap, "older", 1, None, data(["k0".to_owned(), "shared".to_owned()], &format!("o{round}"))),
        2 => objects.delete("older"),
        _ => objects.put(Kind::Secret, "younger", 2, None, data(["shared".to_owned()], &format!("y{round}"))),
    }
    objects.put(Kind::ConfigMap, &format!("short-{round}"), 12, Some("short"), data([format!("s{round}")], &format!("s{round}")));
}

/// What changes while no process lives.
fn change_while_down(objects: &mut Objects<'_>, round: usize) {
    objects.delete(&format!("short-{round}"));
    objects.delete(&format!("bulk-{}", (round + 1) % 3));
    objects.put(Kind::ConfigMap, "edited", 13, Some("sub"), data(["k1".to_owned(), format!("e{}", round % 5)], &format!("e{round}")));
}

/// Readers of everything, all the time.
struct Readers {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Option<String>>>,
}

impl Readers {
    fn start(folder: &Path) -> Self {
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..2).map(|_| {
            let (folder, stop, reads) = (folder.to_owned(), stop.clone(), reads.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for (path, bytes) in tree(&folder) {
                        reads.fetch_add(1, Ordering::Relaxed);
                        if !FOREIGN.contains(&path.as_str()) && !is_whole(&bytes) {
                            return Some(format!("{path}: {} bytes that are not whole", bytes.len()));
                        }
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                None
            })
        });
        let threads = threads.collect();
        Self { stop, reads, threads }
    }

    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let torn: Vec<String> = self.threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(torn, Vec::<String>::new());
        self.reads.load(Ordering::Relaxed)
    }
}

fn ledger_path(folder: &Path) -> PathBuf {
    folder.join(&ledgers(folder)[0])
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Whether the dead process had noted what it had not done: a path of ours without a file, or a temporary file.
fn in_the_middle(folder: &Path) -> bool {
    let bytes = fs::read(ledger_path(folder)).unwrap();
    let contents = ledger::read(&bytes, &Roots::new(&folder.display().to_string(), [])).unwrap();
    !temps(folder).is_empty() || contents.owned.keys().any(|path| !folder.join(path.as_str()).exists())
}

/// Waits, without leaving the processor, until the ledger grew or shrank, and a moment longer.
fn wait_for_the_window(ledger: &Path, before: u64, dice: &mut Dice) {
    let end = Instant::now() + DEADLINE;
    while length(ledger) == before {
        assert!(Instant::now() < end, "waited {DEADLINE:?} for the ledger to change");
        std::hint::spin_loop();
    }
    let moment = Instant::now() + Duration::from_micros(dice.below(1500));
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
}

#[test]
fn g23_kills_leave_the_wanted_files_and_nothing_else() {
    let cluster = Cluster::in_process();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("folder");
    let mut objects = Objects { cluster: &cluster, things: BTreeMap::new(), foreign: Files::new() };
    for name in FOREIGN {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "foreign").unwrap();
        objects.foreign.insert(name.to_owned(), b"foreign".to_vec());
    }
    let inodes = FOREIGN.map(|name| inode(&folder.join(name)));
    let launch = Projector::on(&cluster, &folder).env("FINALIZERS", "false").env("LOG_LEVEL", "warn");
    let readers = Readers::start(&folder);
    let (mut dice, mut middle) = (Dice(1), 0);
    let kills = times(KILLS);
    for round in 0..=kills {
        let mut projector = launch.start();
        projector.wait_ready();
        wait_tree(&folder, &objects.wanted());
        assert_eq!(FOREIGN.map(|name| inode(&folder.join(name))), inodes, "a foreign file was touched");
        assert!(FOREIGN.iter().all(|name| fs::read(folder.join(name)).unwrap() == b"foreign"));
        assert_eq!(temps(&folder), Vec::<String>::new(), "after kill {round}");
        if round == kills {
            break;
        }
        let ledger = ledger_path(&folder);
        let before = length(&ledger);
        change(&mut objects, round);
        wait_for_the_window(&ledger, before, &mut dice);
        projector.kill9();
        middle += usize::from(in_the_middle(&folder));
        change_while_down(&mut objects, round);
    }
    let reads = readers.end();
    println!("{kills} kills, {middle} of them between a note in the ledger and the last rename of its batch; {reads} whole reads");
    assert!(middle >= times(IN_THE_MIDDLE), "only {middle} kills fell between a note in the ledger and the last rename of its batch");
}
