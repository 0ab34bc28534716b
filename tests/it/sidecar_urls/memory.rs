//! Bodies without end cost no memory. Acceptance 2 of issue 4.

use super::wait_complaint;
use crate::sidecar_hooks::{Bench, healthy};
use crate::support::*;

const BOUND_KIB: u64 = 64 * 1024;

#[test]
fn fix_1_7_bodies_of_a_gibibyte_stay_out_of_memory() {
    for (bytes_max, read_max) in [("1048576", 1 << 20), ("16777216", 16 << 20)] {
        let bench = Bench::new();
        bench.web.on("/sized", Answer::sized(1 << 30)).on("/endless", Answer::endless());
        for number in 0..4 {
            bench.far(&format!("s{number}"), &format!("s{number}"), "/sized");
            bench.far(&format!("e{number}"), &format!("e{number}"), "/endless");
        }
        let projector = healthy(&bench.plain().env("URL_MAX_BYTES", bytes_max));
        for name in ["s0", "s1", "s2", "s3", "e0", "e1", "e2", "e3"] {
            wait_complaint(&projector, &["cannot be had", &format!("\"{name}\""), &format!("exceeds {bytes_max} bytes")]);
        }
        let (before, peak) = (projector.rss_kib(), projector.peak_kib());
        assert!(peak < BOUND_KIB, "peak {peak} KiB, at rest {before} KiB");
        println!("URL_MAX_BYTES={bytes_max}: peak {peak} KiB");
        for request in bench.web.requests() {
            // What was under way when the connection closed lies in buffers of the kernel.
            assert!(request.sent < read_max + (32 << 20), "{} of {}", request.sent, request.path);
        }
    }
}

#[test]
fn fix_1_7_the_largest_bodies_that_are_allowed_come_one_after_the_other() {
    let bench = Bench::new();
    let body = vec![b'x'; 8 << 20];
    bench.web.on("/big", Answer::ok(&body));
    for number in 0..6 {
        bench.far(&format!("b{number}"), &format!("b{number}"), "/big");
    }
    let projector = healthy(&bench.plain());
    bench.setup.holds(&(0..6).map(|number| (format!("b{number}"), body.clone())).collect());
    assert!(projector.peak_kib() < BOUND_KIB, "{} KiB", projector.peak_kib());
}
