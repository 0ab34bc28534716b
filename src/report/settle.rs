//! One object's finalizers, brought to what they should be: patch, and after a lost race look again.

use std::time::Duration;

use tokio::time::sleep;

use crate::api::ApiServer;
use crate::api::failure::Failure;
use crate::api::metadata;
use crate::core::backoff::{Backoff, random};
use crate::core::object::ObjectKey;
use crate::core::object::finalizers::LastSeen;
use crate::core::object::uid::{uid_number, uid_text};
use crate::report::patch::{Aim, patch_for};

/// Pauses between lost races, ten times as long as they are.
const BACKOFF: Backoff = Backoff::up_to(Duration::from_secs(2));
/// Races lost in a row before the object is left alone for a while.
const ROUNDS_MAX: u32 = 5;

/// How the object was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Settled {
    /// The list was changed by us.
    Changed,
    /// There was nothing to change.
    Unchanged,
    /// The object is gone, is another one by now, or is being deleted and must not be guarded.
    Gone,
}

/// Why the object could not be settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Setback {
    /// The verb that failed, as RBAC rules spell it.
    pub(crate) verb: &'static str,
    /// How it failed.
    pub(crate) failure: Failure,
}

/// Brings the list to the aim, starting from what was last `seen`.
///
/// # Guarantees
/// Never changes an object of another uid, never touches other finalizers, never guards an object that is being
/// deleted.
///
/// # Errors
/// The first failure that is no lost race, or the last lost race of several.
///
/// # Cancel safety
/// A patch under way may or may not be applied; it is one change at the server.
pub(crate) async fn settle(api: &ApiServer, key: &ObjectKey, seen: LastSeen, aim: Aim<'_>) -> Result<Settled, Setback> {
    let (mut uid, mut finalizers) = (uid_text(seen.uid), seen.finalizers);
    let mut round = 0;
    loop {
        let Some(patch) = patch_for(&finalizers, &uid, aim) else { return Ok(Settled::Unchanged) };
        let Err(lost) = metadata::patch(api, key, &patch).await else { return Ok(Settled::Changed) };
        match lost.code() {
            Some(404) => return Ok(Settled::Gone),
            Some(409 | 422) if round < ROUNDS_MAX => round += 1,
            Some(403) if matches!(aim, Aim::Release(_)) => return refused(api, key, seen.uid, aim, lost).await,
            _ => return Err(Setback { verb: "patch", failure: lost }),
        }
        if round > 1 {
            sleep(BACKOFF.spread_after(round - 1, random()) / 10).await;
        }
        let now = metadata::read(api, key).await.map_err(|failure| Setback { verb: "get", failure })?;
        let Some(now) = now.filter(|now| seen.uid == 0 || uid_number(&now.uid) == seen.uid) else { return Ok(Settled::Gone) };
        if now.is_terminating() && matches!(aim, Aim::Guard(_)) {
            return Ok(Settled::Gone);
        }
        (uid, finalizers) = (now.uid, now.finalizers);
    }
}

/// Who may not release an object may see that nobody has to: else what is gone would be tried again for ever.
async fn refused(api: &ApiServer, key: &ObjectKey, uid: u128, aim: Aim<'_>, refusal: Failure) -> Result<Settled, Setback> {
    match metadata::read(api, key).await {
        Ok(None) => Ok(Settled::Gone),
        Ok(Some(now)) if uid != 0 && uid_number(&now.uid) != uid => Ok(Settled::Gone),
        Ok(Some(now)) if patch_for(&now.finalizers, &now.uid, aim).is_none() => Ok(Settled::Unchanged),
        Ok(Some(_)) | Err(_) => Err(Setback { verb: "patch", failure: refusal }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::api::stub::{Answer, Asked, server};
    use crate::core::object::Kind;
    use crate::core::object::finalizers::Finalizers;
    use crate::report::patch::FinalizerSelector;

    const UID: &str = "bd24ad0f-0a3e-4a5d-9c3e-5b6c1d1f2a3b";

    fn object(uid: &str, finalizers: &[&str], terminating: bool) -> Answer {
        let mut metadata = json!({"name": "a", "namespace": "n", "uid": uid, "finalizers": finalizers});
        if terminating {
            metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Answer::json(200, &json!({"metadata": metadata}))
    }

    /// Settles a guard that begins with an empty list. The first patch is answered by `first`, reads by `found`.
    async fn guard(first: u16, found: fn() -> Answer) -> (Result<Settled, Option<u16>>, Vec<String>) {
        let patches = Arc::new(AtomicUsize::new(0));
        let api = server(move |asked: &Asked| match asked.method.as_str() {
            "PATCH" if patches.fetch_add(1, Ordering::Relaxed) == 0 => Answer::json(first, &json!({"kind": "Status"})),
            "PATCH" => Answer::json(200, &json!({})),
            _ => found(),
        })
        .await;
        let ours = Finalizers { name: "kube-projector.dev/x".to_owned(), former: Vec::new() };
        let known = LastSeen { uid: uid_number(UID), finalizers: Vec::new() };
        let result = settle(&api.api, &ObjectKey::new(Kind::Secret, "n", "a"), known, Aim::Guard(&ours)).await;
        let asked = api.asked().into_iter().map(|asked| format!("{} {}", asked.method, asked.body)).collect();
        (result.map_err(|setback| setback.failure.code()), asked)
    }

    #[tokio::test]
    async fn lost_race_looks_again_and_patches_what_it_found() {
        let (result, asked) = guard(422, || object(UID, &["example.com/o"], false)).await;
        assert_eq!(result, Ok(Settled::Changed));
        assert_eq!(asked.len(), 3, "{asked:?}");
        assert!(asked[0].contains(UID) && asked[0].contains("null"), "{asked:?}");
        assert!(asked[2].contains(r#"["example.com/o"]"#) && asked[2].contains("/metadata/finalizers/-"), "{asked:?}");
    }

    #[tokio::test]
    async fn terminating_replaced_and_gone_objects_are_left_alone() {
        for found in [|| object(UID, &[], true), || object("other", &[], false), || Answer::json(404, &json!({}))] {
            let (result, asked) = guard(422, found).await;
            assert_eq!((result, asked.len()), (Ok(Settled::Gone), 2), "{asked:?}");
        }
        let (result, asked) = guard(404, || object(UID, &[], false)).await;
        assert_eq!((result, asked.len()), (Ok(Settled::Gone), 1));
    }

    #[tokio::test]
    async fn race_won_by_our_own_kind_changes_nothing() {
        let (result, asked) = guard(409, || object(UID, &["kube-projector.dev/x"], false)).await;
        assert_eq!((result, asked.len()), (Ok(Settled::Unchanged), 2), "{asked:?}");
    }

    #[tokio::test]
    async fn refusal_is_not_retried() {
        let (result, asked) = guard(403, || object(UID, &[], false)).await;
        assert_eq!((result, asked.len()), (Err(Some(403)), 1));
    }

    /// What a refused release comes to, where a look at the object is answered so.
    async fn refused_release(found: fn() -> Answer) -> Result<Settled, Option<u16>> {
        let stub = server(move |asked: &Asked| match asked.method.as_str() {
            "PATCH" => Answer::json(403, &json!({})),
            _ => found(),
        })
        .await;
        let which = FinalizerSelector { names: vec!["kube-projector.dev/x".to_owned()], whole_domain: false };
        let known = LastSeen { uid: uid_number(UID), finalizers: vec!["kube-projector.dev/x".to_owned()] };
        let result = settle(&stub.api, &ObjectKey::new(Kind::Secret, "n", "a"), known, Aim::Release(&which)).await;
        result.map_err(|setback| setback.failure.code())
    }

    #[tokio::test]
    async fn s15_a_release_that_is_refused_ends_with_its_object() {
        assert_eq!(refused_release(|| Answer::json(404, &json!({}))).await, Ok(Settled::Gone));
        assert_eq!(refused_release(|| object("other", &["kube-projector.dev/x"], false)).await, Ok(Settled::Gone));
        assert_eq!(refused_release(|| object(UID, &["example.com/o"], false)).await, Ok(Settled::Unchanged));
        assert_eq!(refused_release(|| object(UID, &["kube-projector.dev/x"], false)).await, Err(Some(403)));
        assert_eq!(refused_release(|| Answer::json(403, &json!({}))).await, Err(Some(403)));
    }
}
