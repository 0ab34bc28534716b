//! As PID 1 of a container we inherit every process whose parent ended, and have to wait for it when it ends too.
//!
//! Whoever here waits for a process of its own does so at once. So a process that ended and is still there after a pause is nobody's.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::aside::{self, WITHIN};
use crate::tell::proc;

/// Much longer than a process of ours is left waiting, much shorter than zombies matter.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether it is on us.
pub(crate) fn is_needed() -> bool {
    std::process::id() == 1
}

/// Waits for orphans, for ever.
pub(crate) async fn reap() {
    let mut ended = match signal(SignalKind::child()) {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(%error, "orphans are not waited for");
            return std::future::pending().await;
        }
    };
    let mut seen = BTreeSet::new();
    loop {
        // What ends from now on is told by the signal, so nothing that `any_zombie` misses is missed.
        while any_zombie() {
            let children = aside::once(WITHIN, || proc::children(Path::new("/proc"))).await.unwrap_or_default();
            let zombies: BTreeSet<i32> = children.into_iter().filter(|(_, status)| status.is_zombie).map(|(pid, _)| pid).collect();
            zombies.intersection(&seen).filter_map(|pid| Pid::from_raw(*pid)).for_each(take);
            seen = zombies;
            if seen.is_empty() {
                // There is no /proc to find them by.
                break;
            }
            sleep(PAUSE).await;
        }
        seen.clear();
        ended.recv().await;
    }
}

fn any_zombie() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::All, options).is_ok_and(|status| status.is_some())
}

fn take(orphan: Pid) {
    // It fails where somebody was faster.
    let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
}
