//! The book by itself.

use crate::core::object::Kind;
use crate::core::settle::Settle;

use super::*;

#[test]
fn a_folder_that_cannot_be_listed_keeps_the_objects_in_it() {
    let mut book = Book::default();
    let moment = Settle::new(Duration::ZERO).moment(Duration::ZERO, None);
    let path: Arc<Path> = Path::new("/m/sub/a.yaml").into();
    let key = ObjectKey::new(Kind::ConfigMap, "n", "a");
    let denied = Failure::of(&"permission denied");
    let end = |book: &mut Book| {
        let Looked { kept, evidence, .. } = book.end();
        (kept, evidence)
    };
    book.begin(moment);
    assert_eq!(book.unreadable(Path::new("/m/sub"), &denied), Verdict::Changed);
    assert_eq!(end(&mut book), (vec![], Evidence::Unknown), "unknown from the start");
    book.begin(moment);
    let file = tempfile::NamedTempFile::new().unwrap();
    let identity = Identity::of(&file.as_file().metadata().unwrap());
    book.read(&path, Content { identity, objects: vec![(key.clone(), Vec::new())], trouble: None, nearly: None, is_empty: false });
    assert_eq!(end(&mut book), (vec![], Evidence::Absence));
    for expected in [Verdict::Changed, Verdict::Same] {
        book.begin(moment);
        assert_eq!(book.unreadable(Path::new("/m/sub"), &denied), expected);
        assert_eq!(end(&mut book), (vec![key.clone()], Evidence::Absence));
    }
}
