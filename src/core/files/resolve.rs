//! Who keeps a path that several objects claim.
//!
//! The rule of the Gateway API: the older object, then kind, namespace and name. It depends on the objects alone, never on
//! the order in which they arrived. Objects without an age (manifests of a folder) are ordered by kind, namespace and name.

use crate::core::policy::Precedence;

/// Orders claims on one path: the first one keeps it. `created` is `metadata.creationTimestamp` in seconds; 0 where there is none.
pub(crate) const fn rank<K>(order: Precedence, created: i64, key: K) -> (i64, K) {
    match order {
        Precedence::Oldest => (created, key),
        // Reversed, without an overflow.
        Precedence::Newest => (!created, key),
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;
    use crate::core::object::{Kind, ObjectKey};

    #[test]
    fn older_object_keeps_the_path_then_kind_namespace_name() {
        let key = |kind, namespace: &str, name: &str| ObjectKey::new(kind, namespace, name);
        let (a, b) = (key(Kind::ConfigMap, "a", "a"), key(Kind::ConfigMap, "a", "b"));
        let (secret, other) = (key(Kind::Secret, "a", "a"), key(Kind::ConfigMap, "b", "a"));
        let table = [
            ((1, &b), (2, &a), Precedence::Oldest, Ordering::Less),
            ((1, &b), (2, &a), Precedence::Newest, Ordering::Greater),
            ((1, &a), (1, &b), Precedence::Oldest, Ordering::Less),
            ((1, &a), (1, &b), Precedence::Newest, Ordering::Less),
            ((1, &secret), (1, &other), Precedence::Oldest, Ordering::Greater),
            ((1, &other), (1, &b), Precedence::Oldest, Ordering::Greater),
            ((1, &key(Kind::ConfigMap, "ab", "c")), (1, &key(Kind::ConfigMap, "a", "bc")), Precedence::Oldest, Ordering::Greater),
        ];
        for ((created, key), (later, rival), order, expected) in table {
            let (left, right) = (rank(order, created, key), rank(order, later, rival));
            assert_eq!(left.cmp(&right), expected, "{key} {rival} {order:?}");
            assert_eq!(right.cmp(&left), expected.reverse());
        }
    }
}
