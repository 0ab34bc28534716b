//! How far a ledger is believed: whoever may have written it must not have us remove what they could not remove themselves.
//!
//! - A record for a path below FOLDER is obeyed whoever may write the ledger: who can forge it there can unlink there. In a folder
//!   with the sticky bit that is not so; there the ledger must be our uid's or root's.
//! - A record for a path elsewhere is obeyed only if nobody but our uid and root may write the ledger.

use crate::core::files::ledger::Contents;
use crate::core::path::TargetPath;

/// Who may have written a ledger, as its descriptor tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Custody {
    /// The uid that owns it.
    pub(crate) owner: u32,
    /// Permission bits. Those of an access control list show in the group's.
    pub(crate) mode: u16,
    /// Whether names in its folder, or in FOLDER, can be removed by their owners only.
    pub(crate) sticky: bool,
}

/// Which records of a ledger are obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    /// All.
    Everywhere,
    /// Those for paths below FOLDER.
    BelowFolder,
    /// None.
    Nowhere,
}

/// Bits that let others than the owner write.
const OTHERS_WRITE: u16 = 0o022;

impl Custody {
    /// How far the ledger is believed by a process with this uid.
    pub(crate) const fn trust(self, uid: u32) -> Trust {
        let owned = self.owner == uid || self.owner == 0;
        match (owned, self.mode & OTHERS_WRITE == 0, self.sticky) {
            (true, true, _) => Trust::Everywhere,
            (false, _, true) => Trust::Nowhere,
            (true, false, _) | (false, _, false) => Trust::BelowFolder,
        }
    }

    /// Whether the ledger is as a process with this uid would make it.
    pub(crate) const fn is_private_of(self, uid: u32) -> bool {
        self.owner == uid && self.mode & OTHERS_WRITE == 0
    }
}

/// Takes out of a ledger what is not to be obeyed: those files and folders are nobody's to us. Returns the files.
pub(crate) fn confine(contents: &mut Contents, trust: Trust) -> Vec<TargetPath> {
    let obeyed = |path: &str| match trust {
        Trust::Everywhere => true,
        Trust::BelowFolder => !path.starts_with('/'),
        Trust::Nowhere => false,
    };
    contents.folders.retain(|folder| obeyed(folder));
    let left_out: Vec<TargetPath> = contents.owned.keys().filter(|path| !obeyed(path.as_str())).cloned().collect();
    for path in &left_out {
        contents.owned.remove(path);
        contents.lasting.remove(path);
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::files::ledger::{FIRST, LedgerHeader, Record, read};
    use crate::core::path::Roots;
    use crate::core::record::line;

    #[test]
    fn s2_who_may_write_a_ledger_says_how_far_it_is_believed() {
        let cases = [
            ((1000, 0o600, false), Trust::Everywhere),
            ((1000, 0o644, true), Trust::Everywhere),
            ((0, 0o600, false), Trust::Everywhere),
            ((1000, 0o660, false), Trust::BelowFolder),
            ((1000, 0o602, false), Trust::BelowFolder),
            ((0, 0o660, true), Trust::BelowFolder),
            ((2000, 0o600, false), Trust::BelowFolder),
            ((2000, 0o660, false), Trust::BelowFolder),
            ((2000, 0o600, true), Trust::Nowhere),
        ];
        for ((owner, mode, sticky), expected) in cases {
            assert_eq!(Custody { owner, mode, sticky }.trust(1000), expected, "{owner} {mode:o} {sticky}");
        }
    }

    #[test]
    fn s2_what_is_not_obeyed_is_taken_out() {
        let header = LedgerHeader { version: FIRST, id: "1".into(), selection: String::new(), instance: String::new(), pod: String::new() };
        let own = |path: &str| line(&Record::Own(path.into(), "Secret".into(), "default".into(), "a".into()));
        let folder = |path: &str| line(&Record::Folder(path.into()));
        let lines = [line(&header), own("a"), own("sub/b"), own("/srv/c"), folder("sub"), folder("/srv/d")].concat();
        let cases =
            [(Trust::Everywhere, vec![], 2), (Trust::BelowFolder, vec!["/srv/c"], 1), (Trust::Nowhere, vec!["/srv/c", "a", "sub/b"], 0)];
        for (trust, expected, folders) in cases {
            let mut contents = read(&lines, &Roots::new("/data", ["/srv".to_owned()])).unwrap();
            let left_out = confine(&mut contents, trust);
            assert_eq!(left_out.iter().map(TargetPath::as_str).collect::<Vec<_>>(), expected, "{trust:?}");
            assert_eq!((contents.owned.len(), contents.folders.len()), (3 - expected.len(), folders), "{trust:?}");
        }
    }
}
