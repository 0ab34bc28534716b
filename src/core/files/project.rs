//! What one object wants on disk: a pure function of the object and the rules.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::core::files::unpack::{UnpackError, gunzip};
use crate::core::object::remote::SUFFIX;
use crate::core::object::{Object, ObjectKey, Payload};
use crate::core::path::{PathError, Roots, TargetPath, check_key};

/// The ending of a key whose value is packed.
const PACKED: &str = ".gz";

/// The settings that decide names, places and modes.
#[derive(Clone, Debug)]
pub struct Rules {
    /// FOLDER and ALLOWED_FOLDERS.
    pub roots: Roots,
    /// UNIQUE_FILENAMES.
    pub names: FileNames,
    /// FOLDER_PER_NAMESPACE: whether each namespace has a folder of its own, but where an annotation names an absolute one.
    pub folder_per_namespace: bool,
    /// DEFAULT_FILE_MODE.
    pub file_mode: u16,
    /// Whether an object with a deletion mark wants nothing any more (finalizers on), or stays wanted until it is gone.
    pub terminating_is_gone: bool,
    /// What keys that end in `.url` mean.
    pub urls: Urls,
    /// GZIP_KEYS: the most bytes that a key ending in `.gz` may become; nothing where such keys are as any other.
    pub gzip_max: Option<usize>,
    /// OBJECT_ANNOTATIONS: whether what objects say of their own files counts.
    pub annotations: bool,
    /// Whether objects whose files leave FOLDER are told of.
    pub tells_outside: bool,
}

/// Where a file's bytes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyForm {
    /// In the object.
    Plain,
    /// In the object, packed.
    Packed,
    /// Behind a URL.
    Remote,
}

impl Rules {
    /// What a key is to its file, and the name that it gives it.
    fn form<'a>(&self, key: &'a str) -> (KeyForm, &'a str) {
        if let Some(name) = self.urls.remote(key) {
            return (KeyForm::Remote, name);
        }
        match key.strip_suffix(PACKED).filter(|_| self.gzip_max.is_some()) {
            Some(name) => (KeyForm::Packed, name),
            None => (KeyForm::Plain, key),
        }
    }
}

/// What a file is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileNames {
    /// The key.
    Key,
    /// `<namespace>.<kind lower>_<name>.<key>`
    Unique,
    /// `namespace_<namespace>.<kind lower>_<name>.<key>`
    UniqueSidecar,
}

/// What keys that end in `.url` mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Urls {
    /// Nothing special.
    Plain,
    /// The file holds what lies behind the URL. Where it cannot be had and no file is there yet, one is made empty or not at all.
    Follow {
        /// Whether it is made empty.
        empty_at_first_failure: bool,
    },
}

impl Urls {
    /// The name of the file, where the key names one whose bytes lie behind a URL.
    fn remote(self, key: &str) -> Option<&str> {
        match self {
            Self::Follow { .. } => key.strip_suffix(SUFFIX),
            Self::Plain => None,
        }
    }
}

/// One file as an object wants it. Deliberately without `Debug`: it holds content.
pub(crate) struct FileProjection {
    /// The bytes, exactly.
    pub(crate) bytes: Payload,
    /// Permission bits.
    pub(crate) mode: u16,
    /// Whether the API carries the value in base64.
    pub(crate) encoded: bool,
    /// The key, where the bytes are packed: the file holds what they become.
    pub(crate) packed: Option<Box<str>>,
}

impl FileProjection {
    /// What the file holds; `length` is how much that is. Unpacked only when it is needed: what is kept until then stays small.
    ///
    /// # Errors
    /// [`UnpackError`], where it was not found to be whole before.
    pub(crate) fn content(&self, length: usize) -> Result<Cow<'_, [u8]>, UnpackError> {
        if self.packed.is_none() {
            return Ok(Cow::Borrowed(self.bytes.bytes()));
        }
        let mut content = Vec::with_capacity(length);
        gunzip(self.bytes.bytes(), length, &mut |piece| content.extend_from_slice(piece))?;
        Ok(Cow::Owned(content))
    }
}

/// One file whose bytes lie behind a URL. Deliberately without `Debug`: the URL may carry credentials.
pub(crate) struct RemoteProjection {
    /// Where the file goes.
    pub(crate) path: TargetPath,
    /// The value of the key.
    pub(crate) url: Payload,
    /// Permission bits.
    pub(crate) mode: u16,
    /// Whether the API carries the value in base64.
    pub(crate) encoded: bool,
    /// The key.
    pub(crate) key: Box<str>,
}

/// What one object wants, in the order of its keys.
#[derive(Default)]
pub(crate) struct Projection {
    /// Files with their bytes.
    pub(crate) files: Vec<(TargetPath, FileProjection)>,
    /// Files whose bytes are elsewhere.
    pub(crate) remotes: Vec<RemoteProjection>,
    /// Files that stay as they are.
    pub(crate) held: Vec<TargetPath>,
    /// Whether all that the object has stays as it is: what it says of its files cannot be.
    pub(crate) stays: bool,
    /// Keys that are not projected, or the whole object.
    pub(crate) rejections: Vec<Rejection>,
    /// The folder of the files, where it lies outside of FOLDER and this is to be told.
    pub(crate) outside: Option<Box<str>>,
}

/// A key, or a whole object, that is not projected, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// The data key; `None` when an annotation rejects the whole object.
    pub(crate) key: Option<Box<str>>,
    /// The reason, without any value.
    pub(crate) why: PathError,
}

/// Files that `object` wants. A rejected folder never falls back to FOLDER; a rejected key does not stop the others.
pub(crate) fn files(object: Object, rules: &Rules) -> Projection {
    let mut projection = Projection::default();
    if object.terminating && rules.terminating_is_gone {
        return projection;
    }
    let rejected = |why| vec![Rejection { key: None, why }];
    let mode = match mode(&object, rules) {
        Ok(mode) => mode,
        Err(why) => return Projection { stays: true, rejections: rejected(why), ..projection },
    };
    let folder = match folder(&object, rules) {
        Ok(folder) => folder,
        Err(why) => return Projection { rejections: rejected(why), ..projection },
    };
    projection.outside = (rules.tells_outside && folder.starts_with('/')).then(|| folder.as_str().into());
    projection.files.reserve_exact(object.data.len());
    let held = |key: &String| place(&object.key, &folder, rules.form(key).1, rules).ok();
    projection.held = object.held.iter().filter_map(held).collect();
    for datum in object.data {
        let (form, name) = rules.form(&datum.key);
        let path = place(&object.key, &folder, name, rules);
        match path.and_then(|path| Ok((path, datum.payload.ok_or(PathError::Undecodable)?))) {
            Ok((path, url)) if form == KeyForm::Remote => {
                projection.remotes.push(RemoteProjection { path, url, mode, encoded: datum.encoded, key: datum.key.into() });
            }
            Ok((path, bytes)) => {
                let packed = (form == KeyForm::Packed).then(|| datum.key.into());
                projection.files.push((path, FileProjection { bytes, mode, encoded: datum.encoded, packed }));
            }
            Err(why) => projection.rejections.push(Rejection { key: Some(datum.key.into()), why }),
        }
    }
    projection.drop_doubles();
    projection
}

/// Files of `object` that would have this name, whatever the case of its letters.
pub(crate) fn files_named(object: &Object, rules: &Rules, name: &str) -> Vec<TargetPath> {
    let ends = |key: &str| {
        let start = name.len().checked_sub(key.len()).and_then(|start| name.as_bytes().get(start..));
        start.is_some_and(|end| end.eq_ignore_ascii_case(key.as_bytes()))
    };
    let keys = object.data.iter().map(|datum| rules.form(&datum.key).1);
    let mut keys = keys.filter(|key| ends(key)).peekable();
    if keys.peek().is_none() {
        return Vec::new();
    }
    let Ok(folder) = folder(object, rules) else { return Vec::new() };
    let paths = keys.filter_map(|key| place(&object.key, &folder, key, rules).ok());
    paths.filter(|path| path.name().eq_ignore_ascii_case(name)).collect()
}

/// The mode of the object's files.
///
/// # Errors
/// What is wrong with an annotation of the object.
pub(crate) fn mode(object: &Object, rules: &Rules) -> Result<u16, PathError> {
    match rules.annotations {
        true => object.annotations.mode(object.key.kind, rules.file_mode),
        false => Ok(rules.file_mode),
    }
}

fn folder(object: &Object, rules: &Rules) -> Result<String, PathError> {
    let annotation = object.folder.as_deref().unwrap_or_default();
    match rules.folder_per_namespace && !annotation.starts_with('/') {
        true => rules.roots.folder(&format!("{}/{annotation}", object.key.namespace)),
        false => rules.roots.folder(annotation),
    }
}

fn place(object: &ObjectKey, folder: &str, key: &str, rules: &Rules) -> Result<TargetPath, PathError> {
    check_key(key)?;
    let ObjectKey { kind, namespace, name } = object;
    match rules.names {
        FileNames::Key => rules.roots.file(folder, key),
        FileNames::Unique => rules.roots.file(folder, &format!("{namespace}.{}_{name}.{key}", kind.lower())),
        FileNames::UniqueSidecar => rules.roots.file(folder, &format!("namespace_{namespace}.{}_{name}.{key}", kind.lower())),
    }
}

impl Projection {
    /// Keys `a`, `a.gz` and `a.url` give one name: the bytes that are here stand, first of all as they are.
    fn drop_doubles(&mut self) {
        if self.files.iter().any(|(_, file)| file.packed.is_some()) {
            let plain: BTreeSet<_> = self.files.iter().filter(|(_, file)| file.packed.is_none()).map(|(path, _)| path.clone()).collect();
            let doubled = self.files.extract_if(.., |(path, file)| file.packed.is_some() && plain.contains(path));
            self.rejections.extend(doubled.map(|(_, file)| Rejection { key: file.packed, why: PathError::Doubled }));
        }
        let (files, rejections) = (&self.files, &mut self.rejections);
        self.remotes.retain(|remote| {
            let doubled = files.iter().any(|(path, _)| *path == remote.path);
            if doubled {
                rejections.push(Rejection { key: Some(remote.key.clone()), why: PathError::Doubled });
            }
            !doubled
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::object::annotations::{FILE_MODE, SKIP};
    use crate::core::object::{Datum, Kind};

    fn rules(unique: bool) -> Rules {
        Rules {
            roots: Roots::new("/data", ["/srv".to_owned()]),
            names: if unique { FileNames::Unique } else { FileNames::Key },
            folder_per_namespace: false,
            file_mode: 0o644,
            terminating_is_gone: true,
            urls: Urls::Plain,
            gzip_max: None,
            annotations: true,
            tells_outside: false,
        }
    }

    fn object(folder: Option<&str>, data: &[(&str, Option<&[u8]>)]) -> Object {
        Object {
            uid: 1,
            resource_version: 1,
            created: 1,
            folder: folder.map(str::to_owned),
            ..Object::new(ObjectKey::new(Kind::ConfigMap, "ns", "name"), data.iter().map(|(k, v)| datum(k, *v)).collect())
        }
    }

    fn datum(key: &str, value: Option<&[u8]>) -> Datum {
        Datum { key: key.to_owned(), payload: value.map(|value| Payload::from(value.to_vec())), encoded: false }
    }

    fn check(object: Object, unique: bool, files: &[(&str, &[u8])], rejected: &[(Option<&str>, PathError)]) {
        let projection = super::files(object, &rules(unique));
        let got: Vec<(&str, &[u8])> = projection.files.iter().map(|(path, file)| (path.as_str(), file.bytes.bytes())).collect();
        assert!(got == files, "paths {:?}", projection.files.iter().map(|(p, _)| p).collect::<Vec<_>>());
        let got: Vec<_> = projection.rejections.iter().map(|r| (r.key.as_deref(), r.why.clone())).collect();
        assert_eq!(got, rejected);
    }

    #[test]
    fn bytes_are_kept_exactly() {
        check(
            object(None, &[("crlf", Some(b"a\r\nb")), ("empty", Some(b"")), ("binary", Some(b"\0\xff"))]),
            false,
            &[("crlf", b"a\r\nb"), ("empty", b""), ("binary", b"\0\xff")],
            &[],
        );
    }

    #[test]
    fn unique_names_carry_namespace_kind_and_name() {
        check(object(Some("./sub/"), &[("k", Some(b"v"))]), true, &[("sub/ns.configmap_name.k", b"v")], &[]);
    }

    #[test]
    fn a_rejected_folder_never_falls_back() {
        check(object(Some("../x"), &[("k", Some(b"v"))]), false, &[], &[(None, PathError::Parent)]);
        check(object(Some("/etc"), &[("k", Some(b"v"))]), false, &[], &[(None, PathError::Outside)]);
    }

    #[test]
    fn one_bad_key_does_not_stop_the_others() {
        check(
            object(None, &[("a/b", Some(b"v")), ("bad", None), ("ok", Some(b"v")), (".kube-projector.x", Some(b""))]),
            false,
            &[("ok", b"v")],
            &[(Some("a/b"), PathError::Key), (Some("bad"), PathError::Undecodable), (Some(".kube-projector.x"), PathError::Reserved)],
        );
    }

    #[test]
    fn of_keys_that_give_one_name_the_plain_one_stands_then_the_packed_one_whatever_their_order() {
        let rules = Rules { gzip_max: Some(9), urls: Urls::Follow { empty_at_first_failure: false }, ..rules(false) };
        for keys in [["a", "a.gz", "a.url", "b.gz", "b.url"], ["b.url", "b.gz", "a.url", "a.gz", "a"]] {
            let data: Vec<_> = keys.iter().map(|key| (*key, Some(key.as_bytes()))).collect();
            let mut projection = super::files(object(None, &data), &rules);
            projection.files.sort_by(|(left, _), (right, _)| left.cmp(right));
            let files: Vec<_> = projection.files.iter().map(|(path, file)| (path.as_str(), file.packed.as_deref())).collect();
            assert_eq!(files, [("a", None), ("b", Some("b.gz"))]);
            let mut rejected: Vec<_> = projection.rejections.iter().map(|r| (r.key.as_deref(), r.why.clone())).collect();
            rejected.sort_by(|left, right| left.0.cmp(&right.0));
            assert_eq!(rejected, ["a.gz", "a.url", "b.url"].map(|key| (Some(key), PathError::Doubled)));
            assert!(projection.remotes.is_empty());
        }
    }

    #[test]
    fn a_wrong_annotation_rejects_the_object_unless_it_goes_or_nobody_heeds_it() {
        let annotated = |name, value| {
            let mut object = object(None, &[("k", Some(b"v"))]);
            object.annotations.note(name, value);
            object
        };
        let projection = super::files(annotated(FILE_MODE, "600"), &rules(false));
        assert_eq!(projection.files.iter().map(|(_, file)| file.mode).collect::<Vec<_>>(), [0o600]);
        let projection = super::files(annotated(SKIP, "x"), &rules(false));
        assert_eq!((projection.stays, projection.files.len(), projection.rejections.len()), (true, 0, 1));
        let projection = super::files(annotated(SKIP, "x"), &Rules { annotations: false, ..rules(false) });
        assert_eq!((projection.stays, projection.files.len(), projection.rejections.len()), (false, 1, 0));
        let gone = Object { terminating: true, ..annotated(SKIP, "x") };
        let projection = super::files(gone, &rules(false));
        assert_eq!((projection.stays, projection.files.len(), projection.rejections.len()), (false, 0, 0));
    }

    #[test]
    fn a_terminating_object_wants_nothing_when_finalizers_are_on() {
        let mut gone = object(None, &[("k", Some(b"v"))]);
        gone.terminating = true;
        check(gone, false, &[], &[]);
    }
}
