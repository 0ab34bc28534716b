//! Where a file may lie. Outside text becomes a [`TargetPath`] once, here; nobody re-checks it.
//!
//! Names and folders that come from the API are hostile (CVE-2017-1002102, CVE-2020-8567, CVE-2022-24877): they are rejected, never cleaned.

use std::fmt;
use std::sync::Arc;

/// Ledgers and temporary files of every projector begin with this; no key or folder of an object may.
pub(crate) const RESERVED_PREFIX: &str = ".kube-projector.";

/// Longest file name and folder name, in bytes (`NAME_MAX`).
const NAME_MAX: usize = 255;
/// Longest path, in bytes (`PATH_MAX` less the closing NUL).
const PATH_MAX: usize = 4095;

/// A confined path: relative to FOLDER, or absolute inside one of the allowed folders.
///
/// # Guarantees
/// No empty, `.` or `..` component, no control character, no component over 255 bytes or with the reserved prefix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPath(Arc<str>);

/// Why a name, folder or recorded path is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The data key breaks the API's own rule.
    #[error("data key is not a file name: expected 1 to 253 of [-._a-zA-Z0-9], not starting with `..` and not `.`")]
    Key,
    /// The file name has more than 255 bytes.
    #[error("file name of {0} bytes: expected at most 255")]
    NameTooLong(usize),
    /// The whole path is too long.
    #[error("path of {0} bytes: expected at most 4095")]
    PathTooLong(usize),
    /// A component is `..`.
    #[error("folder contains `..`")]
    Parent,
    /// A NUL, newline or other control character.
    #[error("folder contains a control character")]
    Control,
    /// Absolute, and inside neither FOLDER nor ALLOWED_FOLDERS.
    #[error("absolute folder lies outside FOLDER and ALLOWED_FOLDERS")]
    Outside,
    /// Ledger and temporary names are ours alone.
    #[error("names that start with `.kube-projector.` are reserved")]
    Reserved,
    /// The ledger has this place, whatever LEDGER says.
    #[error("the ledger is kept there")]
    Ledger,
    /// Another key of the same object gives this file name.
    #[error("another key of the object gives the same file name")]
    Doubled,
    /// The value could not be decoded.
    #[error("value is not valid base64")]
    Undecodable,
    /// The value of a key that ends in `.gz` cannot be unpacked.
    #[error("value is not a whole gzip file (GZIP_KEYS): what is there stays as it is")]
    NotGzip,
    /// It becomes too large.
    #[error("value is larger than URL_MAX_BYTES={0} when it is unpacked (GZIP_KEYS): what is there stays as it is")]
    TooLarge(usize),
    /// An annotation of the object says what it cannot say.
    #[error("annotation {name}: expected {expected}; the object's files stay as they are")]
    Annotation {
        /// Its name.
        name: &'static str,
        /// What it can say.
        expected: &'static str,
    },
    /// A Secret would be open to somebody to whom it is not by default.
    #[error(
        "annotation {name}: expected no bit for a Secret that DEFAULT_FILE_MODE={usual:o} has not; the object's files stay as they are"
    )]
    Wider {
        /// Its name.
        name: &'static str,
        /// DEFAULT_FILE_MODE.
        usual: u16,
    },
}

impl TargetPath {
    /// The path as text: relative to FOLDER, or absolute.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder that holds the file: `""` is FOLDER itself.
    pub(crate) fn folder(&self) -> &str {
        match self.0.rfind('/') {
            Some(0) => "/",
            Some(at) => &self.0[..at],
            None => "",
        }
    }

    /// The last component.
    pub(crate) fn name(&self) -> &str {
        self.0.rfind('/').map_or(&self.0, |at| &self.0[at + 1..])
    }

    /// Every folder above this path, nearest first, without FOLDER itself and without `/`.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &str> {
        let mut rest: &str = &self.0;
        std::iter::from_fn(move || {
            let at = rest.rfind('/')?;
            rest = &rest[..at];
            (!rest.is_empty()).then_some(rest)
        })
    }
}

impl std::borrow::Borrow<str> for TargetPath {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// FOLDER and the other folders that annotations may name. All absolute, without trailing slash.
#[derive(Clone, Debug)]
pub struct Roots {
    folder: Box<str>,
    allowed: Vec<Box<str>>,
    /// Where the ledger lies, as a path of ours.
    ledger: Option<Box<str>>,
    /// Other paths that lead there.
    aliases: Vec<Box<str>>,
}

impl Roots {
    /// # Assumptions
    /// Every path is absolute and normalised, as `Config` hands them out.
    pub fn new(folder: &str, allowed: impl IntoIterator<Item = String>) -> Self {
        let mut allowed: Vec<Box<str>> = allowed.into_iter().map(String::into_boxed_str).filter(|root| **root != *folder).collect();
        allowed.sort_by_key(|root| std::cmp::Reverse(root.len()));
        Self { folder: folder.into(), allowed, ledger: None, aliases: Vec::new() }
    }

    /// The same, with the ledger at this absolute path: nothing else may be there, nor below it.
    #[must_use]
    pub(crate) fn around_ledger(self, path: &str) -> Self {
        let own = beneath(&self.folder, path).unwrap_or(path).into();
        Self { ledger: Some(own), ..self }
    }

    /// Paths that lead to the ledger by ways that only the file system knows: they are its own for now.
    pub(crate) fn set_aliases(&mut self, aliases: impl IntoIterator<Item = TargetPath>) {
        self.aliases.clear();
        self.aliases.extend(aliases.into_iter().map(|path| path.as_str().into()));
    }

    fn is_ledgers(&self, path: &str) -> bool {
        self.ledger.iter().chain(&self.aliases).any(|ledger| beneath(ledger, path).is_some())
    }

    /// FOLDER first, then the others, longest first. Positions are what [`Self::locate`] returns.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.folder).chain(self.allowed.iter().map(|root| &**root))
    }

    /// Which root holds the path, and the path relative to it.
    pub(crate) fn locate<'a>(&self, path: &'a str) -> (usize, &'a str) {
        if !path.starts_with('/') {
            return (0, path);
        }
        let found = self.allowed.iter().enumerate().find_map(|(index, root)| Some((index + 1, beneath(root, path)?)));
        found.unwrap_or((0, ""))
    }

    /// The path as the file system knows it, for people.
    pub(crate) fn show(&self, path: &str) -> String {
        match path {
            "" => self.folder.to_string(),
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            relative if *self.folder == *"/" => format!("/{relative}"),
            relative => format!("{}/{relative}", self.folder),
        }
    }

    /// Confines a folder annotation. `""` in the answer is FOLDER itself; `./sub/` and `sub` are the same folder.
    ///
    /// # Errors
    /// Rejects `..`, control characters, over-long names, reserved names, and absolute folders that are not allowed.
    pub(crate) fn folder(&self, annotation: &str) -> Result<String, PathError> {
        if annotation.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        let mut clean = String::with_capacity(annotation.len());
        let absolute = annotation.starts_with('/');
        for component in annotation.split('/').filter(|c| !c.is_empty() && *c != ".") {
            check_component(component)?;
            if absolute || !clean.is_empty() {
                clean.push('/');
            }
            clean.push_str(component);
        }
        if clean.len() > PATH_MAX {
            return Err(PathError::PathTooLong(clean.len()));
        }
        if absolute && clean.is_empty() {
            clean.push('/');
        }
        let own = match beneath(&self.folder, &clean) {
            _ if !absolute => clean,
            Some(inside) => inside.to_owned(),
            None if self.allowed.iter().any(|root| beneath(root, &clean).is_some()) => clean,
            None => return Err(PathError::Outside),
        };
        if self.is_ledgers(&own) { Err(PathError::Ledger) } else { Ok(own) }
    }

    /// Puts a file name into a folder that [`Self::folder`] has confined.
    ///
    /// # Errors
    /// Rejects names over 255 bytes, reserved names, and paths over 4095 bytes.
    pub(crate) fn file(&self, folder: &str, name: &str) -> Result<TargetPath, PathError> {
        check_component(name)?;
        let path: Arc<str> = match folder {
            "" => name.into(),
            "/" => format!("/{name}").into(),
            folder => format!("{folder}/{name}").into(),
        };
        let length = if path.starts_with('/') { path.len() } else { self.folder.len() + 1 + path.len() };
        match length > PATH_MAX {
            true => Err(PathError::PathTooLong(length)),
            false if self.is_ledgers(&path) => Err(PathError::Ledger),
            false => Ok(TargetPath(path)),
        }
    }

    /// A path that a ledger recorded, confined again: ledgers lie where others may write.
    ///
    /// # Errors
    /// As [`Self::folder`]; also a path that is not in its normal form.
    pub(crate) fn recorded(&self, path: &str) -> Result<TargetPath, PathError> {
        let clean = self.folder(path)?;
        match clean.is_empty() || clean == "/" {
            true => Err(PathError::Outside),
            false => Ok(TargetPath(clean.into())),
        }
    }
}

/// `path` relative to `root`, when it lies inside. The root itself gives `""`.
fn beneath<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    if root == "/" {
        return path.strip_prefix('/');
    }
    let rest = path.strip_prefix(root)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

fn check_component(component: &str) -> Result<(), PathError> {
    match component {
        ".." => Err(PathError::Parent),
        long if long.len() > NAME_MAX => Err(PathError::NameTooLong(long.len())),
        reserved if is_reserved(reserved) => Err(PathError::Reserved),
        _ => Ok(()),
    }
}

/// Whether the name begins as those of ledgers and temporary files do, also where a file system takes `A` for `a`.
fn is_reserved(name: &str) -> bool {
    name.as_bytes().get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX.as_bytes()))
}

/// Whether a data key is one that the API server admits: `[-._a-zA-Z0-9]+`, at most 253, not `.`, not starting with `..`.
///
/// # Errors
/// [`PathError::Key`] for everything else.
pub(crate) fn check_key(key: &str) -> Result<(), PathError> {
    let admitted = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let good = !key.is_empty() && key.len() <= 253 && key != "." && !key.starts_with("..") && key.bytes().all(admitted);
    if good { Ok(()) } else { Err(PathError::Key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> Roots {
        Roots::new("/data/rules", ["/srv".to_owned(), "/srv/deep".to_owned()])
    }

    #[test]
    fn folders_are_confined() {
        let long = "x".repeat(256);
        let cases: &[(&str, Result<&str, PathError>)] = &[
            ("", Ok("")),
            ("sub", Ok("sub")),
            ("./sub/", Ok("sub")),
            ("a//b/.", Ok("a/b")),
            ("/data/rules", Ok("")),
            ("/data/rules/x", Ok("x")),
            ("/srv", Ok("/srv")),
            ("/srv/a", Ok("/srv/a")),
            ("/srvx", Err(PathError::Outside)),
            ("/data/rulesx", Err(PathError::Outside)),
            ("/", Err(PathError::Outside)),
            ("..", Err(PathError::Parent)),
            ("a/../b", Err(PathError::Parent)),
            ("/data/rules/../x", Err(PathError::Parent)),
            ("a\nb", Err(PathError::Control)),
            ("a\0b", Err(PathError::Control)),
            (".kube-projector.x/a", Err(PathError::Reserved)),
            (".Kube-Projector.x/a", Err(PathError::Reserved)),
            (".kube-projector", Ok(".kube-projector")),
            (&long, Err(PathError::NameTooLong(256))),
            ("ünïcode", Ok("ünïcode")),
        ];
        for (annotation, expected) in cases {
            assert_eq!(roots().folder(annotation).as_deref(), expected.as_ref().map(|s| *s), "{annotation:?}");
        }
        assert!(matches!(roots().folder(&"x/".repeat(5000)), Err(PathError::PathTooLong(_))));
    }

    #[test]
    fn keys_follow_the_rule_of_the_api() {
        for good in ["a", ".hidden", "a.b-c_D9", "-"] {
            assert_eq!(check_key(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "..data", "a/b", "a b", "ä", "a\0", &"k".repeat(254)] {
            assert_eq!(check_key(bad), Err(PathError::Key), "{bad}");
        }
    }

    #[test]
    fn parts_of_a_path() {
        let path = roots().file("a/b", "c.yaml").unwrap();
        assert_eq!((path.folder(), path.name()), ("a/b", "c.yaml"));
        assert_eq!(path.ancestors().collect::<Vec<_>>(), ["a/b", "a"]);
        let top = roots().file("", "c").unwrap();
        assert_eq!((top.folder(), top.name(), top.ancestors().count()), ("", "c", 0));
        let absolute = roots().file("/srv/x", "c").unwrap();
        assert_eq!(absolute.ancestors().collect::<Vec<_>>(), ["/srv/x", "/srv"]);
        assert_eq!(roots().locate("/srv/deep/c"), (1, "c"));
        assert_eq!(roots().locate("/srv/c"), (2, "c"));
        assert_eq!(roots().locate("c"), (0, "c"));
    }

    #[test]
    fn recorded_paths_pass_confinement_again() {
        assert_eq!(roots().recorded("a/b").unwrap().as_str(), "a/b");
        for hostile in ["../x", "/etc/passwd", "", "/", "a/../../x", ".kube-projector.1.ledger"] {
            assert!(roots().recorded(hostile).is_err(), "{hostile}");
        }
    }

    #[test]
    fn s2_the_place_of_the_ledger_is_reserved_by_name_and_by_path() {
        let cases =
            [("/data/rules/state", "", "state"), ("/data/rules/sub/state", "sub", "state"), ("/srv/deep/state", "/srv/deep", "state")];
        for (ledger, folder, name) in cases {
            let roots = roots().around_ledger(ledger);
            assert_eq!(roots.file(folder, name), Err(PathError::Ledger), "{ledger}");
            assert!(roots.file(folder, "state2").is_ok() && roots.file("other", name).is_ok(), "{ledger}");
            let whole = roots.show(roots.file(folder, "x").unwrap().as_str()).replace("/x", "/state");
            assert_eq!(roots.folder(&whole), Err(PathError::Ledger), "as the folder of an object");
            assert_eq!(roots.folder(&format!("{whole}/below")), Err(PathError::Ledger));
            assert_eq!(roots.recorded(&whole), Err(PathError::Ledger), "a record of a ledger");
        }
        let mut roots = roots().around_ledger("/elsewhere/state");
        let alias = roots.file("sub", "state").unwrap();
        roots.set_aliases([alias]);
        assert_eq!(roots.file("sub", "state"), Err(PathError::Ledger));
        roots.set_aliases([]);
        assert!(roots.file("sub", "state").is_ok());
    }

    #[test]
    fn the_whole_file_system_can_be_allowed() {
        let roots = Roots::new("/data", ["/".to_owned()]);
        assert_eq!(roots.folder("/etc/x").as_deref(), Ok("/etc/x"));
        assert_eq!(roots.folder("/data/x").as_deref(), Ok("x"));
        assert_eq!(roots.locate("/etc/x"), (1, "etc/x"));
        assert_eq!(roots.file("/", "x").unwrap().as_str(), "/x");
    }
}
