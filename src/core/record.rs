//! The form of what we keep on disk: one checksummed record of JSON a line, so that what is torn or damaged is found.

use std::hash::Hasher as _;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

/// One line, with its checksum and newline.
pub fn line<T: Serialize>(record: &T) -> Vec<u8> {
    // Records are strings and numbers in plain enums: they always have a JSON form.
    let json = serde_json::to_string(record).unwrap_or_default();
    format!("{:08x} {json}\n", checksum(json.as_bytes())).into_bytes()
}

/// What a line says; nothing if it is torn, broken or something else.
pub(crate) fn record<T: for<'a> Deserialize<'a>>(line: &[u8]) -> Option<T> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, json) = (line.get(..8)?, line.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if sum != checksum(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn checksum(json: &[u8]) -> u32 {
    let mut hasher = SipHasher13::new();
    hasher.write(json);
    // The low half: this finds torn and damaged lines, it does not defend against forgery.
    u32::try_from(hasher.finish() & u64::from(u32::MAX)).unwrap_or_default()
}
