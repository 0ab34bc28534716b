//! Where a program under test lives: manifests, FOLDER, and whatever it keeps itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::Files;
use crate::support::Projector;
use crate::support::projector::Builder;

/// A folder of its own, which goes with the test.
pub struct Place {
    home: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for name in ["manifests", "files"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        // Programs give up root and still find their way.
        fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self { home }
    }

    /// A path beside FOLDER and the manifests.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The same as text.
    pub fn shown(&self, name: &str) -> String {
        self.beside(name).display().to_string()
    }

    /// A path in FOLDER as text.
    pub fn file(&self, name: &str) -> String {
        self.beside("files").join(name).display().to_string()
    }

    /// A script beside FOLDER. Its path.
    pub fn script(&self, lines: &str) -> String {
        let path = self.beside("reload.sh");
        fs::write(&path, format!("#!/bin/sh\nset -e\n{lines}\n")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// A file beside FOLDER, or in it when it begins with `files/`.
    pub fn keep(&self, name: &str, text: &str) {
        fs::write(self.beside(name), text).unwrap();
    }

    /// Has one ConfigMap hold these files.
    pub fn put(&self, files: &Files) {
        let data: Map<String, Value> = files.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
        let metadata = json!({ "name": "configuration", "labels": { "find": "me" } });
        let manifest = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data });
        replace(&self.beside("manifests/configuration.json"), &manifest.to_string());
    }

    /// Writes these files to FOLDER ourselves, each as a whole.
    pub fn write(&self, files: &Files) {
        files.iter().for_each(|(name, text)| replace(&self.beside("files").join(name), text));
    }

    /// A launch on these manifests.
    pub fn projector(&self) -> Builder {
        let builder = Projector::builder().folder(&self.beside("files")).env("SOURCE", &self.shown("manifests")).env("LABEL", "find");
        // What scripts print is told at this level at least.
        builder.env("LOG_LEVEL", "debug").env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    }
}

fn replace(path: &Path, text: &str) {
    let name = path.file_name().unwrap().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}
