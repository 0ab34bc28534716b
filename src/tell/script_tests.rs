use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use super::*;
use crate::core::discretion::Discretion;
use crate::tell::words::KEPT_BYTES;
use crate::web::stub::Lines;

/// A process that another test forks holds the script that this one writes open for a moment, and no such file can be executed.
static ONE: Mutex<()> = Mutex::const_new(());

struct Place {
    folder: TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Place {
    async fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), _one: ONE.lock().await }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, text: &str, mode: u32, limit: Duration) -> RunScript {
        let path = self.path("script");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let settings = reload::ScriptSettings { path, timeout: limit, environment: reload::Environment::All, retries: 0 };
        RunScript::new(settings, Wording::Own, Discretion::default().listener(), Duration::ZERO)
    }

    /// Runs a script of /bin/sh; `$D` is the test's folder.
    async fn run(&self, text: &str, limit: Duration) -> io::Result<CompletedScript> {
        let text = format!("#!/bin/sh\nD={}\n{text}", self.folder.path().display());
        self.script(&text, 0o755, limit).execute(&["/a".to_owned(), "/b c".to_owned()]).await
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

fn why(result: Result<(), Fault>) -> String {
    match result {
        Err(Fault { kind: FaultKind::Permanent, why }) => why,
        other => panic!("{other:?}"),
    }
}

/// Whether a process still runs: one that nobody waited for yet does not.
fn runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    status.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_script_reads_what_changed() {
    let place = Place::new().await;
    let text = "cp $PROJECTOR_CHANGED $D/one; cat < $PROJECTOR_CHANGED > $D/two; test -f $PROJECTOR_CHANGED && test $# = 0 && ! read line";
    let ended = place.run(text, LONG).await.unwrap();
    assert!(ended.status.unwrap().success());
    assert_eq!((place.read("one"), place.read("two")), ("/a\n/b c\n".into(), "/a\n/b c\n".into()));
}

#[tokio::test]
async fn a_script_reads_what_became_of_each_file() {
    use crate::core::object::{Kind, ObjectKey};
    let place = Place::new().await;
    let change = |kind, name: &str, is_gone| FileChange { owner: Arc::new(ObjectKey::new(kind, "shop", name)), is_gone };
    let odd = "/a\tb\\t\nwritten\t\r";
    let file_changes = [("/a b", change(Kind::ConfigMap, "rules", false)), (odd, change(Kind::Secret, "x", true))];
    let text = "#!/bin/sh\ncat \"$PROJECTOR_CHANGES\"; cat \"$PROJECTOR_CHANGED\" >&2; \
        IFS='\t' read -r act path kind namespace name < \"$PROJECTOR_CHANGES\"; echo \"$name|$namespace|$kind|$path|$act\"; \
        tail -n 1 \"$PROJECTOR_CHANGES\" | cut -f 2 | { read -r path; printf %b \"$path\"; }";
    let mut script = place.script(text, 0o755, LONG);
    script.learn(&|| file_changes.clone().map(|(path, change)| (path.into(), change)).to_vec());
    let ended = script.execute(&["/a b".to_owned()]).await.unwrap();
    let lines = "written\t/a b\tConfigMap\tshop\trules\nremoved\t/a\\tb\\\\t\\nwritten\\t\\r\tSecret\tshop\tx\n";
    let expected = format!("{lines}rules|shop|ConfigMap|/a b|written\n{odd}");
    assert_eq!((String::from_utf8(ended.stdout.kept).unwrap(), &ended.stderr.kept[..]), (expected, &b"/a b\n"[..]));
    assert!(script.fire(&[]).await.is_ok() && script.file_changes.is_empty(), "nothing is kept");
}

#[tokio::test]
async fn the_outputs_and_the_exit_code_are_kept() {
    let place = Place::new().await;
    let ended = place.run("echo out; echo err >&2; exit 3", LONG).await.unwrap();
    assert_eq!((ended.status.unwrap().code(), &ended.stdout.kept[..], &ended.stderr.kept[..]), (Some(3), &b"out\n"[..], &b"err\n"[..]));
    let failure = why(place.script("exit 3", 0o644, LONG).run(&[]).await);
    assert!(failure.ends_with("script: exit status: 3"), "{failure}");
}

#[tokio::test]
async fn of_long_outputs_the_beginning_is_kept_and_the_rest_read() {
    let place = Place::new().await;
    let ended = place.run("echo start; head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2", LONG).await.unwrap();
    assert!(ended.status.unwrap().success());
    assert_eq!((ended.stdout.kept.len(), ended.stderr.kept.len(), &ended.stdout.kept[..6]), (KEPT_BYTES, KEPT_BYTES, &b"start\n"[..]));
}

#[tokio::test]
async fn a_script_whose_time_is_up_is_killed_with_all_its_children() {
    let place = Place::new().await;
    let text = "trap '' TERM; echo before; (trap '' TERM; sleep 100) & echo $! > $D/child; echo $$ > $D/self; wait";
    let before = Instant::now();
    let ended = place.run(text, SHORT).await.unwrap();
    assert!(ended.status.is_none() && before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(ended.stdout.kept, b"before\n");
    assert!(!runs(&place.read("self")), "it is gone");
    until("its child is gone", || !runs(&place.read("child"))).await;
    let failure = why(place.script("sleep 100", 0o644, SHORT).run(&[]).await);
    assert!(failure.ends_with("script: killed after 0.3 s (SCRIPT_TIMEOUT)"), "{failure}");
}

#[tokio::test]
async fn a_script_that_is_dropped_is_killed_with_all_its_children() {
    let place = Place::new().await;
    let running = place.run("sleep 100 & echo $! > $D/child; wait", LONG);
    assert!(timeout(SHORT, running).await.is_err());
    assert!(!place.read("child").is_empty());
    until("its child is gone", || !runs(&place.read("child"))).await;
}

#[tokio::test]
async fn children_that_hold_the_outputs_open_are_neither_waited_for_nor_killed() {
    let place = Place::new().await;
    let before = Instant::now();
    let ended = place.run("sleep 100 & echo $! > $D/child; echo done", LONG).await.unwrap();
    assert!(ended.status.unwrap().success() && before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(ended.stdout.kept, b"done\n");
    let child = place.read("child");
    assert!(runs(&child), "it is left behind on purpose");
    let pid = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_script_that_cannot_be_executed_is_run_by_sh() {
    let place = Place::new().await;
    for (text, mode) in [("exit 7", 0o644), ("exit 7", 0o755), ("#!/bin/sh\nexit 7", 0o600)] {
        let ended = place.script(text, mode, LONG).execute(&[]).await.unwrap();
        assert_eq!(ended.status.unwrap().code(), Some(7), "{text:?} {mode:o}");
    }
}

#[tokio::test]
async fn what_cannot_be_run_is_explained() {
    let place = Place::new().await;
    let settings = reload::ScriptSettings { path: place.path("none"), timeout: LONG, environment: reload::Environment::All, retries: 0 };
    let mut missing = RunScript::new(settings, Wording::Own, Discretion::default().listener(), Duration::ZERO);
    assert!(why(missing.run(&[]).await).ends_with("none: No such file or directory (os error 2)"));
    let failure = why(place.script("#!/no/such/interpreter\n", 0o755, LONG).run(&[]).await);
    assert!(failure.contains("script: its interpreter is not there"), "{failure}");
}

#[tokio::test]
async fn a_script_is_in_a_process_group_of_its_own_with_our_environment() {
    let place = Place::new().await;
    let ended = place.run("cut -d' ' -f5 /proc/$$/stat; echo $$; echo $PATH", LONG).await.unwrap();
    let text = String::from_utf8(ended.stdout.kept).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[2]), (lines[1], std::env::var("PATH").unwrap().as_str()));
}

#[test]
fn bytes_are_shown_as_python_shows_them() {
    for (bytes, shown) in [
        (&b"plain"[..], r"b'plain'"),
        (b"a\nb\t\r\\", r"b'a\nb\t\r\\'"),
        (b"it's", r#"b"it's""#),
        (b"it's \"so\"", r#"b'it\'s "so"'"#),
        (b"\x00\x7f\xc3\xa4", r"b'\x00\x7f\xc3\xa4'"),
        (b"", "b''"),
    ] {
        assert_eq!(python_bytes(bytes), shown);
    }
}

#[tokio::test]
async fn r10_a_script_that_fails_is_tried_again_unless_its_exit_code_is_final() {
    let place = Place::new().await;
    for retries in [0, 5] {
        let script = place.script("#!/bin/sh\nexit 3\n", 0o755, LONG);
        let mut script = RunScript { backoff: Duration::from_secs(1), ..script };
        script.settings.retries = retries;
        let fault = script.fire(&[]).await.unwrap_err();
        assert_eq!((fault.kind == FaultKind::Permanent, matches!(fault.kind, FaultKind::Trouble(..))), (retries == 0, retries > 0));
        assert_eq!((script.retry().total, script.retry().backoff), (retries, Duration::from_secs(1)));
    }
}

#[tokio::test]
async fn r13_what_a_failing_script_says_again_and_again_is_a_warning_once_for_each_change() {
    let place = Place::new().await;
    let (lines, _guard) = Lines::collect();
    let mut script = place.script("echo 'line 7: no such thing' >&2; exit 3", 0o755, LONG);
    for _ in 0..2 {
        script.renew();
        for _ in 0..3 {
            assert!(script.fire(&[]).await.is_err());
        }
    }
    let said = lines.with("line 7: no such thing");
    assert_eq!((said.len(), said.iter().filter(|line| line.starts_with("WARN ")).count()), (6, 2), "{said:?}");
}
