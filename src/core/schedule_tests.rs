//! A schedule finds what a look at everything finds, by steps that do not follow how much there is.

use std::cell::Cell;
use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// A key that counts how often it is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Counted(usize);

impl Ord for Counted {
    fn cmp(&self, other: &Self) -> Ordering {
        STEPS.with(|steps| steps.set(steps.get() + 1));
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Comparisons in a schedule of so many, all at one time, so that each look compares keys.
fn steps(count: usize, act: impl Fn(&mut Schedule<Counted>)) -> usize {
    let mut schedule = Schedule::default();
    (0..count).for_each(|key| schedule.set(Counted(key), Duration::from_secs(9), ()));
    STEPS.with(|steps| steps.set(0));
    act(&mut schedule);
    STEPS.with(Cell::get)
}

#[test]
fn s3_the_next_and_the_due_are_found_by_the_same_steps_however_many_wait() {
    let acts: [fn(&mut Schedule<Counted>); 4] = [
        |schedule| {
            schedule.set(Counted(7), Duration::from_secs(1), ());
            assert_eq!(schedule.next(), Some(Duration::from_secs(1)));
        },
        |schedule| assert_eq!(schedule.due(Duration::from_secs(8)).count(), 0),
        |schedule| assert_eq!(schedule.remove(&Counted(7)), Some(())),
        |schedule| schedule.hurry(Duration::from_secs(9)),
    ];
    for act in acts {
        let (few, many) = (steps(200, act), steps(20_000, act));
        assert!(many <= 2 * few.max(1), "{many} comparisons among 20 000, {few} among 200");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u64),
    Remove(u8),
    Hurry(u64),
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, 0..9_u64).prop_map(|(key, at)| Step::Set(key, at)),
        2 => (0..6_u8).prop_map(Step::Remove),
        1 => (0..9_u64).prop_map(Step::Hurry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s3_a_schedule_says_what_a_look_at_everything_says(steps in vec(a_step(), 1..40), now in 0..9_u64) {
        let (mut schedule, mut naive) = (Schedule::default(), BTreeMap::<u8, u64>::new());
        for step in steps {
            match step {
                Step::Set(key, at) => {
                    schedule.set(key, Duration::from_secs(at), ());
                    naive.insert(key, at);
                }
                Step::Remove(key) => prop_assert_eq!(schedule.remove(&key).is_some(), naive.remove(&key).is_some()),
                Step::Hurry(latest) => {
                    schedule.hurry(Duration::from_secs(latest));
                    naive.values_mut().for_each(|at| *at = latest.min(*at));
                }
            }
            prop_assert_eq!(schedule.next(), naive.values().min().copied().map(Duration::from_secs));
            prop_assert_eq!(schedule.is_empty(), naive.is_empty());
            let due: BTreeSet<u8> = schedule.due(Duration::from_secs(now)).copied().collect();
            prop_assert_eq!(due, naive.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect());
            for (key, at) in &naive {
                prop_assert_eq!(schedule.get(key).map(|(at, ())| at), Some(Duration::from_secs(*at)));
            }
        }
    }
}
