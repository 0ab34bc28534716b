//! Secrets of a type.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Bench;
use crate::common::started;

/// Milliseconds since 1970.
pub fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

#[test]
fn another_certificate_is_a_run_and_so_is_a_new_one() {
    let bench = Bench::new();
    bench.tls("old", "1");
    let projector = bench.start();
    bench.renew("old", "2");
    bench.ran(1);
    projector.wait_output("\"told the application\"");
    bench.tls("new", "1");
    bench.ran(2);
    bench.marked(&projector, 3, &["Secret/old", "Secret/new"]);
    projector.assert_no_leak(&["canary"]);
}

#[test]
fn secrets_of_another_type_or_with_the_same_data_are_no_run() {
    let bench = Bench::new();
    bench.tls("tls", "1");
    bench.cluster().secret("opaque", &[("tls.crt", "1")]).of_type("Opaque").create();
    let projector = bench.start();
    bench.cluster().set_secret("opaque", &[("tls.crt", "2")]);
    bench.cluster().secret("other", &[("tls.crt", "2")]).of_type("Opaque").create();
    bench.cluster().annotate("secrets", "tls", &[("note", Some("new"))]);
    bench.cluster().relabel("secrets", "tls", &[("note", Some("new"))]);
    // The watch of Secrets has told of all this when it tells of that.
    bench.renew("tls", "2");
    bench.ran(1);
    bench.marked(&projector, 2, &["Secret/tls"]);
}

#[test]
fn two_edits_are_one_run_that_is_counted_from_the_second() {
    let bench = Bench::new();
    bench.tls("tls", "1");
    let projector = started(&bench.original().env("SYNC_FREQUENCY_DURATION", "3"));
    bench.renew("tls", "2");
    projector.wait_output(super::WORTH);
    let second = now();
    bench.renew("tls", "3");
    bench.ran(1);
    assert!(bench.runs()[0].1 >= second + 2_900, "{:?} {second}", bench.runs());
    bench.marked(&projector, 2, &["Secret/tls", "Secret/tls"]);
}

#[test]
fn labels_narrow_the_secrets() {
    let bench = Bench::new();
    let projector = started(&bench.original().env("WATCH_SECRET_LABELS", "for=mail"));
    bench.tls("other", "1");
    bench.cluster().secret("mail", &[("tls.crt", "1"), ("tls.key", "")]).label("for", "mail").of_type(super::TLS).create();
    bench.ran(1);
    bench.marked(&projector, 2, &["Secret/mail"]);
}
