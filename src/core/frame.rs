//! WebSocket frames as a client takes and sends them (RFC 6455). Bytes in, frames out: never reads a socket.
//!
//! ```
//! use kube_projector::core::frame::{Decoder, Frame};
//! let mut decoder = Decoder::default();
//! decoder.feed(b"\x82\x03\x01h");
//! assert_eq!(decoder.frame(), Ok(None));
//! decoder.feed(b"i");
//! assert_eq!(decoder.frame(), Ok(Some(Frame::Begin(b"\x01hi".to_vec()))));
//! ```

/// The longest frame that is taken; the API server's are some kilobytes long.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// The longest payload of a frame that is about the connection.
const CONTROL_BYTES_MAX: usize = 125;

/// What the other side sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// A message, or its first part.
    Begin(Vec<u8>),
    /// A further part of the message that began last.
    More(Vec<u8>),
    /// A question whether we are there; a [`pong`] with the same bytes answers it.
    Ping(Vec<u8>),
    /// An answer to a question that we never ask.
    Pong,
    /// The other side ends the connection.
    Close,
}

/// What came is no WebSocket frame that a client may get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// Cuts what arrives into frames.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// Takes what arrived. Call [`Self::frame`] until it has nothing more, so that no more than one frame is ever kept.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, once it is there as a whole.
    ///
    /// # Errors
    /// [`Malformed`]: masked, with extensions that nobody agreed on, or longer than a megabyte.
    pub fn frame(&mut self) -> Result<Option<Frame>, Malformed> {
        let Some((&[first, second], rest)) = self.buffer.split_first_chunk::<2>() else { return Ok(None) };
        // The bits between the first, which says whether a message ends here, and the last four, which say what it is, are extensions.
        let made: fn(Vec<u8>) -> Frame = match first & 0x7f {
            0 => Frame::More,
            1 | 2 => Frame::Begin,
            8 => |_| Frame::Close,
            9 => Frame::Ping,
            10 => |_| Frame::Pong,
            _ => return Err(Malformed),
        };
        let (length, rest) = match second {
            126 => match rest.split_first_chunk::<2>() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            // The highest bit would say that a mask follows: only clients mask.
            length if length & 0x80 == 0 => (u64::from(length), rest),
            _ => return Err(Malformed),
        };
        let length = usize::try_from(length).ok().filter(|length| *length <= PAYLOAD_BYTES_MAX).ok_or(Malformed)?;
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let (payload, end) = (payload.to_vec(), self.buffer.len() - rest.len() + length);
        self.buffer.drain(..end);
        Ok(Some(made(payload)))
    }
}

/// The answer to a ping. `mask` should be random: it keeps proxies from taking the bytes for something else.
pub fn pong(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    control(10, payload, mask)
}

/// The end, as we say it: without a reason.
pub fn close(mask: [u8; 4]) -> Vec<u8> {
    control(8, &[], mask)
}

fn control(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let payload = payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload);
    let mut frame = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap_or_default()];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], size: usize) -> Result<Vec<Frame>, Malformed> {
        let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
        for chunk in bytes.chunks(size) {
            decoder.feed(chunk);
            while let Some(frame) = decoder.frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_of_every_kind_and_length_come_out_at_any_chunk_size() {
        let mut bytes = b"\x02\x02\x01a\x80\x01b\x89\x01p\x8a\x00\x81\x00".to_vec();
        bytes.extend(b"\x82\x7e\x01\x00");
        bytes.extend([7; 256]);
        bytes.extend(b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
        bytes.extend([8; 65_536]);
        bytes.extend(b"\x88\x02\x03\xe8");
        let expected = [
            Frame::Begin(b"\x01a".to_vec()),
            Frame::More(b"b".to_vec()),
            Frame::Ping(b"p".to_vec()),
            Frame::Pong,
            Frame::Begin(Vec::new()),
            Frame::Begin(vec![7; 256]),
            Frame::Begin(vec![8; 65_536]),
            Frame::Close,
        ];
        for size in [1, 2, 3, 7, 1000, bytes.len()] {
            assert_eq!(decoded(&bytes, size).as_deref(), Ok(&expected[..]), "chunks of {size}");
        }
    }

    #[test]
    fn what_a_server_never_sends_is_refused() {
        for bytes in [&b"\x82\x81\0\0\0\0a"[..], b"\xc2\x01a", b"\x83\x01a", b"\x82\x7f\0\0\0\0\0\x20\0\0", b"HTTP/1.1 200"] {
            assert_eq!(decoded(bytes, bytes.len()), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn what_we_send_is_masked_and_short() {
        assert_eq!(close([1, 2, 3, 4]), [0x88, 0x80, 1, 2, 3, 4]);
        assert_eq!(pong(b"abcde", [1, 2, 3, 4]), [0x8a, 0x85, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3, b'd' ^ 4, b'e' ^ 1]);
        assert_eq!(pong(&[0; 200], [0; 4]).len(), 2 + 4 + 125);
    }
}
