//! Content-Encoding: what a server packs although nobody asked it to is unpacked as it comes, into a body of bounded size.
//!
//! A request says nothing of encodings. Servers take that for plain bytes, while `identity` has some of them refuse what they keep in
//! packed form only.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

pub(super) use crate::core::files::unpack::{Coding, UnpackError, Unpacker};

/// Encodings that an error may name: what a server calls its own may repeat what it was asked.
const NAMED: [&str; 11] = ["identity", "gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi"];
/// More encodings than this are not named one by one.
const NAMED_MAX: usize = 3;

impl Coding {
    /// How the body of an answer with these headers is packed.
    ///
    /// # Errors
    /// Those of the encodings that can be named, when it is another one, or more than one.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, String> {
        let values = headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
        let all = values.collect::<Vec<_>>().join(",");
        let codings: Vec<&str> = all.split(',').map(str::trim).filter(|coding| !matches!(*coding, "" | "identity")).collect();
        match codings.as_slice() {
            [] => Ok(Self::Plain),
            ["gzip" | "x-gzip"] => Ok(Self::Gzip),
            ["deflate"] => Ok(Self::Deflate),
            others => {
                let name = |coding: &&str| NAMED.into_iter().find(|known| known == coding).unwrap_or("one without a common name");
                let more = if others.len() > NAMED_MAX { ", …" } else { "" };
                Err(others.iter().take(NAMED_MAX).map(name).collect::<Vec<_>>().join(", ") + more)
            }
        }
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }
}

#[cfg(test)]
#[path = "coding_tests.rs"]
mod tests;
