//! An application that is not there, not yet, or unwell: retries, their bounds, and what follows.

use super::{Bench, healthy};
use crate::common::count;
use crate::support::*;

#[test]
fn fix_1_7_an_application_that_starts_later_than_the_sidecar_gets_its_reload() {
    let bench = Bench::new();
    let port = free_port();
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let url = format!("http://127.0.0.1:{port}/reload");
    let projector = healthy(&bench.hooked().env("REQ_URL", &url).env("LOG_LEVEL", "DEBUG"));
    projector.wait_output("the application was not told yet");
    let web = WebServer::start_on(port);
    web.on("/reload", Answer::ok(""));
    web.wait_for("/reload", 1);
    bench.ran_only(&[&["a"]]);
    web.wait_for("/reload", 2);
    assert_eq!(web.count("/reload"), 2);
}

#[test]
fn keep_1_7_an_application_that_is_unwell_is_asked_again_and_the_script_is_not_run_again() {
    let bench = Bench::new();
    let unwell = [500, 502, 503, 504, 429].map(Answer::status);
    bench.web.on_each("/reload", unwell.into_iter().chain([Answer::ok("")]).collect());
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = healthy(&bench.hooked());
    bench.web.wait_for("/reload", 6);
    bench.ran_only(&[&["a"]]);
    bench.asked(7);
}

#[test]
fn keep_1_7_a_connection_that_breaks_is_tried_again_and_one_that_hangs_slowly() {
    let bench = Bench::new();
    bench.web.on_each("/reload", vec![Answer::hang(), Answer::ok("")]);
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = healthy(&bench.hooked());
    bench.web.wait_for("/reload", 1);
    bench.web.drop_connections();
    bench.web.wait_for("/reload", 2);
    bench.ran_only(&[&["a"]]);
    bench.asked(3);
    // R11: it may be at work for a long time, and is not asked again at once.
    let bench = Bench::new();
    bench.web.on_each("/reload", vec![Answer::hang(), Answer::ok("")]);
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let _projector = healthy(&bench.hooked().env("REQ_TIMEOUT", "0.2").env("REQ_ANSWER_TIMEOUT", "0.2"));
    let requests = bench.web.wait_for("/reload", 2);
    assert!(requests[1].at.duration_since(requests[0].at).as_secs() >= 5, "at the slow pace");
    bench.ran_only(&[&["a"]]);
    bench.asked(3);
}

#[test]
fn keep_1_7_an_answer_that_is_final_is_not_asked_again() {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::status(500));
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = healthy(&bench.hooked().env("ENABLE_5XX", "true"));
    bench.ran_only(&[&["a"]]);
    bench.asked(2);
    assert_eq!(count(&projector.output(), "Max retries exceeded"), 0);
    // It is not owed: the next start asks nobody.
    bench.web.on("/reload", Answer::ok(""));
    assert_eq!(projector.terminate().code(), Some(0));
    let _projector = healthy(&bench.hooked());
    bench.ran_only(&[]);
    bench.asked(3);
}

#[test]
fn r10_other_answers_that_are_no_success_are_asked_again_slowly_and_are_no_exhausted_retries() {
    for (status, change_asks) in [(404, true), (401, false)] {
        let bench = Bench::new();
        bench.web.on_each("/reload", vec![Answer::status(status), Answer::ok("")]);
        bench.setup.cluster.configmap("a", &[("a", "1")]).create();
        let projector = healthy(&bench.hooked());
        bench.web.wait_for("/reload", 1);
        bench.setup.cluster.configmap("b", &[("b", "1")]).create();
        let requests = bench.asked(2);
        bench.ran(&[&["a"], &["a", "b"]]);
        let pause = requests[1].at.duration_since(requests[0].at).as_secs_f32();
        assert!(if change_asks { pause >= 0.99 } else { pause >= 5.0 }, "{status}: after {pause} s");
        assert_eq!(count(&projector.output(), "Max retries exceeded"), 0, "{status}");
    }
}

#[test]
fn keep_1_7_at_the_bounds_of_retries_there_is_one_error_and_life_goes_on() {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::status(503));
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = healthy(&bench.hooked().env("REQ_RETRY_TOTAL", "2"));
    let line = format!(
        "\"level\": \"ERROR\", \"msg\": \"Max retries exceeded for URL {}: answered 503 Service Unavailable\"",
        bench.web.url("/reload")
    );
    projector.wait_output(&line);
    bench.asked(3);
    assert_eq!((count(&projector.output(), &line), projector.health().0), (1, 200));
    // The next change is told, and with it what could not be told before.
    bench.web.on("/reload", Answer::ok(""));
    bench.ran(&[&["a"]]);
    bench.setup.cluster.configmap("b", &[("b", "1")]).create();
    bench.ran(&[&["a", "b"]]);
    bench.asked(4);
    bench.ran_only(&[]);
    bench.asked(5);
    assert_eq!(count(&projector.output(), "Max retries exceeded"), 1);
}

#[test]
fn fix_1_7_files_go_on_while_the_application_is_unwell_and_it_is_told_of_the_newest_state_once() {
    let bench = Bench::new();
    bench.web.on("/reload", Answer::hang());
    let projector = healthy(&bench.hooked());
    bench.setup.cluster.configmap("a", &[("a", "1")]).create();
    bench.web.wait_for("/reload", 1);
    for number in 0..5 {
        bench.setup.cluster.configmap(&format!("b{number}"), &[(&format!("b{number}"), "1")]).create();
    }
    bench.setup.holds(&tree! { "a" => "1", "b0" => "1", "b1" => "1", "b2" => "1", "b3" => "1", "b4" => "1" });
    assert_eq!((bench.web.count("/reload"), projector.health().0), (1, 200));
    bench.web.on("/reload", Answer::ok(""));
    bench.web.drop_connections();
    bench.ran(&[&["a"], &["a", "b0", "b1", "b2", "b3", "b4"]]);
    bench.asked(2);
    bench.ran_only(&[]);
    bench.asked(3);
}
