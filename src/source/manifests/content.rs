//! The disk side of one manifest: what it holds. Blocking; decides nothing.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::source::manifests::places;
use crate::source::manifests::scan::{FileIdentity, ManifestFailure};
use crate::source::manifests::yaml::{self, Labelled, ManifestRules};

/// No object is larger than 1 MiB, so a larger file of manifests is a mistake.
const LARGEST_BYTES: u64 = 64 << 20;
/// Documents that are named in one text.
const NAMED: usize = 5;

/// What one file holds.
pub(super) struct ManifestContent {
    /// Which content that is.
    pub(super) identity: FileIdentity,
    /// The selected objects of documents that are taken.
    pub(super) objects: Vec<Labelled>,
    /// Which documents are not taken, and why; none if all are.
    pub(super) refused: Option<String>,
    /// Which documents are passed over although one of ours may have been meant.
    pub(super) nearly: Option<String>,
    /// Whether there are no documents at all.
    pub(super) is_empty: bool,
    /// Whether the file was written to while it was read.
    pub(super) is_torn: bool,
}

/// The content of one file.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read(source: &Path, path: &Path, rules: &ManifestRules) -> Result<ManifestContent, ManifestFailure> {
    // What is a pipe meanwhile must not hold us.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(io::Error::from);
    let file = file.map_err(|error| ManifestFailure { gone: error.kind() == io::ErrorKind::NotFound, ..ManifestFailure::of(&error) })?;
    // Before the content, so that a write meanwhile shows as another identity later.
    let metadata = file.metadata().map_err(|error| ManifestFailure::of(&error))?;
    if !metadata.is_file() {
        return Err(ManifestFailure::of(&"expected a regular file"));
    }
    let identity = FileIdentity::of(&metadata);
    if identity.size > LARGEST_BYTES {
        return Err(ManifestFailure { text: format!("larger than {LARGEST_BYTES} bytes"), identity: Some(identity), gone: false });
    }
    let mut text = Vec::new();
    (&file).take(LARGEST_BYTES).read_to_end(&mut text).map_err(|error| ManifestFailure::of(&error))?;
    let is_torn = file.metadata().map_or(true, |metadata| FileIdentity::of(&metadata) != identity);
    let yaml::Parsed { found: mut objects, refused, nearly, documents } = yaml::parse(&text, rules);
    let texts = |errors: Vec<yaml::YamlError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut refused = texts(refused);
    objects.retain(|labelled| rules.selects(labelled));
    // ALLOWED_FOLDERS=/ allows what no folder of manifests survives.
    objects.retain(|Labelled { object, .. }| {
        let is_apart = object.folder.as_deref().is_none_or(|folder| places::admits(source, folder));
        if !is_apart {
            refused.push(format!("{}: expected a folder apart from SOURCE", object.key));
        }
        is_apart
    });
    Ok(ManifestContent { identity, objects, refused: named(refused), nearly: named(texts(nearly)), is_empty: documents == 0, is_torn })
}

fn named(mut refused: Vec<String>) -> Option<String> {
    let more = refused.len().saturating_sub(NAMED);
    refused.truncate(NAMED);
    let text = refused.join("; ");
    match (more, text.is_empty()) {
        (_, true) => None,
        (0, false) => Some(text),
        (more, false) => Some(format!("{text}; and {more} more")),
    }
}
