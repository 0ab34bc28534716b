//! What follows a commit: it is told, and METHOD=LIST may be through.

use crate::app::engine::{EngineLoop, LoopEnd};
use crate::app::shutdown::Shutdown;
use crate::app::sources::Sources;
use crate::app::{Tasks, sweep};
use crate::config::Config;
use crate::core::object::ObjectKey;
use crate::engine::outcome::Outcome;
use crate::health::Readiness;
use crate::tell::runner::Commit;

impl EngineLoop {
    pub(super) fn publish(&mut self, outcome: &Outcome, sources: &mut Sources, config: &Config, tasks: &mut Tasks) {
        let Some(engine) = &self.engine else { return };
        self.publisher.publish(outcome, engine.store());
        if !outcome.fetch.is_empty() {
            let store = engine.store();
            sources.fetch(outcome.fetch.iter().filter_map(|key| Some(store.object(key)?.wanted(key))));
        }
        sources.order(outcome);
        sources.count(engine.store());
        if let Some(runner) = &self.runner {
            let touched = outcome.remotes.iter().map(|files| &files.key).chain(&outcome.answered);
            let (downloading, downloaded): (Vec<_>, Vec<_>) = touched.partition(|key| engine.store().remotes().awaits(key));
            let downloading = downloading.into_iter().map(|key| (key, engine.store().source_of(key))).collect();
            let (differences, listed) = (&*outcome.differences, &*outcome.listed);
            runner.tell(&Commit { downloading, differences, listed, downloaded, is_ready: outcome.ready && !self.ready });
        }
        if let Some(desk) = &self.desk {
            desk.committed(outcome, engine);
        }
        self.health.set_files(engine.files());
        self.health.set_stuck(engine.stuck_paths());
        if (outcome.ready || self.ready)
            && !self.swept
            && !engine.store().holds_back()
            && let (Some(api), Some(finalizers)) = (&self.api, self.publisher.finalizers())
        {
            self.swept = true;
            sweep(config, api, finalizers, tasks);
        }
        self.tell_progress(outcome.ready, sources);
        if !outcome.ready || self.ready {
            return;
        }
        self.ready = true;
        self.start_child();
        self.health.set_readiness(Readiness::Ready);
        let Some(engine) = &self.engine else { return };
        let is_labelled = |key: &ObjectKey| !config.objects.contains(key);
        if config.selector.is_some() && !engine.store().refused() && !engine.store().live().any(|(key, _)| is_labelled(key)) {
            tracing::warn!(selection = config.selection(), "no object matches: are LABEL, NAMESPACE and RESOURCE right?");
        }
        for key in config.objects.iter().filter(|key| engine.store().object(key).is_none()) {
            tracing::warn!(object = %key, "there is no such object, or it may not be read: its files come with it");
        }
    }

    /// Says once that everything is in sync, which it is not while a wanted file is missing.
    fn tell_progress(&mut self, ready: bool, sources: &Sources) {
        let Some(engine) = self.engine.as_ref().filter(|_| ready && !self.in_sync) else { return };
        let is_amiss = engine.is_amiss();
        // What other servers have is waited for without a word here: whoever asks them tells what is wrong.
        if (is_amiss && self.ready) || (!is_amiss && !engine.store().remotes().are_known()) {
            return;
        }
        self.in_sync = !is_amiss;
        let (objects, files, amiss) = (engine.store().live().count(), engine.files(), engine.amiss());
        match self.in_sync {
            true if self.api.is_some() && engine.store().refused() => {
                tracing::warn!(objects, files, "in sync, but for what may not be listed: files of that stay as they are");
            }
            true if self.publisher.is_dry() => tracing::info!(objects, files, "would be in sync"),
            true => sources.in_sync(objects, files),
            false => tracing::warn!(objects, files, amiss, "not in sync yet: wanted files are missing or not as they should be"),
        }
    }

    /// METHOD=LIST is through.
    pub(super) async fn complete(&mut self, sources: &mut Sources, shutdown: &mut Shutdown, config: &Config) -> LoopEnd {
        let mut failures = sources.failures().await;
        // Retries may take longer than the loop promised to.
        self.beat.waiting();
        if let Some(runner) = &mut self.runner {
            // An application that is not there yet finds the files when it starts: no failure.
            tokio::select! {
                _ = runner.drain() => {}
                () = shutdown.asked() => {}
            }
            self.stop_reactions(shutdown).await;
        }
        if let Some(engine) = &self.engine {
            if engine.store().refused() {
                failures.push("not every kind or namespace could be listed".into());
            }
            match engine.stuck() {
                0 => {}
                // What waits for us may start all the same, as it did with the original.
                files if config.excuses_files => tracing::warn!(files, "files that could not be made right"),
                files => failures.push(format!("{files} files could not be made right")),
            }
        }
        match failures.is_empty() {
            true => LoopEnd::Done,
            false => LoopEnd::Failed(failures.join("; ")),
        }
    }
}
