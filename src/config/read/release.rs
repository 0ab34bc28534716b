//! What `release` needs of the settings: no FOLDER, and LABEL only where the finalizer's name depends on it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::cli::Flags;
use crate::config::problems::Problems;
use crate::config::raw::Given;
use crate::config::read::Reader;
use crate::config::read::objects::{default_finalizer, places};
use crate::config::{Config, Context, Log, Origin, Verify, gather};
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
    /// What is logged.
    pub log: Log,
}

impl Config {
    /// Reads what `release` needs: no FOLDER, and LABEL only where the finalizer's name depends on it.
    ///
    /// # Errors
    /// Every problem with those settings at once. SOURCE is one: manifests carry no finalizers of ours.
    pub fn for_release(
        vars: impl Iterator<Item = (String, String)>,
        flags: &Flags,
        context: &Context,
        scope: ReleaseScope,
    ) -> Result<Release, Problems> {
        let given = gather(vars, flags, &context.program)?;
        let mut reader = Reader::new(&given);
        let release = read_release(&mut reader, &given, context, scope);
        reader.finish(release)
    }
}

fn read_release(reader: &mut Reader<'_>, given: &Given, context: &Context, scope: ReleaseScope) -> Option<Release> {
    let selected = reader.scope(context);
    let needs_label = scope == ReleaseScope::Deployment && given.raw.finalizer_name.is_none();
    let selector = if needs_label { reader.selector() } else { Some(None) };
    let objects = reader.objects();
    let finalizer_names = reader.finalizer_names();
    let verify = reader.connection();
    let log = reader.log(context);
    let (selected, (name, former)) = (selected?, finalizer_names?);
    let Origin::Cluster { kubeconfig } = selected.origin else {
        reader.note("SOURCE", "release works on a cluster only, manifests carry no finalizers of ours");
        return None;
    };
    let (selector, objects) = (selector?, objects?.keys);
    let default = || default_finalizer(selector.as_ref(), &selected.namespaces, &objects);
    let name = name.or_else(|| needs_label.then(default));
    let names: BTreeSet<_> = name.into_iter().chain(former).collect();
    let names = names.into_iter().collect();
    // Whoever names objects and no label has no other objects.
    let by_label = (given.raw.label.is_some() || objects.is_empty()).then_some((selected.kinds.as_slice(), &selected.namespaces));
    let (kinds, namespaces) = places(by_label, &objects);
    Some(Release { names, scope, namespaces, kinds, kubeconfig, verify: verify?, log: log? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{LEAST, context, default_config, lines, owned};

    fn release(vars: &[(&str, &str)], scope: ReleaseScope) -> Result<Release, Vec<String>> {
        Config::for_release(owned(vars), &Flags::default(), &context(), scope).map_err(lines)
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
    fn a_release_needs_a_cluster() {
        let problems = release(&[LEAST[0], ("SOURCE", "examples")], ReleaseScope::Deployment).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with("SOURCE: release works on a cluster only"), "{problems:?}");
    }
}
