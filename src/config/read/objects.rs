//! Settings about objects that are followed by kind, namespace and name, and what becomes of their files.

use crate::config::profiles::config_controller;
use crate::config::read::Reader;
use crate::config::read::names;
use crate::config::read::parse::{self, Expected};
use crate::config::table::{self, Fallback};
use crate::config::{Config, FINALIZER_DOMAIN, Method, Origin, selection_hash};
use crate::core::object::selector::Selector;
use crate::core::object::{Kind, NamedObject, Namespaces, ObjectKey};
use crate::core::policy::OnDelete;

/// Objects that are followed one by one.
pub(crate) struct Objects {
    /// OBJECT; sorted, without duplicates.
    pub(crate) keys: Vec<ObjectKey>,
    /// ON_DELETE.
    pub(crate) on_delete: OnDelete,
}

impl Config {
    /// What is projected from where, as one line: source, label, namespaces, kinds, objects. Equal for two runs that want the same
    /// objects.
    pub(crate) fn selection(&self) -> String {
        let source = match &self.origin {
            Origin::Cluster { .. } => "cluster".to_owned(),
            Origin::Manifests(folder) => folder.display().to_string(),
        };
        let namespaces = match &self.namespaces {
            Namespaces::All => "ALL".to_owned(),
            Namespaces::Only(names) => names.join(","),
        };
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        let mut selection = format!("source={source}");
        if let Some(selector) = &self.selector {
            selection.push_str(&format!(" label={selector} namespaces={namespaces} kinds={}", kinds.join(",")));
        }
        for ObjectKey { kind, namespace, name } in &self.objects {
            selection.push_str(&format!(" object={}/{namespace}/{name}", kind.lower()));
        }
        for NamedObject { namespace, kind, name } in &self.named {
            let kind = kind.map(Kind::lower).unwrap_or_default();
            selection.push_str(&format!(" name={}/{kind}/{name}", namespace.as_deref().unwrap_or_default()));
        }
        selection
    }

    /// Whether an object, whose labels `value_of` looks up, is one that we follow.
    pub(crate) fn follows<'a>(&self, key: &ObjectKey, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        let is_within = self.kinds.contains(&key.kind) && self.namespaces.contains(&key.namespace);
        let is_selected = || match self.named.is_empty() {
            true => self.selector.as_ref().is_some_and(|selector| selector.matches(value_of)),
            false => self.named.iter().any(|named| named.is(key)),
        };
        self.objects.contains(key) || (is_within && is_selected())
    }

    /// Objects whose files stay when they are deleted.
    pub(crate) fn kept(&self) -> Vec<ObjectKey> {
        match self.on_delete {
            OnDelete::Keep => self.objects.clone(),
            OnDelete::Remove => Vec::new(),
        }
    }

    /// Kinds and namespaces of all objects that may be followed.
    pub(crate) fn places(&self) -> (Vec<Kind>, Namespaces) {
        let labelled = self.selector.as_ref().map(|_| (self.kinds.as_slice(), &self.namespaces));
        places(labelled, &self.objects)
    }

    /// The namespace that we run in, where objects in it may carry our finalizer.
    pub(crate) fn guarded_home(&self) -> Option<&str> {
        let own = self.own_namespace.as_deref().filter(|_| self.finalizers.is_some() && self.method != Method::List)?;
        self.places().1.contains(own).then_some(own)
    }
}

impl Reader<'_> {
    pub(crate) fn objects(&mut self) -> Option<Objects> {
        let setting = table::find("OBJECT")?;
        let single = match self.configmap {
            None => Some(None),
            Some(given) => self.given_as(setting, given.given_by, &given.text, config_controller::configmap).map(Some),
        };
        let listed = match self.profile.fallback(setting) {
            Fallback::Required if self.configmap.is_none() => self.value("OBJECT", &self.raw.object, keys).map(Some),
            _ => self.optional("OBJECT", &self.raw.object, keys),
        };
        let on_delete = self.value("ON_DELETE", &self.raw.on_delete, on_delete);
        let mut keys = listed?.unwrap_or_default();
        keys.extend(single?);
        keys.sort();
        keys.dedup();
        Some(Objects { keys, on_delete: on_delete? })
    }

    /// LABEL and LABEL_VALUE; `None` inside where objects are followed by their names alone.
    pub(crate) fn selector(&mut self) -> Option<Option<Selector>> {
        if !self.projects() {
            return Some(None);
        }
        let is_needed = match self.profile.fallback(table::find("LABEL")?) {
            Fallback::Required => self.raw.object.is_none() && self.configmap.is_none(),
            Fallback::Value(_) | Fallback::Described(_) | Fallback::Unset => false,
        };
        match self.raw.label.is_some() || is_needed {
            true => self.labelled().map(Some),
            false => self.optional("LABEL_VALUE", &self.raw.label_value, parse::label_value).map(|_| None),
        }
    }
}

/// Kinds and namespaces of all objects that may be followed: by label, if any are, and by name.
pub(crate) fn places(labelled: Option<(&[Kind], &Namespaces)>, objects: &[ObjectKey]) -> (Vec<Kind>, Namespaces) {
    let (mut kinds, namespaces) = match labelled {
        Some((kinds, namespaces)) => (kinds.to_vec(), namespaces.clone()),
        None => (Vec::new(), Namespaces::Only(Vec::new())),
    };
    for kind in objects.iter().map(|key| key.kind) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let namespaces = match namespaces {
        Namespaces::All => Namespaces::All,
        Namespaces::Only(mut names) => {
            names.extend(objects.iter().map(|key| key.namespace.to_string()));
            names.sort();
            names.dedup();
            Namespaces::Only(names)
        }
    };
    (kinds, namespaces)
}

/// The name of the finalizer unless it is given: the same for the same objects.
pub(crate) fn default_finalizer(selector: Option<&Selector>, namespaces: &Namespaces, objects: &[ObjectKey]) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(selector) = selector {
        parts.push(selector.to_string());
        match namespaces {
            Namespaces::All => parts.push("ALL".to_owned()),
            Namespaces::Only(names) => parts.extend(names.iter().cloned()),
        }
    }
    parts.extend(objects.iter().map(ToString::to_string));
    format!("{FINALIZER_DOMAIN}/{}", selection_hash(&parts.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn keys(text: &str) -> Result<Vec<ObjectKey>, Expected> {
    let keys: Option<Vec<ObjectKey>> = parse::list(text).iter().map(|item| key(item)).collect();
    keys.filter(|keys| !keys.is_empty())
        .ok_or_else(|| "KIND/NAMESPACE/NAME with commas between them, where KIND is configmap or secret".into())
}

fn key(item: &str) -> Option<ObjectKey> {
    let mut parts = item.split('/').map(str::trim);
    let (kind, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = Kind::ALL.into_iter().find(|known| known.lower().eq_ignore_ascii_case(kind))?;
    let is_good = parts.next().is_none() && names::is_dns_label(namespace) && names::is_dns_subdomain(name);
    is_good.then(|| ObjectKey::new(kind, namespace, name))
}

fn on_delete(text: &str) -> Result<OnDelete, Expected> {
    parse::choice(text, &[("keep", OnDelete::Keep), ("remove", OnDelete::Remove)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::parse::tests::check;

    #[test]
    fn objects_have_three_parts() {
        let key = |kind, name: &str| ObjectKey::new(kind, "n", name);
        let good = [
            ("ConfigMap/n/a.b", vec![key(Kind::ConfigMap, "a.b")]),
            (" SECRET/n/b , configmap/n/a,", vec![key(Kind::Secret, "b"), key(Kind::ConfigMap, "a")]),
        ];
        check(
            keys,
            &good,
            &["", ",", "a", "n/a", "configmap/a", "pod/n/a", "n/configmap/a", "configmap/n/a/b", "configmap/N/a", "configmap//a"],
        );
        check(on_delete, &[("Keep", OnDelete::Keep), ("remove", OnDelete::Remove)], &["delete"]);
    }
}
