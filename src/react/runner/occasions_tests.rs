//! R14, R15: how a start is told, and what is no change of a file.

use std::collections::BTreeSet;

use super::*;
use crate::core::spread::Spread;

/// Tells of one file in each of these runs by chance, and says when it was told, in whole seconds.
async fn told_by_chance(most: Duration, seed: u64, answers: impl IntoIterator<Item = Result<(), Fault>>) -> Vec<u64> {
    let (runner, told) = Bench::new().with("request", answers).start();
    runner.spread_by(Spread::new(most, seed));
    runner.tell(&outcome(&["a"], false));
    idle(&runner).await;
    log(&told).iter().map(|line| line.split_once(' ').unwrap().0.parse().unwrap()).collect()
}

/// A runner whose request is left out after the initial pass.
fn skipping() -> (Runner, Log) {
    let mut bench = Bench::new();
    let mut request = bench.fake("request", []);
    request.skips_initial = true;
    bench.fakes.push(Box::new(request));
    bench.start()
}

#[tokio::test(start_paused = true)]
async fn r14_replicas_that_see_one_change_at_once_tell_of_it_one_after_the_other() {
    let mut quarters = BTreeSet::new();
    for seed in 0..40 {
        let times = told_by_chance(Duration::from_secs(60), seed, []).await;
        assert!(times.len() == 1 && times[0] <= 60, "{times:?}");
        quarters.insert(times[0] / 16);
    }
    assert_eq!(quarters.len(), 4, "in each quarter of the time there are some");
}

#[tokio::test(start_paused = true)]
async fn r14_retries_are_not_delayed_once_more() {
    let times = told_by_chance(Duration::from_secs(3600), 5, [later(), later(), later()]).await;
    let after: Vec<u64> = times.iter().map(|time| time - times[0]).collect();
    assert!(times[0] > 0 && after.len() == 4 && *after.last().unwrap() < 10, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn r14_who_skips_the_initial_pass_is_told_of_what_changed_since_an_earlier_one() {
    for continues in [false, true] {
        let (runner, told) = skipping();
        if continues {
            runner.continues();
        }
        runner.tell(&outcome(&["a"], true));
        idle(&runner).await;
        assert_eq!(log(&told).len(), usize::from(continues));
    }
}

#[tokio::test(start_paused = true)]
async fn r14_all_files_are_told_once_by_who_skips_the_initial_pass_too() {
    let (runner, told) = skipping();
    runner.owe_all(owed(["/folder/a", "/folder/b"]));
    runner.tell(&outcome(&["a"], true));
    idle(&runner).await;
    assert_eq!(log(&told), ["0 request /folder/a /folder/b"]);
}
