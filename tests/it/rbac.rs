//! The verbs of rbac/ are enough, and none is too many: with each one missing, a test shows what fails.

use crate::common::{OURS, Setup, started, two_seconds_after};
use crate::support::projector::Builder;
use crate::support::*;

/// One verb of one resource: group, resource, verb.
type Right = (String, String, String);

/// Exactly what the files of rbac/namespace grant.
fn shipped() -> Vec<Right> {
    ["read", "finalizers", "events"].into_iter().flat_map(|file| granted("namespace", file)).collect()
}

/// What the roles of one file grant.
fn granted(scope: &str, file: &str) -> Vec<Right> {
    let mut rights = Vec::new();
    for role in documents(scope, file) {
        let words = |rule: &serde_json::Value, field: &str| -> Vec<String> { serde_json::from_value(rule[field].clone()).unwrap() };
        for rule in role["rules"].as_array().into_iter().flatten() {
            for group in words(rule, "apiGroups") {
                for resource in words(rule, "resources") {
                    rights.extend(words(rule, "verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
                }
            }
        }
    }
    rights
}

/// The documents of a file of rbac/.
fn documents(scope: &str, file: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(format!("{}/rbac/{scope}/{file}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str::<serde_json::Value>(document).unwrap()).collect()
}

/// The shipped rights but this one, which must be among them.
fn but(resource: &str, verb: &str) -> Vec<Right> {
    let mut rights = shipped();
    let before = rights.len();
    rights.retain(|right| (&*right.1, &*right.2) != (resource, verb));
    assert_eq!(rights.len(), before - 1, "rbac/ grants {verb} on {resource} exactly once");
    rights
}

/// An account with some rights, and a projector with it.
struct Limited {
    setup: Setup,
    account: Account,
}

impl Limited {
    fn to(rights: &[Right]) -> Self {
        let setup = Setup::new();
        let account = setup.cluster.restricted(&[]);
        let limited = Self { setup, account };
        limited.grant(rights);
        limited
    }

    fn grant(&self, rights: &[Right]) {
        let verbs: Vec<[&str; 1]> = rights.iter().map(|right| [right.2.as_str()]).collect();
        let rights: Vec<_> = rights.iter().zip(&verbs).map(|(right, verb)| (&*right.0, &*right.1, &verb[..])).collect();
        self.setup.cluster.grant(&self.account, &rights);
    }

    fn projector(&self) -> Builder {
        self.setup.projector().kubeconfig(&self.account.kubeconfig).env("EVENT_LOGGING", "true").env("DEBUG", "true")
    }

    fn create(&self, resource: &str, name: &str, data: &[(&str, &str)]) -> serde_json::Value {
        match resource {
            "secrets" => self.setup.cluster.secret(name, data).create(),
            _ => self.setup.cluster.configmap(name, data).create(),
        }
    }
}

const KINDS: [&str; 2] = ["configmaps", "secrets"];

#[test]
fn shipped_verbs_are_enough_for_everything() {
    let limited = Limited::to(&shipped());
    let setup = &limited.setup;
    for (resource, name) in [("configmaps", "a"), ("secrets", "b")] {
        two_seconds_after(&limited.create(resource, name, &[(name, "1"), ("key", name)]));
    }
    let mut projector = started(&limited.projector());
    setup.has_finalizers("configmaps", "a", &[OURS]);
    setup.has_finalizers("secrets", "b", &[OURS]);
    assert_tree(&setup.folder(), &tree! { "a" => "1", "b" => "1", "key" => "a" });
    setup.event("b", "PathConflict");
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.holds(&tree! { "b" => "1", "key" => "b" });
    setup.event("a", "FinalizerReleased");
    assert!(!projector.output().contains("answered 403") && !projector.output().contains("forbidden"), "{}", projector.output());
    let check = limited.projector().arg("check").run();
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    projector.terminate();
    let release = limited.projector().arg("release").run();
    assert_eq!((release.code, setup.cluster.finalizers_of("secrets", "b").len()), (Some(0), 0), "{}", release.stdout);
}

#[test]
fn shipped_verbs_are_the_same_cluster_wide() {
    for file in ["read", "finalizers", "events"] {
        let in_a_namespace = granted("namespace", file);
        assert!(!in_a_namespace.is_empty(), "{file}");
        assert_eq!(granted("cluster", file), in_a_namespace, "{file}");
    }
}

#[test]
fn s18_namespaces_are_read_in_no_other_scope_than_our_own() {
    for scope in ["cluster", "namespace"] {
        let roles = documents(scope, "finalizers").into_iter().filter(|document| document["rules"].to_string().contains("namespaces"));
        assert_eq!(roles.map(|role| role["kind"].clone()).collect::<Vec<_>>(), ["Role"], "{scope}");
    }
}

#[test]
fn without_watch_a_kind_is_not_followed_and_the_other_is() {
    for (resource, other) in [(KINDS[0], KINDS[1]), (KINDS[1], KINDS[0])] {
        let limited = Limited::to(&but(resource, "watch"));
        let projector = started(&limited.projector());
        limited.create(resource, "late", &[("late", "1")]);
        limited.create(other, "last", &[("last", "1")]);
        limited.setup.holds(&tree! { "last" => "1" });
        projector.wait_output("needs get, list and watch");
        limited.grant(&shipped());
        limited.setup.holds(&tree! { "late" => "1", "last" => "1" });
    }
}

#[test]
fn without_get_an_object_whose_bytes_are_needed_again_is_listed_by_its_name() {
    for resource in KINDS {
        let limited = Limited::to(&but(resource, "get"));
        two_seconds_after(&limited.create(resource, "a", &[("key", "winner")]));
        limited.create(resource, "b", &[("key", "loser")]);
        let projector = started(&limited.projector());
        limited.setup.cluster.delete(resource, "a");
        projector.wait_output("listed by name");
        limited.setup.holds(&tree! { "key" => "loser" });
    }
}

#[test]
fn without_list_an_orphaned_finalizer_is_not_found() {
    for resource in KINDS {
        let limited = Limited::to(&but(resource, "list"));
        let plural = resource;
        let draft = match resource {
            "secrets" => limited.setup.cluster.secret("a", &[("a", "1")]),
            _ => limited.setup.cluster.configmap("a", &[("a", "1")]),
        };
        draft.unlabelled().finalizer(OURS).create();
        let mut projector = started(&limited.projector());
        projector.wait_output("may not list, looking for no orphans here");
        projector.terminate();
        assert_eq!(limited.setup.cluster.finalizers_of(plural, "a"), [OURS]);
        limited.grant(&shipped());
        let _projector = started(&limited.projector());
        limited.setup.has_finalizers(plural, "a", &[]);
    }
}

#[test]
fn without_patch_no_finalizer_is_added_and_one_warning_says_so() {
    for (resource, other) in [(KINDS[0], KINDS[1]), (KINDS[1], KINDS[0])] {
        let limited = Limited::to(&but(resource, "patch"));
        limited.create(resource, "a", &[("a", "1")]);
        limited.create(other, "b", &[("b", "1")]);
        let mut projector = started(&limited.projector());
        limited.setup.has_finalizers(other, "b", &[OURS]);
        projector.wait_output("may not set finalizers");
        assert_tree(&limited.setup.folder(), &tree! { "a" => "1", "b" => "1" });
        assert_eq!(limited.setup.cluster.finalizers_of(resource, "a"), Vec::<String>::new());
        projector.terminate();
        limited.grant(&shipped());
        let _projector = started(&limited.projector());
        limited.setup.has_finalizers(resource, "a", &[OURS]);
    }
}

#[test]
fn without_create_no_event_is_told() {
    let limited = Limited::to(&but("events", "create"));
    limited.create("configmaps", "a", &[("a", "1")]);
    let mut projector = started(&limited.projector());
    projector.wait_output("may not write Events");
    assert_eq!(limited.setup.cluster.reasons_for("a"), Vec::<String>::new());
    projector.terminate();
    limited.grant(&shipped());
    let _projector = started(&limited.projector());
    limited.setup.cluster.set_data("a", &[("a", "2")]);
    limited.setup.event("a", "FilesWritten");
}

/// Writes one file three times; how many Events tell it, and how high they count.
fn told_three_times(rights: &[Right]) -> (usize, u64) {
    let limited = Limited::to(rights);
    let _projector = started(&limited.projector());
    limited.create("configmaps", "a", &[("a", "1")]);
    let told = || {
        let events = limited.setup.cluster.events_for("a");
        let count = |event: &serde_json::Value| event["series"]["count"].as_u64().unwrap_or(1);
        (events.len(), events.iter().map(count).sum::<u64>())
    };
    for round in 1..=3 {
        wait_until("an Event for each change", DEADLINE, || if told().1 == round { Ok(()) } else { Err(told()) });
        if round < 3 {
            limited.setup.cluster.set_data("a", &[("a", &round.to_string().repeat(2))]);
        }
    }
    told()
}

#[test]
fn without_patch_of_events_a_repeated_one_is_written_anew() {
    assert_eq!(told_three_times(&but("events", "patch")), (3, 3));
    assert_eq!(told_three_times(&shipped()), (1, 3));
}

#[test]
fn methods_without_a_watch_need_no_watch() {
    let rights: Vec<Right> = shipped().into_iter().filter(|right| right.2 != "watch").collect();
    let limited = Limited::to(&rights);
    limited.create("configmaps", "a", &[("a", "1")]);
    limited.create("secrets", "b", &[("b", "1")]);
    let check = limited.projector().env("METHOD", "LIST").arg("check").run();
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    let plan = limited.projector().env("METHOD", "LIST").arg("plan").run();
    assert_eq!(plan.code, Some(2), "{plan:?}");
    let list = limited.projector().env("METHOD", "LIST").run();
    assert_eq!((list.code, tree(&limited.setup.folder())), (Some(0), tree! { "a" => "1", "b" => "1" }), "{}", list.stderr);
    let _projector = started(&limited.projector().env("METHOD", "SLEEP").env("SLEEP_TIME", "1"));
    limited.setup.cluster.set_data("a", &[("a", "2")]);
    limited.setup.holds(&tree! { "a" => "2", "b" => "1" });
}

#[test]
fn objects_that_are_named_need_get_alone() {
    let limited = Limited::to(&[(String::new(), "configmaps".to_owned(), "get".to_owned())]);
    limited.create("configmaps", "a", &[("a", "1")]);
    limited.create("configmaps", "other", &[("other", "1")]);
    let projector = || {
        limited
            .projector()
            .env("EVENT_LOGGING", "false")
            .env("FINALIZERS", "false")
            .env("RESOURCE_NAME", "configmap/a")
            .env("SLEEP_TIME", "1")
    };
    let check = projector().arg("check").run();
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    let _projector = started(&projector());
    limited.setup.holds(&tree! { "a" => "1" });
    limited.setup.cluster.set_data("a", &[("a", "2")]);
    limited.setup.holds(&tree! { "a" => "2" });
}
