//! R14, R15: how a start is told, and what is no change of a file.

use std::collections::BTreeSet;

use super::*;
use crate::tell::runner::occasions::Occasions;

/// Tells of one file in each of these runs by chance, and says when it was told, in whole seconds.
async fn told_by_chance(most: Duration, seed: u64, answers: impl IntoIterator<Item = Result<(), Fault>>) -> Vec<u64> {
    let bench = Bench { spread: Spread::new(most, seed), ..Bench::new() };
    let (runner, told) = bench.with("request", answers).start();
    tell(&runner, &outcome(&["a"], false));
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
        tell(&runner, &outcome(&["a"], true));
        idle(&runner).await;
        assert_eq!(log(&told).len(), usize::from(continues));
    }
}

#[tokio::test(start_paused = true)]
async fn r14_all_files_are_told_once_by_who_skips_the_initial_pass_too() {
    let (runner, told) = skipping();
    runner.owe_all(owed(["/folder/a", "/folder/b"]));
    tell(&runner, &outcome(&["a"], true));
    idle(&runner).await;
    assert_eq!(log(&told), ["0 request /folder/a /folder/b"]);
}

/// A request, and something that follows Secrets.
fn with_exec(
    request: impl IntoIterator<Item = Result<(), Fault>>,
    exec: impl IntoIterator<Item = Result<(), Fault>>,
) -> (Runner, Log, Occasions) {
    let mut bench = Bench::new().with("request", request);
    let mut exec = bench.fake("exec", exec);
    exec.heeds = &[Cause::Secrets];
    bench.fakes.push(Box::new(exec));
    let (runner, told) = bench.start();
    runner.without_files();
    let occasions = runner.occasions();
    (runner, told, occasions)
}

#[tokio::test(start_paused = true)]
async fn r15_what_happened_is_told_when_it_worked() {
    let (_runner, told, occasions) = with_exec([], [later(), later()]);
    let number = occasions.happened(Cause::Secrets, "Secret/mail/tls", Duration::from_secs(70));
    tokio::time::sleep(Duration::from_secs(69)).await;
    assert_eq!(occasions.told(Cause::Secrets), 0);
    occasions.delivered().await;
    assert_eq!((occasions.told(Cause::Secrets), occasions.told(Cause::Pods)), (number, 0));
    assert_eq!(log(&told), ["70 exec ", "70 exec ", "72 exec "]);
}

#[tokio::test(start_paused = true)]
async fn r15_a_run_that_failed_is_never_noted_as_told() {
    // For hours, at the slow pace.
    let (runner, told, occasions) = with_exec([], (0..100).map(|_| later()));
    occasions.happened(Cause::Secrets, "Secret/mail/tls", Duration::ZERO);
    for hour in 1..3 {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(occasions.told(Cause::Secrets), 0, "hour {hour}");
        // What files it is told of beside that changes nothing.
        tell(&runner, &outcome(&[&format!("a{hour}")], false));
    }
    assert!(log(&told).iter().filter(|line| line.contains("exec")).count() > 20);
    // For ever.
    let (_runner, told, occasions) = with_exec([], [never()]);
    occasions.happened(Cause::Secrets, "Secret/mail/tls", Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!((log(&told), occasions.told(Cause::Secrets)), (vec!["0 exec ".to_owned()], 0));
    // The next run that works is one for both.
    let number = occasions.happened(Cause::Secrets, "Secret/mail/other", Duration::ZERO);
    occasions.delivered().await;
    assert_eq!(occasions.told(Cause::Secrets), number);
}

#[tokio::test(start_paused = true)]
async fn r15_a_run_that_worked_is_noted_although_another_reaction_is_still_owed() {
    let (runner, _, occasions) = with_exec((0..40).map(|_| later()), [later()]);
    tell(&runner, &outcome(&["a"], false));
    let number = occasions.happened(Cause::Secrets, "Secret/mail/tls", Duration::ZERO);
    occasions.delivered().await;
    assert_eq!((occasions.told(Cause::Secrets), runner.owed().is_none()), (number, false));
}

#[tokio::test(start_paused = true)]
async fn who_heeds_pods_is_fired_for_them_and_others_are_not() {
    let mut bench = Bench::new().with("script", []);
    let mut exec = bench.fake("exec", []);
    exec.heeds = &[Cause::Pods, Cause::Secrets];
    bench.fakes.push(Box::new(exec));
    let (runner, told) = bench.start();
    runner.without_files();
    let occasions = runner.occasions();
    occasions.happened(Cause::Secrets, "Secret/shop/tls", Duration::from_secs(70));
    tokio::time::sleep(Duration::from_secs(10)).await;
    occasions.happened(Cause::Pods, "Pod/shop/a", Duration::ZERO);
    occasions.happened(Cause::Secrets, "Secret/shop/tls", Duration::from_secs(70));
    tell(&runner, &outcome(&["a"], false));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(log(&told), ["10 script /folder/a", "10 exec /folder/a", "80 exec "]);
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_another_reaction_fails_does_not_fire_it_anew_nor_who_succeeded() {
    let mut bench = Bench::new().with("script", []).with("request", [later(), later()]);
    let mut exec = bench.fake("exec", []);
    exec.heeds = &[Cause::Pods];
    bench.fakes.push(Box::new(exec));
    let (runner, told) = bench.start();
    tell(&runner, &outcome(&["a"], false));
    tokio::time::sleep(Duration::from_secs(1)).await;
    runner.occasions().happened(Cause::Pods, "Pod/shop/a", Duration::ZERO);
    idle(&runner).await;
    let expected = ["0 script /folder/a", "0 request /folder/a", "0 request /folder/a", "1 exec /folder/a", "2 request /folder/a"];
    assert_eq!(log(&told), expected);
}

#[tokio::test(start_paused = true)]
async fn what_a_reaction_does_not_heed_is_nothing_new_for_it_while_it_fails() {
    let mut bench = Bench::new().with("script", []);
    let mut exec = bench.fake("exec", [later(), later()]);
    exec.heeds = &[Cause::Pods];
    let renewals = exec.renewals.clone();
    bench.fakes.push(Box::new(exec));
    let (runner, told) = bench.start();
    tell(&runner, &Outcome { ready: true, ..Outcome::default() });
    runner.occasions().happened(Cause::Pods, "Pod/shop/a", Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(log(&told), ["0 exec ", "0 exec "]);
    tell(&runner, &outcome(&["a"], false));
    idle(&runner).await;
    assert_eq!(log(&told), ["1 script /folder/a", "2 exec /folder/a"]);
    assert_eq!(renewals.load(Ordering::Relaxed), 1);
}
