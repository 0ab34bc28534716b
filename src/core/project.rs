//! What one object wants on disk: a pure function of the object and the rules.

use crate::core::object::{Kind, Object, ObjectKey, Payload};
use crate::core::path::{PathError, Roots, TargetPath, check_key};

/// The settings that decide names, places and modes.
#[derive(Clone, Debug)]
pub struct Rules {
    /// FOLDER and ALLOWED_FOLDERS.
    pub roots: Roots,
    /// UNIQUE_FILENAMES: `<namespace>.<kind lower>_<name>.<key>`.
    pub unique_filenames: bool,
    /// DEFAULT_FILE_MODE.
    pub file_mode: u16,
    /// Whether an object with a deletion mark wants nothing any more (finalizers on), or stays wanted until it is gone.
    pub terminating_is_gone: bool,
}

/// One file as an object wants it. Deliberately without `Debug`: it holds content.
pub struct FileProjection {
    /// The bytes, exactly.
    pub bytes: Payload,
    /// Permission bits.
    pub mode: u16,
}

/// What one object wants: path and file, in the order of its keys.
pub type Projection = Vec<(TargetPath, FileProjection)>;

/// A key, or a whole object, that is not projected, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// The data key; `None` when the folder annotation rejects the whole object.
    pub key: Option<Box<str>>,
    /// The reason, without any value.
    pub why: PathError,
}

/// Files that `object` wants. A rejected folder never falls back to FOLDER; a rejected key does not stop the others.
pub fn files(object: Object, rules: &Rules) -> (Projection, Vec<Rejection>) {
    if object.terminating && rules.terminating_is_gone {
        return (Projection::new(), Vec::new());
    }
    let folder = match rules.roots.folder(object.folder.as_deref().unwrap_or_default()) {
        Ok(folder) => folder,
        Err(why) => return (Projection::new(), vec![Rejection { key: None, why }]),
    };
    let (mut projection, mut rejections) = (Projection::with_capacity(object.data.len()), Vec::new());
    for (key, payload) in object.data {
        match place(&object.key, &folder, &key, payload, rules) {
            Ok((path, bytes)) => projection.push((path, FileProjection { bytes, mode: rules.file_mode })),
            Err(why) => rejections.push(Rejection { key: Some(key.into()), why }),
        }
    }
    (projection, rejections)
}

fn place(object: &ObjectKey, folder: &str, key: &str, payload: Option<Payload>, rules: &Rules) -> Result<(TargetPath, Payload), PathError> {
    check_key(key)?;
    let path = match rules.unique_filenames {
        true => rules.roots.file(folder, &unique_name(object.kind, &object.namespace, &object.name, key))?,
        false => rules.roots.file(folder, key)?,
    };
    Ok((path, payload.ok_or(PathError::Undecodable)?))
}

fn unique_name(kind: Kind, namespace: &str, name: &str, key: &str) -> String {
    format!("{namespace}.{}_{name}.{key}", kind.lower())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(unique_filenames: bool) -> Rules {
        Rules { roots: Roots::new("/data", []), unique_filenames, file_mode: 0o644, terminating_is_gone: true }
    }

    fn object(folder: Option<&str>, data: &[(&str, Option<&[u8]>)]) -> Object {
        Object {
            key: ObjectKey::new(Kind::ConfigMap, "ns", "name"),
            uid: 1,
            resource_version: 1,
            created: 1,
            terminating: false,
            finalizers: Vec::new(),
            folder: folder.map(str::to_owned),
            data: data.iter().map(|(k, v)| ((*k).to_owned(), v.map(|v| Payload(v.to_vec())))).collect(),
        }
    }

    fn check(object: Object, unique: bool, files: &[(&str, &[u8])], rejected: &[(Option<&str>, PathError)]) {
        let (projection, rejections) = super::files(object, &rules(unique));
        let got: Vec<(&str, &[u8])> = projection.iter().map(|(path, file)| (path.as_str(), &*file.bytes.0)).collect();
        assert!(got == files, "paths {:?}", projection.iter().map(|(p, _)| p).collect::<Vec<_>>());
        let got: Vec<_> = rejections.iter().map(|r| (r.key.as_deref(), r.why.clone())).collect();
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
    fn a_terminating_object_wants_nothing_when_finalizers_are_on() {
        let mut gone = object(None, &[("k", Some(b"v"))]);
        gone.terminating = true;
        check(gone, false, &[], &[]);
    }
}
