//! Who may do what: bearer tokens, and a table of rules for each.

use std::collections::BTreeMap;

/// The rig's own token: may do everything, is not in the request log, and no fault hits it.
pub const RIG_TOKEN: &str = "rig-admin";

/// One allowed thing. `*` stands for all.
#[derive(Clone, Debug)]
pub struct Rule {
    /// API group; empty for core.
    pub group: String,
    /// Resource.
    pub resource: String,
    /// Verb.
    pub verb: String,
    /// Namespace; `*` also allows requests at the cluster scope.
    pub namespace: String,
    /// Only the object of this name.
    pub name: Option<String>,
}

impl Rule {
    /// A rule from its four parts: `Rule::new("", "configmaps", "list", "*")`.
    pub fn new(group: &str, resource: &str, verb: &str, namespace: &str) -> Self {
        Self { group: group.to_owned(), resource: resource.to_owned(), verb: verb.to_owned(), namespace: namespace.to_owned(), name: None }
    }

    /// The same for the object of this name alone, as `resourceNames` has it.
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    fn allows(&self, group: &str, resource: &str, verb: &str, namespace: Option<&str>, name: Option<&str>) -> bool {
        let fits = |rule: &str, asked: &str| rule == "*" || rule == asked;
        let place = self.namespace == "*" || namespace.is_some_and(|namespace| namespace == self.namespace);
        fits(&self.group, group)
            && fits(&self.resource, resource)
            && fits(&self.verb, verb)
            && place
            && self.name.as_deref().is_none_or(|own| name == Some(own))
    }
}

/// What a token stands for.
#[derive(Clone, Debug)]
pub struct User {
    /// Name in refusals.
    pub name: String,
    /// What is allowed; `None` allows everything.
    pub rules: Option<Vec<Rule>>,
}

impl User {
    /// A user who may do everything.
    pub fn admin(name: &str) -> Self {
        Self { name: name.to_owned(), rules: None }
    }

    /// Whether the user may do this.
    pub fn may(&self, verb: &str, group: &str, resource: &str, namespace: Option<&str>, name: Option<&str>) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.iter().any(|rule| rule.allows(group, resource, verb, namespace, name)))
    }
}

/// The users by token.
pub type Access = BTreeMap<String, User>;
