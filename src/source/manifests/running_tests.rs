//! The source as it runs, on real folders that change beneath it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::core::object::{Kind, ObjectEvent, ObjectKey, SourceEvent};

use super::tests::{config_map, contact, given, in_words, put, sent};
use super::*;

/// Short, so that what goes is soon gone, and longer than a writer needs between two system calls.
const SETTLE: Duration = Duration::from_millis(500);

/// A running source and what the engine would know from it.
struct Running {
    folder: TempDir,
    mailbox: Mailbox,
    requests: mpsc::Sender<Request>,
    task: JoinHandle<Result<(), ManifestsError>>,
    objects: BTreeMap<String, (u32, String)>,
    /// Objects that a list end took away.
    lost: Vec<String>,
    applied: usize,
    /// Objects with a value that nobody meant.
    halves: usize,
}

fn running(folder: TempDir) -> Running {
    let path = folder.path().to_path_buf();
    running_at(folder, &path)
}

fn running_at(folder: TempDir, source: &Path) -> Running {
    let mailbox = Mailbox::default();
    let (requests, asked) = mpsc::channel(8);
    let mode = Cadence { once: false, rescan: Duration::from_secs(3600), settle: SETTLE };
    let task = tokio::spawn(run(given(source), mode, mailbox.clone(), asked, contact()));
    Running { folder, mailbox, requests, task, objects: BTreeMap::new(), lost: Vec::new(), applied: 0, halves: 0 }
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
            SourceEvent::Object { generation, event: ObjectEvent::Apply(object), .. } => {
                self.applied += 1;
                let value = words.rsplit(' ').next().unwrap_or_default().to_owned();
                self.halves += usize::from(value.is_empty() || value == "v");
                self.objects.insert(object.key.name.to_string(), (generation, value));
            }
            SourceEvent::Object { generation, event: ObjectEvent::Keep(key), .. } => {
                self.objects.get_mut(&*key.name).unwrap().0 = generation
            }
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

/// As `git checkout`, `cp` and shells do it: each file is unlinked or truncated, created anew, and written piece by piece, while
/// others are closed.
#[tokio::test]
async fn m5_files_that_are_written_anew_lose_no_object_and_give_no_half_of_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_path_buf();
    let names = ["a", "b", "c", "d"];
    let file = |name: &str| path.join(format!("{name}.yaml"));
    names.iter().for_each(|name| put(&path, &format!("{name}.yaml"), &config_map(name, "v0")));
    let mut running = running(folder);
    running.becomes(&names.map(|name| (name, "v0"))).await;
    for round in 1..=20 {
        let value = format!("v{round}");
        for (number, name) in names.into_iter().enumerate() {
            if number % 2 == 0 {
                fs::remove_file(file(name)).unwrap();
            }
            let mut open = fs::File::create(file(name)).unwrap();
            // A look in between, and it has read this before we go on.
            put(&path, "other.yaml", &config_map("other", &format!("{value}-{name}")));
            running
                .until("the other one", |running| running.objects.get("other").is_some_and(|(_, at)| *at == format!("{value}-{name}")))
                .await;
            let text = config_map(name, &value);
            let (first, second) = text.split_at(text.len() - 9);
            open.write_all(first.as_bytes()).unwrap();
            open.write_all(second.as_bytes()).unwrap();
        }
        let last = format!("{value}-d");
        let mut all: Vec<_> = names.iter().map(|name| (*name, value.as_str())).collect();
        all.push(("other", &last));
        running.becomes(&all).await;
    }
    assert_eq!((&running.lost, running.halves), (&Vec::new(), 0));
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

/// Every way in which the next tree takes the place of the one that is read, while that one stays where it was.
#[tokio::test]
async fn m3_a_link_that_is_pointed_elsewhere_is_followed_at_once() {
    let home = TempDir::new().unwrap();
    let path = home.path().to_path_buf();
    for version in ["1", "2", "3"] {
        put(&path, &format!("trees/v{version}/sub/a.yaml"), &config_map("a", version));
    }
    let point = |target: &str, link: &str| {
        _ = fs::remove_file(path.join("temporary"));
        symlink(target, path.join("temporary")).unwrap();
        fs::rename(path.join("temporary"), path.join(link)).unwrap();
    };
    point("trees/v1", "current");
    symlink("current/sub", path.join("source")).unwrap();
    let mut running = running_at(home, &path.join("source"));
    running.becomes(&[("a", "1")]).await;
    // As git-sync does it: a link on the way.
    point("trees/v2", "current");
    running.becomes(&[("a", "2")]).await;
    // As `ln -sfn` does it: the link itself, which is gone for a moment.
    fs::remove_file(path.join("source")).unwrap();
    symlink(path.join("trees/v3/sub"), path.join("source")).unwrap();
    running.becomes(&[("a", "3")]).await;
    // What is there now is watched, and a file is found as a folder is.
    put(&path, "trees/v3/sub/a.yaml", &config_map("a", "4"));
    running.becomes(&[("a", "4")]).await;
    // A folder above that gives its place to another.
    point("trees/v3/sub", "source");
    running.becomes(&[("a", "4")]).await;
    put(&path, "next/v3/sub/a.yaml", &config_map("a", "moved"));
    fs::rename(path.join("trees"), path.join("former")).unwrap();
    fs::rename(path.join("next"), path.join("trees")).unwrap();
    running.becomes(&[("a", "moved")]).await;
    put(&path, "trees/v1/sub/a.yaml", &config_map("a", "1"));
    point("trees/v1/sub/a.yaml", "source");
    running.becomes(&[("a", "1")]).await;
    put(&path, "trees/v1/sub/a.yaml", &config_map("a", "5"));
    running.becomes(&[("a", "5")]).await;
    fs::write(path.join("trees/v1/sub/a.yaml"), config_map("a", "6")).unwrap();
    running.becomes(&[("a", "6")]).await;
    assert_eq!(running.lost, [] as [&str; 0]);
}

#[tokio::test]
async fn m3_a_link_below_the_folder_is_followed_however_many_it_goes_through() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_path_buf();
    for version in ["1", "2"] {
        put(&path, &format!(".store/v{version}/a.yaml"), &config_map("a", version));
    }
    symlink("v1", path.join(".store/current")).unwrap();
    symlink(".store/current/a.yaml", path.join("a.yaml")).unwrap();
    let mut running = running(folder);
    running.becomes(&[("a", "1")]).await;
    symlink("v2", path.join(".store/next")).unwrap();
    fs::rename(path.join(".store/next"), path.join(".store/current")).unwrap();
    running.becomes(&[("a", "2")]).await;
    fs::write(path.join(".store/v2/a.yaml"), config_map("a", "3")).unwrap();
    running.becomes(&[("a", "3")]).await;
    assert_eq!(running.lost, [] as [&str; 0]);
}

#[tokio::test]
async fn m1_a_link_that_comes_to_lead_where_files_are_written_ends_the_source() {
    let home = TempDir::new().unwrap();
    let path = home.path().to_path_buf();
    put(&path, "source/a.yaml", &config_map("a", "1"));
    put(&path, "out/b.yaml", &config_map("b", "1"));
    symlink("source", path.join("link")).unwrap();
    let (mailbox, (_requests, asked)) = (Mailbox::default(), mpsc::channel(1));
    let mode = Cadence { once: false, rescan: Duration::from_secs(3600), settle: SETTLE };
    let written = vec![WrittenPlace { variable: "FOLDER", path: path.join("out") }];
    let task = tokio::spawn(run(ManifestOptions { written, ..given(&path.join("link")) }, mode, mailbox.clone(), asked, contact()));
    timeout(Duration::from_secs(20), mailbox.arrived()).await.expect("a list is sent");
    symlink("out", path.join("next")).unwrap();
    fs::rename(path.join("next"), path.join("link")).unwrap();
    let ended = timeout(Duration::from_secs(20), task).await.expect("the source ends").unwrap();
    assert!(matches!(ended, Err(ManifestsError::Overlap(_))));
    assert!(!sent(&mailbox).iter().any(|event| event.starts_with("apply b")), "nothing is read there");
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
    let mode = Cadence { once: false, rescan: Duration::from_millis(5), settle: SETTLE };
    let task = tokio::spawn(run(given(&folder), mode, mailbox.clone(), asked, contact()));
    tokio::task::yield_now().await;
    put(&folder, "a.yaml", &config_map("a", "1"));
    timeout(Duration::from_secs(20), mailbox.arrived()).await.expect("a list is sent");
    assert!(!task.is_finished());
    task.abort();
}
