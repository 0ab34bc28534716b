//! What there is as many of as files.

use super::*;

#[test]
#[cfg(target_pointer_width = "64")]
fn what_there_is_as_many_of_as_files_and_objects_is_packed() {
    assert_eq!((size_of::<PathEntry>(), size_of::<ObjectEntry>()), (56, 88));
}
