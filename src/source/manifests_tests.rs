//! The source on real folders: which events it sends, in which order.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::core::object::{Kind, Namespaces};
use crate::core::selector::Selector;
use crate::health::{Health, WatchName};

use super::*;

fn rules() -> ManifestRules {
    ManifestRules {
        selector: Some(Selector::label("rules", None)),
        objects: Vec::new(),
        kinds: Kind::ALL.to_vec(),
        namespaces: Namespaces::All,
        folder_annotation: "folder".into(),
    }
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{rules: x}}}}\ndata: {{k: \"{value}\"}}\n---\n")
}

const BROKEN: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n";

/// A folder, and the source that reads it.
struct Rig {
    folder: TempDir,
    mailbox: Mailbox,
    source: Source,
}

fn rig() -> Rig {
    let folder = TempDir::new().unwrap();
    let mailbox = Mailbox::default();
    let source = Source {
        folder: folder.path().into(),
        rules: Arc::new(rules()),
        mode: Mode { once: false, rescan: Duration::from_secs(3600) },
        mailbox: mailbox.clone(),
        contact: contact(),
        book: Book::default(),
        folder_missing: false,
    };
    Rig { folder, mailbox, source }
}

fn contact() -> Contact {
    Health::new(None).watch(WatchName { kind: None, namespace: None })
}

impl Rig {
    /// Writes whole files, as by an editor that renames.
    fn put(&self, path: &str, text: &str) {
        put(self.folder.path(), path, text);
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    /// One look; the events that it sent.
    async fn look(&mut self) -> Vec<String> {
        self.source.look(&mut None, &Reread::Changed(HashSet::new())).await;
        sent(&self.mailbox)
    }
}

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    let parent = path.parent().unwrap();
    fs::create_dir_all(parent).unwrap();
    let temp = parent.join(".temp");
    fs::write(&temp, text).unwrap();
    fs::rename(&temp, &path).unwrap();
}

/// All events that wait, in words.
fn sent(mailbox: &Mailbox) -> Vec<String> {
    let mut words = Vec::new();
    while let batch = mailbox.take()
        && !batch.is_empty()
    {
        words.extend(batch.iter().map(in_words));
    }
    words
}

fn in_words(event: &SourceEvent) -> String {
    match event {
        SourceEvent::ListBegin { source: SourceId(0), generation, consistent: true } => format!("begin {generation}"),
        SourceEvent::Apply { object, .. } => {
            let value = object.data.first().and_then(|datum| datum.payload.as_ref());
            format!("apply {} {}", object.key.name, value.map(|value| value.0.escape_ascii().to_string()).unwrap_or_default())
        }
        SourceEvent::Keep { key, .. } => format!("keep {}", key.name),
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
    symlink("..", rig.folder.path().join("loop")).unwrap();
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
    rig.put("a.yaml", &(config_map("a", "2") + BROKEN));
    assert_eq!(rig.look().await, ["begin 2", "keep a", "keep b", "keep c", "end 2"]);
    assert_eq!(rig.look().await, ["begin 3", "keep a", "keep b", "keep c", "end 3"]);
    rig.put("a.yaml", &config_map("a", "3"));
    assert_eq!(rig.look().await, ["begin 4", "apply a 3", "keep c", "end 4"]);
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
async fn a_folder_that_cannot_be_listed_keeps_the_objects_in_it() {
    let mut book = Book::default();
    let path: Arc<Path> = Path::new("/m/sub/a.yaml").into();
    let key = ObjectKey::new(Kind::ConfigMap, "n", "a");
    let denied = Failure::of(&"permission denied");
    book.begin();
    assert_eq!(book.unreadable(Path::new("/m/sub"), &denied), Verdict::Changed);
    assert_eq!(book.end(), (vec![], false), "unknown from the start");
    book.begin();
    let file = tempfile::NamedTempFile::new().unwrap();
    let (identity, _) = scan::read(file.path(), &rules()).unwrap();
    book.good(&path, identity, vec![key.clone()]);
    assert_eq!(book.end(), (vec![], true));
    for expected in [Verdict::Changed, Verdict::Same] {
        book.begin();
        assert_eq!(book.unreadable(Path::new("/m/sub"), &denied), expected);
        assert_eq!(book.end(), (vec![key.clone()], true));
    }
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
    assert!(matches!(result, Err(Error::Folder { .. })));
}

async fn once(folder: &Path) -> (Mailbox, Result<(), Error>) {
    let mailbox = Mailbox::default();
    let (_ask, asked) = mpsc::channel(1);
    let mode = Mode { once: true, rescan: Duration::from_secs(60) };
    let result = run(folder.to_path_buf(), rules(), mode, mailbox.clone(), asked, contact()).await;
    (mailbox, result)
}

#[tokio::test]
async fn a_file_larger_than_the_mailbox_goes_through_piece_by_piece() {
    let mut rig = rig();
    let body = "x".repeat(900_000);
    rig.put("a.yaml", &(0..10).map(|number| config_map(&format!("a{number}"), &body)).collect::<String>());
    let mailbox = rig.mailbox.clone();
    let looking = async {
        rig.source.look(&mut None, &Reread::All).await;
        std::future::pending::<()>().await;
    };
    let mut applied = 0;
    let all = async {
        loop {
            mailbox.arrived().await;
            for event in mailbox.take() {
                match event {
                    SourceEvent::Apply { .. } => applied += 1,
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

/// A running source and what the engine would know from it.
struct Running {
    folder: TempDir,
    mailbox: Mailbox,
    requests: mpsc::Sender<Request>,
    task: JoinHandle<Result<(), Error>>,
    objects: BTreeMap<String, (u32, String)>,
    /// Objects that a list end took away.
    lost: Vec<String>,
    applied: usize,
}

fn running(folder: TempDir) -> Running {
    let mailbox = Mailbox::default();
    let (requests, asked) = mpsc::channel(8);
    let mode = Mode { once: false, rescan: Duration::from_secs(3600) };
    let task = tokio::spawn(run(folder.path().to_path_buf(), rules(), mode, mailbox.clone(), asked, contact()));
    Running { folder, mailbox, requests, task, objects: BTreeMap::new(), lost: Vec::new(), applied: 0 }
}

impl Running {
    /// Folds events until the objects and their values are these.
    async fn becomes(&mut self, expected: &[(&str, &str)]) {
        let wanted: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.until(&format!("objects {wanted:?}"), |running| {
            wanted.iter().cloned().eq(running.objects.iter().map(|(name, (_, value))| (name.clone(), value.clone())))
        })
        .await;
    }

    async fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(self) {
            if tokio::time::timeout_at(deadline, self.mailbox.arrived()).await.is_err() {
                panic!("waited for {what}, have {:?}", self.objects);
            }
            for event in self.mailbox.take() {
                self.fold(event);
            }
        }
    }

    fn fold(&mut self, event: SourceEvent) {
        let words = in_words(&event);
        match event {
            SourceEvent::Apply { generation, object, .. } => {
                self.applied += 1;
                let value = words.rsplit(' ').next().unwrap_or_default().to_owned();
                self.objects.insert(object.key.name.to_string(), (generation, value));
            }
            SourceEvent::Keep { generation, key, .. } => self.objects.get_mut(&*key.name).unwrap().0 = generation,
            SourceEvent::ListEnd { generation, .. } => {
                self.lost.extend(self.objects.extract_if(.., |_, (seen, _)| *seen != generation).map(|(name, _)| name));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn edits_are_followed() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "a.yaml", &config_map("a", "1"));
    let mut running = running(folder);
    let path = running.folder.path().to_path_buf();
    running.becomes(&[("a", "1")]).await;
    put(&path, "a.yaml", &config_map("a", "2"));
    running.becomes(&[("a", "2")]).await;
    fs::write(path.join("a.yaml"), config_map("a", "3")).unwrap();
    running.becomes(&[("a", "3")]).await;
    put(&path, "new/deep/b.yaml", &config_map("b", "1"));
    running.becomes(&[("a", "3"), ("b", "1")]).await;
    put(&path, "new/deep/b.yaml", &config_map("b", "2"));
    running.becomes(&[("a", "3"), ("b", "2")]).await;
    symlink("deep/b.yaml", path.join("new/b.yaml")).unwrap();
    fs::rename(path.join("new"), path.join("moved")).unwrap();
    put(&path, "moved/c.yaml", &config_map("c", "1"));
    running.becomes(&[("a", "3"), ("b", "2"), ("c", "1")]).await;
    fs::remove_dir_all(path.join("moved")).unwrap();
    running.becomes(&[("a", "3")]).await;
    fs::remove_file(path.join("a.yaml")).unwrap();
    running.becomes(&[]).await;
}

#[tokio::test]
async fn an_editor_that_moves_the_old_file_away_loses_no_object() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "a.yaml", &config_map("a", "0"));
    let mut running = running(folder);
    running.becomes(&[("a", "0")]).await;
    for round in 1..=50 {
        let (file, backup) = (running.folder.path().join("a.yaml"), running.folder.path().join("a.yaml~"));
        fs::rename(&file, &backup).unwrap();
        let value = round.to_string();
        fs::write(&file, config_map("a", &format!("v{value}"))).unwrap();
        fs::remove_file(&backup).unwrap();
        running.becomes(&[("a", &format!("v{value}"))]).await;
    }
    assert_eq!(running.lost, [] as [&str; 0]);
}

#[tokio::test]
async fn a_mounted_config_map_is_followed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_path_buf();
    let publish = |version: &str, value: &str| {
        put(&path, &format!("{version}/a.yaml"), &config_map("a", value));
        put(&path, &format!("{version}/sub/b.yaml"), &config_map("b", value));
        symlink(version, path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    };
    publish("..2024_1", "one");
    symlink("..data/a.yaml", path.join("a.yaml")).unwrap();
    symlink("..data/sub", path.join("sub")).unwrap();
    let mut running = running(folder);
    running.becomes(&[("a", "one"), ("b", "one")]).await;
    publish("..2024_2", "two");
    running.becomes(&[("a", "two"), ("b", "two")]).await;
    assert_eq!(running.lost, [] as [&str; 0]);
}

#[tokio::test]
async fn requests_are_answered() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "a.yaml", &(config_map("a", "1") + &config_map("b", "1")));
    put(folder.path(), "c.yaml", &config_map("c", "1"));
    let mut running = running(folder);
    running.becomes(&[("a", "1"), ("b", "1"), ("c", "1")]).await;
    assert_eq!(running.applied, 3);
    let key = |name: &str| ObjectKey::new(Kind::ConfigMap, "default", name);
    running.requests.send(Request::Fetch(key("unknown"))).await.unwrap();
    running.requests.send(Request::Fetch(key("b"))).await.unwrap();
    running.until("one object sent again", |running| running.applied == 4).await;
    running.requests.send(Request::Relist(SOURCE)).await.unwrap();
    running.until("all objects sent again", |running| running.applied == 7).await;
    drop(running.requests);
    timeout(Duration::from_secs(20), running.task).await.expect("the source ends with its engine").unwrap().unwrap();
}

#[tokio::test]
async fn a_folder_that_comes_later_is_found() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("later");
    let (mailbox, (_requests, asked)) = (Mailbox::default(), mpsc::channel(1));
    let mode = Mode { once: false, rescan: Duration::from_millis(5) };
    let task = tokio::spawn(run(folder.clone(), rules(), mode, mailbox.clone(), asked, contact()));
    tokio::task::yield_now().await;
    put(&folder, "a.yaml", &config_map("a", "1"));
    timeout(Duration::from_secs(20), mailbox.arrived()).await.expect("a list is sent");
    assert!(!task.is_finished());
    task.abort();
}
