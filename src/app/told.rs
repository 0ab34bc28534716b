//! What was told of pods and Secrets, kept beside LEDGER: read at the start and written after each run. Nothing waits for the disk.

use std::io;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

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
    writing: Option<JoinHandle<io::Result<()>>>,
    /// When to try again what failed.
    again: Option<Instant>,
    /// Whether it was said that it fails.
    said: bool,
}

impl Keeper {
    /// A keeper of this place.
    pub(crate) const fn new(place: ToldFile) -> Self {
        Self { place, writing: None, again: None, said: false }
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
        if self.writing.is_some() || self.again.is_some() {
            return;
        }
        if let Some(bytes) = watched.take_changed() {
            let place = self.place.clone();
            self.writing = Some(spawn_blocking(move || place.replace(&mut Kernel::default(), &bytes)));
        }
    }

    /// Waits until there may be something to begin. False if what was begun is lost.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn ended(&mut self) -> bool {
        if let Some(writing) = &mut self.writing {
            let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
            self.writing = None;
            return self.judge(written);
        }
        match self.again {
            Some(again) => sleep_until(again).await,
            None => std::future::pending().await,
        }
        self.again = None;
        true
    }

    fn judge(&mut self, written: io::Result<()>) -> bool {
        let path = self.place.path();
        match &written {
            Ok(()) => {
                self.said = false;
                tracing::debug!(path = %path.display(), "noted what was told");
            }
            Err(error) => {
                self.again = Some(Instant::now() + AGAIN);
                if !std::mem::replace(&mut self.said, true) {
                    let path = path.display();
                    tracing::warn!(%path, %error, "what was told could not be noted, trying again: the next start tells it once more");
                }
            }
        }
        written.is_ok()
    }
}

/// Stands for who is told, and by what: others were not told.
fn of(exec: &ExecSettings) -> String {
    let labels = exec.labels.to_string();
    let parts = [exec.namespace.as_str(), &labels, exec.container.as_deref().unwrap_or_default()];
    selection_hash(&parts.into_iter().chain(exec.command.iter().map(String::as_str)).collect::<Vec<_>>())
}
