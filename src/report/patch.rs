//! The JSON patches that add and remove finalizers. Pure.
//!
//! A patch tests the uid and the whole list before it changes the list, so it can neither drop a finalizer of
//! someone else nor hit an object of the same name that came later; a lost race is an answer, not an overwrite.

use serde_json::{Value, json};

use crate::config::FINALIZER_DOMAIN;
use crate::core::object::finalizers::Finalizers;

const LIST: &str = "/metadata/finalizers";

/// Which finalizers are taken off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FinalizerSelector {
    /// Exactly these.
    pub(crate) names: Vec<String>,
    /// And every one under [`FINALIZER_DOMAIN`].
    pub(crate) whole_domain: bool,
}

impl From<&Finalizers> for FinalizerSelector {
    /// All names of a deployment.
    fn from(ours: &Finalizers) -> Self {
        Self { names: std::iter::once(&ours.name).chain(&ours.former).cloned().collect(), whole_domain: false }
    }
}

impl FinalizerSelector {
    /// Whether one of these finalizers is to be taken off.
    pub(crate) fn takes_any(&self, finalizers: &[String]) -> bool {
        finalizers.iter().any(|finalizer| self.takes(finalizer))
    }

    fn takes(&self, finalizer: &String) -> bool {
        let is_ours = |(domain, _): (&str, &str)| self.whole_domain && domain == FINALIZER_DOMAIN;
        self.names.contains(finalizer) || finalizer.split_once('/').is_some_and(is_ours)
    }
}

/// What the list of finalizers should become.
#[derive(Clone, Copy)]
pub(crate) enum Aim<'a> {
    /// Carry our name once and no former one.
    Guard(&'a Finalizers),
    /// Carry none of these.
    Release(&'a FinalizerSelector),
}

/// The patch from `current` to the aim; `None` if there is nothing to change. An empty `uid` is not tested.
///
/// # Guarantees
/// Other finalizers keep their place and order, ours never occurs twice, and the patch fails as a whole unless the
/// object still has this uid and exactly this list.
pub(crate) fn patch_for(current: &[String], uid: &str, aim: Aim<'_>) -> Option<Value> {
    let mut seen = false;
    let mut leaves = |finalizer: &String| match aim {
        // The first of several is kept: the API server does not mind duplicates, we do.
        Aim::Guard(ours) if *finalizer == ours.name => std::mem::replace(&mut seen, true),
        Aim::Guard(ours) => ours.former.contains(finalizer),
        Aim::Release(which) => which.takes(finalizer),
    };
    let leaving: Vec<usize> = current.iter().enumerate().filter(|(_, finalizer)| leaves(finalizer)).map(|(index, _)| index).collect();
    let joining = match aim {
        Aim::Guard(ours) if !seen => Some(ours.name.as_str()),
        Aim::Guard(_) | Aim::Release(_) => None,
    };
    let changes = changes(current.len(), &leaving, joining);
    if changes.is_empty() {
        return None;
    }
    let mut operations = Vec::with_capacity(changes.len() + 2);
    if !uid.is_empty() {
        operations.push(json!({"op": "test", "path": "/metadata/uid", "value": uid}));
    }
    // An absent list passes a test for null, and only an absent one does (seen on Kubernetes 1.35).
    let tested = if current.is_empty() { Value::Null } else { json!(current) };
    operations.push(json!({"op": "test", "path": LIST, "value": tested}));
    operations.extend(changes);
    Some(Value::Array(operations))
}

fn changes(length: usize, leaving: &[usize], joining: Option<&str>) -> Vec<Value> {
    if length == leaving.len() {
        // Nothing of the list stays: it is removed or set as a whole.
        return match (joining, length) {
            (Some(name), _) => vec![json!({"op": "add", "path": LIST, "value": [name]})],
            (None, 0) => Vec::new(),
            (None, _) => vec![json!({"op": "remove", "path": LIST})],
        };
    }
    // From the end, so that the indices before stay true.
    let removed = leaving.iter().rev().map(|index| json!({"op": "remove", "path": format!("{LIST}/{index}")}));
    let added = joining.map(|name| json!({"op": "add", "path": format!("{LIST}/-"), "value": name}));
    removed.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "kube-projector.dev/x";
    const FORMER: &str = "kube-projector.dev/old";
    const OTHER: &str = "example.com/o";

    fn finalizers() -> Finalizers {
        Finalizers { name: OURS.to_owned(), former: vec![FORMER.to_owned()] }
    }

    fn patch(current: &[&str], guard: bool) -> Option<Value> {
        let current: Vec<String> = current.iter().map(|&text| text.to_owned()).collect();
        let ours = finalizers();
        let which = FinalizerSelector::from(&ours);
        patch_for(&current, "", if guard { Aim::Guard(&ours) } else { Aim::Release(&which) })
    }

    /// The list after the operations of a patch, which must test exactly the list before.
    fn applied(current: &[&str], patch: &Value) -> Vec<String> {
        let operations = patch.as_array().expect("a list");
        let tested = if current.is_empty() { Value::Null } else { json!(current) };
        assert_eq!(operations[0], json!({"op": "test", "path": LIST, "value": tested}));
        let mut list: Vec<String> = current.iter().map(|&text| text.to_owned()).collect();
        for operation in &operations[1..] {
            match (operation["op"].as_str(), operation["path"].as_str()) {
                (Some("remove"), Some(LIST)) => list.clear(),
                (Some("add"), Some(LIST)) => list = serde_json::from_value(operation["value"].clone()).expect("a list"),
                (Some("add"), Some("/metadata/finalizers/-")) => list.push(operation["value"].as_str().expect("a name").to_owned()),
                (Some("remove"), Some(path)) => {
                    list.remove(path.rsplit('/').next().and_then(|index| index.parse().ok()).expect("an index"));
                }
                other => panic!("unexpected operation {other:?}"),
            }
        }
        list
    }

    #[test]
    fn guard_adds_ours_once_and_drops_former_names() {
        let table: [(&[&str], Option<&[&str]>); 8] = [
            (&[], Some(&[OURS])),
            (&[OTHER], Some(&[OTHER, OURS])),
            (&[OURS], None),
            (&[OTHER, OURS], None),
            (&[FORMER], Some(&[OURS])),
            (&[FORMER, OTHER, FORMER], Some(&[OTHER, OURS])),
            (&[OURS, FORMER], Some(&[OURS])),
            (&[OURS, OTHER, OURS], Some(&[OURS, OTHER])),
        ];
        for (current, expected) in table {
            let list = patch(current, true).map(|patch| applied(current, &patch));
            assert_eq!(list, expected.map(|list| list.iter().map(|&text| text.to_owned()).collect()), "{current:?}");
        }
    }

    #[test]
    fn release_takes_ours_and_former_names_and_nothing_else() {
        let table: [(&[&str], Option<&[&str]>); 7] = [
            (&[], None),
            (&[OTHER], None),
            (&["kube-projector.dev/another"], None),
            (&[OURS], Some(&[])),
            (&[OURS, FORMER, OURS], Some(&[])),
            (&[OTHER, OURS], Some(&[OTHER])),
            (&[OURS, OTHER, FORMER, OTHER], Some(&[OTHER, OTHER])),
        ];
        for (current, expected) in table {
            let list = patch(current, false).map(|patch| applied(current, &patch));
            assert_eq!(list, expected.map(|list| list.iter().map(|&text| text.to_owned()).collect()), "{current:?}");
        }
    }

    #[test]
    fn whole_domain_is_taken_only_when_asked() {
        let current = [OTHER, "kube-projector.dev/another", "kube-projector.development/x"].map(str::to_owned);
        let patch = patch_for(&current, "", Aim::Release(&FinalizerSelector { names: Vec::new(), whole_domain: true })).expect("a patch");
        assert_eq!(patch[1], json!({"op": "remove", "path": "/metadata/finalizers/1"}));
        assert_eq!(patch.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn patch_tests_the_uid_first_when_there_is_one() {
        let ours = finalizers();
        let patch = patch_for(&[], "u-1", Aim::Guard(&ours)).expect("a patch");
        let expected = json!([
            {"op": "test", "path": "/metadata/uid", "value": "u-1"},
            {"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": [OURS]},
        ]);
        assert_eq!(patch, expected);
    }
}
