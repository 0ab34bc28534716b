//! What a file itself says of whose it is, for where the ledger may be gone before the files are.
//!
//! A mark is a digest and the object that the file is for, as a ledger would record it. The digest covers selection or INSTANCE, path
//! and inode number, so that a copy, a moved and a restored file are nobody's. It is no proof: who can write a mark can write the file.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use crate::core::object::{Kind, ObjectKey};

/// The extended attribute that holds it.
pub(crate) const ATTRIBUTE: &str = "user.kube-projector";
/// What stands there instead of an object on a folder.
const FOLDER: &str = "folder";
/// What stands there before the object of a file that stays when it goes. A program that does not know it finds no mark.
const KEEP: &str = "keep ";
/// Ends what goes into the digest before it; no text holds this byte.
const END: [u8; 1] = [0xff];

/// For what we made something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Made {
    /// A file, for this object.
    File(ObjectKey),
    /// A file, for this object, that stays when it goes.
    Lasting(ObjectKey),
    /// A folder, for the files in it.
    Folder,
}

impl Made {
    /// A file for this object.
    pub(crate) fn file(owner: &ObjectKey, lasts: bool) -> Self {
        if lasts { Self::Lasting(owner.clone()) } else { Self::File(owner.clone()) }
    }
}

/// Makes and knows the marks of one selection or INSTANCE.
#[derive(Clone)]
pub(crate) struct Marker(SipHasher13);

impl Marker {
    /// Of the INSTANCE, else of the selection.
    pub(crate) fn new(selection: &str, instance: &str) -> Self {
        let mut hasher = SipHasher13::new();
        for text in [if instance.is_empty() { selection } else { "" }, instance] {
            hasher.write(text.as_bytes());
            hasher.write(&END);
        }
        Self(hasher)
    }

    /// The mark of what lies at `path` in FOLDER, with this inode number.
    pub(crate) fn mark(&self, path: &str, inode: u64, made: &Made) -> String {
        let made = match made {
            Made::File(owner) => owner.to_string(),
            Made::Lasting(owner) => format!("{KEEP}{owner}"),
            Made::Folder => FOLDER.to_owned(),
        };
        let mut hasher = self.0;
        for part in [path.as_bytes(), &END, &inode.to_le_bytes(), made.as_bytes()] {
            hasher.write(part);
        }
        format!("{:016x} {made}", hasher.finish())
    }

    /// What a mark found there says; nothing where it is not ours, or belongs to another path or inode.
    pub(crate) fn read(&self, path: &str, inode: u64, mark: &[u8]) -> Option<Made> {
        let (_, made) = std::str::from_utf8(mark).ok()?.split_once(' ')?;
        let made = match made {
            FOLDER => Made::Folder,
            owner => {
                let (lasts, owner) = owner.strip_prefix(KEEP).map_or((false, owner), |owner| (true, owner));
                let mut parts = owner.splitn(3, '/');
                let mut part = || parts.next().filter(|part| !part.is_empty());
                let (kind, namespace, name) = (Kind::from_name(part()?)?, part()?, part()?);
                Made::file(&ObjectKey::new(kind, namespace, name), lasts)
            }
        };
        (self.mark(path, inode, &made).as_bytes() == mark).then_some(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Made {
        Made::File(ObjectKey::new(Kind::Secret, "default", name))
    }

    #[test]
    fn f22_a_mark_counts_where_selection_path_and_inode_are_right() {
        let ours = Marker::new("label=a", "");
        for made in [file("rules"), Made::file(&ObjectKey::new(Kind::Secret, "default", "rules"), true), Made::Folder] {
            let mark = ours.mark("sub/a", 7, &made);
            assert_eq!(ours.read("sub/a", 7, mark.as_bytes()), Some(made.clone()));
            assert_eq!(ours.read("sub/b", 7, mark.as_bytes()), None, "moved");
            assert_eq!(ours.read("sub/a", 8, mark.as_bytes()), None, "copied");
            for other in [Marker::new("label=b", ""), Marker::new("", "label=a"), Marker::new("label=a", "one")] {
                assert_eq!(other.read("sub/a", 7, mark.as_bytes()), None, "another selection or INSTANCE");
            }
        }
        let mark = Marker::new("label=a", "one").mark("a", 1, &file("rules"));
        assert_eq!(Marker::new("label=b", "one").read("a", 1, mark.as_bytes()), Some(file("rules")), "an INSTANCE selects what it likes");
    }

    #[test]
    fn f22_what_is_no_mark_is_not_ours() {
        let ours = Marker::new("label=a", "");
        let mark = ours.mark("a", 7, &file("rules"));
        let others = ["", " ", "0000000000000000 Secret/default/rules", &mark[1..], &mark[..mark.len() - 1], &format!("{mark} ")];
        for other in others {
            assert_eq!(ours.read("a", 7, other.as_bytes()), None, "{other:?}");
        }
        assert_eq!(ours.read("a", 7, &mark.replace("rules", "other").into_bytes()), None);
        assert_eq!(ours.read("a", 7, b"\xff\xfe Secret/a/b"), None);
    }

    #[test]
    fn f22_marks_of_former_programs_are_known() {
        let mark = Marker::new("label=a", "").mark("sub/a", 7, &file("rules"));
        assert_eq!(mark, "f6f78cca89914b8d Secret/default/rules");
    }

    #[test]
    fn a_mark_of_a_file_that_stays_is_none_to_a_program_that_does_not_know_such() {
        let mark = Marker::new("label=a", "").mark("a", 7, &Made::file(&ObjectKey::new(Kind::Secret, "n", "s"), true));
        let (_, made) = mark.split_once(' ').unwrap();
        assert_eq!(made.split('/').next().and_then(Kind::from_name), None, "{made}");
    }
}
