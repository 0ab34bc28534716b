//! How often long loops go round: in full where `PROJECTOR_TEST_FULL` is set, as `.ci/run --full` does, and else a tenth of that.

/// Whether loops have their full counts.
fn is_full() -> bool {
    std::env::var_os("PROJECTOR_TEST_FULL").is_some_and(|value| !value.is_empty())
}

/// How often something is done, given how often in full.
pub fn times(in_full: usize) -> usize {
    if is_full() { in_full } else { in_full.div_ceil(10) }
}

/// Which of so many: all in full, and else every tenth, another tenth for another `share`.
pub fn every(count: usize, share: usize) -> impl Iterator<Item = usize> {
    let (first, step) = if is_full() { (0, 1) } else { (share % 10, 10) };
    (first..count).step_by(step)
}

/// How many cases a property is tried with: `PROPTEST_CASES`, 256 by default, and ten times that in full.
pub fn cases() -> u32 {
    let usual = proptest::test_runner::Config::default().cases;
    if is_full() { usual * 10 } else { usual }
}
