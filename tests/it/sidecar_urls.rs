//! PROFILE=k8s-sidecar, section 1.7 of the contract: keys that end in `.url`.

mod bytes;
mod credentials;
mod failures;
mod memory;
mod packed;
mod paths;
mod privacy;
mod reach;
mod refresh;

use crate::sidecar_hooks::Bench;
use crate::support::*;

impl Bench {
    /// Creates a ConfigMap with one key `KEY.url` for a path of the application's server.
    pub fn far(&self, name: &str, key: &str, path: &str) {
        self.far_at(name, key, &self.web.url(path));
    }

    /// As `far`, with any URL.
    pub fn far_at(&self, name: &str, key: &str, url: &str) {
        self.setup.cluster.configmap(name, &[(&format!("{key}.url"), url)]).create();
    }
}

/// A warning or an error in the log that contains all of these.
fn complains(log: &str, parts: &[&str]) -> bool {
    let is_grave = |line: &&str| line.contains("\"level\": \"WARNING\"") || line.contains("\"level\": \"ERROR\"");
    log.lines().filter(is_grave).any(|line| parts.iter().all(|part| line.contains(part)))
}

/// Waits for such a line.
fn wait_complaint(projector: &Projector, parts: &[&str]) {
    wait_until(&format!("{parts:?} in a warning"), DEADLINE, || {
        let log = projector.output();
        if complains(&log, parts) { Ok(()) } else { Err(log) }
    });
}
