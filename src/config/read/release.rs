//! What `release` needs of the settings: no FOLDER, and LABEL only where the finalizer's name depends on it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::config::problems::Problems;
use crate::config::read::SettingsReader;
use crate::config::read::objects::{default_finalizer, places};
use crate::config::setting::{Heading, Setting};
use crate::config::table::SettingValues;
use crate::config::texts::Texts;
use crate::config::{Arguments, Config, Context, LogSettings, ObjectSource, Verify};
use crate::core::object::{Kind, Namespaces};

/// Which finalizers a release strips.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReleaseScope {
    /// Those of this deployment.
    Deployment,
    /// Every one under [`FINALIZER_DOMAIN`](crate::config::FINALIZER_DOMAIN), and those of this deployment if they are named.
    Domain,
}

/// What `release` needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    /// Finalizers to strip, by name; sorted. May be empty with [`ReleaseScope::Domain`].
    pub(crate) names: Vec<String>,
    /// Whether all under [`FINALIZER_DOMAIN`](crate::config::FINALIZER_DOMAIN) are stripped as well.
    pub(crate) scope: ReleaseScope,
    /// Where objects are looked for.
    pub(crate) namespaces: Namespaces,
    /// Kinds that are looked at.
    pub(crate) kinds: Vec<Kind>,
    /// Absolute path of a kubeconfig; `None`: the pod's service account.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// What is checked of the API server's certificate.
    pub(crate) verify: Verify,
    /// Whether nothing is changed: what would be released is only told.
    pub(crate) dry_run: bool,
    /// What is logged.
    pub log: LogSettings,
}

impl Config {
    /// Reads what `release` needs: no FOLDER, and LABEL only where the finalizer's name depends on it.
    ///
    /// # Errors
    /// Every problem with those settings at once. SOURCE is one: manifests carry no finalizers of ours.
    pub fn for_release(
        vars: impl Iterator<Item = (String, String)>,
        arguments: &Arguments,
        context: &Context,
        scope: ReleaseScope,
    ) -> Result<Release, Problems> {
        let texts = Texts::gather(vars, &arguments.flags, &context.program);
        let mut reader = SettingsReader::new(&texts, context);
        let release = read_release(&mut reader, scope);
        reader.finish(release)
    }
}

/// Whether it depends on this setting.
fn is_wanted(setting: &Setting, needs_label: bool) -> bool {
    match setting.name {
        "LABEL" | "LABEL_VALUE" => needs_label,
        "PROFILE" | "METHOD" | "SLEEP_TIME" => false,
        "FINALIZER_NAME"
        | "FINALIZER_FORMER"
        | "DRY_RUN"
        | "SKIP_TLS_VERIFY"
        | "DISABLE_X509_STRICT_VERIFICATION"
        | "ERROR_THROTTLE_SLEEP" => true,
        _ => matches!(setting.heading, Heading::Objects | Heading::Log),
    }
}

fn read_release(reader: &mut SettingsReader<'_>, scope: ReleaseScope) -> Option<Release> {
    let texts = reader.texts;
    let needs_label = scope == ReleaseScope::Deployment && texts.given("FINALIZER_NAME").is_none();
    let set = &SettingValues::read(reader, |setting| is_wanted(setting, needs_label));
    let selected = reader.places(set);
    let selector = if needs_label { reader.selector(set) } else { Some(None) };
    let (objects, verify, log) = (reader.objects(set), reader.connection(set), reader.log(set));
    let (selected, name, former) = (selected?, set.FINALIZER_NAME.optional()?, set.FINALIZER_FORMER.optional()?);
    let ObjectSource::Cluster { kubeconfig } = selected.source else {
        reader.note("SOURCE", "release works on a cluster only, manifests carry no finalizers of ours");
        return None;
    };
    let (selector, objects) = (selector?, objects?);
    let default = || default_finalizer(selector.as_ref(), &selected.namespaces, &objects);
    let name = name.or_else(|| needs_label.then(default));
    let names: BTreeSet<_> = name.into_iter().chain(former.unwrap_or_default()).collect();
    let names = names.into_iter().collect();
    // Whoever names objects and no label has no other objects.
    let is_labelled = texts.given("LABEL").is_some() || objects.is_empty();
    let (kinds, namespaces) = places(is_labelled.then_some((selected.kinds.as_slice(), &selected.namespaces)), &objects);
    Some(Release { names, scope, namespaces, kinds, kubeconfig, verify: verify?, dry_run: set.DRY_RUN.value()?, log: log? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{LEAST, context, default_config, lines, owned};

    fn release(vars: &[(&str, &str)], scope: ReleaseScope) -> Result<Release, Vec<String>> {
        Config::for_release(owned(vars), &Arguments::default(), &context(), scope).map_err(lines)
    }

    #[test]
    fn a_release_needs_a_label_only_for_the_default_name() {
        let names = |vars, scope| release(vars, scope).map(|release| release.names);
        let default = default_config().finalizers.unwrap().name;
        assert_eq!(names(&[LEAST[0], ("DEFAULT_FILE_MODE", "9x9")], ReleaseScope::Deployment), Ok(vec![default]));
        let named = [("FINALIZER_NAME", "b.dev/x"), ("FINALIZER_FORMER", "a.dev/x")];
        assert_eq!(names(&named, ReleaseScope::Deployment), Ok(vec!["a.dev/x".to_owned(), "b.dev/x".to_owned()]));
        assert_eq!(names(&[], ReleaseScope::Domain), Ok(vec![]));
        assert_eq!(names(&named[1..], ReleaseScope::Domain), Ok(vec!["a.dev/x".to_owned()]));
        let problems = names(&[("LOG_LEVEL", "x"), ("NAMESPACE", "X")], ReleaseScope::Deployment).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn a_release_looks_where_named_objects_are() {
        let places = |vars: &[(&str, &str)]| {
            release(vars, ReleaseScope::Deployment).map(|release| (release.kinds, release.namespaces, release.names.len()))
        };
        let (object, own) =
            (("OBJECT", "secret/n/a"), |names: &[&str]| Namespaces::Only(names.iter().map(|name| (*name).into()).collect()));
        assert_eq!(places(&[object]), Ok((vec![Kind::Secret], own(&["n"]), 1)));
        assert_eq!(places(&[object, LEAST[0], ("NAMESPACE", "m")]), Ok((Kind::ALL.to_vec(), own(&["m", "n"]), 1)));
        assert_eq!(places(&[object, LEAST[0]]), Ok((Kind::ALL.to_vec(), Namespaces::All, 1)));
    }

    #[test]
    fn a_release_is_dry_where_everything_is() {
        let dry = |value| release(&[LEAST[0], ("DRY_RUN", value)], ReleaseScope::Deployment).map(|release| release.dry_run);
        assert_eq!((dry("1"), dry("0")), (Ok(true), Ok(false)));
        assert_eq!(dry("perhaps").unwrap_err().len(), 1);
    }

    #[test]
    fn a_release_needs_a_cluster() {
        let problems = release(&[LEAST[0], ("SOURCE", "examples")], ReleaseScope::Deployment).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with("SOURCE: release works on a cluster only"), "{problems:?}");
    }
}
