//! R10, R11, R12: the runner with the real client against scripted servers, by a clock that the test moves.

mod starts;
mod storms;

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::{spawn_blocking, yield_now};
use tokio::time::{Instant, advance};

use crate::config::Wording;
use crate::config::read::reload::ReloadRequest;
use crate::config::read::web::{BasicCredentials, Encoding, Headers, Redacted, TextOrFile, WebSettings};
use crate::core::debt::Debt;
use crate::core::digest::Digest;
use crate::core::discretion::Discretion;
use crate::core::object::{Kind, ObjectKey, SourceId};
use crate::core::path::Roots;
use crate::core::policy::Batching;
use crate::core::retry::Retry;
use crate::core::spread::Spread;
use crate::core::tell::difference::Difference;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::tell::Reaction;
use crate::tell::http::{AskUrl, Asker};
use crate::tell::runner::{Commit, Grouping, Runner, Setup, start};
use crate::web::Client;
use crate::web::stub::{Asked, Reply, Stub, server};

const RETRY: Retry = Retry { total: 5, connect: 10, read: 5, backoff: Duration::from_millis(1100) };
const WALL: Duration = Duration::from_secs(1_700_000_000);
const STEP: Duration = Duration::from_millis(100);

/// A clock that moves only when the test says so: while another thread is at work, time does not pass by itself.
struct Clock {
    began: Instant,
    _at_work: Sender<()>,
}

impl Clock {
    fn new() -> Self {
        let (sender, receiver) = channel::<()>();
        // It ends with the test.
        drop(spawn_blocking(move || receiver.recv()));
        Self { began: Instant::now(), _at_work: sender }
    }

    /// Everybody does what there is to do now, on sockets and on other threads, which get a moment of the machine's time too: a file
    /// that is read for longer than the clock says is patient counts as one that hangs.
    async fn settle() {
        for _ in 0..3 {
            for _ in 0..20 {
                yield_now().await;
            }
            spawn_blocking(|| ()).await.unwrap();
        }
        spawn_blocking(|| std::thread::sleep(Duration::from_micros(50))).await.unwrap();
    }

    async fn pass(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            Self::settle().await;
            advance(STEP.min(until - Instant::now())).await;
        }
        Self::settle().await;
    }

    async fn pass_until(&self, seconds: u64) {
        let until = self.began + Duration::from_secs(seconds);
        self.pass(until.saturating_duration_since(Instant::now())).await;
    }
}

/// An application, what it was asked, and the runner that asks it.
struct Bench {
    clock: Clock,
    stub: Stub,
    /// Whole seconds since the start, and the code of each answer: on a busy machine the clock is moved a little too early.
    log: Arc<Mutex<Vec<(f64, u16)>>>,
    health: Health,
    password: tempfile::TempDir,
    batching: Batching,
    runner: Option<Runner>,
    /// How the next runner starts.
    next: Next,
}

/// How a runner starts.
#[derive(Default)]
struct Next {
    skips_initial: bool,
    /// All files are told of, whatever changed: at a restart.
    on_start: bool,
    spread: Spread,
    /// A file that the first pass changes.
    finds: Option<&'static str>,
    /// What else reacts.
    others: Vec<Box<dyn Reaction>>,
}

/// What changed of the file of an object.
fn difference(object: &str, content: u128, initial: bool) -> Difference {
    Difference {
        path: Roots::new("/folder", []).recorded(object).unwrap(),
        object: Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", object)),
        source: Some(SourceId(0)),
        initial,
        before: Some(Digest::of_number(content - 1)),
        after: Some(Digest::of_number(content)),
    }
}

/// The files that are there.
fn files() -> [(String, Arc<ObjectKey>); 1] {
    [("/folder/a".to_owned(), Arc::new(ObjectKey::new(Kind::ConfigMap, "shop", "a")))]
}

/// The code after this time.
fn code(reply: &Reply) -> u16 {
    let (Reply::Raw(bytes) | Reply::After(_, bytes)) = reply else { return 0 };
    std::str::from_utf8(bytes).unwrap()[9..12].parse().unwrap()
}

fn answer(code: u16) -> Reply {
    Reply::new(&format!("{code} X"), "", "")
}

impl Bench {
    async fn new(script: impl Fn(f64, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let clock = Clock::new();
        let (log, began) = (Arc::new(Mutex::new(Vec::new())), clock.began);
        let noted = log.clone();
        let stub = server(move |asked| {
            let now = began.elapsed().as_secs_f64();
            let reply = script(now, asked);
            noted.lock().unwrap().push((now.floor(), code(&reply)));
            reply
        })
        .await;
        let password = tempfile::tempdir().unwrap();
        std::fs::write(password.path().join("password"), "one").unwrap();
        Self { clock, stub, log, health: Health::new(None), password, batching: Batching::Each, runner: None, next: Next::default() }
    }

    fn web(&self, is_known: bool) -> WebSettings {
        let nothing = || TextOrFile { file: None, text: None };
        let username = if is_known { TextOrFile { text: Some(Redacted("u".into())), ..nothing() } } else { nothing() };
        let password = TextOrFile { file: Some(self.password.path().join("password")), text: None };
        WebSettings {
            timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(120),
            retry: RETRY,
            skip_tls_verify: false,
            ca_bundle: None,
            server_errors_are_final: false,
            headers: Headers::default(),
            credentials: BasicCredentials { username, password, encoding: Encoding::Latin1 },
        }
    }

    /// Starts a runner that knows what a former one left.
    fn start(&mut self, is_known: bool, former: Option<Debt>) {
        let Next { skips_initial, on_start, spread, finds, others } = std::mem::take(&mut self.next);
        let call = ReloadRequest { url: Redacted(self.stub.url("/reload")), method: "POST".to_owned(), payload: None, skips_initial };
        let client = Client::new(&self.web(is_known)).unwrap();
        let request = AskUrl::new(Asker::new(call, client, Wording::Own, Discretion::default().listener()), RETRY);
        let setup = Setup {
            batching: self.batching,
            grouping: Grouping::ByObject,
            groups: Vec::new(),
            roots: Roots::new("/folder", []),
            spread,
            wall: WALL + self.clock.began.elapsed(),
            health: Some(self.health.clone()),
            metrics: Metrics::default(),
            herald: None,
            witness: None,
        };
        let reactions = [Box::new(request) as Box<dyn Reaction>].into_iter().chain(others);
        let runner = start(reactions.collect(), setup);
        if let Some(debt) = former {
            // As through the ledger.
            runner.inherit(serde_json::from_str(&serde_json::to_string(&debt).unwrap()).unwrap(), files());
        }
        self.runner = Some(runner);
        if !on_start {
            self.is_ready(finds);
        }
    }

    /// All files are there, of which the first pass has changed this one.
    fn is_ready(&self, finds: Option<&str>) {
        let differences: Vec<_> = finds.iter().map(|object| difference(object, 2, true)).collect();
        let commit = Commit { differences: &differences, listed: &[SourceId(0)], is_ready: true, ..Commit::default() };
        self.runner.as_ref().unwrap().tell(&commit);
    }

    /// Ends the runner as a restart does, and starts the next one.
    async fn restart(&mut self, is_known: bool) {
        let mut former = self.runner.take().unwrap();
        assert!(former.owed().is_some(), "nothing is owed");
        former.stop(Duration::ZERO).await;
        let debt = former.owed();
        let (on_start, finds) = (self.next.on_start, self.next.finds);
        self.start(is_known, debt);
        if on_start {
            // It takes a moment.
            self.clock.pass(STEP).await;
            self.runner.as_ref().unwrap().owe_all(files());
            self.is_ready(finds);
        }
    }

    /// The file of this object has this content now.
    fn edit(&self, object: &str, content: u128) {
        let differences = &[difference(object, content, false)];
        self.runner.as_ref().unwrap().tell(&Commit { differences, is_ready: true, ..Commit::default() });
    }

    fn log(&self) -> Vec<(f64, u16)> {
        self.log.lock().unwrap().clone()
    }

    fn times(&self) -> Vec<f64> {
        self.log().into_iter().map(|(time, _)| time).collect()
    }

    fn body(&self) -> serde_json::Value {
        serde_json::to_value(self.health.report()).unwrap()
    }

    fn is_idle(&self) -> bool {
        self.runner.as_ref().unwrap().owed().is_none()
    }
}

/// A server that refuses for 90 seconds; when it was told, and how often it was asked.
async fn refused_for_a_while(refusal: u16, is_known: bool, restarts: &[u64]) -> (f64, usize) {
    let mut bench = Bench::new(move |now, _| answer(if now < 90.0 { refusal } else { 200 })).await;
    bench.start(is_known, None);
    bench.edit("a", 2);
    for restart in restarts {
        bench.clock.pass_until(*restart).await;
        let owed = bench.body()["owed"].clone();
        assert_eq!(
            (&owed[0]["reaction"], &owed[0]["files"], owed[0]["for_seconds"].as_u64()),
            (&"request".into(), &1.into(), Some(*restart))
        );
        let why = owed[0]["why"].as_str().unwrap();
        assert!(why.contains(&format!("answered {refusal}")) || *restart != restarts[0], "{owed}");
        bench.restart(is_known).await;
    }
    bench.clock.pass_until(500).await;
    assert!(bench.is_idle(), "{refusal}: it is owed");
    assert_eq!((bench.body().get("owed"), bench.body().get("reload_failure")), (None, None));
    let log = bench.log();
    let told: Vec<f64> = log.iter().filter(|(_, code)| *code == 200).map(|(time, _)| *time).collect();
    assert_eq!(told.len(), 1, "{refusal}: told once: {log:?}");
    (told[0], log.len())
}

#[tokio::test(start_paused = true)]
async fn r10_a_server_that_is_not_ready_for_90_seconds_is_told_soon_after_also_across_a_restart() {
    for refusal in [400, 404, 409, 423, 425, 503] {
        for restarts in [&[][..], &[50][..]] {
            let (told, requests) = refused_for_a_while(refusal, false, restarts).await;
            assert!((90.0..=130.0).contains(&told) && requests < 20, "{refusal} {restarts:?}: told at {told} after {requests}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r10_who_is_not_known_is_told_within_150_seconds_and_no_account_is_locked_also_across_restarts() {
    for refusal in [401, 403] {
        for (is_known, restarts) in [(true, &[][..]), (true, &[50]), (true, &[5, 6, 7, 8, 62, 63, 64]), (false, &[]), (false, &[50])] {
            let (told, requests) = refused_for_a_while(refusal, is_known, restarts).await;
            assert!((90.0..=240.0).contains(&told), "{refusal} {is_known} {restarts:?}: told at {told}");
            assert!(!is_known || requests == 3, "{refusal} {restarts:?}: {requests} requests");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r10_a_password_that_is_rotated_after_a_refusal_is_shown_at_once() {
    let is_right = |asked: &Asked| asked.header("authorization") == Some("Basic dTp0d28=");
    let mut bench = Bench::new(move |_, asked| answer(if is_right(asked) { 200 } else { 401 })).await;
    bench.start(true, None);
    bench.edit("a", 2);
    bench.clock.pass_until(30).await;
    assert_eq!(bench.times(), [0.0]);
    write(&bench.password.path().join("password"), "two\n");
    bench.clock.pass_until(33).await;
    assert_eq!(bench.log().last().unwrap().1, 200, "{:?}", bench.log());
    assert!(bench.is_idle());
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
}

#[tokio::test(start_paused = true)]
async fn r10_the_same_bytes_are_shown_three_times_in_five_minutes_at_most_whatever_happens() {
    let mut bench = Bench::new(|_, _| answer(401)).await;
    bench.start(true, None);
    for number in 1..300_u64 {
        bench.edit("a", u128::from(number) + 1);
        if number % 40 == 0 {
            bench.restart(true).await;
        }
        if number % 7 == 0 {
            write(&bench.password.path().join("password"), if number % 2 == 0 { "one" } else { "two" });
        }
        bench.clock.pass_until(number).await;
    }
    let asked = bench.stub.asked();
    let of = |password| asked.iter().filter(|asked| asked.header("authorization") == Some(password)).count();
    assert_eq!((of("Basic dTpvbmU="), of("Basic dTp0d28=")), (3, 3), "{:?}", bench.log());
}

#[tokio::test(start_paused = true)]
async fn r11_an_application_that_takes_its_time_gets_one_request() {
    for seconds in [25, 60, 119] {
        let slow = move |_: f64, _: &Asked| {
            let Reply::Raw(bytes) = answer(200) else { return Reply::Stall("") };
            Reply::After(Duration::from_secs(seconds), bytes)
        };
        let mut bench = Bench::new(slow).await;
        bench.start(false, None);
        bench.edit("a", 2);
        bench.clock.pass_until(20).await;
        let owed = bench.body()["owed"][0].clone();
        assert_eq!((&owed["why"], &owed["for_seconds"]), (&"under way".into(), &20.into()));
        bench.clock.pass_until(400).await;
        assert_eq!((bench.times(), bench.is_idle()), (vec![0.0], true), "{seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn r11_one_that_never_answers_is_asked_so_often_for_one_state_and_then_left_in_peace() {
    let mut bench = Bench::new(|_, _| Reply::Stall("")).await;
    bench.start(false, None);
    bench.edit("a", 2);
    bench.clock.pass_until(300).await;
    bench.restart(false).await;
    bench.clock.pass_until(2000).await;
    // The one that was under way at the restart may have arrived: it counts.
    assert_eq!(bench.times().len(), 6, "{:?}", bench.times());
    let told = bench.body()["unanswered"].as_str().unwrap().to_owned();
    assert!(told.starts_with("request: told, never answered: ") && told.ends_with("no answer within 120 s (REQ_ANSWER_TIMEOUT)"), "{told}");
    assert!(bench.is_idle() && bench.body().get("owed").is_none() && bench.body().get("reload_failure").is_none());
    // Another state is another matter.
    let before = bench.times().len();
    bench.edit("a", 3);
    bench.clock.pass_until(4000).await;
    assert_eq!(bench.times().len() - before, 6);
}

#[tokio::test(start_paused = true)]
async fn r12_a_fix_ends_the_longest_pause() {
    let mut bench = Bench::new(|now, _| answer(if now < 1058.0 { 400 } else { 200 })).await;
    bench.start(false, None);
    bench.edit("a", 2);
    bench.clock.pass_until(1060).await;
    assert_eq!(bench.log().last().unwrap().1, 400);
    bench.edit("a", 3);
    bench.clock.pass(Duration::from_secs(1)).await;
    assert_eq!((bench.log().last().unwrap().1, bench.is_idle()), (200, true), "{:?}", bench.log());
}

#[tokio::test(start_paused = true)]
async fn r11_each_request_has_a_connection_of_its_own_and_a_peer_that_is_gone_is_noticed() {
    let mut bench = Bench::new(|_, _| Reply::Stall("")).await;
    bench.start(false, None);
    bench.edit("a", 2);
    bench.clock.pass(STEP).await;
    assert_eq!(bench.times().len(), 1);
    // The kernel asks the silent peer whether it lives: `02:` is that timer, in hundredths of a second.
    let port: u16 = bench.stub.address.rsplit(':').next().unwrap().parse().unwrap();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let remote = format!(":{port:04X}");
    let timers: Vec<&str> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row.get(2).is_some_and(|to| to.ends_with(&remote)) && row.get(3) == Some(&"01"))
        .map(|row| *row.get(5).unwrap())
        .collect();
    assert_eq!(timers.len(), 1, "{table}");
    let (timer, hundredths) = timers[0].split_once(':').unwrap();
    assert_eq!(timer, "02", "{timers:?}");
    assert!(u64::from_str_radix(hundredths, 16).unwrap() <= 500, "{timers:?}");
}
