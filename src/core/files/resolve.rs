//! Who keeps a path that several objects claim.
//!
//! The rule of the Gateway API: the older object, then kind, namespace and name. It depends on the objects alone, never on
//! the order in which they arrived. Objects without an age (manifests of a folder) are ordered by kind, namespace and name.

use std::cmp::Ordering;

use crate::core::object::ObjectKey;
use crate::core::policy::Order;

/// What decides between two claims on one path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Contender<'a> {
    /// `metadata.creationTimestamp` in seconds; 0 where there is none.
    pub(crate) created: i64,
    /// The claiming object.
    pub(crate) key: &'a ObjectKey,
}

/// `Less` means that `left` keeps the path.
pub(crate) fn precedence(left: Contender<'_>, right: Contender<'_>, order: Order) -> Ordering {
    let by_age = match order {
        Order::Oldest => left.created.cmp(&right.created),
        Order::Newest => right.created.cmp(&left.created),
    };
    by_age.then_with(|| left.key.cmp(right.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::object::Kind;

    #[test]
    fn older_object_keeps_the_path_then_kind_namespace_name() {
        let key = |kind, namespace: &str, name: &str| ObjectKey::new(kind, namespace, name);
        let (a, b) = (key(Kind::ConfigMap, "a", "a"), key(Kind::ConfigMap, "a", "b"));
        let (secret, other) = (key(Kind::Secret, "a", "a"), key(Kind::ConfigMap, "b", "a"));
        let table = [
            ((1, &b), (2, &a), Order::Oldest, Ordering::Less),
            ((1, &b), (2, &a), Order::Newest, Ordering::Greater),
            ((1, &a), (1, &b), Order::Oldest, Ordering::Less),
            ((1, &a), (1, &b), Order::Newest, Ordering::Less),
            ((1, &secret), (1, &other), Order::Oldest, Ordering::Greater),
            ((1, &other), (1, &b), Order::Oldest, Ordering::Greater),
            ((1, &key(Kind::ConfigMap, "ab", "c")), (1, &key(Kind::ConfigMap, "a", "bc")), Order::Oldest, Ordering::Greater),
        ];
        for ((created, key), (later, rival), order, expected) in table {
            let (left, right) = (Contender { created, key }, Contender { created: later, key: rival });
            assert_eq!(precedence(left, right, order), expected, "{key} {rival} {order:?}");
            assert_eq!(precedence(right, left, order), expected.reverse());
        }
    }
}
