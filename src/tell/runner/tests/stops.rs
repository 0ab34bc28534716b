//! How the runner ends: drained, or stopped.

use super::*;

#[tokio::test(start_paused = true)]
async fn draining_tells_everything_and_whether_it_could() {
    for (failures, told) in [(2, true), (3, false)] {
        let (mut runner, _) = Bench::new().with("request", (0..failures).map(|_| later())).start();
        tell(&runner, &outcome(&["a"], true));
        assert_eq!(runner.drain().await, told, "{failures} failures");
        assert_eq!(runner.owed().is_none(), told);
    }
    let (mut runner, told) = Bench::new().with("script", [never()]).start();
    tell(&runner, &Outcome { ready: false, listed: Vec::new(), ..outcome(&["a"], true) });
    assert!(runner.drain().await, "attempted, and no attempt would be better");
    assert_eq!(log(&told).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_what_runs_end_within_the_grace_and_keeps_the_rest_owed() {
    for (takes, idle) in [(2, true), (4, false)] {
        let mut bench = Bench::new();
        let mut slow = bench.fake("slow", []);
        slow.takes = Duration::from_secs(takes);
        bench.fakes.push(Box::new(slow));
        let (mut runner, _) = bench.start();
        tell(&runner, &outcome(&["a"], false));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let before = Instant::now();
        runner.stop(Duration::from_secs(3)).await;
        assert!(before.elapsed() <= Duration::from_secs(3));
        assert_eq!(runner.owed().is_none(), idle, "{takes} s");
    }
    let (mut runner, told) = Bench::new().with("request", [later(), later()]).start();
    tell(&runner, &outcome(&["a"], false));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Instant::now();
    runner.stop(Duration::from_secs(3)).await;
    assert_eq!((before.elapsed(), runner.owed().is_none(), log(&told).len()), (Duration::ZERO, false, 2), "no retry is waited for");
}

#[tokio::test(start_paused = true)]
async fn a_stop_begins_no_other_reaction() {
    let mut bench = Bench::new();
    let mut slow = bench.fake("slow", []);
    slow.takes = Duration::from_secs(2);
    bench.fakes.push(Box::new(slow));
    let (mut runner, told) = bench.with("next", []).start();
    tell(&runner, &outcome(&["a"], false));
    tokio::time::sleep(Duration::from_millis(1)).await;
    runner.stop(Duration::from_secs(3)).await;
    assert_eq!((log(&told), runner.owed().is_none()), (vec!["0 slow /folder/a".to_owned()], false));
}

#[tokio::test(start_paused = true)]
async fn s13_the_end_of_the_task_is_told_to_whoever_waits_for_news() {
    let (mut runner, _) = Bench::new().with("request", []).start();
    runner.task.abort();
    assert!(!runner.settled_or_ended().await);
    // A stop afterwards asks no more of it.
    runner.stop(Duration::from_secs(3)).await;
}
