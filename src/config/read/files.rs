//! Settings about files: what they look like, and whose they are.

use std::path::PathBuf;

use crate::config::LedgerPlace;
use crate::config::profiles::Dialect;
use crate::config::read::SettingsReader;
use crate::config::table::SettingValues;
use crate::core::files::project::FileNames;
use crate::core::policy::{Adopt, Durability, Precedence};

/// What files look like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSettings {
    /// Annotation by which an object names its folder.
    pub folder_annotation: String,
    /// Further folders that annotations may name; absolute, without `.` and `..`, sorted, without FOLDER itself.
    pub(crate) allowed_folders: Vec<PathBuf>,
    /// What files are called.
    pub names: FileNames,
    /// Whether each namespace has a folder of its own.
    pub(crate) folder_per_namespace: bool,
    /// Whether keys that end in `.gz` are unpacked, to at most as many bytes as a download may have.
    pub(crate) gzip_keys: bool,
    /// Whether what objects say of their own files counts.
    pub(crate) object_annotations: bool,
    /// Mode of files, at most `0o7777`.
    pub file_mode: u32,
    /// Mode of folders that we make, at most `0o7777`.
    pub(crate) folder_mode: u32,
    /// When bytes are forced to the disk.
    pub(crate) durability: Durability,
}

/// Whose files they are, and where that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OwnershipSettings {
    /// Which object keeps a path that several claim.
    pub(crate) conflict: Precedence,
    /// What happens to foreign files at wanted paths.
    pub(crate) adopt: Adopt,
    /// Name among the projectors that share the folder.
    pub(crate) instance: Option<String>,
    /// Where the ledger lies.
    pub(crate) ledger: LedgerPlace,
    /// Where it lay before: by name or by path.
    pub(crate) ledger_former: Vec<LedgerPlace>,
    /// Whether files of a former selection go although the present one matches nothing.
    pub(crate) prune_empty: bool,
    /// Where files are made before they are renamed to their place; `None`: in their own folder. Never in FOLDER.
    pub(crate) staging: Option<PathBuf>,
}

impl SettingsReader<'_> {
    /// FOLDER; empty where nothing is projected.
    pub(crate) fn folder(&mut self, set: &SettingValues) -> Option<PathBuf> {
        if self.projects() { self.required("FOLDER", &set.FOLDER) } else { Some(PathBuf::new()) }
    }

    pub(crate) fn files(&mut self, set: &SettingValues) -> Option<FileSettings> {
        let folder_mode = set.FOLDER_MODE.value();
        if folder_mode.is_some_and(|mode| mode & 0o300 != 0o300) {
            self.warn("FOLDER_MODE keeps the owner from writing to the folders that we make");
        }
        let folder = set.FOLDER.value();
        let mut allowed_folders = set.ALLOWED_FOLDERS.optional()?.unwrap_or_default();
        allowed_folders.retain(|allowed| Some(allowed) != folder.as_ref());
        Some(FileSettings {
            folder_annotation: set.FOLDER_ANNOTATION.value()?,
            allowed_folders,
            names: if set.UNIQUE_FILENAMES.value()? { self.texts.profile.unique } else { FileNames::Key },
            folder_per_namespace: set.FOLDER_PER_NAMESPACE.value()?,
            gzip_keys: set.GZIP_KEYS.value()?,
            object_annotations: set.OBJECT_ANNOTATIONS.value()?,
            file_mode: set.DEFAULT_FILE_MODE.value()?,
            folder_mode: folder_mode?,
            durability: set.DURABILITY.value()?,
        })
    }

    pub(crate) fn ownership(&mut self, set: &SettingValues) -> Option<OwnershipSettings> {
        let elsewhere = self.context.tmp_is_mounted && self.dialect() == Dialect::Sidecar;
        let usual = if elsewhere { LedgerPlace::In("/tmp".into()) } else { LedgerPlace::Default };
        Some(OwnershipSettings {
            conflict: set.CONFLICT.value()?,
            adopt: set.ADOPT.value()?,
            instance: set.INSTANCE.optional()?,
            ledger: set.LEDGER.optional()?.unwrap_or(usual),
            ledger_former: set.LEDGER_FORMER.optional()?.unwrap_or_default(),
            prune_empty: set.PRUNE_EMPTY.value()?,
            staging: set.STAGING.optional()?,
        })
    }

    /// STAGING is to be met by nobody who lists FOLDER, and where nothing is projected there is no FOLDER for a ledger to lie in.
    pub(crate) fn places_are_apart(&mut self, set: &SettingValues, ownership: Option<&OwnershipSettings>) {
        let Some(OwnershipSettings { ledger, staging, .. }) = ownership else { return };
        let folder = set.FOLDER.value().filter(|_| self.projects());
        if let (Some(folder), Some(staging)) = (folder, staging) {
            if staging.starts_with(&folder) {
                let folder = folder.display();
                self.note(
                    "STAGING",
                    &format!("lies in FOLDER={folder}: expected the absolute path of a folder outside of it, on the same mount"),
                );
            }
            if matches!(ledger, LedgerPlace::Default | LedgerPlace::Name(_)) {
                self.warn("STAGING keeps temporary files out of FOLDER, but the ledger lies there: LEDGER moves it");
            }
        }
        if !self.projects() && matches!(ledger, LedgerPlace::Name(_)) {
            self.warn("LEDGER has no effect without FOLDER, unless it is a path: expected one on a volume that lasts");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::tests::{default_config, read};

    pub(crate) fn files() -> FileSettings {
        FileSettings {
            folder_annotation: "k8s-sidecar-target-directory".into(),
            allowed_folders: vec![],
            names: FileNames::Key,
            folder_per_namespace: false,
            gzip_keys: false,
            object_annotations: true,
            file_mode: 0o644,
            folder_mode: 0o755,
            durability: Durability::None,
        }
    }

    pub(crate) fn ownership() -> OwnershipSettings {
        OwnershipSettings {
            conflict: Precedence::Oldest,
            adopt: Adopt::Overwrite,
            instance: None,
            ledger: LedgerPlace::Default,
            ledger_former: vec![],
            prune_empty: false,
            staging: None,
        }
    }

    #[test]
    fn everything_about_files_can_be_set() {
        let vars = [
            ("FOLDER", "out/../rules"),
            ("FOLDER_ANNOTATION", "example.com/folder"),
            ("ALLOWED_FOLDERS", "/work/rules,/x, y"),
            ("UNIQUE_FILENAMES", "yes"),
            ("FOLDER_PER_NAMESPACE", "1"),
            ("DEFAULT_FILE_MODE", "0440"),
            ("FOLDER_MODE", "700"),
            ("RESYNC", "0"),
            ("DURABILITY", "batch"),
            ("GZIP_KEYS", "1"),
            ("OBJECT_ANNOTATIONS", "no"),
        ];
        let files = FileSettings {
            folder_annotation: "example.com/folder".into(),
            allowed_folders: vec!["/work/y".into(), "/x".into()],
            names: FileNames::Unique,
            folder_per_namespace: true,
            gzip_keys: true,
            object_annotations: false,
            file_mode: 0o440,
            folder_mode: 0o700,
            durability: Durability::Batch,
        };
        let config = default_config();
        let downloads = crate::config::read::web::Downloads { refresh: None, ..config.downloads.clone() };
        let expected = Config { folder: "/work/rules".into(), files, resync: None, downloads, ..config };
        assert_eq!(read(&vars), Ok(expected));
    }

    #[test]
    fn everything_about_whose_files_they_are_can_be_set() {
        let vars = [
            ("CONFLICT", "newest"),
            ("ADOPT", "never"),
            ("INSTANCE", "one"),
            ("LEDGER", "/tmp/ledger"),
            ("LEDGER_FORMER", "old.ledger, sub/ledger"),
            ("PRUNE_EMPTY", "true"),
            ("STAGING", "/work/new/../staging"),
        ];
        let ownership = OwnershipSettings {
            conflict: Precedence::Newest,
            adopt: Adopt::Never,
            instance: Some("one".into()),
            ledger: LedgerPlace::Path("/tmp/ledger".into()),
            ledger_former: vec![LedgerPlace::Name("old.ledger".into()), LedgerPlace::Path("/work/sub/ledger".into())],
            prune_empty: true,
            staging: Some("/work/staging".into()),
        };
        assert_eq!(read(&vars), Ok(Config { ownership, ..default_config() }));
    }
}
