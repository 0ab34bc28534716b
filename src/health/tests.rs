//! Liveness on paused time.

use std::time::Duration;

use tokio::time::advance;

use super::*;

fn watch_of_secrets(health: &Health) -> Contact {
    health.watch(WatchName { kind: Some(Kind::Secret), namespace: Some("n".into()), name: None })
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_misses_its_deadline_fails_liveness_by_name() {
    let health = Health::new(None);
    let (engine, status) = (health.looped("engine"), health.looped("status"));
    engine.expect_within(Duration::from_secs(10));
    status.expect_within(Duration::from_secs(60));
    advance(Duration::from_secs(10)).await;
    assert_eq!(health.report().failing(), [] as [&str; 0]);
    advance(Duration::from_secs(1)).await;
    assert_eq!(health.report().failing(), ["loop engine does not advance"]);
    assert!(!health.report().is_alive());
    engine.expect_within(Duration::from_secs(10));
    assert!(health.report().is_alive());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_disk_counts_as_advancing() {
    let health = Health::new(None);
    let engine = health.looped("engine");
    let watch = watch_of_secrets(&health);
    engine.expect_within(Duration::from_secs(1));
    watch.expect_within(Duration::from_secs(1));
    engine.waiting();
    watch.waiting();
    advance(Duration::from_secs(86_400)).await;
    assert!(health.report().is_alive());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_misses_its_deadline_fails_liveness_by_name() {
    let health = Health::new(None);
    let watch = watch_of_secrets(&health);
    watch.state(WatchState::BackingOff);
    watch.expect_within(Duration::from_secs(30));
    advance(Duration::from_secs(31)).await;
    assert_eq!(health.report().failing(), ["watch on secrets in n does not advance"]);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_is_away_fails_nothing_unless_asked_for() {
    let patient = Health::new(None);
    let strict = Health::new(Some(Duration::from_secs(60)));
    let watches = [watch_of_secrets(&patient), watch_of_secrets(&strict)];
    advance(Duration::from_secs(50)).await;
    watches.iter().for_each(Contact::contacted);
    advance(Duration::from_secs(60)).await;
    assert!(patient.report().is_alive() && strict.report().is_alive());
    advance(Duration::from_secs(1)).await;
    assert!(patient.report().is_alive());
    assert_eq!(strict.report().failing(), ["watch on secrets in n without contact for 61 s"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_never_had_contact_is_stale_from_the_start_on() {
    let health = Health::new(Some(Duration::from_secs(60)));
    let _watch = watch_of_secrets(&health);
    advance(Duration::from_secs(61)).await;
    assert_eq!(health.report().failing(), ["watch on secrets in n without contact for 61 s"]);
}

#[tokio::test(start_paused = true)]
async fn while_a_child_takes_its_time_to_end_nothing_has_to_advance() {
    let health = Health::new(Some(Duration::from_secs(60)));
    health.looped("engine").expect_within(Duration::from_secs(1));
    watch_of_secrets(&health).expect_within(Duration::from_secs(1));
    health.stopping();
    advance(Duration::from_secs(3600)).await;
    assert!(health.report().is_alive());
}

#[tokio::test(start_paused = true)]
async fn a_failed_reload_means_what_was_asked_for_until_it_is_over() {
    let why = "request: answered 503";
    // What is alive, what is ready.
    for (policy, alive, ready) in
        [(OnReloadFailure::Report, true, true), (OnReloadFailure::Unready, true, false), (OnReloadFailure::Unhealthy, false, true)]
    {
        let health = Health::new(None);
        health.set_on_reload_failure(policy);
        health.set_readiness(Readiness::Ready);
        health.set_reload_failure(Some(why.into()));
        let report = health.report();
        assert_eq!((report.is_alive(), report.is_ready(), report.is_synced()), (alive, ready, true), "{policy:?}");
        let body = serde_json::to_value(&report).unwrap();
        assert_eq!(body["reload_failure"], why);
        assert_eq!(body.get("waiting_for").is_some(), !ready);
        assert_eq!(body.get("failing").is_some(), !alive);
        health.set_reload_failure(None);
        let report = health.report();
        assert!(report.is_alive() && report.is_ready());
        assert_eq!(serde_json::to_value(&report).unwrap().get("reload_failure"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_body_tells_everything_as_json() {
    let health = Health::new(None);
    let engine = health.looped("engine");
    let watch = watch_of_secrets(&health);
    let _manifests = health.watch(WatchName { kind: None, namespace: None, name: None });
    engine.expect_within(Duration::from_secs(1));
    watch.state(WatchState::BackingOff);
    watch.counted(Counter::Relist);
    watch.counted(Counter::Error);
    watch.counted(Counter::Error);
    watch.counted(Counter::SkippedLine);
    watch.error(WatchTrouble::Late, "ä".repeat(400));
    watch.objects(7);
    watch.contacted();
    health.set_files(12);
    health.set_stuck(vec!["sub/a.yaml".into()]);
    advance(Duration::from_secs(5)).await;
    let version = env!("CARGO_PKG_VERSION");
    let expected = serde_json::json!({
        "status": "failing", "failing": ["loop engine does not advance"], "version": version,
        "ready": false, "waiting_for": "the first list",
        "loops": [{"name": "engine", "ok": false}],
        "watches": [
            {"kind": "Secret", "namespace": "n", "ok": true, "state": "backing_off", "last_contact_seconds": 5, "relists": 1, "errors": 2,
             "skipped_lines": 1, "last_error": "ä".repeat(300), "objects": 7},
            {"kind": null, "namespace": null, "ok": true, "state": "connecting", "last_contact_seconds": null, "relists": 0, "errors": 0,
             "skipped_lines": 0, "last_error": null, "objects": 0},
        ],
        "files": 12, "stuck": ["sub/a.yaml"],
    });
    assert_eq!(serde_json::to_value(health.report()).unwrap(), expected);
    engine.waiting();
    health.set_readiness(Readiness::Ready);
    let report = health.report();
    assert!(report.is_ready() && report.is_alive());
    assert_eq!(serde_json::to_value(&report).unwrap()["status"], "ok");
}

#[tokio::test(start_paused = true)]
async fn r10_what_the_application_is_still_to_be_told_stands_in_the_body() {
    let health = Health::new(None);
    let owed = Owed { reaction: "request", files: 2, since: Instant::now(), attempts: 3, why: "ä".repeat(400) };
    health.set_owed(vec![owed]);
    health.set_unanswered(Some("request: told, never answered: x".into()));
    advance(Duration::from_secs(90)).await;
    let body = serde_json::to_value(health.report()).unwrap();
    let expected = serde_json::json!([
        {"reaction": "request", "files": 2, "for_seconds": 90, "attempts": 3, "why": "ä".repeat(300)},
    ]);
    assert_eq!((&body["owed"], &body["unanswered"]), (&expected, &"request: told, never answered: x".into()));
    assert!(health.report().is_alive());
    health.set_owed(Vec::new());
    health.set_unanswered(None);
    let body = serde_json::to_value(health.report()).unwrap();
    assert_eq!((body.get("owed"), body.get("unanswered")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn r13_a_dead_child_is_told_with_its_code_and_its_next_start() {
    let health = Health::new(None);
    let told = || serde_json::to_value(health.report()).unwrap()["dead_child"].clone();
    assert_eq!(told(), serde_json::Value::Null);
    health.set_dead_child(Some(DeadChild { code: 3, due: Instant::now() + Duration::from_secs(8) }));
    advance(Duration::from_secs(3)).await;
    assert_eq!(told(), serde_json::json!({"exit_code": 3, "next_start_seconds": 5}));
    advance(Duration::from_secs(30)).await;
    assert_eq!(told()["next_start_seconds"], 0);
    assert!(health.report().is_alive());
    health.set_dead_child(None);
    assert_eq!(told(), serde_json::Value::Null);
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_of_a_watch_is_never_what_the_other_side_said() {
    let health = Health::new(Some(Duration::from_secs(60)));
    let watch = watch_of_secrets(&health);
    let start = Instant::now();
    watch.contacted();
    watch.error(WatchTrouble::Refused, "a canary");
    watch.retry_in(Duration::from_secs(10));
    advance(Duration::from_secs(5)).await;
    watch.error(WatchTrouble::Late, "a canary");
    watch.bookmarked();
    watch.counted(Counter::Restart);
    let shown = health.overview().watches.remove(0);
    assert!(!format!("{shown:?}").contains("canary"), "{shown:?}");
    assert_eq!(shown.trouble, Some((WatchTrouble::Late, start)), "since it began, whatever it is now");
    assert_eq!((shown.last_contact, shown.last_bookmark), (Some(start), Some(start + Duration::from_secs(5))));
    assert_eq!((shown.restarts, shown.retry, shown.is_stale), (1, Some(start + Duration::from_secs(10)), false));
    advance(Duration::from_secs(60)).await;
    watch.recovered();
    let shown = health.overview().watches.remove(0);
    assert_eq!((shown.trouble, shown.retry, shown.is_stale), (None, None, true));
}
