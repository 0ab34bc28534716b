//! R14 beside R10, R11 and R12: what a start tells, and when, where a former process owed something.

use super::*;
use crate::core::tell::cause::Cause;
use crate::tell::{Fault, Fired};

/// Something that follows pods, and works from some time on.
struct Pods(Instant);

impl Reaction for Pods {
    fn name(&self) -> &'static str {
        "pods"
    }

    fn heeds(&self, cause: Cause) -> bool {
        cause == Cause::Pods
    }

    fn retry(&self) -> Retry {
        RETRY
    }

    fn exhausted(&self) -> String {
        "not yet".to_owned()
    }

    fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
        Box::pin(async { if Instant::now() < self.0 { Err(Fault::later("not yet".to_owned())) } else { Ok(()) } })
    }
}

/// 300 edits in three seconds, told later by chance; how often the server was asked in the first seconds, or in all.
async fn storm(
    most: u64,
    batching: Batching,
    is_one: bool,
    script: impl Fn(f64, &Asked) -> Reply + Send + Sync + 'static,
) -> (usize, bool) {
    let mut bench = Bench::new(script).await;
    bench.batching = batching;
    bench.next.spread = Spread::new(Duration::from_secs(most), most);
    bench.start(true, None);
    for number in 1..=300_u32 {
        bench.edit(&if is_one { "a".to_owned() } else { format!("a{number}") }, u128::from(number) + 1);
        bench.clock.pass(Duration::from_millis(10)).await;
    }
    bench.clock.pass(Duration::from_secs(60 + most)).await;
    let times = bench.times();
    // As long as without a delay: windows that are as short end after two seconds of edits.
    let watched = times[0] + if batching == Batching::Each { 6.0 } else { 4.0 };
    let early = times.iter().filter(|time| **time < watched).count();
    (if bench.is_idle() { times.len() } else { early }, bench.is_idle())
}

#[tokio::test(start_paused = true)]
async fn r14_with_a_delay_by_chance_three_hundred_edits_hurt_nobody_either() {
    let slow = |_: f64, _: &Asked| {
        let Reply::Raw(bytes) = answer(200) else { return Reply::Stall("") };
        Reply::After(Duration::from_secs(20), bytes)
    };
    for most in [1, 45] {
        for batching in [Batching::Each, Batching::Window(Duration::from_millis(200))] {
            for is_one in [true, false] {
                let unwell = storm(most, batching, is_one, |_, _| answer(503)).await;
                assert!(unwell.0 <= 5, "{most} s, {batching:?}: 503: {unwell:?}");
                let busy = storm(most, batching, is_one, |_, _| Reply::new("429 X", "Retry-After: 30\r\n", "")).await;
                assert!(busy.0 <= 1, "{most} s, {batching:?}: 429: {busy:?}");
                let refused = storm(most, batching, is_one, |_, _| answer(401)).await;
                assert!(refused.0 <= 1, "{most} s, {batching:?}: 401: {refused:?}");
                let late = storm(most, batching, is_one, slow).await;
                assert!(late.0 <= 2 && late.1, "{most} s, {batching:?}: slow: {late:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r14_what_is_owed_and_how_often_it_was_refused_outlives_restarts_during_a_delay_by_chance() {
    let mut bench = Bench::new(|now, _| answer(if now < 250.0 { 401 } else { 200 })).await;
    bench.start(true, None);
    bench.edit("a", 2);
    bench.clock.pass_until(200).await;
    assert_eq!(bench.times().len(), 3, "{:?}", bench.times());
    // What is owed is to be told late, and what happens to pods soon.
    let is_late = |spread: &Spread| {
        let mut spread = spread.clone();
        spread.draw() > Duration::from_secs(100) && spread.draw() < Duration::from_secs(5)
    };
    let spread = (0..).map(|seed| Spread::new(Duration::from_secs(200), seed)).find(is_late).unwrap();
    for _ in 0..4 {
        // Pods are told of meanwhile, in vain: that is no attempt to tell of what is owed.
        bench.next.others.push(Box::new(Pods(bench.clock.began + Duration::from_secs(400))));
        bench.next.spread = spread.clone();
        bench.restart(true).await;
        bench.runner.as_ref().unwrap().occasions().happened(Cause::Pods, "Pod/shop/a", Duration::ZERO);
        bench.clock.pass(Duration::from_secs(8)).await;
        assert_eq!(bench.body()["owed"][0]["reaction"], "pods");
    }
    bench.restart(true).await;
    bench.clock.pass(Duration::from_secs(25)).await;
    assert_eq!(bench.times().len(), 3, "four of them within five minutes: {:?}", bench.times());
    bench.clock.pass_until(700).await;
    let log = bench.log();
    let told: Vec<_> = log.iter().filter(|(_, code)| *code == 200).collect();
    assert!(told.len() == 1 && log.len() == 4 && told[0].0 >= 300.0 && bench.is_idle(), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn r14_who_skips_the_initial_pass_is_told_once_of_what_a_former_process_owes() {
    for (refusal, is_known) in [(404, false), (401, true)] {
        for finds in [None, Some("b")] {
            let mut bench = Bench::new(move |now, _| answer(if now < 3.0 { refusal } else { 200 })).await;
            bench.start(is_known, None);
            bench.edit("a", 2);
            bench.clock.pass_until(4).await;
            assert_eq!(bench.times().len(), 1);
            (bench.next.skips_initial, bench.next.finds) = (true, finds);
            bench.restart(is_known).await;
            bench.clock.pass_until(300).await;
            let told = bench.log().iter().filter(|(_, code)| *code == 200).count();
            assert_eq!((told, bench.log().len(), bench.is_idle()), (1, 2, true), "{refusal}, {finds:?}: {:?}", bench.log());
        }
    }
    // Where nothing is owed there is nothing but the initial pass.
    let mut bench = Bench::new(|_, _| answer(200)).await;
    (bench.next.skips_initial, bench.next.finds) = (true, Some("b"));
    bench.start(false, None);
    bench.clock.pass_until(300).await;
    assert_eq!((bench.times().len(), bench.is_idle()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn r14_a_start_that_tells_of_everything_and_of_what_is_owed_is_one_request() {
    // How long after the restart: at once, but not while refused credentials are to be spared.
    for (refusal, is_known, expected) in [(404, false, 4.0), (503, false, 4.0), (401, true, 60.0)] {
        for finds in [None, Some("b")] {
            let mut bench = Bench::new(move |now, _| answer(if now < 3.0 { refusal } else { 200 })).await;
            bench.start(is_known, None);
            bench.edit("a", 2);
            bench.clock.pass_until(4).await;
            let before = bench.times().len();
            (bench.next.on_start, bench.next.finds) = (true, finds);
            bench.restart(is_known).await;
            bench.clock.pass_until(300).await;
            let log = bench.log();
            // Seconds of a former process are rounded up.
            let is_one = matches!(log.get(before..), Some([(time, 200)]) if (expected..=expected + 1.0).contains(time));
            assert!(is_one && bench.is_idle(), "{refusal}, {finds:?}: {log:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r14_a_start_is_no_other_state_for_one_that_never_answers() {
    let mut bench = Bench::new(|_, _| Reply::Stall("")).await;
    bench.start(false, None);
    bench.edit("a", 2);
    for restart in [130, 270, 400] {
        bench.clock.pass_until(restart).await;
        bench.next.on_start = true;
        bench.restart(false).await;
    }
    bench.clock.pass_until(3000).await;
    assert_eq!((bench.times().len(), bench.is_idle()), (6, true), "{:?}", bench.times());
}
