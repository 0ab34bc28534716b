//! Requests and bytes of a sync: the built binary against the in-process API server.

use serde_json::json;
use tempfile::TempDir;

use crate::report::Report;
use crate::support::{Cluster, Counts, DEADLINE, Options, Projector, wait_for};
use crate::template::PAYLOAD;

/// Objects of a sync.
const OBJECTS: usize = 1_000;
/// Objects of the sync at shipped defaults, where each gets a finalizer.
const GUARDED: usize = 100;

/// G17.
pub fn measure(report: &mut Report) {
    let streamed = sync(true);
    report.at_most("requests for a sync of 1 000 objects, streaming list", requests(streamed), 1.0);
    report.no_growth("bytes for a sync of 1 000 x 1 KiB, streaming list", streamed.bytes);
    let paged = sync(false);
    // One that is refused, the pages, and the watch.
    let bar = OBJECTS / 50 + 1;
    report.at_most("list requests for a sync of 1 000 objects, paged", paged.lists, f64::from(u32::try_from(bar).unwrap_or_default()));
    report.no_growth("requests for a sync of 1 000 objects, paged", requests(paged));
    report.no_growth("bytes for a sync of 1 000 x 1 KiB, paged", paged.bytes);
    report.no_growth("requests for a sync of 100 objects, shipped defaults", requests(guarded()));
}

const fn requests(counts: Counts) -> usize {
    counts.gets + counts.lists + counts.stream_lists + counts.watches + counts.creates + counts.patches + counts.others
}

/// A server whose heartbeats do not disturb the count.
fn cluster(streaming_lists: bool, objects: usize) -> Cluster {
    let cluster = Cluster::in_process_with(Options { bookmark_interval: DEADLINE * 60, streaming_lists, ..Options::default() });
    for number in 0..objects {
        cluster.server().create(&json!({
            "kind": "ConfigMap",
            "metadata": {"name": format!("object-{number:04}"), "namespace": cluster.namespace(), "labels": {"find": "me"}},
            "data": {format!("file-{number:04}"): "x".repeat(PAYLOAD)},
        }));
    }
    cluster
}

/// One kind, finalizers off.
fn sync(streaming_lists: bool) -> Counts {
    let (cluster, folder) = (cluster(streaming_lists, OBJECTS), TempDir::new().expect("a temporary folder"));
    let launch = Projector::on(&cluster, folder.path()).env("RESOURCE", "configmap").env("FINALIZERS", "false");
    let mut projector = launch.env("LOG_LEVEL", "warn").start();
    projector.wait_ready();
    let counts = || cluster.server().counts();
    wait_for("a watch", DEADLINE, || counts().watches + usize::from(streaming_lists) == 1);
    assert!(projector.terminate().success(), "{}", projector.output());
    assert!(folder.path().join(format!("file-{:04}", OBJECTS - 1)).exists(), "the objects were projected");
    counts()
}

/// Both kinds, finalizers on, Events off: as shipped.
fn guarded() -> Counts {
    let (cluster, folder) = (cluster(true, GUARDED), TempDir::new().expect("a temporary folder"));
    let mut projector = Projector::on(&cluster, folder.path()).env("LOG_LEVEL", "warn").start();
    projector.wait_ready();
    let counts = || cluster.server().counts();
    wait_for("the finalizers and the sweep", DEADLINE, || counts().patches >= GUARDED && counts().lists >= 2);
    assert!(projector.terminate().success(), "{}", projector.output());
    counts()
}
