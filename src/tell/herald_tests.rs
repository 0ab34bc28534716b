//! What is told on our own pod, and how often.

use tokio::time::advance;

use super::*;
use crate::api::stub::{Answer, Asked, Stub, server};
use crate::report::events::{self, EventWriter};

const SLOW: Duration = Duration::from_secs(300);

struct Bench {
    stub: Stub,
    writer: EventWriter,
    herald: Herald,
    told: usize,
}

impl Bench {
    async fn new() -> Self {
        let stub = server(|_: &Asked| Answer::json(201, &serde_json::json!({}))).await;
        tokio::time::pause();
        let (sender, writer) = events::writer(stub.api.clone(), "i".to_owned());
        let pod = Pod { namespace: "n".into(), name: "projector-0".into(), uid: "u-1".into() };
        Self { stub, writer, herald: Herald::new(sender, pod).unwrap(), told: 0 }
    }

    /// What was written since it was asked last: reason and note.
    async fn told(&mut self) -> Vec<(String, String)> {
        tokio::time::resume();
        self.writer.drain(Duration::from_secs(20)).await;
        tokio::time::pause();
        let asked = self.stub.asked();
        let new = asked.iter().skip(self.told).map(|asked| serde_json::from_str::<serde_json::Value>(&asked.body).unwrap());
        let regarding = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "namespace": "n", "name": "projector-0", "uid": "u-1"});
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let new: Vec<_> = new
            .inspect(|event| assert_eq!(event["regarding"], regarding))
            .map(|event| (text(&event["reason"]), text(&event["note"])))
            .collect();
        self.told = asked.len();
        new
    }

    fn fails(&mut self, reaction: &'static str, why: &str) {
        self.herald.tell(reaction, Followup::Slow { first: true }, why, SLOW);
    }
}

fn failed(note: &str) -> (String, String) {
    ("ReloadFailed".to_owned(), note.to_owned())
}

fn succeeded(note: &str) -> (String, String) {
    ("ReloadSucceeded".to_owned(), note.to_owned())
}

#[tokio::test]
async fn r13_each_kind_of_end_is_told_once_on_our_own_pod() {
    let mut bench = Bench::new().await;
    bench.fails("script", "exit status: 3, 7 bytes said: see the log");
    assert_eq!(bench.told().await, [failed("script: exit status: 3, 7 bytes said: see the log")]);
    bench.fails("script", "exit status: 3, 9 bytes said: see the log");
    bench.herald.tell("child", Followup::Never, "x", Duration::ZERO);
    assert_eq!(bench.told().await, [failed("child: x")], "the length alone is no other reason");
    bench.herald.tell("script", Followup::Told, "", SLOW);
    assert_eq!(bench.told().await, [succeeded("script: told the application")]);
    bench.herald.tell("request", Followup::Enough, "y", SLOW);
    assert_eq!(bench.told().await, [failed("request: told, never answered: y")]);
    bench.herald.tell_known("child");
    bench.herald.tell_known("child");
    assert_eq!(bench.told().await, [succeeded("child: the application was started, and has read its files")]);
}

#[tokio::test]
async fn r13_what_is_over_within_moments_is_no_failure() {
    let mut bench = Bench::new().await;
    bench.herald.tell("request", Followup::Quick, "x", Duration::from_secs(9));
    bench.herald.tell("request", Followup::Quick, "it lasts", Duration::from_secs(10));
    assert_eq!(bench.told().await, [failed("request: it lasts")]);
}

#[tokio::test(start_paused = true)]
async fn r13_a_failure_that_stays_for_a_day_is_told_twice_an_hour_whatever_it_says() {
    for reasons in [1, 2, 1000] {
        let (mut failing, mut told) = (Failing::default(), 0);
        for attempt in 0..288 {
            told += usize::from(failing.is_news("request", &format!("reason {}, {attempt} bytes said: see the log", attempt % reasons)));
            advance(SLOW).await;
        }
        assert_eq!(told, 48 * reasons.min(REASONS_MAX), "{reasons}");
        advance(AGAIN).await;
        failing.is_news("another", "x");
        assert_eq!(failing.0.len(), 1, "nothing is kept of those that are gone");
    }
}
