//! P7 over whatever may happen to a queue.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Change {
        path: usize,
        content: u128,
        batch: bool,
    },
    Flush,
    Download {
        object: usize,
        under_way: bool,
    },
    /// A delivery begins, and the application may read everything at once.
    Begin {
        reads: bool,
    },
    /// The application reads everything while it is told.
    Reads,
    End {
        delivered: bool,
    },
    Pass,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4_usize, 0..3_u128, prop::bool::weighted(0.3)).prop_map(|(path, content, batch)| Step::Change { path, content, batch }),
        1 => Just(Step::Flush),
        1 => (0..2_usize, any::<bool>()).prop_map(|(object, under_way)| Step::Download { object, under_way }),
        3 => any::<bool>().prop_map(|reads| Step::Begin { reads }),
        2 => Just(Step::Reads),
        3 => any::<bool>().prop_map(|delivered| Step::End { delivered }),
        1 => Just(Step::Pass),
    ];
    prop::collection::vec(step, 0..60)
}

/// The files, and what the application made of them when it last read them.
#[derive(Default)]
struct Model {
    committed: BTreeMap<usize, u128>,
    acted: BTreeMap<usize, u128>,
    running: bool,
    read: bool,
    now: u64,
}

impl Model {
    fn begin(&mut self, queue: &mut JobQueue, reads: bool) -> bool {
        if !self.running && matches!(queue.next(seconds(self.now)), Todo::Job(_)) {
            (self.running, self.read) = (true, false);
            self.reads(reads);
        }
        self.running
    }

    /// It reads everything: whatever changes from now on it may not have seen.
    fn reads(&mut self, reads: bool) {
        if self.running && reads {
            self.acted = self.committed.clone();
            self.read = true;
        }
    }

    fn take(&mut self, queue: &mut JobQueue, step: Step) {
        match step {
            Step::Change { path, content, batch } => {
                let owner = object(&format!("{}", path % 2));
                let mut put = |content: u128| match content {
                    0 => self.committed.remove(&path),
                    content => self.committed.insert(path, content),
                };
                let (before, after) = (put(content), (content > 0).then_some(content));
                let key = if batch { BatchKey::List(SOURCE) } else { BatchKey::Object(owner.clone()) };
                let (before, after) = (before.map(Digest::of_number), after.map(Digest::of_number));
                let changed = Changed { path: &format!("{path}"), owner: &owner, before, after };
                queue.changed(changed, key, seconds(self.now));
            }
            Step::Flush => queue.flush(SOURCE),
            Step::Download { object: number, under_way: true } => queue.downloading(&object(&format!("{number}")), Some(SOURCE)),
            Step::Download { object: number, under_way: false } => queue.downloaded(&object(&format!("{number}"))),
            Step::Begin { reads } => drop(self.begin(queue, reads)),
            Step::Reads => self.reads(true),
            Step::End { delivered } if self.running => {
                self.reads(delivered && !self.read);
                self.running = false;
                if delivered { queue.delivered() } else { queue.failed() }
            }
            Step::End { .. } => {}
            Step::Pass => self.now += 1,
        }
        assert!(!queue.is_idle() || self.acted == self.committed, "P7: idle, and the application acted on something else");
    }
}

proptest! {
    #[test]
    fn p7_an_idle_queue_has_told_of_the_newest_state(steps in steps(), windowed: bool, ready_at in 0..60_usize) {
        let mut queue = JobQueue::new(if windowed { Batching::Window(WINDOW) } else { Batching::Each });
        let mut model = Model::default();
        for (at, step) in steps.into_iter().enumerate() {
            if at == ready_at {
                queue.ready();
            }
            model.take(&mut queue, step);
        }
        queue.ready();
        (0..2).for_each(|object| model.take(&mut queue, Step::Download { object, under_way: false }));
        model.take(&mut queue, Step::Flush);
        model.take(&mut queue, Step::End { delivered: true });
        model.now += 1000;
        let mut jobs = 0;
        while model.begin(&mut queue, true) {
            model.take(&mut queue, Step::End { delivered: true });
            jobs += 1;
        }
        prop_assert!(jobs <= 6, "{jobs} jobs for four paths of two objects and one source");
        prop_assert!(queue.is_idle());
        prop_assert_eq!(model.acted, model.committed);
    }
}

#[test]
fn s15_nothing_is_left_of_a_burst_that_was_told() {
    let mut queue = ready(Batching::Each);
    for number in 0..10_000 {
        queue.downloading(&object(&number.to_string()), Some(SOURCE));
        change(&mut queue, &number.to_string(), (A, B), 1);
    }
    for number in 0..10_000 {
        queue.downloaded(&object(&number.to_string()));
        // Half of it is as it was before anybody was told.
        change(&mut queue, &number.to_string(), if number % 2 == 0 { (B, A) } else { (B, B) }, 2);
    }
    deliver(&mut queue, 3);
    assert!(queue.is_idle());
    let room = [queue.by_path.capacity(), queue.by_key.capacity(), queue.downloading.capacity()];
    assert!(room.iter().all(|room| *room < 100), "{room:?}");
}
