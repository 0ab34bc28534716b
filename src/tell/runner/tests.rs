mod occasions;
mod stops;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::core::digest::Digest;
use crate::core::object::Kind;
use crate::core::retry::{Retry, RetryReason};
use crate::core::tell::pace::FaultKind;
use crate::tell::{Fault, Fired};

/// A time of the machine's clock.
const WALL: Duration = Duration::from_secs(1_700_000_000);

const BOUNDS: Retry = Retry { total: 2, connect: 2, read: 2, backoff: Duration::from_secs(1) };

/// What was fired: seconds since the start, reaction, files.
type Log = Arc<Mutex<Vec<String>>>;

/// Answers as the script says, then with success.
struct Fake {
    name: &'static str,
    skips_initial: bool,
    heeds: &'static [Cause],
    renewals: Arc<AtomicUsize>,
    /// Since when it runs, if it reads everything at its start.
    reads_at: Option<Instant>,
    /// When it is started anew, and reads everything then.
    restarts_at: Option<Instant>,
    answers: VecDeque<Result<(), Fault>>,
    takes: Duration,
    log: Log,
    started: Instant,
}

impl Reaction for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn heeds(&self, cause: Cause) -> bool {
        self.heeds.contains(&cause)
    }

    fn renew(&mut self) {
        self.renewals.fetch_add(1, Ordering::Relaxed);
    }

    fn skips_initial(&self) -> bool {
        self.skips_initial
    }

    fn knows(&self, newest: Instant) -> bool {
        let restarted = self.restarts_at.filter(|start| *start <= Instant::now());
        [self.reads_at, restarted].into_iter().flatten().any(|start| start >= newest)
    }

    fn retry(&self) -> Retry {
        BOUNDS
    }

    fn exhausted(&self) -> String {
        "given up".to_owned()
    }

    fn fire<'a>(&'a mut self, changed: &'a [String]) -> Fired<'a> {
        Box::pin(async move {
            let line = format!("{} {} {}", self.started.elapsed().as_secs(), self.name, changed.join(" "));
            self.log.lock().unwrap().push(line);
            tokio::time::sleep(self.takes).await;
            self.answers.pop_front().unwrap_or(Ok(()))
        })
    }
}

fn owed<const N: usize>(paths: [&str; N]) -> [(String, Arc<ObjectKey>); N] {
    paths.map(|path| (path.to_owned(), Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", "o"))))
}

fn later() -> Result<(), Fault> {
    Err(Fault::new(FaultKind::Trouble(RetryReason::Later, None), "503".into()))
}

fn never() -> Result<(), Fault> {
    Err(Fault::new(FaultKind::Permanent, "exit code 3".into()))
}

struct Bench {
    health: Option<Health>,
    spread: Spread,
    log: Log,
    fakes: Vec<Box<dyn Reaction>>,
}

impl Bench {
    fn new() -> Self {
        Self { health: None, spread: Spread::default(), log: Log::default(), fakes: Vec::new() }
    }

    fn with(mut self, name: &'static str, answers: impl IntoIterator<Item = Result<(), Fault>>) -> Self {
        let fake = self.fake(name, answers);
        self.fakes.push(Box::new(fake));
        self
    }

    fn fake(&self, name: &'static str, answers: impl IntoIterator<Item = Result<(), Fault>>) -> Fake {
        let answers = answers.into_iter().collect();
        Fake {
            name,
            skips_initial: false,
            reads_at: None,
            restarts_at: None,
            heeds: &[Cause::Files],
            renewals: Arc::default(),
            answers,
            takes: Duration::ZERO,
            log: self.log.clone(),
            started: Instant::now(),
        }
    }

    fn start(self) -> (Runner, Log) {
        self.start_with(Grouping::ByObject, Vec::new())
    }

    fn start_with(self, grouping: Grouping, groups: Vec<SourceId>) -> (Runner, Log) {
        let (roots, spread) = (Roots::new("/folder", []), self.spread);
        let setup = Setup {
            batching: Batching::Each,
            grouping,
            groups,
            roots,
            spread,
            wall: WALL,
            health: self.health,
            metrics: Metrics::default(),
            herald: None,
            witness: None,
        };
        (start(self.fakes, setup), self.log)
    }
}

/// What a commit brought.
#[derive(Default)]
struct Outcome {
    differences: Vec<Difference>,
    listed: Vec<SourceId>,
    ready: bool,
}

fn tell(runner: &Runner, Outcome { differences, listed, ready }: &Outcome) {
    runner.tell(&Commit { differences, listed, is_ready: *ready, ..Commit::default() });
}

/// Files `path` of objects of the same name changed.
fn outcome(paths: &[&str], initial: bool) -> Outcome {
    let roots = Roots::new("/folder", []);
    let difference = |path: &&str| Difference {
        path: roots.recorded(path).unwrap(),
        object: Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", *path)),
        source: Some(SourceId(0)),
        initial,
        before: None,
        after: Some(Digest::of_number(1)),
    };
    Outcome { differences: paths.iter().map(difference).collect(), listed: vec![SourceId(0)], ready: true }
}

async fn idle(runner: &Runner) {
    while runner.owed().is_some() {
        runner.shared.settled.notified().await;
    }
}

fn log(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn reactions_are_fired_in_order_once_per_job() {
    let (runner, told) = Bench::new().with("script", []).with("request", []).start();
    tell(&runner, &outcome(&["a", "b"], false));
    idle(&runner).await;
    let expected = ["0 script /folder/a", "0 request /folder/a", "0 script /folder/b", "0 request /folder/b"];
    assert_eq!(log(&told), expected);
}

#[tokio::test(start_paused = true)]
async fn who_skips_the_initial_pass_is_left_out_of_it() {
    let mut bench = Bench::new().with("script", []);
    let mut request = bench.fake("request", []);
    request.skips_initial = true;
    bench.fakes.push(Box::new(request));
    let (runner, told) = bench.start();
    tell(&runner, &outcome(&["a", "b"], true));
    idle(&runner).await;
    assert_eq!(log(&told), ["0 script /folder/a /folder/b"]);
    tell(&runner, &outcome(&["c"], false));
    idle(&runner).await;
    assert_eq!(log(&told), ["0 script /folder/c", "0 request /folder/c"]);
}

#[tokio::test(start_paused = true)]
async fn who_was_started_after_a_change_is_not_told_of_it() {
    let mut bench = Bench::new().with("script", []);
    let mut child = bench.fake("child", []);
    child.reads_at = Some(Instant::now() + Duration::from_secs(1));
    bench.fakes.push(Box::new(child));
    let (runner, told) = bench.start();
    runner.inherit(Debt::default(), owed(["/folder/o"]));
    tell(&runner, &outcome(&["a"], true));
    idle(&runner).await;
    assert_eq!(log(&told), ["0 script /folder/a /folder/o"], "neither of the initial pass nor of what was owed");
    tokio::time::sleep(Duration::from_secs(1)).await;
    tell(&runner, &outcome(&["b"], false));
    idle(&runner).await;
    assert_eq!(log(&told), ["1 script /folder/b"], "it started in that moment");
    tokio::time::sleep(Duration::from_secs(1)).await;
    tell(&runner, &outcome(&["c"], false));
    idle(&runner).await;
    assert_eq!(log(&told), ["2 script /folder/c", "2 child /folder/c"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_shows_from_the_bounds_of_retries_until_it_works() {
    let health = Health::new(None);
    let failure = || serde_json::to_value(health.report()).unwrap()["reload_failure"].clone();
    let bench = Bench { health: Some(health.clone()), ..Bench::new() };
    let (runner, _) = bench.with("request", [later(), later(), later()]).start();
    tell(&runner, &outcome(&["a"], false));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(failure(), serde_json::Value::Null, "it is tried again");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(failure(), "request: 503");
    tell(&runner, &outcome(&["b"], false));
    idle(&runner).await;
    assert_eq!(failure(), serde_json::Value::Null);
}

#[tokio::test(start_paused = true)]
async fn who_is_started_after_it_could_not_be_told_is_well_and_told_no_more() {
    let health = Health::new(None);
    let failure = || serde_json::to_value(health.report()).unwrap()["reload_failure"].clone();
    let mut bench = Bench { health: Some(health.clone()), ..Bench::new() };
    let mut child = bench.fake("child", (0..9).map(|_| later()));
    child.restarts_at = Some(Instant::now() + Duration::from_secs(60));
    bench.fakes.push(Box::new(child));
    let (runner, told) = bench.start();
    tell(&runner, &outcome(&["a"], false));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!((failure(), log(&told).len()), (json!("child: 503"), 6));
    idle(&runner).await;
    assert_eq!((failure(), log(&told).len()), (serde_json::Value::Null, 0));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(log(&told), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_final_shows_until_that_reaction_works() {
    let health = Health::new(None);
    let failure = || serde_json::to_value(health.report()).unwrap()["reload_failure"].clone();
    let bench = Bench { health: Some(health.clone()), ..Bench::new() };
    let (runner, _) = bench.with("script", [never(), never()]).with("request", []).start();
    for file in ["a", "b"] {
        tell(&runner, &outcome(&[file], false));
        idle(&runner).await;
        assert_eq!(failure(), "script: exit code 3");
    }
    tell(&runner, &outcome(&["c"], false));
    idle(&runner).await;
    assert_eq!(failure(), serde_json::Value::Null);
}

#[tokio::test(start_paused = true)]
async fn only_what_failed_is_tried_again() {
    let (runner, told) = Bench::new().with("script", [never()]).with("request", [later(), later()]).with("last", []).start();
    tell(&runner, &outcome(&["a"], false));
    idle(&runner).await;
    let expected = ["0 script /folder/a", "0 request /folder/a", "0 last /folder/a", "0 request /folder/a", "2 request /folder/a"];
    assert_eq!(log(&told), expected);
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_a_retry_is_waited_for_goes_with_it_and_others_do_not_wait() {
    let (runner, told) = Bench::new().with("script", []).with("request", [later(), later()]).start();
    tell(&runner, &outcome(&["a"], false));
    tokio::time::sleep(Duration::from_secs(1)).await;
    tell(&runner, &outcome(&["b"], false));
    tell(&runner, &outcome(&["c"], false));
    idle(&runner).await;
    let all = "/folder/a /folder/b /folder/c";
    let first = ["0 script /folder/a".to_owned(), "0 request /folder/a".into(), "0 request /folder/a".into()];
    assert_eq!(log(&told), [&first[..], &[format!("1 script {all}"), format!("1 request {all}")]].concat());
}

#[tokio::test(start_paused = true)]
async fn after_the_bounds_it_is_tried_at_a_slow_pace_and_at_the_next_change() {
    let (runner, told) = Bench::new().with("request", (0..8).map(|_| later())).start();
    tell(&runner, &outcome(&["a"], false));
    tokio::time::sleep(Duration::from_secs(90)).await;
    let times = [0, 0, 2, 7, 17, 37, 67].map(|time| format!("{time} request /folder/a"));
    assert_eq!(log(&told), times);
    tell(&runner, &outcome(&["b"], false));
    idle(&runner).await;
    assert_eq!(log(&told), ["90 request /folder/a /folder/b", "95 request /folder/a /folder/b"], "the pace begins anew");
}

#[tokio::test(start_paused = true)]
async fn sources_of_one_kind_and_namespace_are_told_as_one() {
    let groups = [0, 0, 2].map(SourceId).to_vec();
    let (runner, told) = Bench::new().with("script", []).start_with(Grouping::ByList, groups);
    let round = |path: &str, source: u16| {
        let mut outcome = outcome(&[path], false);
        outcome.differences[0].source = Some(SourceId(source));
        Outcome { listed: vec![SourceId(source)], ..outcome }
    };
    tell(&runner, &Outcome { ready: true, ..Outcome::default() });
    tell(&runner, &round("a", 1));
    tell(&runner, &round("x", 2));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((log(&told).len(), runner.owed().is_none()), (1, false), "the other list of the group is still to come");
    tell(&runner, &round("b", 0));
    idle(&runner).await;
    assert_eq!(log(&told), ["60 script /folder/a /folder/b"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_former_process_owed_is_told_when_ready() {
    let (runner, told) = Bench::new().with("script", []).start();
    runner.inherit(Debt::default(), owed(["/folder/b", "/folder/a"]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(runner.owed().is_some());
    tell(&runner, &Outcome { ready: true, ..Outcome::default() });
    idle(&runner).await;
    assert_eq!(log(&told), ["1 script /folder/a /folder/b"]);
}

#[tokio::test(start_paused = true)]
async fn r10_health_names_from_the_start_who_may_be_owed_files_by_a_former_process_and_nobody_else() {
    let health = Health::new(None);
    let mut bench = Bench { health: Some(health.clone()), ..Bench::new().with("script", []) };
    let mut exec = bench.fake("exec", []);
    exec.heeds = &[Cause::Pods];
    bench.fakes.push(Box::new(exec));
    let (runner, _) = bench.start();
    let debt = Debt { since: (WALL - Duration::from_secs(90)).as_secs(), ..Debt::default() };
    runner.inherit(debt, owed(["/folder/a"]));
    let owed = || serde_json::to_value(health.report()).unwrap()["owed"].clone();
    let expected = serde_json::json!({ "reaction": "script", "files": 1, "for_seconds": 90, "attempts": 0 });
    let found = owed();
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&found[0][name], value, "{found}");
    }
    tell(&runner, &Outcome { ready: true, ..Outcome::default() });
    idle(&runner).await;
    assert_eq!(owed(), serde_json::Value::Null);
}
