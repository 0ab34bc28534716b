//! Cuts a list's body into its items while it arrives, so that memory holds one object, however large the page is.

use memchr::memchr2;

/// Takes the body in chunks and gives back items, each as its own JSON text; keeps the rest as the envelope.
#[derive(Default)]
pub(crate) struct Splitter {
    part: Part,
    /// The item, or the envelope's text so far without its items.
    item: Vec<u8>,
    envelope: Vec<u8>,
    /// Where the last string of the envelope's top level begins, to know whether `[` follows `"items":`.
    key: usize,
    depth: u32,
    string: bool,
    escape: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Envelope,
    Items,
}

/// The longest item and the longest envelope that are kept.
const LARGEST: usize = 16 << 20;

/// An item or envelope is larger than anything an API server stores.
#[derive(Debug, thiserror::Error)]
#[error("a list item exceeds {LARGEST} bytes")]
pub(crate) struct TooLarge;

impl From<TooLarge> for String {
    fn from(error: TooLarge) -> Self {
        error.to_string()
    }
}

impl Splitter {
    /// Takes the next chunk; `found` gets each item that it completes.
    ///
    /// # Errors
    /// Whatever `found` returns, or [`TooLarge`].
    pub(crate) fn feed<E: From<TooLarge>>(&mut self, mut chunk: &[u8], mut found: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while let Some((&byte, rest)) = chunk.split_first() {
            if self.string && !self.escape {
                // Skip to where the string may end.
                let skip = memchr2(b'"', b'\\', chunk).unwrap_or(chunk.len());
                if skip > 0 {
                    self.keep(chunk.get(..skip).unwrap_or_default())?;
                    chunk = chunk.get(skip..).unwrap_or_default();
                    continue;
                }
            }
            chunk = rest;
            self.byte(byte, &mut found)?;
        }
        Ok(())
    }

    /// The list without its items, once the body has ended.
    pub(crate) fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    fn byte<E: From<TooLarge>>(&mut self, byte: u8, found: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.string {
            self.string = self.escape || byte != b'"';
            self.escape = !self.escape && byte == b'\\';
            return Ok(self.keep(&[byte])?);
        }
        match (self.part, byte) {
            (Part::Envelope, b'[') if self.depth == 1 && self.follows_items() => {
                (self.part, self.depth) = (Part::Items, 0);
                self.envelope.extend(b"[]");
                return Ok(());
            }
            (Part::Items, b']') if self.depth == 0 => {
                (self.part, self.depth) = (Part::Envelope, 1);
                return Ok(());
            }
            (Part::Items, b',' | b' ' | b'\n' | b'\r' | b'\t') if self.depth == 0 => return Ok(()),
            _ => {}
        }
        if byte == b'"' {
            self.string = true;
            self.key = self.envelope.len();
        }
        self.keep(&[byte])?;
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => return Ok(()),
        }
        if self.part == Part::Items && self.depth == 0 {
            found(&self.item)?;
            self.item.clear();
            self.item.shrink_to(64 << 10);
        }
        Ok(())
    }

    fn follows_items(&self) -> bool {
        let key = self.envelope.get(self.key..).unwrap_or_default();
        key.strip_prefix(br#""items""#).is_some_and(|rest| rest.iter().all(|byte| matches!(byte, b':' | b' ' | b'\n' | b'\r' | b'\t')))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let into = if self.part == Part::Items { &mut self.item } else { &mut self.envelope };
        if into.len() + bytes.len() > LARGEST {
            return Err(TooLarge);
        }
        into.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(body: &[u8], size: usize) -> (Vec<String>, String) {
        let (mut splitter, mut items) = (Splitter::default(), Vec::new());
        for chunk in body.chunks(size) {
            splitter
                .feed(chunk, |item| {
                    items.push(String::from_utf8(item.to_vec()).unwrap());
                    Ok::<(), TooLarge>(())
                })
                .unwrap();
        }
        (items, String::from_utf8(splitter.envelope().to_vec()).unwrap())
    }

    #[test]
    fn items_and_envelope_come_apart_at_any_chunk_size() {
        let body = br#"{"kind":"L","x":["items"],"metadata":{"items":[1],"continue":"t"},"items": [{"a":"}],\"{"}, {"b":["\\",{"c":"d"}]}],"tail":1}"#;
        for size in 1..body.len() {
            let (items, envelope) = split(body, size);
            assert_eq!(items, [r#"{"a":"}],\"{"}"#, r#"{"b":["\\",{"c":"d"}]}"#], "chunks of {size}");
            assert_eq!(envelope, r#"{"kind":"L","x":["items"],"metadata":{"items":[1],"continue":"t"},"items": [],"tail":1}"#);
        }
    }

    #[test]
    fn lists_without_items() {
        for body in [r#"{"items":[]}"#, r#"{"items":null}"#, r#"{}"#] {
            assert_eq!(split(body.as_bytes(), 3), (Vec::new(), body.to_owned()));
        }
    }
}
