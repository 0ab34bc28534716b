//! How many requests a server gets that answers at once, in virtual time.

use super::*;

/// What a server answers, as a table of cases.
type Answer = fn(&Call) -> Vec<Input>;

/// Runs a machine against a server that answers at once, in virtual time. Returns when each request was made.
fn requests(seed: u32, length: Duration, answer: Answer) -> Vec<(Duration, Call)> {
    let (mut machine, mut now, mut made) = (Machine::new(seed), Duration::ZERO, Vec::new());
    let mut next = machine.next(Input::Ready, now);
    while now < length {
        next = match next.then.clone() {
            Then::Wait(wait) => {
                now += wait;
                machine.next(Input::Ready, now)
            }
            Then::Call(call) => {
                made.push((now, call.clone()));
                assert!(made.len() < 10_000, "a busy loop");
                let mut after = Next { tell: Tell::Nothing, then: Then::Read };
                for input in answer(&call) {
                    after = machine.next(input, now);
                    if after.then != Then::Read {
                        break;
                    }
                }
                after
            }
            Then::Read => {
                now = machine.deadline(at(660));
                machine.next(Input::Silent, now)
            }
        };
    }
    made
}

fn failed(trouble: Trouble) -> Vec<Input> {
    vec![Input::Failed(trouble)]
}

/// Answers every list at once, with nothing in it.
fn listed(call: &Call) -> Option<Vec<Input>> {
    match call {
        Call::StreamList => Some(vec![Input::Opened, Input::Bookmark { revision: 100, ends_list: true }]),
        Call::Page { .. } => Some(vec![Input::Opened, Input::PageEnd { revision: 100, token: None, objects: 0, bytes: 0 }]),
        Call::Watch { .. } => None,
    }
}

#[test]
fn five_minutes_of_refusals_cost_at_most_35_requests_spread_by_jitter() {
    let cases: [(&str, Answer); 6] = [
        ("403", |_| failed(Trouble::Refused)),
        ("500", |_| failed(Trouble::Status { retry_after: None })),
        ("429 with Retry-After 1", |_| failed(Trouble::Status { retry_after: Some(SECOND) })),
        ("connection refused", |_| failed(Trouble::Transport)),
        ("410", |_| failed(Trouble::Gone)),
        ("closed at once", |_| vec![Input::Opened, Input::Ended]),
    ];
    for (name, answer) in cases {
        let made = requests(1, at(300), answer);
        assert!(made.len() <= 35, "{name}: {} requests", made.len());
        for pair in made.windows(2) {
            let gap = pair[1].0 - pair[0].0;
            assert!(gap >= BACKOFF.first, "{name}: {gap:?} between two requests");
        }
        let times = |seed| requests(seed, at(300), answer).into_iter().map(|(time, _)| time).collect::<Vec<_>>();
        assert_ne!(times(1), times(2), "{name}: two watches ask at the same times");
    }
}

#[test]
fn a_watch_that_is_refused_after_every_list_does_not_list_in_a_tight_loop() {
    let cases: [(&str, Answer); 4] = [
        ("ERROR 410 in the stream of every list", |call| {
            let mut inputs = listed(call).unwrap_or_else(|| vec![Input::Opened]);
            inputs.push(Input::Failed(Trouble::Gone));
            inputs
        }),
        ("every streaming list is cut, every watch is 410", |call| match call {
            Call::StreamList => vec![Input::Opened, Input::Ended],
            call => listed(call).unwrap_or_else(|| failed(Trouble::Gone)),
        }),
        ("a line in every watch cannot be read", |call| match call {
            Call::StreamList => failed(Trouble::Unsupported),
            call => listed(call).unwrap_or_else(|| vec![Input::Opened, Input::Failed(Trouble::Garbage)]),
        }),
        ("every watch is closed at once", |call| match call {
            Call::StreamList => failed(Trouble::Unsupported),
            call => listed(call).unwrap_or_else(|| vec![Input::Opened, Input::Ended]),
        }),
    ];
    for (name, answer) in cases {
        let made = requests(1, at(300), answer);
        let lists = made.iter().filter(|(_, call)| !matches!(call, Call::Watch { .. })).count();
        assert!(lists <= 36, "{name}: {lists} lists in five minutes");
        assert!(made.len() <= 72, "{name}: {} requests in five minutes", made.len());
    }
}

#[test]
fn a_revision_that_the_server_hangs_up_on_is_dropped() {
    let made = requests(1, at(60), |call| match call {
        Call::StreamList => failed(Trouble::Unsupported),
        call => listed(call).unwrap_or_else(|| vec![Input::Opened, Input::Ended]),
    });
    let lists = made.iter().filter(|(_, call)| matches!(call, Call::Page { .. })).count();
    assert!(lists > 1, "a new list gives another revision: {made:?}");
}

#[test]
fn a_frozen_or_rewound_server_is_listed_again_within_180_seconds_of_its_last_bookmark() {
    let made = requests(1, at(400), |call| match call {
        Call::StreamList => {
            vec![Input::Opened, Input::Bookmark { revision: 100, ends_list: true }, Input::Bookmark { revision: 101, ends_list: false }]
        }
        Call::Page { .. } => failed(Trouble::Transport),
        Call::Watch { .. } => vec![Input::Opened],
    });
    let relist = made.iter().find(|(_, call)| matches!(call, Call::Page { .. })).expect("a list");
    assert!(relist.0 <= at(180), "{made:?}");
}
