//! `healthcheck`: asks the endpoint of the instance on this machine, for images without a shell, and says the answer in words.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::commands::asking::{LocalAnswer, LocalRequest};
use crate::commands::say;

/// An answer must come within this.
const WITHIN: Duration = Duration::from_secs(3);
/// The most that is read of an answer: a report has a few hundred bytes for each watch.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// The code for "nobody can be asked".
const NOT_CHECKED: u8 = 3;

/// What it means that no endpoint is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Off {
    /// Nothing is known: code 3.
    Unknown,
    /// That is as well as can be: code 0. For images, whose settings nobody knows when they are made.
    Well,
}

/// Says in one line whether it is well: 0, 1 if not, 3 where `address` is `None`, as then nobody can be asked.
pub(crate) async fn healthcheck(address: Option<SocketAddr>, off: Off) -> ExitCode {
    let Some(address) = address else {
        say("not checked: no health endpoint is served (LIVENESS=false, or an address that cannot be used)");
        return match off {
            Off::Well => ExitCode::SUCCESS,
            Off::Unknown => ExitCode::from(NOT_CHECKED),
        };
    };
    let settings = "HEALTH_HOST and HEALTH_PORT";
    let asked = LocalRequest { address, path: "/healthz", within: WITHIN, most: ANSWER_BYTES_MAX, settings };
    match asked.send().await.and_then(|answer| verdict(&answer)) {
        Ok(how) => {
            say(&format!("well: {how}"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            say(&format!("not well: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// How it is, if it is well, or why it is not.
fn verdict(answer: &LocalAnswer) -> Result<String, String> {
    let words = match serde_json::from_str::<Value>(&answer.body) {
        Ok(report @ Value::Object(_)) => words(&report),
        // As k8s-sidecar says it, or somebody else whose port this is.
        _ => shortened(answer.body.trim()),
    };
    match (answer.is_ok(), words.is_empty()) {
        (true, _) => Ok(words),
        (false, true) => Err(format!("the answer is {}", answer.status)),
        (false, false) => Err(words),
    }
}

/// What a report says of itself: what fails, or else what is there and what is still to come.
fn words(report: &Value) -> String {
    let texts = |name: &str| report[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let text = |name: &str| report[name].as_str();
    let mut words: Vec<String> = texts("failing").collect();
    words.push(match (report["ready"].as_bool(), text("waiting_for")) {
        (Some(true), _) => "ready".to_owned(),
        (_, Some(what)) => format!("not ready: {what}"),
        (_, None) => "not ready".to_owned(),
    });
    words.push(match report["files"].as_u64().unwrap_or_default() {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    });
    words.extend(texts("stuck").map(|stuck| format!("stuck: {stuck}")));
    let failed = text("reload_failure").map(|why| format!("reload failed: {why}"));
    words.extend(failed.filter(|failed| !words.contains(failed)));
    words.join("; ")
}

/// No more of an answer than a line.
fn shortened(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_said_in_words() {
        let ready = r#"{"status":"ok","version":"1","ready":true,"loops":[],"watches":[],"files":12,"stuck":[]}"#;
        let waiting = r#"{"status":"ok","ready":false,"waiting_for":"Secret in all namespaces","files":1,"stuck":["a: b"]}"#;
        let untold = r#"{"status":"ok","ready":true,"files":0,"stuck":[],"reload_failure":"the answer is 500"}"#;
        let stuck = r#"{"status":"failing","failing":["loop engine does not advance","x"],"ready":false,"files":2,"stuck":[]}"#;
        let unhealthy = r#"{"status":"failing","failing":["reload failed: y"],"ready":true,"files":2,"stuck":[],"reload_failure":"y"}"#;
        let cases = [
            ("200 OK", ready, Ok("ready; 12 files")),
            ("200 OK", waiting, Ok("not ready: Secret in all namespaces; 1 file; stuck: a: b")),
            ("200 OK", untold, Ok("ready; 0 files; reload failed: the answer is 500")),
            ("200 OK", "OK", Ok("OK")),
            ("503 Service Unavailable", stuck, Err("loop engine does not advance; x; not ready; 2 files")),
            ("503 Service Unavailable", unhealthy, Err("reload failed: y; ready; 2 files")),
            ("503 Service Unavailable", "NOT LIVE (K8s contact lost)", Err("NOT LIVE (K8s contact lost)")),
            ("404 Not Found", "", Err("the answer is 404 Not Found")),
            ("500 Oh", "<p>\n<p>", Err("<p>")),
        ];
        for (status, body, expected) in cases {
            let answer = LocalAnswer { status: status.to_owned(), body: body.to_owned() };
            assert_eq!(verdict(&answer), expected.map(str::to_owned).map_err(str::to_owned), "{status} {body}");
        }
    }
}
