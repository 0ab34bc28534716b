//! R12: very many edits at once.

use super::*;

/// 300 edits in three seconds; how often the server was asked until it was quiet.
async fn storm(batching: Batching, is_one: bool, script: impl Fn(f64, &Asked) -> Reply + Send + Sync + 'static) -> (usize, bool) {
    let mut bench = Bench::new(script).await;
    bench.batching = batching;
    bench.start(true, None);
    for number in 1..=300_u32 {
        bench.edit(&if is_one { "a".to_owned() } else { format!("a{number}") }, u128::from(number) + 1);
        bench.clock.pass(Duration::from_millis(10)).await;
    }
    bench.clock.pass(Duration::from_secs(3)).await;
    let early = bench.times().len();
    bench.clock.pass(Duration::from_secs(60)).await;
    (early.max(if bench.is_idle() { bench.times().len() } else { 0 }), bench.is_idle())
}

#[tokio::test(start_paused = true)]
async fn r12_three_hundred_edits_in_three_seconds_hurt_nobody() {
    let slow = |_: f64, _: &Asked| {
        let Reply::Raw(bytes) = answer(200) else { return Reply::Stall("") };
        Reply::After(Duration::from_secs(20), bytes)
    };
    for batching in [Batching::Each, Batching::Window(Duration::from_millis(200))] {
        for is_one in [true, false] {
            let unwell = storm(batching, is_one, |_, _| answer(503)).await;
            assert!(unwell.0 <= 5, "{batching:?}: 503: {unwell:?}");
            let busy = storm(batching, is_one, |_, _| Reply::new("429 X", "Retry-After: 30\r\n", "")).await;
            assert!(busy.0 <= 1, "{batching:?}: 429: {busy:?}");
            let refused = storm(batching, is_one, |_, _| answer(401)).await;
            assert!(refused.0 <= 1, "{batching:?}: 401: {refused:?}");
            let late = storm(batching, is_one, slow).await;
            assert!(late.0 <= 2 && late.1, "{batching:?}: slow: {late:?}");
        }
    }
}
