//! Contract 1.4: RESOURCE_NAME.

use std::collections::BTreeSet;

use super::{READ, sidecar};
use crate::common::{Setup, count, started};
use crate::support::projector::Builder;
use crate::support::*;

/// Two namespaces with a ConfigMap and a Secret `a` each, and a ConfigMap `b`; none has a label.
struct World {
    setup: Setup,
    second: String,
}

impl World {
    fn new() -> Self {
        let setup = Setup::new();
        let (first, second) = (setup.cluster.namespace().to_owned(), setup.cluster.create_namespace());
        for namespace in [&first, &second] {
            setup.cluster.configmap("a", &[("k", "1")]).unlabelled().in_namespace(namespace).create();
            setup.cluster.configmap("b", &[("k", "1")]).unlabelled().in_namespace(namespace).create();
            setup.cluster.secret("a", &[("k", "1")]).unlabelled().in_namespace(namespace).create();
        }
        Self { setup, second }
    }

    fn first(&self) -> &str {
        self.setup.cluster.namespace()
    }

    /// Text in which `N1` and `N2` stand for the namespaces.
    fn text(&self, text: &str) -> String {
        text.replace("N1", self.first()).replace("N2", &self.second)
    }

    fn sidecar(&self, names: &str) -> Builder {
        let builder = sidecar(&self.setup).env("NAMESPACE", &self.text("N1,N2")).env("UNIQUE_FILENAMES", "true");
        builder.env("RESOURCE_NAME", &self.text(names))
    }

    /// Files of these objects: `N1.secret_a`.
    fn files(&self, objects: &[&str]) -> Tree {
        objects.iter().map(|object| (format!("namespace_{}.k", self.text(object)), b"1".to_vec())).collect()
    }
}

#[test]
fn keep_1_4_every_form_names_objects_whatever_their_labels() {
    let all_a = &["N1.configmap_a", "N1.secret_a", "N2.configmap_a", "N2.secret_a"][..];
    let table = [
        ("a", all_a),
        ("configmap/b", &["N1.configmap_b", "N2.configmap_b"]),
        ("secret/a,configmap/b", &["N1.secret_a", "N2.secret_a", "N1.configmap_b", "N2.configmap_b"]),
        (" b , N2/secret/a ,, b", &["N1.configmap_b", "N2.configmap_b", "N2.secret_a"]),
        ("", &[]),
    ];
    for (names, objects) in table {
        let world = World::new();
        let _projector = started(&world.sidecar(names));
        assert_eq!(tree(&world.setup.folder()), world.files(objects), "{names:?}");
    }
}

#[test]
fn fix_1_4_kind_of_the_form_with_three_parts_is_respected() {
    for (names, object) in [("N1/secret/a", "N1.secret_a"), ("N2/configmap/a", "N2.configmap_a")] {
        let world = World::new();
        let _projector = started(&world.sidecar(names));
        assert_eq!(tree(&world.setup.folder()), world.files(&[object]), "{names:?}");
    }
}

#[test]
fn fix_1_4_pair_for_which_no_name_is_left_is_not_asked_for() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.secret("b", &[("b", "1")]).create();
    let other = setup.cluster.create_namespace();
    let namespaces = format!("{},{other}", setup.cluster.namespace());
    let names = format!("{}/configmap/a", setup.cluster.namespace());
    let _projector = started(&sidecar(&setup).env("NAMESPACE", &namespaces).env("RESOURCE_NAME", &names));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    let asked = setup.cluster.server().requests();
    let asked: BTreeSet<_> = asked.iter().map(|request| (request.namespace.as_str(), request.resource.as_str())).collect();
    assert_eq!(asked, BTreeSet::from([(setup.cluster.namespace(), "configmaps")]));
}

#[test]
fn fix_1_4_named_object_is_watched_by_field_selector() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("b", &[("b", "1")]).create();
    let _projector = started(&sidecar(&setup).env("RESOURCE_NAME", "configmap/a"));
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.holds(&tree! { "a" => "2" });
    setup.cluster.delete("configmaps", "a");
    setup.holds(&tree! {});
    setup.cluster.configmap("a", &[("a", "3")]).unlabelled().create();
    setup.holds(&tree! { "a" => "3" });
    let server = setup.cluster.server();
    let counts = server.counts_of("configmaps");
    assert_eq!((counts.gets, counts.lists, counts.stream_lists), (0, 0, 1), "{:?}", server.requests());
    for request in server.requests() {
        assert!(request.query.contains("fieldSelector=metadata.name%3Da") && !request.query.contains("labelSelector"), "{request:?}");
    }
}

/// A projector that may do nothing but `get`, where the original's users have `resourceNames`.
fn with_get_only(setup: &Setup) -> Builder {
    let account = setup.cluster.restricted(&[("", "configmaps", &["get"]), ("", "secrets", &["get"])]);
    sidecar(setup).kubeconfig(&account.kubeconfig).env("RESOURCE_NAME", "configmap/a,secret/b")
}

#[test]
fn keep_1_4_named_object_is_polled_where_only_get_is_granted() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    let mut projector = started(&with_get_only(&setup).env("METHOD", "SLEEP").env("SLEEP_TIME", "1"));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.cluster.secret("b", &[("b", "1")]).unlabelled().create();
    setup.holds(&tree! { "a" => "2", "b" => "1" });
    setup.cluster.delete("configmaps", "a");
    setup.holds(&tree! { "b" => "1" });
    setup.cluster.configmap("a", &[("a", "3")]).unlabelled().create();
    setup.holds(&tree! { "a" => "3", "b" => "1" });
    assert_eq!(projector.terminate().code(), Some(0));
}

#[test]
fn keep_1_4_named_object_is_read_once_by_list_and_at_the_start_of_watch() {
    for method in ["LIST", "WATCH"] {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
        let builder = with_get_only(&setup).env("METHOD", method);
        let _running = match method {
            "LIST" => {
                let finished = builder.run();
                assert_eq!(finished.code, Some(0), "{}", finished.stderr);
                None
            }
            _ => Some(started(&builder)),
        };
        assert_tree(&setup.folder(), &tree! { "a" => "1" });
    }
}

#[test]
fn keep_1_4_without_get_either_the_other_names_are_projected() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.secret("b", &[("b", "1")]).unlabelled().create();
    let account = setup.cluster.restricted(&[("", "configmaps", READ)]);
    let builder = sidecar(&setup).kubeconfig(&account.kubeconfig).env("RESOURCE_NAME", "configmap/a,secret/b");
    let _projector = started(&builder.env("METHOD", "SLEEP").env("SLEEP_TIME", "1"));
    assert_tree(&setup.folder(), &tree! { "a" => "1" });
    setup.cluster.grant(&account, &[("", "configmaps", READ), ("", "secrets", &["get"])]);
    setup.holds(&tree! { "a" => "1", "b" => "1" });
}

#[test]
fn keep_1_4_names_are_ignored_with_all_namespaces() {
    let setup = Setup::new();
    let label = format!("find-{}", setup.cluster.namespace());
    setup.cluster.configmap("a", &[("a", "1")]).unlabelled().create();
    setup.cluster.configmap("b", &[("b", "1")]).label(&label, "").create();
    let builder = sidecar(&setup).env("NAMESPACE", "ALL").env("LABEL", &label).env("RESOURCE_NAME", "a");
    let projector = started(&builder);
    assert_tree(&setup.folder(), &tree! { "b" => "1" });
    assert_eq!(count(&projector.output(), "RESOURCE_NAME has no effect with NAMESPACE=ALL"), 1, "{}", projector.output());
}

#[test]
fn fix_1_4_names_that_mean_nothing_end_with_2() {
    let setup = Setup::new();
    for names in ["a/b/c/d", "pod/a", "Upper", "n/secret/", "somewhere-else/configmap/a"] {
        let finished = sidecar(&setup).env("RESOURCE_NAME", names).run();
        assert_eq!(finished.code, Some(2), "{names}: {}", finished.stderr);
        assert!(finished.stderr.contains("RESOURCE_NAME"), "{names}: {}", finished.stderr);
    }
}
