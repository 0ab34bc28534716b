//! `metadata.uid` as a number: sixteen bytes instead of a string for every object we remember.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// Length of a UUID as text.
const UUID_LENGTH: usize = 36;

/// The uid as a number: a lower-case UUID by its digits, any other text by a hash, the empty text as 0.
///
/// # Guarantees
/// Equal texts give equal numbers, and [`uid_text`] turns the number of a UUID back into that very UUID.
pub(crate) fn uid_number(uid: &str) -> u128 {
    if uid.is_empty() {
        return 0;
    }
    uuid_digits(uid).unwrap_or_else(|| {
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        hasher.write(uid.as_bytes());
        hasher.finish128().as_u128()
    })
}

/// The number in the form of a UUID; empty for 0, which stands for "no uid".
///
/// For a uid that was not a UUID this is not the original text: use it where a wrong uid does no harm.
pub(crate) fn uid_text(number: u128) -> String {
    if number == 0 {
        return String::new();
    }
    let mut text = format!("{number:032x}");
    for position in [20, 16, 12, 8] {
        text.insert(position, '-');
    }
    text
}

/// The number whose digits a canonical lower-case UUID writes.
fn uuid_digits(uid: &str) -> Option<u128> {
    if uid.len() != UUID_LENGTH {
        return None;
    }
    uid.bytes().enumerate().try_fold(0, |number: u128, (at, byte)| match (at, byte) {
        (8 | 13 | 18 | 23, b'-') => Some(number),
        (8 | 13 | 18 | 23, _) => None,
        (_, b'0'..=b'9') => Some(number << 4 | u128::from(byte - b'0')),
        (_, b'a'..=b'f') => Some(number << 4 | u128::from(byte - b'a' + 10)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_goes_there_and_back() {
        for uid in ["bd24ad0f-0a3e-4a5d-9c3e-5b6c1d1f2a3b", "00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
        {
            assert_eq!(uid_text(uid_number(uid)), uid);
        }
    }

    #[test]
    fn other_text_is_hashed_apart() {
        let texts = [
            "uid-1",
            "uid-2",
            "BD24AD0F-0A3E-4A5D-9C3E-5B6C1D1F2A3B",
            "bd24ad0f-0a3e-4a5d-9c3e-5b6c1d1f2a3b",
            "+d24ad0f-0a3e-4a5d-9c3e-5b6c1d1f2a3b",
        ];
        let numbers: std::collections::BTreeSet<u128> = texts.iter().map(|text| uid_number(text)).collect();
        assert_eq!(numbers.len(), texts.len());
        assert_eq!(uid_number("uid-1"), uid_number("uid-1"));
    }

    #[test]
    fn no_uid_is_zero_and_empty() {
        assert_eq!(uid_number(""), 0);
        assert_eq!(uid_text(0), "");
    }
}
