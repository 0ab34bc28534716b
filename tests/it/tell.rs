//! R10, R11, R12 with the program: the application is told until it was told, and is not hurt.

use std::time::Duration;

use serde_json::Value;

use crate::common::{Setup, put, started};
use crate::support::projector::Builder;
use crate::support::*;

struct Bench {
    setup: Setup,
    web: WebServer,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { setup: Setup::in_process(), web: WebServer::start() };
        bench.setup.cluster.configmap("a", &[("a", "1")]).create();
        bench
    }

    fn projector(&self) -> Builder {
        self.setup.projector().env("REQ_URL", &self.web.url("/reload")).env("REQ_METHOD", "POST")
    }

    /// Waits until the application was told of everything, with one request more at most.
    fn is_told(&self, projector: &Projector, deadline: Duration) {
        wait_until("the application was told", deadline, || {
            let body = projector.health().1;
            if body["owed"] == Value::Null && self.web.count("/reload") > 0 { Ok(()) } else { Err(body) }
        });
    }

    /// Waits until health says why it is owed.
    fn is_owed(&self, projector: &Projector, why: &str) {
        wait_until("what is owed, in health", DEADLINE, || {
            let body = projector.health().1;
            let owed = &body["owed"][0];
            let is_so = owed["reaction"] == "request" && owed["why"].as_str().is_some_and(|text| text.contains(why));
            if is_so && owed["files"].is_u64() && owed["for_seconds"].is_u64() { Ok(()) } else { Err(body) }
        });
    }
}

#[test]
fn r10_an_application_that_boots_is_told_when_it_has_booted() {
    let bench = Bench::new();
    bench.web.on_each("/reload", vec![Answer::status(404), Answer::status(400), Answer::ok("")]);
    let projector = started(&bench.projector());
    bench.is_owed(&projector, "404");
    bench.web.wait_for("/reload", 2);
    bench.is_owed(&projector, "400");
    bench.web.wait_for("/reload", 3);
    bench.is_told(&projector, DEADLINE);
    bench.setup.caught_up();
    assert!(projector.health().1.get("reload_failure").is_none());
}

#[test]
fn r10_acceptance_1_in_real_time_one_that_boots_for_90_seconds_is_told_once_within_40_across_a_restart() {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::status(404));
    let began = std::time::Instant::now();
    let mut projector = started(&bench.projector());
    wait_for("half of its time", DEADLINE * 4, || began.elapsed() > Duration::from_secs(45));
    bench.is_owed(&projector, "404");
    assert_eq!(projector.terminate().code(), Some(0));
    let projector = started(&bench.projector());
    wait_for("that it has booted", DEADLINE * 4, || began.elapsed() > Duration::from_secs(90));
    bench.web.clear_requests();
    bench.web.on("/reload", Answer::ok(""));
    bench.is_told(&projector, Duration::from_secs(40));
    assert_eq!(bench.web.count("/reload"), 1);
}

#[test]
fn r10_acceptance_2_refused_credentials_are_spared_through_edits_and_restarts_and_others_shown_at_once() {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::status(401));
    let password = bench.setup.beside("password");
    put(&password, "canary-one");
    let builder = bench.projector().env("REQ_USERNAME", "admin").env("REQ_PASSWORD_FILE", &password.display().to_string());
    let mut projector = started(&builder);
    bench.is_owed(&projector, "401");
    for restart in 0..4 {
        for edit in 0..5 {
            bench.setup.cluster.set_data("a", &[("a", &format!("{restart}.{edit}"))]);
            bench.setup.holds(&tree! { "a" => format!("{restart}.{edit}") });
        }
        // Whatever it would do at once it has done when the next start is through.
        assert_eq!(projector.terminate().code(), Some(0));
        projector = started(&builder);
    }
    bench.setup.caught_up();
    assert_eq!(bench.web.count("/reload"), 1);
    bench.web.on("/reload", Answer::ok(""));
    put(&password, "canary-two");
    bench.web.wait_for("/reload", 2);
    bench.is_told(&projector, DEADLINE);
    assert_eq!(bench.web.requests_to("/reload")[1].credentials(), Some(b"admin:canary-two".to_vec()));
    let ledger = std::fs::read_to_string(bench.setup.path(&ledgers(&bench.setup.folder())[0])).unwrap();
    assert!(ledger.contains("{\"debt\":") && !ledger.contains("canary"), "{ledger}");
    projector.assert_no_leak(&["canary-one", "canary-two"]);
}

#[test]
fn r11_a_reload_that_takes_longer_than_req_timeout_is_asked_for_once() {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::ok("").delay(Duration::from_secs(5)));
    let projector = started(&bench.projector().env("REQ_TIMEOUT", "0.5").env("REQ_RETRY_BACKOFF_FACTOR", "0.1"));
    bench.is_owed(&projector, "under way");
    bench.is_told(&projector, DEADLINE);
    assert_eq!((bench.web.count("/reload"), bench.web.connections()), (1, 1));
}

#[test]
fn r11_what_is_never_answered_is_owed_no_more_after_a_while() {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::hang());
    let builder = bench.projector().env("REQ_TIMEOUT", "0.2").env("REQ_ANSWER_TIMEOUT", "0.2").env("REQ_RETRY_READ", "1");
    let mut projector = started(&builder);
    wait_until("the end of it", DEADLINE, || {
        let body = projector.health().1;
        let is_told = body["unanswered"].as_str().is_some_and(|text| text.starts_with("request: told, never answered"));
        if is_told && body["owed"] == Value::Null { Ok(()) } else { Err(body) }
    });
    assert_eq!(bench.web.count("/reload"), 2);
    assert_eq!(projector.terminate().code(), Some(0));
    let ledger = std::fs::read_to_string(bench.setup.path(&ledgers(&bench.setup.folder())[0])).unwrap();
    let (owed, done) = (ledger.rfind(" \"owed\"\n").unwrap(), ledger.rfind(" \"done\"\n").unwrap());
    assert!(owed < done && ledger.contains("\"unanswered\":1"), "{ledger}");
}

/// 300 edits in three seconds or little more; how often the application was asked when nothing is under way any more.
fn storm(profile: &str, answer: Answer, after: Duration) -> usize {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::ok(""));
    let builder = bench.projector().env("PROFILE", profile).env("REQ_USERNAME", "u").env("REQ_PASSWORD", "p");
    let mut projector = builder.env("NAMESPACE", bench.setup.cluster.namespace()).start();
    wait_until("readiness", DEADLINE, || {
        assert!(projector.is_running(), "{}", projector.output());
        let (status, body) = projector.ready();
        if status == 200 && bench.web.count("/reload") == 1 { Ok(()) } else { Err((status, body)) }
    });
    bench.web.clear_requests();
    bench.web.on("/reload", answer);
    let began = std::time::Instant::now();
    for edit in 0..300_u32 {
        bench.setup.cluster.set_data("a", &[("a", &format!("e{edit}"))]);
        let next = Duration::from_millis(10) * edit;
        std::thread::sleep(next.saturating_sub(began.elapsed()));
    }
    bench.setup.holds(&tree! { "a" => "e299" });
    let until = began + Duration::from_secs(3) + after;
    wait_for("whatever is still asked", after + DEADLINE, || std::time::Instant::now() > until);
    bench.web.count("/reload")
}

#[test]
fn r12_acceptance_3_three_hundred_edits_in_three_seconds_are_few_requests() {
    let second = Duration::from_secs(1);
    let storms = ["default", "k8s-sidecar"].map(|profile| {
        std::thread::spawn(move || {
            let late = Answer::ok("").delay(second * 20);
            let busy = Answer::status(429).header("Retry-After", "30");
            let counts = [
                storm(profile, Answer::status(503), second * 2),
                storm(profile, busy, second * 5),
                storm(profile, Answer::status(401), second * 5),
                storm(profile, late, second * 45),
            ];
            (profile, counts)
        })
    });
    for storm in storms {
        let (profile, counts) = storm.join().unwrap();
        println!("{profile}: {counts:?} requests");
        assert!(counts.iter().zip([5, 1, 1, 2]).all(|(found, most)| *found > 0 && *found <= most), "{profile}: {counts:?}");
    }
}
