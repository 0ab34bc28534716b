//! The forms that Kubernetes gives to names, as predicates over text.

/// Longest name part of a label key, longest label value, longest namespace.
const SHORT: usize = 63;
/// Longest DNS subdomain.
const LONG: usize = 253;

/// Whether this is a namespace's name: a DNS label of up to 63 characters.
pub(crate) fn is_dns_label(text: &str) -> bool {
    is_bounded(text, SHORT) && text.bytes().all(|byte| is_lower_alphanumeric(byte) || byte == b'-') && has_ends(text, is_lower_alphanumeric)
}

/// Whether this is a label key (or an annotation's): a name, with or without a DNS subdomain and a slash before it.
pub(crate) fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        None => is_name(text),
        Some(_) => is_domain_qualified_name(text),
    }
}

/// Whether this is a name with a DNS subdomain and a slash before it, as finalizers need.
pub(crate) fn is_domain_qualified_name(text: &str) -> bool {
    text.split_once('/').is_some_and(|(domain, name)| is_dns_subdomain(domain) && is_name(name))
}

/// Whether this is a label value: empty, or formed like the name part of a label key.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

/// Whether this is a name of an object: a DNS subdomain of up to 253 characters.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    is_bounded(text, LONG)
        && text.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| is_lower_alphanumeric(byte) || byte == b'-')
                && has_ends(part, is_lower_alphanumeric)
        })
}

/// Whether a name of an object could have these characters.
pub(crate) fn is_plain(text: &str) -> bool {
    is_bounded(text, LONG) && text.bytes().all(|byte| is_lower_alphanumeric(byte) || matches!(byte, b'-' | b'.'))
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    is_bounded(text, SHORT) && text.bytes().all(inner) && has_ends(text, |byte| byte.is_ascii_alphanumeric())
}

fn is_bounded(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
}

fn has_ends(text: &str, is_end: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(&is_end) && bytes.last().copied().is_some_and(&is_end)
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_valid: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        let refused: Vec<_> = good.iter().filter(|text| !is_valid(text)).collect();
        let accepted: Vec<_> = bad.iter().filter(|text| is_valid(text)).collect();
        assert_eq!((refused, accepted), (vec![], vec![]));
    }

    #[test]
    fn dns_labels_are_told_from_other_text() {
        let longest = "n".repeat(63);
        check(
            is_dns_label,
            &["a", "kube-system", "0-0", &longest],
            &["", "A", "a.b", "-a", "a-", "a_b", "ä", "a b", &format!("{longest}n")],
        );
    }

    #[test]
    fn label_keys_are_told_from_other_text() {
        let name = "N".repeat(63);
        let domain = ["d".repeat(63), "d".repeat(63), "d".repeat(63), "d".repeat(61)].join(".");
        check(
            is_qualified_name,
            &["findme", "a.b_c-D", "example.com/findme", "x/y", &name, &format!("{domain}/{name}")],
            &[
                "",
                "/",
                "/a",
                "a/",
                "a/b/c",
                "A/b",
                "a..b/c",
                ".a/b",
                "a=b",
                "!a",
                "a in (b)",
                "a,b",
                "-a",
                "a-",
                " a",
                "ä",
                &format!("{name}N"),
                &format!("{domain}d/{name}"),
            ],
        );
    }

    #[test]
    fn label_values_are_told_from_other_text() {
        let longest = "v".repeat(63);
        check(is_label_value, &["", "yea", "A.b_c-1", &longest], &["-", "a/b", "a b", "ä", &format!("{longest}v")]);
    }

    #[test]
    fn finalizers_need_a_domain() {
        check(
            is_domain_qualified_name,
            &["kube-projector.dev/rules", "kopf.zalando.org/K8sSidecarFinalizerMarker"],
            &["", "orphan", "foregroundDeletion", "a/", "/a", "a/b/c", "A.dev/b"],
        );
    }
}
