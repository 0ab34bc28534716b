//! Settings about objects: which are followed, by labels or by name, and where they come from.

use std::time::Duration;

use crate::config::profiles::{Dialect, config_controller};
use crate::config::read::SettingsReader;
use crate::config::read::form::ValueForm;
use crate::config::read::parse::{self, Expected, MethodName};
use crate::config::table::{self, SettingValues};
use crate::config::{Config, FINALIZER_DOMAIN, Method, ObjectSource, selection_hash};
use crate::core::names;
use crate::core::object::selector::Selector;
use crate::core::object::{Kind, NamedObject, Namespaces, ObjectKey};
use crate::core::policy::OnDelete;

/// Where objects are looked for.
pub(crate) struct ObjectPlaces {
    pub(crate) namespaces: Namespaces,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) names: Vec<NamedObject>,
    /// Whether the kubeconfig is one that nobody named.
    pub(crate) implied: bool,
    pub(crate) source: ObjectSource,
}

impl Config {
    /// What is projected from where, as one line: source, label, namespaces, kinds, objects. Equal for two runs that want the same
    /// objects.
    pub(crate) fn selection(&self) -> String {
        let source = match &self.source {
            ObjectSource::Cluster { .. } => "cluster".to_owned(),
            ObjectSource::Manifests(folder) => folder.display().to_string(),
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

impl SettingsReader<'_> {
    /// OBJECT and the ConfigMap of k8s-config-controller; sorted, without duplicates.
    pub(crate) fn objects(&mut self, set: &SettingValues) -> Option<Vec<ObjectKey>> {
        let texts = self.texts;
        let single = match &texts.configmap {
            None if texts.profile.requires("OBJECT") => self.required("OBJECT", &set.OBJECT).map(|_| None),
            None => Some(None),
            Some(given) => {
                let form = ValueForm::Text(config_controller::configmap);
                self.parsed(table::find("OBJECT")?, given.by, &given.text, &form).map(Some)
            }
        };
        let mut keys = set.OBJECT.optional()?.unwrap_or_default();
        keys.extend(single?);
        keys.sort();
        keys.dedup();
        Some(keys)
    }

    /// LABEL and LABEL_VALUE; `None` inside where objects are followed by their names alone.
    pub(crate) fn selector(&mut self, set: &SettingValues) -> Option<Option<Selector>> {
        let is_named = set.OBJECT.is_given() || self.texts.configmap.is_some();
        let is_needed = self.texts.profile.requires("LABEL") && !is_named;
        if !self.projects() || !(set.LABEL.is_given() || is_needed) {
            return set.LABEL_VALUE.optional().map(|_| None);
        }
        let (label, value) = (self.required("LABEL", &set.LABEL), set.LABEL_VALUE.optional());
        let (label, value) = (label?, value?);
        if self.dialect() == Dialect::Sidecar {
            let text = value.map_or(label.clone(), |value| format!("{label}={value}"));
            let subject = self.texts.given("LABEL")?.by;
            return self.parsed(table::find("LABEL")?, subject, &text, &ValueForm::Text(parse::selector)).map(Some);
        }
        Some(Some(Selector::label(&label, value.as_deref())))
    }

    /// Whether anything is projected: always, unless nothing at all says so and pods or Secrets are watched.
    pub(crate) fn projects(&self) -> bool {
        let is_given = |name: &&str| self.texts.given(name).is_some();
        let says_so = ["LABEL", "LABEL_VALUE", "FOLDER", "SOURCE", "RESOURCE_NAME", "OBJECT"].iter().any(is_given);
        let watches = ["WATCH_PODS_LABELS", "WATCH_SECRET_TYPE"].iter().any(is_given) || self.dialect() == Dialect::Director;
        says_so || self.texts.configmap.is_some() || !watches
    }

    /// Namespaces, kinds and names among them, and who has the objects.
    pub(crate) fn places(&mut self, set: &SettingValues) -> Option<ObjectPlaces> {
        let namespaces = self.namespaces(set);
        let (folder, kubeconfig) = (set.SOURCE.value()?, set.KUBECONFIG.optional()?);
        let context = self.context;
        // That of whoever sits here is not meant for a program that writes to a cluster, as long as nobody says so.
        let implied = kubeconfig.is_none() && context.home_kubeconfig.is_some() && !context.in_pod;
        let looks_at_home = !context.in_pod || self.dialect() != Dialect::Own;
        let kubeconfig = kubeconfig.or_else(|| context.home_kubeconfig.clone().filter(|_| looks_at_home));
        let (namespaces, kinds) = (namespaces?, set.RESOURCE.value()?.to_vec());
        let names = self.fitting(set.RESOURCE_NAME.optional()?.unwrap_or_default(), &namespaces, &kinds)?;
        let source = folder.map_or(ObjectSource::Cluster { kubeconfig }, ObjectSource::Manifests);
        Some(ObjectPlaces { namespaces, kinds, names, implied, source })
    }

    fn namespaces(&mut self, set: &SettingValues) -> Option<Namespaces> {
        if let Some(namespaces) = set.NAMESPACE.optional()?.flatten() {
            return Some(namespaces);
        }
        let own = self.context.own_namespace.as_ref().or(self.context.kubeconfig_namespace.as_ref());
        if own.is_none() {
            self.note("NAMESPACE", "outside of a pod it is required: ALL, or names of namespaces with commas between them");
        }
        own.map(|own| Namespaces::Only(vec![own.clone()]))
    }

    /// Those names that mean something among these namespaces and kinds.
    fn fitting(&mut self, names: Vec<NamedObject>, namespaces: &Namespaces, kinds: &[Kind]) -> Option<Vec<NamedObject>> {
        if names.is_empty() {
            return Some(names);
        }
        let Namespaces::Only(namespaces) = namespaces else {
            self.warn("RESOURCE_NAME has no effect with NAMESPACE=ALL");
            return Some(Vec::new());
        };
        let fits = |named: &NamedObject| kinds.iter().any(|kind| namespaces.iter().any(|namespace| named.is_within(*kind, namespace)));
        if !names.iter().any(fits) {
            self.note("RESOURCE_NAME", "no item is of a kind in RESOURCE and of a namespace in NAMESPACE");
            return None;
        }
        Some(names)
    }
}

/// METHOD, and SLEEP_TIME, which counts with others than SLEEP too.
pub(crate) fn method(set: &SettingValues) -> Option<(Method, Duration)> {
    let (method, sleep) = (set.METHOD.value()?, set.SLEEP_TIME.value()?);
    let method = match method {
        MethodName::Watch => Method::Watch,
        MethodName::List => Method::List,
        MethodName::Sleep => Method::Sleep(sleep),
    };
    Some((method, sleep))
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

/// `KIND/NAMESPACE/NAME` with commas between them.
pub(crate) fn keys(text: &str) -> Result<Vec<ObjectKey>, Expected> {
    let key = |item: &String| {
        let [kind, namespace, name] = parts(item).try_into().ok()?;
        let kind = Kind::ALL.into_iter().find(|known| known.lower().eq_ignore_ascii_case(kind))?;
        let is_good = names::is_dns_label(namespace) && names::is_dns_subdomain(name);
        is_good.then(|| ObjectKey::new(kind, namespace, name))
    };
    let keys: Option<Vec<ObjectKey>> = parse::list(text).iter().map(key).collect();
    keys.filter(|keys| !keys.is_empty())
        .ok_or_else(|| "KIND/NAMESPACE/NAME with commas between them, where KIND is configmap or secret".into())
}

/// Items of RESOURCE_NAME.
pub(crate) fn named(text: &str) -> Result<Vec<NamedObject>, Expected> {
    let kind = |text: &str| Kind::ALL.into_iter().find(|known| known.lower() == text);
    let item = |item: &String| {
        let (namespace, kind, name) = match parts(item).as_slice() {
            [name] => (None, None, *name),
            [of, name] => (None, Some(kind(of)?), *name),
            [namespace, of, name] => (Some((*namespace).to_owned()), Some(kind(of)?), *name),
            _ => return None,
        };
        names::is_plain(name).then(|| NamedObject { namespace, kind, name: name.to_owned() })
    };
    let items: Option<Vec<NamedObject>> = parse::list(text).iter().map(item).collect();
    items.ok_or_else(|| "NAME, KIND/NAME or NAMESPACE/KIND/NAME with commas between them, where KIND is configmap or secret".into())
}

fn parts(item: &str) -> Vec<&str> {
    item.split('/').map(str::trim).collect()
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
    }

    #[test]
    fn names_of_objects_have_one_two_or_three_parts() {
        let named =
            |namespace: Option<&str>, kind, name: &str| NamedObject { namespace: namespace.map(Into::into), kind, name: name.into() };
        let good = [
            ("a", vec![named(None, None, "a")]),
            ("secret/a , b", vec![named(None, None, "b"), named(None, Some(Kind::Secret), "a")]),
            ("n/configmap/a.b", vec![named(Some("n"), Some(Kind::ConfigMap), "a.b")]),
        ];
        check(super::named, &good, &["pod/a", "a/b/c/d", "n/a/b", "/", "A"]);
    }
}
