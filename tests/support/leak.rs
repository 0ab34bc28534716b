//! Looks for secrets where none may be: raw, and in every form that a program might have given them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::support::api::route::hex;

/// The forms of a canary that are searched for, each with its name. Canaries should have at least eight bytes.
pub fn forms(canary: &str) -> Vec<(String, String)> {
    let mut forms = vec![
        ("raw".to_owned(), canary.to_owned()),
        ("hex".to_owned(), hex(canary)),
        ("upper-case hex".to_owned(), hex(canary).to_uppercase()),
        ("JSON-escaped".to_owned(), serde_json::Value::from(canary).to_string().trim_matches('"').to_owned()),
        ("Debug-escaped".to_owned(), format!("{canary:?}").trim_matches('"').to_owned()),
        ("URL-escaped".to_owned(), url_escaped(canary, false)),
        ("form-escaped".to_owned(), url_escaped(canary, true)),
        ("list of bytes".to_owned(), format!("{:?}", canary.as_bytes()).trim_matches(['[', ']']).to_owned()),
    ];
    for lead in 0..3 {
        // The first and last digits also depend on the neighbours: only those between them are certain.
        let padded: Vec<u8> = [vec![0; lead], canary.as_bytes().to_vec()].concat();
        for (name, text) in [("base64", STANDARD_NO_PAD.encode(&padded)), ("base64url", URL_SAFE_NO_PAD.encode(&padded))] {
            let first = (lead * 8).div_ceil(6);
            let certain = padded.len() * 8 / 6;
            forms.push((format!("{name} at offset {lead}"), text.get(first..certain).unwrap_or_default().to_owned()));
        }
    }
    forms
}

fn url_escaped(text: &str, plus: bool) -> String {
    let escape = |byte: u8| match byte {
        b' ' if plus => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The forms in which a canary occurs.
pub fn find(text: &[u8], canary: &str) -> Vec<String> {
    let occurs = |needle: &str| !needle.is_empty() && memchr::memmem::find(text, needle.as_bytes()).is_some();
    forms(canary).into_iter().filter(|(_, form)| occurs(form)).map(|(name, _)| name).collect()
}

/// Fails if any canary occurs in any form; `place` says where it was looked for.
pub fn assert_no_leak(place: &str, text: impl AsRef<[u8]>, canaries: &[&str]) {
    for canary in canaries {
        let found = find(text.as_ref(), canary);
        assert!(found.is_empty(), "{place} contains a secret of {} bytes: {found:?}", canary.len());
    }
}
