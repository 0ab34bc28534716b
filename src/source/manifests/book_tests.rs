//! The book by itself.

use crate::core::object::{Kind, Object};
use crate::core::settle::Settle;

use super::*;

#[test]
fn a_folder_that_cannot_be_listed_keeps_the_objects_in_it() {
    let mut book = Inventory::default();
    let moment = Settle::new(Duration::ZERO).moment(Duration::ZERO, None);
    let path: Arc<Path> = Path::new("/m/sub/a.yaml").into();
    let key = ObjectKey::new(Kind::ConfigMap, "n", "a");
    let denied = ManifestFailure::of(&"permission denied");
    let end = |book: &mut Inventory| {
        let LookResult { kept, evidence, .. } = book.end();
        (kept, evidence)
    };
    book.begin(moment);
    assert!(book.unreadable(Path::new("/m/sub"), &denied), "it is news");
    assert_eq!(end(&mut book), (vec![], Evidence::Unknown), "unknown from the start");
    book.begin(moment);
    let file = tempfile::NamedTempFile::new().unwrap();
    let identity = FileIdentity::of(&file.as_file().metadata().unwrap());
    let objects = vec![Labelled { object: Object::new(key.clone(), Vec::new()), labels: [].into() }];
    book.read(&path, &ManifestContent { identity, objects, refused: None, nearly: None, is_empty: false, is_torn: false });
    assert_eq!(end(&mut book), (vec![], Evidence::Absence));
    for expected in [true, false] {
        book.begin(moment);
        assert_eq!(book.unreadable(Path::new("/m/sub"), &denied), expected);
        assert_eq!(end(&mut book), (vec![key.clone()], Evidence::Absence));
    }
}
