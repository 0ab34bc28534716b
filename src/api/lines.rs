//! Cuts a stream of chunks into lines, without copying where a line lies within one chunk.

use memchr::memchr;

/// A line that is longer than this is an error of that watch, not a reason to run out of memory.
const LONGEST: usize = 16 << 20;
/// Memory kept for the next line.
const KEPT: usize = 64 << 10;

/// See the module's header.
#[derive(Default)]
pub struct LineSplitter {
    partial: Vec<u8>,
    /// The last line given out lies in `partial`.
    given: bool,
}

/// A line exceeds what an API server sends.
#[derive(Debug, thiserror::Error)]
#[error("a line exceeds {LONGEST} bytes")]
pub struct TooLong;

impl LineSplitter {
    /// The next line in `chunk`, which is advanced; `None` when the chunk is used up.
    ///
    /// # Errors
    /// [`TooLong`]
    pub fn next<'a, 'c: 'a>(&'a mut self, chunk: &mut &'c [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        if std::mem::take(&mut self.given) {
            self.partial.clear();
            self.partial.shrink_to(KEPT);
        }
        let text: &'c [u8] = chunk;
        let Some(end) = memchr(b'\n', text) else {
            *chunk = &[];
            if self.partial.len() + text.len() > LONGEST {
                return Err(TooLong);
            }
            self.partial.extend_from_slice(text);
            return Ok(None);
        };
        let (line, rest) = text.split_at(end);
        *chunk = rest.get(1..).unwrap_or_default();
        if self.partial.is_empty() {
            return Ok(Some(line));
        }
        self.partial.extend_from_slice(line);
        self.given = true;
        Ok(Some(&self.partial))
    }

    /// Whether a line has begun and not ended.
    pub(crate) fn is_mid_line(&self) -> bool {
        !self.given && !self.partial.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_at_any_chunk_size() {
        let text = b"one\ntwo\n\nfour is longer\nhalf";
        for size in 1..text.len() {
            let (mut lines, mut got) = (LineSplitter::default(), Vec::new());
            for mut chunk in text.chunks(size) {
                while let Some(line) = lines.next(&mut chunk).unwrap() {
                    got.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            assert_eq!(got, ["one", "two", "", "four is longer"], "chunks of {size}");
            assert!(lines.is_mid_line());
        }
    }

    #[test]
    fn a_line_without_end_is_an_error() {
        let (mut lines, block) = (LineSplitter::default(), vec![b'x'; 1 << 20]);
        let fed = (0..20).find_map(|_| lines.next(&mut &block[..]).err());
        assert!(fed.is_some());
    }
}
