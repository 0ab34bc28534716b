//! Accounts with few rights, on both servers.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Backend, Cluster};
use crate::support::api::access::Rule;
use crate::support::api::object::text;
use crate::support::tree::{DEADLINE, wait_until};

/// A service account with rights of its own.
#[derive(Clone, Debug)]
pub struct Account {
    /// A kubeconfig with its token.
    pub kubeconfig: PathBuf,
    /// Its token.
    pub token: String,
    name: String,
    cluster_wide: bool,
}

/// What an account may do: API group, resource, verbs.
pub type Rights<'a> = &'a [(&'a str, &'a str, &'a [&'a str])];

impl Cluster {
    // ---- accounts ----

    /// An account with only these rights, in the namespace of this test.
    pub fn restricted(&self, rights: Rights<'_>) -> Account {
        self.account(rights, false)
    }

    /// An account with only these rights, in the whole cluster.
    pub fn restricted_cluster_wide(&self, rights: Rights<'_>) -> Account {
        self.account(rights, true)
    }

    fn account(&self, rights: Rights<'_>, cluster_wide: bool) -> Account {
        let name = format!("rig-account-{}", self.accounts.fetch_add(1, Ordering::SeqCst));
        let unique = format!("{}-{name}", self.namespace);
        let token = if self.is_real() { self.create_account(&name, &unique, cluster_wide) } else { unique };
        let account = Account { kubeconfig: self.kubeconfig_for(&token), token, name, cluster_wide };
        self.grant(&account, rights);
        account
    }

    fn create_account(&self, name: &str, unique: &str, cluster_wide: bool) -> String {
        let accounts = self.path("serviceaccounts", &self.namespace, "");
        self.client.post(&accounts, &json!({"metadata": {"name": name}})).ok("creating a service account");
        let (kind, role) = if cluster_wide { ("ClusterRole", unique) } else { ("Role", name) };
        self.client.post(&self.rbac(kind, ""), &json!({"metadata": {"name": role}, "rules": []})).ok("creating a role");
        let binding = json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}],
        });
        self.client.post(&self.rbac(&format!("{kind}Binding"), ""), &binding).ok("binding a role");
        if cluster_wide {
            self.remember(self.rbac("ClusterRoleBinding", role));
            self.remember(self.rbac("ClusterRole", role));
        }
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}});
        let answer = self.client.post(&format!("{accounts}/{name}/token"), &request).ok("asking for a token");
        text(&answer, "/status/token").to_owned()
    }

    fn rbac(&self, kind: &str, name: &str) -> String {
        let plural = format!("{}s", kind.to_lowercase());
        let place = if kind.starts_with("Cluster") { String::new() } else { format!("namespaces/{}/", self.namespace) };
        format!("/apis/rbac.authorization.k8s.io/v1/{place}{plural}/{name}").trim_end_matches('/').to_owned()
    }

    /// Gives an account exactly these rights, and returns when the server has noticed.
    pub fn grant(&self, account: &Account, rights: Rights<'_>) {
        self.grant_on(account, None, rights);
    }

    /// As `grant`, on objects of this name alone.
    pub fn grant_named(&self, account: &Account, name: &str, rights: Rights<'_>) {
        self.grant_on(account, Some(name), rights);
    }

    fn grant_on(&self, account: &Account, name: Option<&str>, rights: Rights<'_>) {
        if let Backend::InProcess(server) = &self.backend {
            let namespace = if account.cluster_wide { "*" } else { &self.namespace };
            let expand = |(group, resource, verbs): &(&str, &str, &[&str])| -> Vec<Rule> {
                let rules = verbs.iter().map(|verb| Rule::new(group, resource, verb, namespace));
                rules.map(|rule| name.map_or(rule.clone(), |name| rule.named(name))).collect()
            };
            server.set_rbac(&account.token, &rights.iter().flat_map(expand).collect::<Vec<_>>());
            return;
        }
        let (kind, role) = if account.cluster_wide {
            ("ClusterRole", format!("{}-{}", self.namespace, account.name))
        } else {
            ("Role", account.name.clone())
        };
        let rule = |(group, resource, verbs): &(&str, &str, &[&str])| {
            let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
            if let Some(name) = name {
                rule["resourceNames"] = json!([name]);
            }
            rule
        };
        let rules: Vec<_> = rights.iter().map(rule).collect();
        let before = self.client.get(&self.rbac(kind, &role)).ok("reading a role");
        self.client.merge_patch(&self.rbac(kind, &role), &json!({"rules": rules})).ok("changing a role");
        // The authorizer follows the role with a delay: wait until it allows what is new and no longer what is not.
        let theirs = self.client.for_token(&account.token);
        let review = |group: &str, resource: &str, verb: &str| {
            let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
            let mut attributes = json!({"group": group, "resource": resource, "subresource": part, "verb": verb});
            if !account.cluster_wide {
                attributes["namespace"] = self.namespace.clone().into();
            }
            if let Some(name) = name {
                attributes["name"] = name.into();
            }
            let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}});
            let answer = theirs.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body).ok("a review of rights");
            answer["status"]["allowed"] == true
        };
        let granted = |group: &str, resource: &str, verb: &str| {
            rights.iter().any(|(groups, resources, verbs)| *groups == group && *resources == resource && verbs.contains(&verb))
        };
        let mut expected: Vec<(String, String, String)> = Vec::new();
        for rule in rules.iter().chain(before["rules"].as_array().into_iter().flatten()) {
            for verb in rule["verbs"].as_array().into_iter().flatten() {
                let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                expected.push((word(&rule["apiGroups"][0]), word(&rule["resources"][0]), word(verb)));
            }
        }
        wait_until("the authorizer to follow the role", DEADLINE, || {
            let late = expected.iter().find(|(group, resource, verb)| review(group, resource, verb) != granted(group, resource, verb));
            late.map_or(Ok(()), Err)
        });
    }
}
