//! What an object says of its own files, by annotations: their mode, that there shall be none, that they stay after it.
//!
//! Values are understood where an object is read, so that what waits for the engine is small and holds no text of anybody.

use crate::core::object::Kind;
use crate::core::path::PathError;

/// The mode of the object's files: three octal digits.
pub const FILE_MODE: &str = "kube-projector.dev/file-mode";
/// Whether the object is passed over, as if it had no label: `true` or `false`.
pub const SKIP: &str = "kube-projector.dev/skip";
/// What becomes of the object's files when it goes: `keep`.
pub const ON_DELETE: &str = "kube-projector.dev/on-delete";
/// All of them.
pub(crate) const ALL: [&str; 3] = [FILE_MODE, SKIP, ON_DELETE];

/// What one annotation says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Said<T> {
    /// It is not there.
    #[default]
    Nothing,
    /// This.
    Value(T),
    /// Something that it cannot say.
    Wrong,
}

impl<T> Said<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Wrong, Self::Value)
    }
}

/// The annotations of one object.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Annotations {
    /// [`FILE_MODE`].
    pub(crate) file_mode: Said<u16>,
    /// [`SKIP`].
    pub(crate) skip: Said<bool>,
    /// [`ON_DELETE`]; there is one thing that it can say.
    pub keep: Said<()>,
}

impl Annotations {
    /// Notes the value of one of them; any other is nothing to us.
    pub fn note(&mut self, name: &str, value: &str) {
        match name {
            FILE_MODE => self.file_mode = Said::from(mode(value)),
            SKIP => self.skip = Said::from(value.parse().ok()),
            ON_DELETE => self.keep = Said::from((value == "keep").then_some(())),
            _ => {}
        }
    }

    /// Whether the object is to be passed over.
    pub fn skips(&self) -> bool {
        self.skip == Said::Value(true)
    }

    /// The mode of the files of an object of this kind, where DEFAULT_FILE_MODE is `usual`.
    ///
    /// # Errors
    /// What is wrong with any of them. A Secret's files are open to nobody to whom they would be closed without the annotation.
    pub fn mode(&self, kind: Kind, usual: u16) -> Result<u16, PathError> {
        let wrong = |name, expected| Err(PathError::Annotation { name, expected });
        match (self.skip, self.keep, self.file_mode) {
            (Said::Wrong, _, _) => wrong(SKIP, "true or false"),
            (_, Said::Wrong, _) => wrong(ON_DELETE, "keep"),
            (_, _, Said::Wrong) => wrong(FILE_MODE, "three octal digits, for example 640"),
            (_, _, Said::Value(mode)) if kind == Kind::Secret && mode & !usual != 0 => Err(PathError::Wider { name: FILE_MODE, usual }),
            (_, _, Said::Value(mode)) => Ok(mode),
            (_, _, Said::Nothing) => Ok(usual),
        }
    }
}

fn mode(text: &str) -> Option<u16> {
    let is_octal = text.len() == 3 && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    is_octal.then(|| u16::from_str_radix(text, 8).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(annotations: &[(&str, &str)]) -> Annotations {
        let mut said = Annotations::default();
        annotations.iter().for_each(|(name, value)| said.note(name, value));
        said
    }

    #[test]
    fn each_annotation_takes_its_own_words_and_no_others() {
        for (value, expected) in [("000", 0), ("755", 0o755), ("640", 0o640)] {
            assert_eq!(said(&[(FILE_MODE, value)]).file_mode, Said::Value(expected), "{value}");
        }
        for value in ["", "0640", "64", "648", " 640", "+64", "rwx", "6 4"] {
            assert_eq!(said(&[(FILE_MODE, value)]).file_mode, Said::Wrong, "{value}");
        }
        assert_eq!(["true", "false"].map(|value| said(&[(SKIP, value)]).skip), [Said::Value(true), Said::Value(false)]);
        for value in ["", "True", "yes", "1", "true "] {
            assert_eq!(said(&[(SKIP, value)]).skip, Said::Wrong, "{value}");
        }
        assert_eq!(said(&[(ON_DELETE, "keep")]).keep, Said::Value(()));
        for value in ["", "Keep", "remove", "true"] {
            assert_eq!(said(&[(ON_DELETE, value)]).keep, Said::Wrong, "{value}");
        }
        assert_eq!(said(&[("kube-projector.dev/other", "keep"), ("skip", "true")]), Annotations::default());
    }

    #[test]
    fn a_secret_is_no_wider_than_the_default_bit_by_bit() {
        let mode = |kind, text: &str, usual| said(&[(FILE_MODE, text)]).mode(kind, usual);
        for (text, usual, expected) in
            [("440", 0o640, Some(0o440)), ("640", 0o640, Some(0o640)), ("601", 0o640, None), ("444", 0o400, None)]
        {
            let found = mode(Kind::Secret, text, usual);
            assert_eq!(found.as_ref().ok().copied(), expected, "{text} {usual:o}: {found:?}");
            assert_eq!(mode(Kind::ConfigMap, text, usual).ok(), u16::from_str_radix(text, 8).ok(), "{text} {usual:o}");
        }
        assert_eq!(said(&[]).mode(Kind::Secret, 0o4640), Ok(0o4640));
    }

    #[test]
    fn one_wrong_annotation_is_enough() {
        for (name, value) in [(FILE_MODE, "x"), (SKIP, "x"), (ON_DELETE, "x")] {
            let mut all = said(&[(FILE_MODE, "600"), (SKIP, "false"), (ON_DELETE, "keep")]);
            assert_eq!(all.mode(Kind::Secret, 0o644), Ok(0o600));
            all.note(name, value);
            let told = all.mode(Kind::Secret, 0o644).unwrap_err().to_string();
            assert!(told.starts_with(&format!("annotation {name}: expected ")), "{told}");
        }
    }
}
