//! The source on real folders: which events it sends, in which order.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio::time::timeout;

use crate::core::object::selector::Selector;
use crate::core::object::{Kind, Namespaces, ObjectEvent, SourceEvent};
use crate::health::{Health, WatchName};

use super::*;

pub(super) fn rules() -> ManifestRules {
    ManifestRules {
        selector: Some(Selector::label("rules", None)),
        objects: Vec::new(),
        kinds: Kind::ALL.to_vec(),
        namespaces: Namespaces::All,
        folder_annotation: "folder".into(),
    }
}

pub(super) fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{rules: x}}}}\ndata: {{k: \"{value}\"}}\n---\n")
}

const BROKEN: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n";

/// A folder, and the source that reads it.
pub(super) struct Rig {
    pub(super) folder: TempDir,
    pub(super) mailbox: Mailbox,
    pub(super) source: ManifestSource,
}

/// A rig for which everything counts at once.
fn rig() -> Rig {
    rig_that_settles(Duration::ZERO)
}

pub(super) fn rig_that_settles(settle: Duration) -> Rig {
    let folder = TempDir::new().unwrap();
    let mailbox = Mailbox::default();
    let mode = Cadence { once: false, rescan: Duration::from_secs(3600), settle };
    let source = ManifestSource::new(given(folder.path()), mode, mailbox.clone(), contact());
    Rig { folder, mailbox, source }
}

pub(super) fn given(path: &Path) -> ManifestOptions {
    ManifestOptions { path: path.to_path_buf(), rules: rules(), written: Vec::new(), tally: watch::Sender::default() }
}

pub(super) fn contact() -> Contact {
    Health::new(None).watch(WatchName { kind: None, namespace: None, name: None })
}

impl Rig {
    /// Writes whole files, as by an editor that renames.
    pub(super) fn put(&self, path: &str, text: &str) {
        put(self.folder.path(), path, text);
    }

    pub(super) fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    /// One look; the events that it sent.
    pub(super) async fn look(&mut self) -> Vec<String> {
        self.source.look(&mut None, &Reread::Changed(Whole::default())).await.unwrap();
        sent(&self.mailbox)
    }
}

pub(super) fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    let parent = path.parent().unwrap();
    fs::create_dir_all(parent).unwrap();
    let temp = parent.join(".temp");
    fs::write(&temp, text).unwrap();
    fs::rename(&temp, &path).unwrap();
}

/// All events that wait, in words.
pub(super) fn sent(mailbox: &Mailbox) -> Vec<String> {
    let mut words = Vec::new();
    while let batch = mailbox.take()
        && !batch.is_empty()
    {
        words.extend(batch.iter().map(in_words));
    }
    words
}

pub(super) fn in_words(event: &SourceEvent) -> String {
    match event {
        SourceEvent::ListBegin { source: SourceId(0), generation, consistent: true } => format!("begin {generation}"),
        SourceEvent::Object { event: ObjectEvent::Apply(object), .. } => {
            let value = object.data.first().and_then(|datum| datum.payload.as_ref());
            let held = if object.held.is_empty() { String::new() } else { format!(", holds {}", object.held.join(" ")) };
            format!("apply {} {}{held}", object.key.name, value.map(|value| value.bytes().escape_ascii().to_string()).unwrap_or_default())
        }
        SourceEvent::Object { event: ObjectEvent::Keep(key), .. } => format!("keep {}", key.name),
        SourceEvent::ListEnd { generation, .. } => format!("end {generation}"),
        SourceEvent::Refused { .. } => "refused".to_owned(),
        _ => "something else".to_owned(),
    }
}

#[tokio::test]
async fn a_list_holds_the_selected_objects_in_the_order_of_paths() {
    let mut rig = rig();
    rig.put("b.yml", &(config_map("b", "1") + &config_map("c", "2")));
    rig.put(
        "a/z.json",
        &serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "z", "labels": {"rules": "x"}}}).to_string(),
    );
    rig.put("elsewhere.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: unlabelled}\n");
    rig.put(".hidden.yaml", &config_map("hidden", "1"));
    rig.put(".git/x.yaml", &config_map("git", "1"));
    rig.put("notes.txt", "no manifest");
    symlink(".", rig.folder.path().join("loop")).unwrap();
    assert_eq!(rig.look().await, ["begin 1", "apply z ", "apply b 1", "apply c 2", "end 1"]);
}

#[tokio::test]
async fn only_files_that_changed_are_read_again() {
    let mut rig = rig();
    rig.put("a.yaml", &config_map("a", "1"));
    rig.put("b.yaml", &config_map("b", "1"));
    rig.look().await;
    rig.put("b.yaml", &config_map("b", "2"));
    rig.put("c.yaml", &config_map("c", "1"));
    assert_eq!(rig.look().await, ["begin 2", "keep a", "apply b 2", "apply c 1", "end 2"]);
    rig.remove("a.yaml");
    assert_eq!(rig.look().await, ["begin 3", "keep b", "keep c", "end 3"]);
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_objects() {
    let mut rig = rig();
    rig.put("a.yaml", &(config_map("a", "1") + &config_map("b", "1")));
    rig.put("c.yaml", &config_map("c", "1"));
    rig.look().await;
    rig.put("a.yaml", "broken: [");
    assert_eq!(rig.look().await, ["begin 2", "keep a", "keep b", "keep c", "end 2"]);
    assert_eq!(rig.look().await, ["begin 3", "keep a", "keep b", "keep c", "end 3"]);
    rig.put("a.yaml", &config_map("a", "3"));
    assert_eq!(rig.look().await, ["begin 4", "apply a 3", "keep c", "end 4"]);
}

#[tokio::test]
async fn m7_a_broken_document_keeps_what_its_file_gave_and_stops_no_other() {
    let mut rig = rig();
    rig.put("1.yaml", &(config_map("a", "1") + &config_map("b", "1")));
    rig.put("2.yaml", &config_map("c", "1"));
    rig.look().await;
    // One document is edited, one is gone, one is new, and one is broken: which objects that one holds nobody knows.
    rig.put("1.yaml", &(config_map("a", "2") + BROKEN + "---\n" + &config_map("d", "1")));
    assert_eq!(rig.look().await, ["begin 2", "apply a 2", "apply d 1", "keep b", "keep c", "end 2"]);
    assert_eq!(rig.look().await, ["begin 3", "keep a", "keep d", "keep b", "keep c", "end 3"]);
    rig.put("1.yaml", &(config_map("d", "2") + BROKEN));
    assert_eq!(rig.look().await, ["begin 4", "apply d 2", "keep a", "keep b", "keep c", "end 4"]);
    rig.put("1.yaml", &config_map("d", "2"));
    assert_eq!(rig.look().await, ["begin 5", "apply d 2", "keep c", "end 5"]);
    // What comes and goes while a document is broken.
    rig.put("3.yaml", &(BROKEN.to_owned() + "---\n" + &config_map("e", "1")));
    assert_eq!(rig.look().await, ["begin 6", "keep d", "keep c", "apply e 1", "end 6"]);
    rig.remove("3.yaml");
    assert_eq!(rig.look().await, ["begin 7", "keep d", "keep c", "end 7"]);
}

#[tokio::test]
async fn m7_a_document_broken_from_the_start_makes_the_list_no_evidence() {
    let mut rig = rig();
    rig.put("1.yaml", &(config_map("a", "1") + BROKEN));
    assert_eq!(rig.look().await, ["begin 1", "apply a 1", "refused"]);
    rig.put("1.yaml", &config_map("a", "2"));
    assert_eq!(rig.look().await, ["begin 2", "apply a 2", "end 2"]);
}

#[tokio::test]
async fn a_file_broken_from_the_start_makes_the_list_no_evidence() {
    let mut rig = rig();
    rig.put("a.yaml", BROKEN);
    rig.put("b.yaml", &config_map("b", "1"));
    assert_eq!(rig.look().await, ["begin 1", "apply b 1", "refused"]);
    assert_eq!(rig.look().await, ["begin 2", "keep b", "refused"]);
    rig.put("a.yaml", &config_map("a", "1"));
    assert_eq!(rig.look().await, ["begin 3", "apply a 1", "keep b", "end 3"]);
    // From here on a new broken file has nothing to keep.
    rig.put("c.yaml", BROKEN);
    assert_eq!(rig.look().await, ["begin 4", "keep a", "keep b", "end 4"]);
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_a_broken_file() {
    let mut rig = rig();
    rig.put(".real/a.yaml", &config_map("a", "1"));
    symlink(".real/a.yaml", rig.folder.path().join("a.yaml")).unwrap();
    assert_eq!(rig.look().await, ["begin 1", "apply a 1", "end 1"]);
    rig.remove(".real/a.yaml");
    assert_eq!(rig.look().await, ["begin 2", "keep a", "end 2"]);
}

#[tokio::test]
async fn m9_links_that_lead_out_of_the_folder_are_not_followed() {
    let home = TempDir::new().unwrap();
    let path = home.path().to_path_buf();
    put(&path, "outside.yaml", BROKEN);
    put(&path, "far/b.yaml", &config_map("b", "1"));
    put(&path, "source/inner/a.yaml", &config_map("a", "1"));
    put(&path, "source/.store/v1/c.yaml", &config_map("c", "1"));
    let source = path.join("source");
    symlink("..", source.join("loop")).unwrap();
    symlink("../outside.yaml", source.join("outside.yaml")).unwrap();
    symlink(path.join("far"), source.join("far")).unwrap();
    symlink("../..", source.join("inner/up")).unwrap();
    symlink("inner", source.join("again")).unwrap();
    symlink(source.join(".store/v1"), source.join("current")).unwrap();
    symlink("../later.yaml", source.join("later.yaml")).unwrap();
    symlink("source", path.join("named")).unwrap();
    for given in [source, path.join("named")] {
        let walk = scan::walk(&given, None).unwrap();
        let below = |found: &Path| found.strip_prefix(&given).unwrap().display().to_string();
        assert_eq!(walk.files.iter().map(|found| below(&found.path)).collect::<Vec<_>>(), ["again/a.yaml", "current/c.yaml"]);
        let mut outside: Vec<_> = walk.outside.iter().map(|link| below(link)).collect();
        outside.sort();
        assert_eq!(outside, ["again/up", "far", "later.yaml", "loop", "outside.yaml"]);
    }
}

#[tokio::test]
async fn m8_what_was_found_is_counted() {
    let mut rig = rig();
    let tally = rig.source.tally.subscribe();
    rig.put("a.yaml", &config_map("a", "1"));
    rig.put("b.YAML", &config_map("b", "1"));
    rig.put("c.yaml", "apiVersion: v1\nkind: Configmap\n");
    rig.put("d.yaml", "broken: [");
    rig.put("sub/e.yml", &(config_map("e", "1") + &config_map("f", "1")));
    rig.put("notes.TXT", "");
    rig.look().await;
    assert_eq!(*tally.borrow(), Tally { manifests: 4, not_taken: 3 });
    ["b.YAML", "c.yaml", "d.yaml"].iter().for_each(|name| rig.remove(name));
    rig.look().await;
    assert_eq!(*tally.borrow(), Tally { manifests: 2, not_taken: 0 });
}

#[tokio::test]
async fn m2_a_file_is_a_source_too() {
    let home = TempDir::new().unwrap();
    put(home.path(), "beside.yaml", BROKEN);
    put(home.path(), "one", &config_map("a", "1"));
    let (mailbox, result) = once(&home.path().join("one")).await;
    assert!(result.is_ok());
    assert_eq!(sent(&mailbox), ["begin 1", "apply a 1", "end 1"]);
    let (_, result) = once(Path::new("/dev/null")).await;
    let error = text_of(&result.unwrap_err());
    assert_eq!(error, "reading SOURCE=/dev/null: expected a folder or a regular file");
}

#[tokio::test]
async fn the_first_of_two_manifests_counts_and_the_second_takes_its_place() {
    let mut rig = rig();
    rig.put("1.yaml", &config_map("a", "first"));
    rig.put("2.yaml", &config_map("a", "second"));
    assert_eq!(rig.look().await, ["begin 1", "apply a first", "end 1"]);
    assert_eq!(rig.look().await, ["begin 2", "keep a", "end 2"]);
    rig.remove("1.yaml");
    assert_eq!(rig.look().await, ["begin 3", "apply a second", "end 3"]);
    rig.put("1.yaml", &config_map("a", "first"));
    assert_eq!(rig.look().await, ["begin 4", "apply a first", "end 4"]);
}

#[tokio::test]
async fn a_folder_that_went_is_no_evidence() {
    let mut rig = rig();
    rig.put("a.yaml", &config_map("a", "1"));
    rig.look().await;
    let away = rig.folder.path().with_extension("away");
    fs::rename(rig.folder.path(), &away).unwrap();
    assert_eq!(rig.look().await, [] as [&str; 0]);
    fs::rename(&away, rig.folder.path()).unwrap();
    assert_eq!(rig.look().await, ["begin 2", "keep a", "end 2"]);
}

#[tokio::test]
async fn once_sends_one_list_and_ends() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "a.yaml", &config_map("a", "1"));
    let (mailbox, result) = once(folder.path()).await;
    assert!(result.is_ok());
    assert_eq!(sent(&mailbox), ["begin 1", "apply a 1", "end 1"]);
}

#[tokio::test]
async fn once_serves_the_good_objects_and_fails_for_the_broken() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "a.yaml", &config_map("a", "1"));
    put(folder.path(), "b.yaml", BROKEN);
    let (mailbox, result) = once(folder.path()).await;
    let expected = format!("manifests not taken: 1 of {}", folder.path().display());
    assert_eq!(result.err().map(|error| error.to_string()), Some(expected));
    assert_eq!(sent(&mailbox), ["begin 1", "apply a 1", "refused"]);
    let (_, result) = once(&folder.path().join("missing")).await;
    assert!(matches!(result, Err(ManifestsError::Folder { .. })));
}

async fn once(folder: &Path) -> (Mailbox, Result<(), ManifestsError>) {
    let mailbox = Mailbox::default();
    let (_ask, asked) = mpsc::channel(1);
    let mode = Cadence { once: true, rescan: Duration::from_secs(60), settle: Duration::ZERO };
    let result = run(given(folder), mode, mailbox.clone(), asked, contact()).await;
    (mailbox, result)
}

#[tokio::test]
async fn a_file_larger_than_the_mailbox_goes_through_piece_by_piece() {
    let mut rig = rig();
    let body = "x".repeat(900_000);
    rig.put("a.yaml", &(0..10).map(|number| config_map(&format!("a{number}"), &body)).collect::<String>());
    let mailbox = rig.mailbox.clone();
    let looking = async {
        rig.source.look(&mut None, &Reread::All).await.unwrap();
        std::future::pending::<()>().await;
    };
    let mut applied = 0;
    let all = async {
        loop {
            mailbox.arrived().await;
            for event in mailbox.take() {
                match event {
                    SourceEvent::Object { event: ObjectEvent::Apply(_), .. } => applied += 1,
                    SourceEvent::ListEnd { .. } => return,
                    SourceEvent::ListBegin { .. } => {}
                    _ => panic!("a body was dropped"),
                }
            }
        }
    };
    tokio::select! {
        ended = timeout(Duration::from_secs(20), all) => ended.expect("the list ends"),
        () = looking => {}
    }
    assert_eq!(applied, 10);
}
