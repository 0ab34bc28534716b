//! What is shown of health as metrics: of all watches of a resource together, whichever they are.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::core::object::Kind;
use crate::core::policy::OnReloadFailure;
use crate::health::{Health, Readiness, WatchName, WatchState};
use crate::metrics::labels::{Label, ReactionKind, Resource};
use crate::metrics::scrape::HealthFigures;

impl Health {
    /// How it stands now. `wall` is the same moment by the clock that people read.
    pub(crate) fn figures(&self, now: Instant, wall: SystemTime) -> HealthFigures {
        let at = |then: Instant| wall.checked_sub(now.saturating_duration_since(then)).unwrap_or(wall);
        let oldest = |known: Option<SystemTime>, then: Option<Instant>| known.into_iter().chain(then.map(at)).min();
        let state = self.lock();
        let mut figures = HealthFigures { is_ready: state.is_ready(), is_dry: state.report.dry_run, ..HealthFigures::default() };
        for row in &state.watches {
            let Some(of) = figures.watches.get_mut(resource(&row.name).index()) else { continue };
            of.watches += 1;
            of.refused += u64::from(row.report.state == WatchState::Refused);
            of.contact = oldest(of.contact, row.last_contact);
            of.bookmark = oldest(of.bookmark, row.last_bookmark);
            of.relists += row.report.relists;
            of.restarts += row.restarts;
        }
        for silent in state.watches.iter().filter(|row| row.last_contact.is_none()) {
            // Whoever looks for the oldest must not overlook it.
            figures.watches.get_mut(resource(&silent.name).index()).into_iter().for_each(|of| of.contact = None);
        }
        for owed in &state.owed {
            let kind = ReactionKind::named(owed.reaction).and_then(|kind| figures.owed_since.get_mut(kind.index()));
            kind.into_iter().for_each(|since| *since = oldest(*since, Some(owed.since)));
        }
        figures
    }
}

impl super::HealthState {
    fn is_ready(&self) -> bool {
        self.readiness == Readiness::Ready && (self.on_reload_failure != OnReloadFailure::Unready || self.report.reload_failure.is_none())
    }
}

/// What a watch follows; without a kind it is a folder of manifests.
const fn resource(name: &WatchName) -> Resource {
    match name.kind {
        None => Resource::Manifests,
        Some(Kind::ConfigMap) => Resource::ConfigMaps,
        Some(Kind::Secret) => Resource::Secrets,
        Some(Kind::Pod) => Resource::Pods,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::health::{Counter, Owed};

    fn watch(kind: Kind, namespace: &str) -> WatchName {
        WatchName { kind: Some(kind), namespace: Some(namespace.to_owned()), name: None }
    }

    #[tokio::test(start_paused = true)]
    async fn watches_of_a_resource_are_shown_as_one_and_the_oldest_time_counts() {
        let (health, wall) = (Health::new(None), SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
        let (one, other) = (health.watch(watch(Kind::ConfigMap, "a")), health.watch(watch(Kind::ConfigMap, "b")));
        let secrets = health.watch(watch(Kind::Secret, "a"));
        one.contacted();
        one.bookmarked();
        tokio::time::advance(Duration::from_secs(10)).await;
        other.contacted();
        [&one, &other, &other].iter().for_each(|contact| contact.counted(Counter::Restart));
        one.relists(3);
        let contact = || health.figures(Instant::now(), wall).watches[Resource::ConfigMaps.index()].contact;
        let third = health.watch(watch(Kind::ConfigMap, "c"));
        assert_eq!(contact(), None, "one was never answered");
        third.contacted();
        secrets.counted(Counter::Relist);
        secrets.state(WatchState::Refused);
        let figures = health.figures(Instant::now(), wall);
        let of = figures.watches[Resource::ConfigMaps.index()];
        assert_eq!((of.watches, of.refused, of.relists, of.restarts), (3, 0, 3, 3));
        assert_eq!((of.contact, of.bookmark), (Some(wall - Duration::from_secs(10)), Some(wall - Duration::from_secs(10))));
        let of = figures.watches[Resource::Secrets.index()];
        assert_eq!((of.watches, of.refused, of.relists, of.contact), (1, 1, 1, None), "it was never answered");
        assert_eq!(figures.watches[Resource::Manifests.index()], Default::default());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_owed_is_shown_with_its_beginning() {
        let (health, wall) = (Health::new(None), SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
        let since = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        let owed = Owed { reaction: "exec", files: 1, since, attempts: 0, why: String::new() };
        health.set_owed(vec![owed.clone(), Owed { since: Instant::now(), ..owed }]);
        let figures = health.figures(Instant::now(), wall);
        assert_eq!(figures.owed_since[ReactionKind::Exec.index()], Some(wall - Duration::from_secs(5)));
        assert_eq!(figures.owed_since.iter().flatten().count(), 1);
    }

    #[tokio::test]
    async fn ready_is_what_readyz_says() {
        for policy in [OnReloadFailure::Report, OnReloadFailure::Unready, OnReloadFailure::Unhealthy] {
            let health = Health::new(None);
            health.set_on_reload_failure(policy);
            let same = || health.figures(Instant::now(), SystemTime::now()).is_ready == health.report().is_ready();
            assert!(same());
            health.set_readiness(Readiness::Ready);
            assert!(same());
            health.set_reload_failure(Some("why".to_owned()));
            assert!(same(), "{policy:?}");
        }
    }
}
