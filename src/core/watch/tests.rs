use proptest::prelude::*;

use super::*;

mod requests;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A machine whose first streaming list ended at resourceVersion 100.
fn watching() -> Machine {
    let mut machine = Machine::new(1);
    assert_eq!(machine.next(Input::Ready, at(0)).then, Then::Call(Call::StreamList));
    machine.next(Input::Opened, at(0));
    assert_eq!(machine.next(Input::Bookmark { revision: 100, ends_list: true }, at(0)), Next { tell: Tell::ListEnd, then: Then::Read });
    machine
}

fn waited(next: &Next) -> Duration {
    match next.then {
        Then::Wait(wait) => wait,
        Then::Read | Then::Call(_) => panic!("expected a wait, not {next:?}"),
    }
}

#[test]
fn a_streaming_list_becomes_the_watch() {
    let mut machine = Machine::new(1);
    let next = machine.next(Input::Ready, at(0));
    assert_eq!(next, Next { tell: Tell::ListBegin { consistent: false }, then: Then::Call(Call::StreamList) });
    machine.next(Input::Opened, at(0));
    assert_eq!(machine.next(Input::Object { revision: 7 }, at(0)).tell, Tell::Object);
    assert_eq!(machine.next(Input::Object { revision: 3 }, at(0)).tell, Tell::Object, "a list is in no order of revisions");
    assert_eq!(machine.next(Input::Bookmark { revision: 9, ends_list: true }, at(0)).tell, Tell::ListEnd);
    assert_eq!(machine.state(), &MachineState::Watching { revision: 9 });
}

#[test]
fn pages_follow_their_tokens_and_end_in_a_watch() {
    let mut machine = Machine::new(1);
    machine.next(Input::Ready, at(0));
    let wait = machine.next(Input::Failed(Trouble::Unsupported), at(0));
    assert_eq!(waited(&wait), Duration::ZERO, "the fallback costs no round");
    assert_eq!(machine.next(Input::Ready, at(0)).then, Then::Call(Call::Page { limit: 50, token: None }));
    let page = Input::PageEnd { revision: 5, token: Some("t".into()), objects: 50, bytes: 50 << 20 };
    assert_eq!(machine.next(page, at(0)).then, Then::Call(Call::Page { limit: 4, token: Some("t".into()) }), "4 MiB at 1 MiB each");
    let last = Input::PageEnd { revision: 5, token: None, objects: 1, bytes: 1000 };
    assert_eq!(machine.next(last, at(0)), Next { tell: Tell::ListEnd, then: Then::Call(Call::Watch { revision: 5 }) });
    assert_eq!(machine.next(Input::Failed(Trouble::Gone), at(1)).tell, Tell::Nothing);
    assert!(matches!(machine.next(Input::Ready, at(2)).then, Then::Call(Call::Page { .. })), "an unsupported streaming list is remembered");
}

#[test]
fn gone_in_any_form_lists_again() {
    for open in [false, true] {
        let mut machine = watching();
        if open {
            machine.next(Input::Object { revision: 101 }, at(1));
        }
        waited(&machine.next(Input::Failed(Trouble::Gone), at(2)));
        assert_eq!(
            machine.next(Input::Ready, at(3)),
            Next { tell: Tell::ListBegin { consistent: false }, then: Then::Call(Call::StreamList) }
        );
        assert_eq!(machine.counts().relists, 1);
    }
}

#[test]
fn a_cut_streaming_list_goes_on_in_pages() {
    let mut machine = Machine::new(1);
    machine.next(Input::Ready, at(0));
    machine.next(Input::Opened, at(0));
    machine.next(Input::Object { revision: 7 }, at(0));
    assert_eq!(machine.next(Input::Ended, at(1)).tell, Tell::Nothing, "no list end without its mark");
    assert!(matches!(machine.next(Input::Ready, at(2)).then, Then::Call(Call::Page { .. })));
}

#[test]
fn a_stream_without_its_end_mark_is_no_list() {
    let mut machine = Machine::new(1);
    machine.next(Input::Ready, at(0));
    machine.next(Input::Opened, at(0));
    assert!(matches!(machine.next(Input::Bookmark { revision: 5, ends_list: false }, at(1)).then, Then::Call(Call::Page { .. })));
    let mut machine = Machine::new(1);
    machine.next(Input::Ready, at(0));
    machine.next(Input::Opened, at(0));
    assert_eq!(machine.deadline(at(660)), at(10));
    assert!(matches!(machine.next(Input::Silent, at(10)).then, Then::Call(Call::Page { .. })));
}

#[test]
fn a_failed_page_is_asked_for_again_and_then_the_list_starts_over() {
    let mut machine = Machine::new(1);
    machine.next(Input::Relist, at(0));
    machine.next(Input::PageEnd { revision: 5, token: Some("t".into()), objects: 10, bytes: 10_000 }, at(0));
    for _ in 0..2 {
        waited(&machine.next(Input::Failed(Trouble::Status { retry_after: None }), at(1)));
        assert!(matches!(machine.next(Input::Ready, at(2)).then, Then::Call(Call::Page { token: Some(_), .. })));
    }
    waited(&machine.next(Input::Failed(Trouble::Status { retry_after: None }), at(3)));
    assert!(matches!(machine.next(Input::Ready, at(4)).tell, Tell::ListBegin { .. }));
}

#[test]
fn an_older_list_proves_nothing_and_a_consistent_one_decides() {
    let mut machine = watching();
    machine.next(Input::Failed(Trouble::Gone), at(1));
    machine.next(Input::Ready, at(2));
    let stale = machine.next(Input::Bookmark { revision: 50, ends_list: true }, at(3));
    assert_eq!(stale, Next { tell: Tell::ListBegin { consistent: true }, then: Then::Call(Call::Page { limit: 50, token: None }) });
    let decided = machine.next(Input::PageEnd { revision: 60, token: None, objects: 0, bytes: 0 }, at(3));
    assert_eq!(decided.tell, Tell::ListEnd);
    assert_eq!(machine.next(Input::Object { revision: 61 }, at(4)).tell, Tell::Object, "what was seen is reset");
}

#[test]
fn events_that_go_back_are_ignored_and_asked_about_once_a_minute() {
    let mut machine = watching();
    machine.next(Input::Object { revision: 105 }, at(1));
    assert_eq!(machine.next(Input::Object { revision: 105 }, at(1)), Next { tell: Tell::Nothing, then: Then::Read }, "a duplicate");
    assert_eq!(machine.next(Input::Object { revision: 101 }, at(1)).tell, Tell::ListBegin { consistent: true });
    machine.next(Input::PageEnd { revision: 105, token: None, objects: 1, bytes: 1 }, at(1));
    assert_eq!(machine.next(Input::Object { revision: 101 }, at(2)), Next { tell: Tell::Nothing, then: Then::Read });
    assert_eq!(machine.next(Input::Object { revision: 101 }, at(62)).tell, Tell::ListBegin { consistent: true });
}

#[test]
fn waits_grow_to_ten_seconds_with_jitter_and_reset() {
    let mut machine = watching();
    let mut total = Duration::ZERO;
    let mut calls = 0;
    while total < at(300) {
        let wait = waited(&machine.next(Input::Failed(Trouble::Transport), total));
        assert!(wait >= BACKOFF.first && wait <= BACKOFF.longest.mul_f64(1.2), "{wait:?}");
        (total, calls) = (total + wait, calls + 1);
        machine.next(Input::Ready, total);
    }
    assert!(calls <= 35, "{calls} calls in five minutes");
    machine.next(Input::Opened, total);
    machine.next(Input::Object { revision: 200 }, total);
    assert!(waited(&machine.next(Input::Failed(Trouble::Transport), total)) < SECOND);
}

#[test]
fn retry_after_is_honoured_up_to_thirty_seconds() {
    for (asked, expected) in [(1, 1), (30, 30), (86_400, 30)] {
        let wait = waited(&watching().next(Input::Failed(Trouble::Status { retry_after: Some(at(asked)) }), at(1)));
        assert!(wait >= at(expected) && wait <= at(expected) + at(expected).min(SPREAD_MAX), "{wait:?}");
    }
}

#[test]
fn c7_a_server_that_asks_many_to_wait_is_not_asked_by_all_at_once_again() {
    let wait = |seed| {
        let mut machine = Machine::new(seed);
        machine.next(Input::Ready, at(0));
        waited(&machine.next(Input::Failed(Trouble::Status { retry_after: Some(SECOND) }), at(1)))
    };
    let mut waits: Vec<Duration> = (0..200).map(|seed: u32| wait(seed.wrapping_mul(0x9E37_79B9))).collect();
    waits.sort();
    assert!(waits[0] >= SECOND && waits[199] <= SECOND * 2);
    let within = waits.iter().filter(|wait| **wait < Duration::from_millis(1500)).count();
    assert!((60..140).contains(&within), "{within} of 200 in the first half");
}

#[test]
fn c7_the_first_watch_after_each_list_is_shorter_so_that_instances_part() {
    let setting = at(600);
    let first = |seed| {
        let mut machine = Machine::new(seed);
        machine.next(Input::Ready, at(0));
        machine.watch_seconds(setting)
    };
    let mut seconds: Vec<u64> = (0..200).map(|seed: u32| first(seed.wrapping_mul(0x9E37_79B9))).collect();
    seconds.sort_unstable();
    assert!(seconds[0] >= 300 && seconds[199] <= 600);
    let early = seconds.iter().filter(|seconds| **seconds < 450).count();
    assert!((60..140).contains(&early), "{early} of 200 in the first half");
    // The streaming list is that watch; the next one has its whole time.
    let mut machine = watching();
    assert_eq!(machine.next(Input::Ended, at(400)).then, Then::Call(Call::Watch { revision: 100 }));
    assert_eq!(machine.watch_seconds(setting), 600);
    // After a list in pages it is the first watch, however often it is tried.
    machine.next(Input::Relist, at(500));
    machine.next(Input::PageEnd { revision: 200, token: None, objects: 1, bytes: 1 }, at(500));
    let shorter = machine.watch_seconds(setting);
    machine.next(Input::Failed(Trouble::Transport), at(501));
    assert_eq!(
        (machine.next(Input::Ready, at(502)).then, machine.watch_seconds(setting)),
        (Then::Call(Call::Watch { revision: 200 }), shorter)
    );
    assert!((300..=600).contains(&shorter));
    assert_eq!((machine.watch_seconds(SECOND), machine.watch_seconds(Duration::ZERO)), (1, 1));
}

#[test]
fn a_watch_without_bookmarks_it_used_to_have_is_rebuilt_then_listed() {
    let mut machine = watching();
    assert_eq!(machine.deadline(at(660)), at(660), "bookmarks are never promised");
    machine.next(Input::Bookmark { revision: 101, ends_list: false }, at(60));
    assert_eq!(machine.deadline(at(660)), at(150));
    assert_eq!(machine.next(Input::Silent, at(150)).then, Then::Call(Call::Watch { revision: 101 }));
    machine.next(Input::Opened, at(150));
    assert_eq!(machine.deadline(at(660)), at(240), "a server that sent bookmarks is expected to go on");
    assert_eq!(machine.next(Input::Silent, at(240)).tell, Tell::ListBegin { consistent: true }, "180 s after the last sign of life");
    machine.next(Input::PageEnd { revision: 50, token: None, objects: 0, bytes: 0 }, at(240));
    machine.next(Input::Opened, at(240));
    assert_eq!(machine.deadline(at(660)), at(900), "bookmarks are not expected before they come again");
}

#[test]
fn news_that_is_ignored_so_soon_after_a_list_is_made_good_by_the_next() {
    let mut machine = watching();
    machine.next(Input::Object { revision: 101 }, at(1));
    machine.next(Input::PageEnd { revision: 105, token: None, objects: 1, bytes: 1 }, at(1));
    assert_eq!(machine.next(Input::Object { revision: 90 }, at(1)).tell, Tell::ListBegin { consistent: true });
    machine.next(Input::PageEnd { revision: 105, token: None, objects: 1, bytes: 1 }, at(1));
    machine.next(Input::Opened, at(1));
    assert_eq!(machine.deadline(at(660)), at(661));
    assert_eq!(machine.next(Input::Object { revision: 91 }, at(5)).tell, Tell::Nothing);
    assert_eq!(machine.deadline(at(660)), at(61), "the pause after the last suspicion");
    assert_eq!(machine.next(Input::Silent, at(61)).tell, Tell::ListBegin { consistent: true });
}

#[test]
fn the_servers_timeout_reopens_at_once_and_a_hang_up_waits() {
    let mut machine = watching();
    assert_eq!(machine.next(Input::Ended, at(600)).then, Then::Call(Call::Watch { revision: 100 }));
    machine.next(Input::Opened, at(600));
    waited(&machine.next(Input::Ended, at(600)));
}

#[test]
fn a_refusal_is_told_and_tried_again() {
    let mut machine = Machine::new(1);
    machine.next(Input::Ready, at(0));
    let next = machine.next(Input::Failed(Trouble::Refused), at(0));
    assert_eq!(next.tell, Tell::Refused);
    waited(&next);
    assert!(matches!(machine.next(Input::Ready, at(1)).tell, Tell::ListBegin { .. }));
}

#[test]
fn a_quiet_watch_that_lived_long_enough_ends_the_backoff() {
    let mut machine = watching();
    for second in 0..6 {
        machine.next(Input::Failed(Trouble::Transport), at(second));
        machine.next(Input::Ready, at(second));
    }
    machine.next(Input::Opened, at(6));
    assert!(waited(&machine.next(Input::Failed(Trouble::Transport), at(7))) > 5 * SECOND, "one second proves nothing");
    machine.next(Input::Ready, at(20));
    machine.next(Input::Opened, at(20));
    assert!(waited(&machine.next(Input::Failed(Trouble::Transport), at(31))) < SECOND);
}

fn inputs() -> impl Strategy<Value = Input> {
    prop_oneof![
        Just(Input::Ready),
        Just(Input::Opened),
        (1..50_u64).prop_map(|revision| Input::Object { revision }),
        (1..50_u64, any::<bool>()).prop_map(|(revision, ends_list)| Input::Bookmark { revision, ends_list }),
        (1..50_u64, any::<bool>(), 0..99_u32, 0..99_999_u64).prop_map(|(revision, more, objects, bytes)| Input::PageEnd {
            revision,
            token: more.then(|| "t".into()),
            objects,
            bytes
        }),
        Just(Input::Ended),
        Just(Input::Silent),
        prop_oneof![
            Just(Trouble::Gone),
            Just(Trouble::Refused),
            Just(Trouble::Unsupported),
            Just(Trouble::Transport),
            Just(Trouble::Garbage)
        ]
        .prop_map(Input::Failed),
        Just(Input::Relist),
    ]
}

proptest! {
    /// Whatever comes in whatever order: a list ends only inside a list, waits are bounded, the page limit is sane, and a
    /// revision lower than the last is passed on only while a list runs.
    #[test]
    fn the_machine_keeps_its_promises_under_any_input(script in proptest::collection::vec(inputs(), 1..200)) {
        let mut machine = Machine::new(9);
        let mut listing = false;
        for (second, input) in (0..).zip(script) {
            let before = machine.state().clone();
            let revision = match &input { Input::Object { revision } => Some(*revision), _ => None };
            let next = machine.next(input, at(second));
            match next.tell {
                Tell::ListBegin { .. } => listing = true,
                Tell::ListEnd => { prop_assert!(listing, "a list ended that never began"); listing = false; }
                Tell::Object => if let (MachineState::Watching { revision: last }, Some(revision)) = (before, revision) { prop_assert!(revision > last); },
                Tell::Nothing | Tell::Refused => {}
            }
            match next.then {
                Then::Wait(wait) => prop_assert!(wait <= at(36)),
                Then::Call(Call::Page { limit, .. }) => prop_assert!((1..=500).contains(&limit)),
                Then::Call(Call::StreamList) => prop_assert_eq!(machine.state(), &MachineState::Streaming),
                Then::Call(Call::Watch { .. }) | Then::Read => {}
            }
        }
    }
}
