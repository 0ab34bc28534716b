//! The page, as one document, and what it may do: nothing but what is written in it.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// What is served at `/`.
pub(super) fn document() -> String {
    let (before, behind) = around(PAGE, "<style>");
    let (between, end) = around(behind, "<script>");
    [before, "<style>", STYLE, between, "<script>", SCRIPT, end].concat()
}

/// A text before and behind the content of an element, of which there is none. The tag goes with neither.
fn around<'a>(text: &'a str, tag: &str) -> (&'a str, &'a str) {
    text.split_once(tag).unwrap_or((text, ""))
}

/// What browsers allow the page. Made at the first use.
pub(super) fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            hash(SCRIPT),
            hash(STYLE)
        )
    })
}

/// How a policy names a text. The hash is that of the TLS that is here anyway.
fn hash(text: &str) -> String {
    let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256 else { return String::new() };
    format!("sha256-{}", STANDARD.encode(suite.common.hash_provider.hash(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_exactly_what_the_page_contains() {
        let document = document();
        for (tag, end, source) in [("<style>", "</style>", "style-src"), ("<script>", "</script>", "script-src")] {
            assert_eq!(document.matches(tag).count(), 1, "{tag}");
            let content = document.split(tag).nth(1).unwrap().split(end).next().unwrap();
            assert!(!content.trim().is_empty(), "{tag}");
            assert!(policy().contains(&format!("{source} '{}'", hash(content))), "{tag}");
        }
        assert!(!document.contains("style=") && !document.contains(" onclick"), "no inline attributes");
        assert_eq!(hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
