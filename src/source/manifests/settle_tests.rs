//! What counts at once and what only when the folder is settled, with a clock that is moved by hand.

use std::fs;

use tempfile::TempDir;

use super::tests::{Rig, config_map, contact, given, put, rig_that_settles, sent};
use super::*;

/// Long, so that nothing is old by its own times however slow the machine is.
const PERIOD: Duration = Duration::from_secs(3600);

/// Everything that a look finds was put there a moment ago, nothing tells that it is whole, and time is moved by hand.
async fn settled_rig(files: &[(&str, &str)]) -> Rig {
    tokio::time::pause();
    let mut rig = rig_that_settles(PERIOD);
    files.iter().for_each(|(name, text)| rig.put(name, text));
    assert_eq!(rig.look().await, ["begin 1"], "nothing is read, and the list is not closed");
    assert!(rig.source.due.is_some_and(|due| due <= PERIOD));
    tokio::time::advance(PERIOD).await;
    let events = rig.look().await;
    assert!(events.ends_with(&["end 2".to_owned()]), "{events:?}");
    rig
}

#[tokio::test]
async fn m4_what_was_changed_a_moment_ago_is_read_when_it_is_settled() {
    let mut rig = settled_rig(&[("a.yaml", &config_map("a", "1")), ("b.yaml", &config_map("b", "1"))]).await;
    // Truncated in place, and another one that was closed or renamed.
    fs::write(rig.folder.path().join("a.yaml"), "").unwrap();
    rig.put("b.yaml", &config_map("b", "2"));
    let whole = Whole::from([rig.folder.path().join("b.yaml")]);
    rig.source.look(&mut None, &Reread::Changed(whole)).await.unwrap();
    assert_eq!(sent(&rig.mailbox), ["begin 3", "keep a", "apply b 2", "end 3"]);
    tokio::time::advance(PERIOD / 2).await;
    fs::write(rig.folder.path().join("a.yaml"), "apiVersion: v1\nkind: Conf").unwrap();
    assert_eq!(rig.look().await, ["begin 4", "keep a", "keep b", "end 4"]);
    tokio::time::advance(PERIOD / 2).await;
    assert_eq!(rig.look().await, ["begin 5", "keep a", "keep b", "end 5"], "it has changed since");
    fs::write(rig.folder.path().join("a.yaml"), config_map("a", "2")).unwrap();
    rig.look().await;
    tokio::time::advance(PERIOD).await;
    assert_eq!(rig.look().await, ["begin 7", "apply a 2", "keep b", "end 7"]);
    // It stays empty.
    fs::write(rig.folder.path().join("a.yaml"), "").unwrap();
    assert_eq!(rig.look().await, ["begin 8", "keep a", "keep b", "end 8"]);
    tokio::time::advance(PERIOD).await;
    assert_eq!(rig.look().await, ["begin 9", "keep b", "end 9"]);
}

#[tokio::test]
async fn m5_a_file_document_or_key_that_is_missing_counts_when_nothing_has_changed_for_a_while() {
    let two = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: k, labels: {rules: x}}\ndata: {k: \"1\", l: \"1\"}\n";
    let files = [("1.yaml", config_map("a", "1") + &config_map("b", "1")), ("2.yaml", two.to_owned()), ("3.yaml", config_map("c", "1"))];
    let mut rig = settled_rig(&files.each_ref().map(|(name, text)| (*name, text.as_str()))).await;
    let path = rig.folder.path().to_path_buf();
    rig.put("1.yaml", &config_map("a", "2"));
    rig.put("2.yaml", &two.replace("l: \"1\"", "m: \"1\""));
    rig.remove("3.yaml");
    let whole = Whole::from(["1.yaml", "2.yaml"].map(|name| path.join(name)));
    rig.source.look(&mut None, &Reread::Changed(whole)).await.unwrap();
    // What is there counts at once.
    assert_eq!(sent(&rig.mailbox), ["begin 3", "apply a 2", "apply k 1, holds l", "keep b", "keep c", "end 3"]);
    tokio::time::advance(PERIOD / 2).await;
    // One comes back, and so nothing is settled.
    rig.put("3.yaml", &config_map("c", "2"));
    rig.source.look(&mut None, &Reread::Changed([path.join("3.yaml")].into())).await.unwrap();
    assert_eq!(sent(&rig.mailbox), ["begin 4", "keep a", "keep k", "apply c 2", "keep b", "end 4"]);
    tokio::time::advance(PERIOD - Duration::from_millis(1)).await;
    assert_eq!(rig.look().await, ["begin 5", "keep a", "keep k", "keep c", "keep b", "end 5"]);
    assert_eq!(rig.source.due.map(|due| rig.source.until(due)), Some(MOMENT));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(rig.look().await, ["begin 6", "keep a", "apply k 1", "keep c", "end 6"]);
    assert_eq!(rig.source.due, None);
}

#[tokio::test]
async fn m5_what_is_missing_counts_at_the_latest_after_ten_times_as_long() {
    let mut rig = settled_rig(&[("a.yaml", &config_map("a", "1")), ("b.yaml", &config_map("b", "1"))]).await;
    rig.remove("a.yaml");
    rig.look().await;
    for tenth in 1..20 {
        rig.put("b.yaml", &config_map("b", &tenth.to_string()));
        tokio::time::advance(PERIOD / 2).await;
        assert!(rig.look().await.contains(&"keep a".to_owned()), "{tenth}");
    }
    rig.put("b.yaml", &config_map("b", "late"));
    tokio::time::advance(PERIOD / 2).await;
    assert_eq!(rig.look().await, ["begin 23", "keep b", "end 23"]);
    // So does an edit of a file that is written again and again: it began to wait half a period later.
    rig.put("b.yaml", &config_map("b", "last"));
    tokio::time::advance(PERIOD / 2).await;
    assert_eq!(rig.look().await, ["begin 24", "apply b last", "end 24"]);
}

#[tokio::test]
async fn m5_the_second_of_two_manifests_waits_as_long_for_the_first() {
    let mut rig = settled_rig(&[("1.yaml", &config_map("a", "first")), ("2.yaml", &config_map("a", "second"))]).await;
    rig.remove("1.yaml");
    assert_eq!(rig.look().await, ["begin 3", "keep a", "end 3"]);
    rig.put("1.yaml", &config_map("a", "third"));
    rig.source.look(&mut None, &Reread::Changed([rig.folder.path().join("1.yaml")].into())).await.unwrap();
    assert_eq!(sent(&rig.mailbox), ["begin 4", "apply a third", "end 4"]);
    rig.remove("1.yaml");
    assert_eq!(rig.look().await, ["begin 5", "keep a", "end 5"]);
    tokio::time::advance(PERIOD).await;
    assert_eq!(rig.look().await, ["begin 6", "apply a second", "end 6"]);
    // One that is moved from file to file is the same object.
    rig.put("3.yaml", &config_map("a", "moved"));
    rig.remove("2.yaml");
    rig.source.look(&mut None, &Reread::Changed([rig.folder.path().join("3.yaml")].into())).await.unwrap();
    assert_eq!(sent(&rig.mailbox), ["begin 7", "apply a moved", "end 7"]);
}

#[tokio::test]
async fn m4_what_is_quiet_by_its_own_times_is_settled_at_the_first_look() {
    const SHORT: Duration = Duration::from_millis(20);
    let mut rig = rig_that_settles(SHORT);
    rig.put("sub/a.yaml", &config_map("a", "1"));
    let is_old = |path: &Path| fs::metadata(path).unwrap().modified().unwrap().elapsed().is_ok_and(|age| age > SHORT);
    while !is_old(&rig.folder.path().join("sub")) || !is_old(rig.folder.path()) {
        tokio::time::sleep(SHORT).await;
    }
    tokio::time::pause();
    rig.source.began = Instant::now();
    assert_eq!(rig.look().await, ["begin 1", "apply a 1", "end 1"]);
    assert_eq!(rig.source.due, None);
}

#[tokio::test]
async fn m4_once_waits_for_what_is_not_settled() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "a.yaml", &config_map("a", "1"));
    let mailbox = Mailbox::default();
    let (_ask, asked) = mpsc::channel(1);
    let mode = Cadence { once: true, rescan: Duration::from_secs(60), settle: Duration::from_millis(20) };
    run(given(folder.path()), mode, mailbox.clone(), asked, contact()).await.unwrap();
    let events = sent(&mailbox);
    assert!(
        events.ends_with(&["apply a 1".to_owned(), format!("end {}", events.iter().filter(|event| event.starts_with("begin")).count())])
    );
}
