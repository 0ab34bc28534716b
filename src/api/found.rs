//! Which API server is meant: that of the kubeconfig, else that of the pod we run in. What has to be read for that is read aside.

use std::io;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{Context, KubeConfigOptions, Kubeconfig, KubeconfigError};
use tokio::runtime::Handle;

use crate::api::ApiError;
use crate::aside::{self, AT_START};
use crate::config::table;
use crate::yaml;

/// What a pod gets of its service account.
const ACCOUNT: [&str; 2] =
    ["/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", "/var/run/secrets/kubernetes.io/serviceaccount/namespace"];

/// A server, and how it is reached.
pub(crate) struct ClusterConfig {
    /// What is known of it and of us.
    pub(crate) config: Config,
    /// The context of the kubeconfig.
    pub(crate) context: Option<String>,
    /// The proxy of its cluster.
    pub(crate) proxy: Option<String>,
}

/// What is known of the server and of us.
///
/// # Errors
/// What a person has to correct.
pub(crate) async fn server(kubeconfig: Option<&Path>) -> Result<ClusterConfig, ApiError> {
    let file = kubeconfig.map(Path::to_owned);
    let read = aside::once(AT_START, move || match &file {
        Some(file) => from_kubeconfig(file),
        None => in_cluster(),
    });
    read.await.map_err(|source| match kubeconfig {
        Some(file) => ApiError::Kubeconfig { file: file.to_owned(), source: KubeconfigError::ReadConfig(source, file.to_owned()) },
        None => ApiError::Account { file: ACCOUNT[0], source },
    })?
}

fn in_cluster() -> Result<ClusterConfig, ApiError> {
    for file in ACCOUNT {
        match aside::check(Path::new(file)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(ApiError::Account { file, source }),
            // Whoever needs one that is missing says so.
            Ok(()) | Err(_) => {}
        }
    }
    Ok(ClusterConfig { config: Config::incluster().map_err(ApiError::NotInCluster)?, context: None, proxy: None })
}

/// What a kubeconfig says, merged of a file or a list of files. Never `Config::infer`: it obeys debugging variables of kube.
fn from_kubeconfig(file: &Path) -> Result<ClusterConfig, ApiError> {
    let failed = |source| ApiError::Kubeconfig { file: file.to_owned(), source };
    let mut merged = merged(file)?;
    for (what, named) in named(&merged) {
        aside::check(Path::new(&named)).map_err(|source| ApiError::Named { file: file.to_owned(), what, named, source })?;
    }
    // A credential plugin has our environment, but for what is meant for other servers.
    let users = merged.auth_infos.iter_mut().filter_map(|user| user.auth_info.as_mut());
    for plugin in users.filter_map(|user| user.exec.as_mut()) {
        plugin.drop_env.get_or_insert_default().extend(table::SECRETS.map(str::to_owned));
    }
    let context = merged.current_context.clone();
    // Taken out: what kube makes of it, or of the environment in its place, it would quote where it cannot be read.
    let proxy = take_proxy(&mut merged);
    let options = KubeConfigOptions::default();
    let config = Handle::current().block_on(Config::from_custom_kubeconfig(merged, &options)).map_err(failed)?;
    Ok(ClusterConfig { config, context, proxy })
}

fn merged(files: &Path) -> Result<Kubeconfig, ApiError> {
    let failed = |source| ApiError::Kubeconfig { file: files.to_owned(), source };
    let mut merged = Kubeconfig::default();
    for part in parts(files) {
        let text = aside::handed(&part).map_err(|error| failed(KubeconfigError::ReadConfig(error, part.clone())))?;
        for document in yaml::documents(&text) {
            let read = document.node.ok().and_then(|node| serde_json::from_value(node).ok());
            let mut read: Kubeconfig = read.ok_or_else(|| ApiError::Syntax { file: files.to_owned() })?;
            // What was handed to us by a descriptor lies nowhere.
            if let Some(folder) = part.parent().filter(|_| !aside::is_descriptor(&part)) {
                resolve(&mut read, folder);
            }
            merged = merged.merge(read).map_err(failed)?;
        }
    }
    Ok(merged)
}

fn parts(files: &Path) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(files).filter(|part| !part.as_os_str().is_empty())
}

/// Relative paths in a kubeconfig start at its own folder.
fn resolve(config: &mut Kubeconfig, folder: &Path) {
    let clusters = config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut());
    let authorities = clusters.map(|cluster| &mut cluster.certificate_authority);
    let users = config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut());
    let files = users.flat_map(|user| [&mut user.client_certificate, &mut user.client_key, &mut user.token_file]);
    for path in authorities.chain(files).flatten() {
        // What is absolute stays; a folder that is no text is that of no kubeconfig that names files by text.
        if let Some(resolved) = folder.join(&*path).to_str() {
            *path = resolved.to_owned();
        }
    }
}

/// The context that is current.
fn current(config: &Kubeconfig) -> Option<&Context> {
    config.contexts.iter().find(|known| Some(&known.name) == config.current_context.as_ref())?.context.as_ref()
}

/// Files that will be read for the current context, and the keys that name them. That of a token may come later.
fn named(config: &Kubeconfig) -> Vec<(&'static str, String)> {
    let Some(context) = current(config) else { return Vec::new() };
    let cluster = config.clusters.iter().find(|known| known.name == context.cluster).and_then(|known| known.cluster.as_ref());
    let user = config.auth_infos.iter().find(|known| Some(&known.name) == context.user.as_ref());
    let user = user.and_then(|known| known.auth_info.as_ref());
    let authority = cluster.filter(|cluster| cluster.certificate_authority_data.is_none());
    let certificate = user.filter(|user| user.client_certificate_data.is_none());
    let key = user.filter(|user| user.client_key_data.is_none());
    let files = [
        ("certificate-authority", authority.and_then(|cluster| cluster.certificate_authority.clone())),
        ("client-certificate", certificate.and_then(|user| user.client_certificate.clone())),
        ("client-key", key.and_then(|user| user.client_key.clone())),
    ];
    files.into_iter().filter_map(|(what, file)| Some((what, file?))).collect()
}

/// The proxy of the cluster that the context of a kubeconfig names.
fn take_proxy(kubeconfig: &mut Kubeconfig) -> Option<String> {
    let name = current(kubeconfig)?.cluster.clone();
    let cluster = kubeconfig.clusters.iter_mut().find(|cluster| cluster.name == name)?.cluster.as_mut()?;
    cluster.proxy_url.take().filter(|proxy| !proxy.is_empty())
}

/// The namespace that a kubeconfig's context names, if it does. Blocking. Nothing where it was handed to us as a pipe: that can be read
/// only once, and whoever connects shall.
pub fn context_namespace(kubeconfig: &Path) -> Option<String> {
    if parts(kubeconfig).any(|part| aside::is_descriptor(&part)) {
        return None;
    }
    current(&merged(kubeconfig).ok()?)?.namespace.clone().filter(|namespace| !namespace.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_list_are_merged_each_with_paths_that_start_at_its_own_folder() {
        let home = tempfile::tempdir().unwrap();
        let (first, second) = (home.path().join("first"), home.path().join("second"));
        let text = [
            "apiVersion: v1\nkind: Config\ncurrent-context: c\npreferences: {}\nusers: null\n\
             clusters:\n- name: k\n  cluster: {server: 'https://a', certificate-authority: ca/of.first}\n\
             contexts:\n- name: c\n  context: {cluster: k, user: u, namespace: shop}\n",
            r#"{"apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": {
                "client-certificate": "certificate", "client-key": "/absolute", "tokenFile": "../token"}}]}"#,
        ];
        for (folder, text) in [&first, &second].into_iter().zip(text) {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("config"), text).unwrap();
        }
        let list = std::env::join_paths([first.join("config"), second.join("config")]).unwrap();
        let config = merged(Path::new(&list)).map_err(|error| error.to_string()).unwrap();
        let user = config.auth_infos[0].auth_info.clone().unwrap();
        let found =
            [config.clusters[0].cluster.clone().unwrap().certificate_authority, user.client_certificate, user.client_key, user.token_file];
        let expected = [first.join("ca/of.first"), second.join("certificate"), "/absolute".into(), second.join("../token")];
        assert_eq!(found.map(|path| PathBuf::from(path.unwrap())), expected);
        assert_eq!(context_namespace(Path::new(&list)).as_deref(), Some("shop"));
    }

    #[test]
    fn what_is_no_kubeconfig_is_told_without_its_words() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("config");
        for text in ["users: canary", "users: [{name: u, user: {token: 12345}}]", "a: [", "- canary"] {
            std::fs::write(&file, text).unwrap();
            let error = merged(&file).err().map(|error| error.to_string()).unwrap();
            assert!(error.contains("expected a kubeconfig in YAML or JSON") && !error.contains("canary"), "{text}: {error}");
        }
    }
}
