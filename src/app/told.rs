//! What was told of pods and Secrets, kept beside LEDGER: read at the start and written after each run. Nothing waits for the disk.

use std::io;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn, spawn_blocking};
use tokio::time::sleep;

use crate::aside;
use crate::config::read::exec::ExecSettings;
use crate::config::{Config, LedgerPlace, selection_hash};
use crate::core::tell::told::Told;
use crate::core::tell::trigger::Watched;
use crate::disk::fs::Kernel;
use crate::disk::told::ToldFile;

/// What could not be written is written again after this.
const AGAIN: Duration = Duration::from_secs(30);

/// Where it is kept: with a LEDGER that is a path, where pods or Secrets are watched.
pub(crate) fn place(config: &Config) -> Option<ToldFile> {
    let LedgerPlace::Path(ledger) = &config.ownership.ledger else { return None };
    config.triggers.watched().next().map(|_| ToldFile::beside(ledger))
}

/// Keeps it.
pub(crate) struct Keeper {
    place: ToldFile,
    writing: Option<JoinHandle<bool>>,
    /// Whether what was begun last is lost.
    is_lost: bool,
}

impl Keeper {
    /// A keeper of this place.
    pub(crate) const fn new(place: ToldFile) -> Self {
        Self { place, writing: None, is_lost: false }
    }

    /// What a former process told, where it was the same command in the same pods.
    pub(crate) async fn read(&self, exec: &ExecSettings) -> Told {
        let place = self.place.clone();
        let read = aside::once(aside::AT_START, move || place.read(&mut Kernel::default())).await.and_then(|read| read);
        let bytes = read.unwrap_or_else(|error| {
            tracing::warn!(path = %self.place.path().display(), %error, "what was told before cannot be read: it is told again");
            Vec::new()
        });
        Told::read(&bytes, of(exec))
    }

    /// Begins to write what is new, unless that is under way.
    pub(crate) fn begin(&mut self, watched: &mut Watched) {
        if self.writing.is_none()
            && let Some(bytes) = watched.take_changed()
        {
            self.writing = Some(spawn(write(self.place.clone(), bytes, self.is_lost)));
        }
    }

    /// Waits until there may be something to begin. False if what was begun is lost.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn ended(&mut self) -> bool {
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        self.is_lost = !writing.await.unwrap_or_default();
        self.writing = None;
        !self.is_lost
    }
}

/// Whether it is written. What is not is over when it may be tried again, and told of unless it was lost before.
async fn write(place: ToldFile, bytes: Vec<u8>, was_lost: bool) -> bool {
    let path = place.path();
    let written = spawn_blocking(move || place.replace(&mut Kernel::default(), &bytes)).await;
    match written.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(()) => tracing::debug!(path = %path.display(), "noted what was told"),
        Err(error) => {
            if !was_lost {
                let path = path.display();
                tracing::warn!(%path, %error, "what was told could not be noted, trying again: the next start tells it once more");
            }
            sleep(AGAIN).await;
            return false;
        }
    }
    true
}

/// Stands for who is told, and by what: others were not told.
fn of(exec: &ExecSettings) -> String {
    let labels = exec.labels.to_string();
    let parts = [exec.namespace.as_str(), &labels, exec.container.as_deref().unwrap_or_default()];
    selection_hash(&parts.into_iter().chain(exec.command.iter().map(String::as_str)).collect::<Vec<_>>())
}
