//! R10, R11, R12: the pace over virtual time.

use proptest::prelude::*;

use super::*;

const BOUNDS: Retry = Retry { total: 5, connect: 10, read: 5, backoff: Duration::from_millis(1100) };
const START: Duration = Duration::from_secs(1_700_000_000);

const LATER: FaultKind = FaultKind::Trouble(RetryReason::Later, None);
const ANSWERED: FaultKind = FaultKind::Answered(None);

const fn refused(hash: u64) -> FaultKind {
    FaultKind::Refused { credentials: Some(Fingerprint::new(hash)), wish: None }
}

/// Seconds since the start at which there is an attempt, if each ends so at once.
fn attempts(pace: &mut Pace, ended: FaultKind, until: f64) -> Vec<f64> {
    let mut times = Vec::new();
    loop {
        let time = (pace.due() - START).as_secs_f64();
        if time > until {
            return times;
        }
        times.push(time);
        if pace.failed(ended, pace.due(), &BOUNDS) == Followup::Enough {
            return times;
        }
    }
}

fn begun() -> Pace {
    let mut pace = Pace::default();
    pace.begin(START);
    pace
}

#[test]
fn r10_after_an_answer_that_is_no_success_there_is_one_request_each_at_the_slow_pace() {
    let times = attempts(&mut begun(), ANSWERED, 2500.0);
    let thirty: Vec<f64> = (0..20).map(|number| 65.0 + 30.0 * f64::from(number)).collect();
    let expected = [&[0.0, 5.0, 15.0, 35.0][..], &thirty, &[695.0, 815.0, 1055.0, 1355.0, 1655.0, 1955.0, 2255.0]].concat();
    assert_eq!(times, expected);
}

#[test]
fn r10_quick_retries_come_first() {
    let times = attempts(&mut begun(), LATER, 100.0);
    assert_eq!(times, [0.0, 0.0, 2.2, 6.6, 15.4, 33.0, 38.0, 48.0, 68.0, 98.0]);
}

#[test]
fn r10_refused_credentials_are_shown_after_60_120_240_and_every_300_seconds() {
    assert_eq!(attempts(&mut begun(), refused(1), 1400.0), [0.0, 60.0, 180.0, 420.0, 720.0, 1020.0, 1320.0]);
    // Nobody said who we are: nothing is locked.
    let times = attempts(&mut begun(), FaultKind::Refused { credentials: None, wish: None }, 40.0);
    assert_eq!(times, [0.0, 5.0, 15.0, 35.0]);
}

#[test]
fn r10_other_credentials_are_shown_at_once_and_each_at_most_three_times_in_five_minutes() {
    let (mut pace, second) = (begun(), Duration::from_secs(1));
    let (one, other) = (Fingerprint::new(1), Fingerprint::new(2));
    pace.failed(refused(1), START, &BOUNDS);
    assert!(!pace.would_show(Some(one), START + second) && !pace.would_show(None, START + second));
    let mut shown = [vec![START], Vec::new()];
    // Somebody turns one file round and round.
    for number in 1..20 {
        let (now, which) = (START + second * number, if number % 2 == 0 { one } else { other });
        pace.would_show(Some(which), now);
        if pace.due() <= now && pace.may_show(Some(which), now) {
            shown[usize::from(which == other)].push(now);
            pace.failed(FaultKind::Refused { credentials: Some(which), wish: None }, now, &BOUNDS);
        }
    }
    assert_eq!((shown[0].len(), shown[1].len()), (3, 3));
}

#[test]
fn r10_a_restart_forgets_no_refusal() {
    let mut pace = begun();
    for seconds in [0, 60] {
        pace.failed(refused(0x0101), START + Duration::from_secs(seconds), &BOUNDS);
    }
    let text = serde_json::to_string(&pace.debt(START)).unwrap();
    assert_eq!(text, r#"{"since":1700000000,"refused":2,"refusals":[[1700000000,1],[1700000060,1]]}"#);
    let debt: Debt = serde_json::from_str(&text).unwrap();
    let now = START + Duration::from_secs(61);
    let mut next = Pace::inherited(&debt, now);
    next.begin(now);
    assert!(!next.would_show(Some(Fingerprint::new(0x0201)), now), "as far as the ledger can tell they are the same");
    assert_eq!(attempts(&mut next, refused(0x0101), 800.0), [180.0, 420.0, 720.0]);
    let mut next = Pace::inherited(&debt, now);
    next.begin(now);
    assert!(next.would_show(Some(Fingerprint::new(2)), now));
    assert_eq!(next.due(), now);
    let mut next = Pace::inherited(&debt, now);
    next.begin(now);
    assert!(next.would_show(None, now) && next.due() == now, "who shows nothing locks nothing");
    // A clock that was wrong: at the latest as if it had been now.
    let next = Pace::inherited(&debt, Duration::from_secs(1000));
    assert!(next.due() <= Duration::from_secs(1000) + REFUSALS_WITHIN);
}

#[test]
fn r11_one_state_is_told_without_an_answer_so_often_and_no_more_also_across_restarts() {
    assert_eq!(attempts(&mut begun(), FaultKind::Unanswered, 1e9), [0.0, 5.0, 15.0, 35.0, 65.0, 95.0]);
    let (mut pace, mut told) = (begun(), 0);
    loop {
        told += 1;
        let now = pace.due();
        if pace.failed(FaultKind::Unanswered, now, &BOUNDS) == Followup::Enough {
            break;
        }
        let due = pace.due();
        pace = Pace::inherited(&pace.debt(START), now);
        pace.begin(now);
        assert_eq!(pace.due(), due);
    }
    assert_eq!(told, 6);
}

#[test]
fn r11_another_state_is_told_anew() {
    let mut pace = begun();
    attempts(&mut pace, FaultKind::Unanswered, 30.0);
    assert_eq!(pace.unanswered, 3);
    pace.changed(START + Duration::from_secs(20));
    assert_eq!((pace.due(), pace.unanswered), (START + Duration::from_secs(20), 0));
    assert_eq!(attempts(&mut pace, FaultKind::Unanswered, 1e9).len(), 6);
}

/// Requests of 300 changes, one every ten milliseconds, and for some time after them, each ending so after `takes`.
fn edited(ended: FaultKind, takes: Duration) -> Vec<f64> {
    let (mut pace, mut times, mut edits, mut unseen) = (begun(), Vec::new(), 0, false);
    let mut now = START;
    while now < START + Duration::from_millis(3_900) {
        if edits < 300 {
            edits += 1;
            unseen = true;
            pace.changed(now);
        }
        if pace.due() <= now {
            times.push((now - START).as_secs_f64());
            unseen = false;
            let end = now + takes;
            // What changes while it is under way is seen after it.
            let meanwhile = u32::try_from(takes.as_millis() / 10).unwrap().min(300 - edits);
            edits += meanwhile;
            pace.failed(ended, end, &BOUNDS);
            if meanwhile > 0 {
                pace.changed(end);
            }
            now = end;
        }
        now += Duration::from_millis(10);
    }
    assert!(!unseen || pace.due() > now, "the last change is told");
    times
}

#[test]
fn r12_a_change_ends_the_pause_after_a_refusal_where_nobody_said_who_we_are() {
    let (mut pace, mut now) = (begun(), START);
    for _ in 0..9 {
        now = now.max(pace.due());
        pace.failed(FaultKind::Refused { credentials: None, wish: None }, now, &BOUNDS);
    }
    assert_eq!(pace.due(), now + Duration::from_secs(30));
    pace.changed(now);
    assert_eq!(pace.due(), now + ANONYMOUS_APART);
}

#[test]
fn r10_who_spares_each_of_several_by_itself_is_held_back_by_nothing_but_what_a_former_process_showed() {
    let (mut pace, mut now, known) = (begun(), START, Fingerprint::new(1));
    for shown in [true, false, true, true] {
        now = now.max(pace.due());
        pace.failed(FaultKind::Spared { credentials: known, shown }, now, &BOUNDS);
        let mut edited = pace.clone();
        edited.changed(now);
        assert_eq!(edited.due(), now + APART);
        assert!(pace.is_refused() && !pace.would_show(Some(known), now), "others would be worth an attempt");
    }
    let mut next = Pace::inherited(&pace.debt(now), now);
    next.begin(now);
    assert!(next.due() <= now && !next.may_show(Some(known), now) && next.may_show(Some(Fingerprint::new(2)), now));
}

#[test]
fn r12_three_hundred_edits_in_three_seconds_are_few_requests() {
    let none = Duration::ZERO;
    let storms = [
        (LATER, 5),
        (ANSWERED, 5),
        (FaultKind::Trouble(RetryReason::Later, Some(Duration::from_secs(30))), 1),
        (FaultKind::Answered(Some(Duration::from_secs(30))), 1),
        (refused(1), 1),
        (FaultKind::Refused { credentials: None, wish: None }, 1),
    ];
    for (ended, most) in storms {
        let times = edited(ended, none);
        assert!(times.len() <= most, "{ended:?}: {times:?}");
    }
    assert_eq!(edited(FaultKind::Unanswered, Duration::from_secs(20)).len(), 1);
}

#[test]
fn r12_a_change_ends_any_pause_but_those_that_others_asked_for() {
    let second = Duration::from_secs(1);
    let mut pace = begun();
    attempts(&mut pace, LATER, 20.0);
    assert_eq!(pace.due(), START + second * 33);
    pace.changed(START + second * 18);
    assert_eq!(pace.due(), START + second * 18);
    let mut pace = begun();
    attempts(&mut pace, ANSWERED, 1_400.0);
    pace.changed(START + second * 1_400);
    assert_eq!(attempts(&mut pace, ANSWERED, 1_440.0), [1400.0, 1405.0, 1415.0, 1435.0], "and the pace begins anew");
    let mut pace = begun();
    pace.failed(FaultKind::Answered(Some(second * 20)), START, &BOUNDS);
    pace.changed(START + second);
    assert_eq!(pace.due(), START + second * 20);
    let mut pace = begun();
    pace.failed(ANSWERED, START, &BOUNDS);
    pace.changed(START + Duration::from_millis(10));
    assert_eq!(pace.due(), START + second, "not in the first second");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Fails(FaultKind),
    Changes,
    Waits(u32),
    Shows(u64),
    Restarts,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wish = prop_oneof![Just(None), (1u64..100).prop_map(|seconds| Some(Duration::from_secs(seconds)))];
    let ended = prop_oneof![
        wish.clone().prop_map(|wish| FaultKind::Trouble(RetryReason::Later, wish)),
        wish.clone().prop_map(FaultKind::Answered),
        wish.prop_map(|wish| FaultKind::Refused { credentials: None, wish }),
        Just(refused(0)),
        Just(refused(0)),
        Just(FaultKind::Unanswered),
    ];
    let step = prop_oneof![
        4 => ended.prop_map(Step::Fails),
        2 => Just(Step::Changes),
        2 => (1u32..400_000).prop_map(Step::Waits),
        1 => (0u64..3).prop_map(Step::Shows),
        1 => Just(Step::Restarts),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn r10_r12_whatever_happens_nobody_is_hurt_and_nothing_is_forgotten(steps in steps()) {
        let (mut pace, mut now, mut credentials) = (begun(), START, 0);
        let mut shown: Vec<(u64, Duration)> = Vec::new();
        let (mut spare, mut answered) = (START, 0);
        for step in steps {
            match step {
                Step::Waits(milliseconds) => now += Duration::from_millis(milliseconds.into()),
                Step::Changes => {
                    pace.changed(now);
                    answered = 0;
                }
                Step::Shows(hash) => {
                    credentials = hash;
                    pace.would_show(Some(Fingerprint::new(hash)), now);
                }
                Step::Restarts => {
                    pace = Pace::inherited(&pace.debt(now), now);
                    pace.begin(now);
                    // What a server asked for is not kept.
                    spare = START;
                }
                Step::Fails(fails) => {
                    // Waits for its turn.
                    prop_assert!(pace.due() <= now + Duration::from_secs(300), "due in {:?}", pace.due() - now);
                    now = now.max(pace.due());
                    if !pace.may_show(Some(Fingerprint::new(credentials)), now) {
                        now = pace.due();
                    }
                    prop_assert!(now >= spare, "the server asked for time");
                    let fails = match fails {
                        FaultKind::Refused { credentials: Some(_), wish } =>
                            FaultKind::Refused { credentials: Some(Fingerprint::new(credentials)), wish },
                        other => other,
                    };
                    if let FaultKind::Refused { credentials: Some(_), .. } = fails {
                        shown.push((credentials, now));
                        let lately = shown.iter().filter(|(of, at)| *of == credentials && now - *at < REFUSALS_WITHIN);
                        prop_assert!(lately.count() <= REFUSALS_MAX);
                    }
                    let next = pace.failed(fails, now, &BOUNDS);
                    answered = if fails == FaultKind::Unanswered { answered + 1 } else { answered };
                    if next == Followup::Enough {
                        prop_assert!(answered > BOUNDS.read);
                        pace.dropped();
                        pace.begin(now);
                        answered = 0;
                    }
                    spare = match fails {
                        FaultKind::Trouble(_, wish) | FaultKind::Answered(wish) | FaultKind::Refused { wish, .. } => now + capped(wish),
                        FaultKind::Spared { .. } | FaultKind::Unanswered | FaultKind::Permanent => now,
                    };
                    let mut edited = pace.clone();
                    edited.changed(now);
                    let early = edited.due() < now + APART;
                    prop_assert!(!early || next == Followup::Quick || next == Followup::Enough, "{next:?}: a change brings it no nearer");
                }
            }
        }
    }
}

#[test]
fn of_several_that_failed_the_one_that_wants_another_attempt_most_seldom_decides() {
    let seconds = |wish: Option<u64>| wish.map(Duration::from_secs);
    let trouble = |trouble, wish| FaultKind::Trouble(trouble, seconds(wish));
    let answered = |wish| FaultKind::Answered(seconds(wish));
    let refused = |hash: Option<u64>, wish| FaultKind::Refused { credentials: hash.map(Fingerprint::new), wish: seconds(wish) };
    let (connect, later, unanswered) = (trouble(RetryReason::Connect, Some(1)), trouble(RetryReason::Later, None), FaultKind::Unanswered);
    let cases = [
        (connect, later, trouble(RetryReason::Later, Some(1))),
        (later, trouble(RetryReason::Read, Some(3)), trouble(RetryReason::Later, Some(3))),
        (connect, answered(Some(2)), answered(Some(2))),
        (connect, unanswered, answered(Some(1))),
        (answered(None), unanswered, answered(None)),
        (unanswered, unanswered, unanswered),
        (refused(Some(1), None), connect, refused(Some(1), Some(1))),
        (refused(None, Some(7)), refused(Some(1), Some(9)), refused(Some(1), Some(9))),
        (refused(Some(1), None), unanswered, refused(Some(1), None)),
    ];
    for (one, other, expected) in cases {
        assert_eq!(one.and(other), expected);
        assert_eq!(other.and(one), expected);
    }
}
