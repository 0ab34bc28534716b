//! The contract of kiwigrid/k8s-sidecar under PROFILE=k8s-sidecar: each test carries the mark and the section of its row.
//!
//! `keep_1_5_…` is something that manifests rely on, `fix_1_6_a_…` a fault of the original that was not kept.

mod changes;
mod client;
mod files;
mod health;
mod log;
mod modes;
mod names;
mod settings;
mod shared;

use crate::common::Setup;
use crate::support::projector::Builder;
use crate::support::*;

/// What a chart's role grants on a kind.
const READ: &[&str] = &["get", "list", "watch"];

/// A launch under the profile for both kinds. The ledger lies beside FOLDER, as with a mounted `/tmp`.
///
/// `/readyz` and `started` work as in the default profile; `/healthz` answers with one of four texts.
fn sidecar(setup: &Setup) -> Builder {
    let ledger = setup.beside("ledger").display().to_string();
    plain(setup).env("RESOURCE", "both").env("LEDGER", &ledger)
}

/// A launch under the profile with nothing set but what must be.
fn plain(setup: &Setup) -> Builder {
    Projector::on(&setup.cluster, &setup.folder()).env("PROFILE", "k8s-sidecar")
}

/// Waits until so many verification passes over this file have been told, which LOG_LEVEL=DEBUG does.
fn passes(projector: &Projector, path: &std::path::Path, count: usize) {
    let line = format!("Contents of {} haven't changed", path.display());
    let begun = crate::common::count(&projector.output(), &line);
    wait_for("verification passes", DEADLINE, || crate::common::count(&projector.output(), &line) >= begun + count);
}
