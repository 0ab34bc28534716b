//! How the loop gets its engine: FOLDER and ledger are opened, and waited for, however long it takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::app::engine::{EngineLoop, LoopEnd, SLACK, STOP_WITHIN};
use crate::app::shutdown::Shutdown;
use crate::app::standby::{ReadAlong, Standby};
use crate::app::{Tasks, store};
use crate::config::{Config, LedgerPlace, Method};
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::disk::Disk;
use crate::disk::dry::{Overlay, RunFs};
use crate::disk::fs::{Fs as _, Kernel};
use crate::disk::ledger::{LedgerError, Place};
use crate::disk::locks;
use crate::disk::mount::CANNOT_SPARE;
use crate::disk::staging;
use crate::engine::{Engine, Start};
use crate::health::Readiness;
use crate::status::board::Board;

type Opening = Result<(Engine<RunFs>, Start), NotOpened>;

/// Why there is no engine yet.
struct NotOpened {
    /// Another instance has the ledger.
    held: bool,
    error: String,
}

/// Whether another instance has our ledger, as far as the kernel tells.
fn is_held(fs: &mut RunFs, place: &Place) -> bool {
    fs.look_root(&place.folder.join(&place.name)).is_ok_and(|meta| locks::held(meta.identity))
}

impl EngineLoop {
    /// STAGING that lies in FOLDER, through links, would show what it is to hide.
    async fn check_staging(&self, config: &Config, shutdown: &mut Shutdown) -> Result<(), LoopEnd> {
        let Some(staging) = config.ownership.staging.clone() else { return Ok(()) };
        let (folder, [shown, within]) = (config.folder.clone(), [&staging, &config.folder].map(|path| path.display().to_string()));
        let looking = self.executor.run(move || staging::lies_in(&folder, &staging));
        tokio::select! {
            looked = looking => match looked.unwrap_or(false) {
                true => Err(LoopEnd::Settings(format!(
                    "STAGING={shown} lies in FOLDER={within}: expected a folder outside of it, on the same mount"
                ))),
                false => Ok(()),
            },
            () = shutdown.asked() => Err(LoopEnd::Done),
        }
    }

    /// Opens FOLDER and ledger, however long it takes.
    pub(super) async fn open(&mut self, config: &Config, shutdown: &mut Shutdown, tasks: &mut Tasks) -> Result<(), LoopEnd> {
        self.check_staging(config, shutdown).await?;
        let mut told = String::new();
        let mut standby = None;
        loop {
            self.shown(|board| board.busy(true));
            let mut opening = self.try_open(config);
            let opened = tokio::select! {
                opened = &mut opening => opened,
                () = shutdown.asked() => {
                    // The ledger may be half written anew; either way there is nothing left to do.
                    let _ = timeout(STOP_WITHIN, opening).await;
                    return Err(LoopEnd::Done);
                }
            };
            self.shown(|board| board.busy(false));
            let NotOpened { held, error } = match opened {
                Ok(Ok((_, start))) if start.unkeepable => {
                    return Err(LoopEnd::Settings(format!("FOLDER={}: {CANNOT_SPARE}", config.folder.display())));
                }
                Ok(Ok((engine, start))) => {
                    self.greet(&start);
                    // What changed while another instance held the ledger was told to its application, not to ours.
                    let contents = start.opened.contents;
                    if let Some(runner) = self.runner.as_ref().filter(|_| contents.owed || standby.is_some()) {
                        // A Secret's file may have been among what went meanwhile.
                        if !contents.debt.clean {
                            self.discretion.doubt();
                        }
                        runner.inherit(contents.debt, self.owned(&engine));
                    }
                    if let Some(runner) = self.runner.as_ref().filter(|_| start.continues) {
                        runner.continues();
                    }
                    self.metrics.stands(&engine.standing());
                    self.engine = Some(engine);
                    self.shown(Board::opened);
                    if standby.is_some() {
                        // A disk that hangs is noticed by the next commit.
                        let _ = self.on_disk(shutdown, Engine::owe).await;
                    }
                    return Ok(());
                }
                Ok(Err(error)) => error,
                Err(error) => return Err(LoopEnd::Failed(error.to_string())),
            };
            if config.method == Method::List && !held {
                return Err(LoopEnd::Failed(error));
            }
            self.shown(|board| board.not_opened(held, &error));
            if error != told {
                match held {
                    true => tracing::warn!(why = error, folder = %config.folder.display(), "not started yet, reading along"),
                    false => tracing::error!(error, folder = %config.folder.display(), "not started yet, trying again"),
                }
                self.health.set_readiness(Readiness::Waiting(error.clone()));
                told = error;
            }
            if held {
                let standby = standby.get_or_insert_with(|| Standby::begin(config, self.api.clone(), self.place.clone()));
                self.stand_by(standby.seen(), config)?;
            }
            self.beat.expect_within(SLACK);
            tokio::select! {
                () = sleep(Duration::from_millis(500)) => {}
                why = tasks.ended() => return Err(LoopEnd::Failed(why)),
                () = shutdown.asked() => return Err(LoopEnd::Done),
            }
        }
    }

    /// Begins to open them, once.
    fn try_open(&self, config: &Config) -> oneshot::Receiver<Opening> {
        let store = store(config).discreet(self.discretion.clone());
        let (settings, place) = (self.settings.clone(), self.place.clone());
        // Whoever keeps the ledger elsewhere has a reader of every file, dot-files too.
        let apart = matches!(config.ownership.ledger, LedgerPlace::Path(_) | LedgerPlace::In(_));
        let (durability, folder_mode) = (config.files.durability, u16::try_from(config.files.folder_mode).unwrap_or(0o755));
        let staging = config.ownership.staging.clone();
        let kernel = if apart { Kernel::default() } else { Kernel::with_names() };
        let (mut fs, dry, folder) = (Overlay::new(kernel, config.dry_run), config.dry_run, config.folder.display().to_string());
        self.executor.run(move || {
            let is_held = dry && is_held(&mut fs, &place);
            let mut disk = Disk::open(fs, settings.rules.roots.clone(), folder_mode, durability)
                .map_err(|error| NotOpened { held: false, error: format!("FOLDER={folder}: {error}") })?;
            staging.iter().for_each(|staging| disk.stage_in(staging));
            let opened = Engine::open(disk, place, settings, store);
            if is_held && opened.is_ok() {
                tracing::info!("another instance holds the ledger: what is said is what would be done in its place");
            }
            opened.map_err(|error| NotOpened { held: matches!(error, LedgerError::Held { .. }), error: error.to_string() })
        })
    }

    /// The files that are ours, as they are told, each with its owner.
    pub(super) fn owned(&self, engine: &Engine<RunFs>) -> impl Iterator<Item = (String, Arc<ObjectKey>)> {
        let shown = |path: &TargetPath| self.settings.rules.roots.show(path.as_str());
        engine.store().paths().filter_map(move |(path, entry)| Some((shown(path), entry.owner.clone()?)))
    }

    /// While another instance holds the ledger.
    fn stand_by(&mut self, seen: ReadAlong, config: &Config) -> Result<(), LoopEnd> {
        let ReadAlong::Complete { refused } = seen else { return Ok(()) };
        if config.method == Method::List {
            return Err(match refused {
                true => LoopEnd::Failed("not every kind or namespace could be listed".into()),
                false => LoopEnd::Done,
            });
        }
        if !std::mem::replace(&mut self.stood_by, true) {
            tracing::info!("every wanted file is there, kept by the other: ready, and waiting to take over");
        }
        self.health.set_readiness(Readiness::Ready);
        Ok(())
    }

    fn greet(&self, start: &Start) {
        let Start { opened, swept, .. } = start;
        if let Some(why) = &opened.unreadable {
            tracing::warn!(
                ledger = self.place.name,
                why = why.to_string(),
                "ledger unreadable: nothing is removed, wanted files are taken over"
            );
        }
        if opened.contents.skipped > 0 {
            tracing::warn!(ledger = self.place.name, records = opened.contents.skipped, "broken records skipped");
        }
        for name in &opened.taken_over {
            match self.publisher.is_dry() {
                true => tracing::info!(ledger = name, "would take over predecessor"),
                false => tracing::info!(ledger = name, "predecessor taken over"),
            }
        }
        if opened.found.marked > 0 {
            tracing::info!(files = opened.found.marked, "the ledger is new: files that carry our mark are ours");
        }
        if opened.found.cut {
            tracing::warn!(folder = %self.place.folder.display(), "the ledger is new, and FOLDER holds too much to look for all files of ours: some may stay");
        }
        match (*swept, self.publisher.is_dry()) {
            (0, _) => {}
            (files, true) => tracing::info!(files, "would remove temporary files of a crash"),
            (files, false) => tracing::info!(files, "temporary files of a crash removed"),
        }
        tracing::debug!(owned = opened.contents.owned.len(), "ledger read");
    }
}
