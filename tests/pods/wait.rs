//! Waiting for a condition with a deadline that says what it waited for.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a pod may take to start, a container to be restarted, a deletion to be done, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

const PAUSE: Duration = Duration::from_millis(250);

/// Asks until `probe` answers `Ok`; panics with `what` and the last refusal when `limit` is over.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Ok(answer) => return answer,
            Err(refusal) if Instant::now() >= deadline => panic!("waited {limit:?} for {what}; last seen: {refusal}"),
            Err(_) => sleep(PAUSE),
        }
    }
}

/// Asks again and again for the whole `span`; panics with `what` at the first refusal. At least one question is asked.
pub fn throughout(what: &str, span: Duration, mut probe: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + span;
    loop {
        if let Err(refusal) = probe() {
            panic!("{what} did not hold: {refusal}");
        }
        if Instant::now() >= end {
            return;
        }
        sleep(PAUSE);
    }
}

/// `Ok` when both are equal, else a refusal that shows both.
pub fn equal<T: PartialEq + std::fmt::Debug>(seen: &T, wanted: &T) -> Result<(), String> {
    if seen == wanted { Ok(()) } else { Err(format!("{seen:?} instead of {wanted:?}")) }
}
