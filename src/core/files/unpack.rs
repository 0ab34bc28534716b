//! Unpacks what others packed, piece by piece, into a body of bounded size.

use miniz_oxide::inflate::stream::{InflateState, MinReset, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// The longest head of a gzip member: it may name a file.
pub(crate) const HEAD_MAX: usize = 4 << 10;
/// Bytes that are unpacked at once.
const STEP_BYTES: usize = 8 << 10;
/// Packed bytes that are taken at once where nothing is kept: they grow to half a mebibyte at most.
const PIECE_BYTES: usize = 512;

/// How a body is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coding {
    /// Not at all.
    Plain,
    /// `gzip`.
    Gzip,
    /// `deflate`: with a head and a checksum (zlib), as it should be, or without.
    Deflate,
}

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UnpackError {
    /// It becomes larger than it may.
    TooLarge,
    /// It is not what its encoding says, or not whole.
    Broken,
}

/// Unpacks a gzip file and gives it to `take`, piece by piece. Nothing is kept, so that it may be large.
///
/// # Errors
/// [`UnpackError`], when it is no gzip file, not whole, or becomes larger than `bytes_max`. Unlike a body it has at least a head.
pub(crate) fn gunzip(packed: &[u8], bytes_max: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), UnpackError> {
    if packed.is_empty() {
        return Err(UnpackError::Broken);
    }
    let (mut unpacker, mut piece, mut left) = (Unpacker::new(Coding::Gzip), Vec::new(), bytes_max);
    for part in packed.chunks(PIECE_BYTES) {
        piece.clear();
        unpacker.unpack(part, &mut piece, left)?;
        left -= piece.len();
        take(&piece);
    }
    unpacker.finish()
}

/// Where in a packed body we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Data,
    Trailer,
    /// What follows is of no meaning.
    Over,
}

/// Unpacks one body, piece by piece.
pub(crate) struct Unpacker {
    coding: Coding,
    stage: Stage,
    /// The beginning of a head or trailer.
    pending: Vec<u8>,
    /// None before the first head was read.
    state: Option<Box<InflateState>>,
    checksum: Checksum,
}

impl Unpacker {
    /// For a body packed like this.
    pub(crate) fn new(coding: Coding) -> Self {
        Self { coding, stage: Stage::Head, pending: Vec::new(), state: None, checksum: Checksum::default() }
    }

    /// Unpacks the next piece to the end of `body`, which grows to at most `bytes_max`.
    ///
    /// # Errors
    /// [`UnpackError`]; what came before is in `body`.
    pub(crate) fn unpack(&mut self, mut piece: &[u8], body: &mut Vec<u8>, bytes_max: usize) -> Result<(), UnpackError> {
        if self.coding == Coding::Plain {
            return put(piece, body, bytes_max);
        }
        while !piece.is_empty() {
            match self.stage {
                Stage::Head => self.read_head(&mut piece, body, bytes_max)?,
                Stage::Data => self.read_data(&mut piece, body, bytes_max)?,
                Stage::Trailer => self.read_trailer(&mut piece)?,
                Stage::Over => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether the body was whole. One without a byte is: servers call it packed too.
    ///
    /// # Errors
    /// [`UnpackError::Broken`]
    pub(crate) fn finish(&self) -> Result<(), UnpackError> {
        let whole = match self.stage {
            Stage::Head => self.pending.is_empty() || self.state.is_some(),
            Stage::Over => true,
            Stage::Data | Stage::Trailer => false,
        };
        if whole || self.coding == Coding::Plain { Ok(()) } else { Err(UnpackError::Broken) }
    }

    fn read_head(&mut self, piece: &mut &[u8], body: &mut Vec<u8>, bytes_max: usize) -> Result<(), UnpackError> {
        while let Some((byte, rest)) = piece.split_first() {
            self.pending.push(*byte);
            *piece = rest;
            let head = match self.coding {
                Coding::Gzip => is_gzip_head(&self.pending),
                Coding::Plain | Coding::Deflate => Ok(self.pending.len() == 2),
            };
            match head {
                // As other programs have it: after a whole member whatever is none is nothing.
                Err(_) if self.state.is_some() => self.stage = Stage::Over,
                Err(fault) => return Err(fault),
                Ok(false) => continue,
                Ok(true) => self.begin(body, bytes_max)?,
            }
            return Ok(());
        }
        Ok(())
    }

    /// The head is complete.
    fn begin(&mut self, body: &mut Vec<u8>, bytes_max: usize) -> Result<(), UnpackError> {
        let head = std::mem::take(&mut self.pending);
        let format = if self.coding == Coding::Deflate && is_zlib(&head) { DataFormat::Zlib } else { DataFormat::Raw };
        match &mut self.state {
            // What the window still holds is of this very body.
            Some(state) => state.reset_as(MinReset),
            None => self.state = Some(InflateState::new_boxed(format)),
        }
        self.checksum = Checksum::default();
        self.stage = Stage::Data;
        if self.coding == Coding::Deflate { self.read_data(&mut head.as_slice(), body, bytes_max) } else { Ok(()) }
    }

    fn read_data(&mut self, piece: &mut &[u8], body: &mut Vec<u8>, bytes_max: usize) -> Result<(), UnpackError> {
        let Some(state) = &mut self.state else { return Err(UnpackError::Broken) };
        let mut step = [0; STEP_BYTES];
        loop {
            let done = inflate(state, piece, &mut step, MZFlush::None);
            *piece = piece.get(done.bytes_consumed..).unwrap_or_default();
            let bytes = step.get(..done.bytes_written).unwrap_or_default();
            put(bytes, body, bytes_max)?;
            if self.coding == Coding::Gzip {
                self.checksum.add(bytes);
            }
            match done.status {
                Ok(MZStatus::StreamEnd) => {
                    self.stage = if self.coding == Coding::Gzip { Stage::Trailer } else { Stage::Over };
                    return Ok(());
                }
                // All that could be made of what was given.
                Err(MZError::Buf) if piece.is_empty() => return Ok(()),
                Ok(_) if piece.is_empty() && bytes.len() < STEP_BYTES => return Ok(()),
                Ok(MZStatus::Ok) => {}
                Ok(MZStatus::NeedDict) | Err(_) => return Err(UnpackError::Broken),
            }
        }
    }

    fn read_trailer(&mut self, piece: &mut &[u8]) -> Result<(), UnpackError> {
        let (now, rest) = piece.split_at((8 - self.pending.len()).min(piece.len()));
        self.pending.extend_from_slice(now);
        *piece = rest;
        if self.pending.len() < 8 {
            return Ok(());
        }
        let trailer = std::mem::take(&mut self.pending);
        self.stage = Stage::Head;
        if trailer == self.checksum.trailer() { Ok(()) } else { Err(UnpackError::Broken) }
    }
}

fn put(bytes: &[u8], body: &mut Vec<u8>, bytes_max: usize) -> Result<(), UnpackError> {
    if bytes.len() > bytes_max.saturating_sub(body.len()) {
        return Err(UnpackError::TooLarge);
    }
    body.extend_from_slice(bytes);
    Ok(())
}

/// Whether these two bytes are the head that deflate should have. No stream without one begins so.
fn is_zlib(head: &[u8]) -> bool {
    matches!(head, [method, check] if method & 0x8f == 8 && u16::from_be_bytes([*method, *check]) % 31 == 0 && check & 0x20 == 0)
}

/// Whether a gzip member's head (RFC 1952) is complete with the last of these bytes.
fn is_gzip_head(bytes: &[u8]) -> Result<bool, UnpackError> {
    const START: [u8; 3] = [0x1f, 0x8b, 8];
    let [checksum, extra, name, comment, reserved] = [2, 4, 8, 16, 0xe0];
    if bytes.iter().zip(START).any(|(found, expected)| *found != expected) || bytes.len() > HEAD_MAX {
        return Err(UnpackError::Broken);
    }
    let Some(flags) = bytes.get(3) else { return Ok(false) };
    if flags & reserved != 0 {
        return Err(UnpackError::Broken);
    }
    let mut length = 10;
    if flags & extra != 0 {
        let Some([low, high]) = bytes.get(length..length + 2) else { return Ok(false) };
        length += 2 + usize::from(u16::from_le_bytes([*low, *high]));
    }
    for text in [name, comment] {
        if flags & text != 0 {
            let end = bytes.get(length..).and_then(|rest| rest.iter().position(|byte| *byte == 0));
            let Some(end) = end else { return Ok(false) };
            length += end + 1;
        }
    }
    if flags & checksum != 0 {
        length += 2;
    }
    Ok(bytes.len() >= length)
}

/// The CRC-32 of each byte.
static CHECKSUMS: [u32; 256] = {
    let (mut table, mut at, mut byte) = ([0; 256], 0, 0);
    while at < table.len() {
        let (mut value, mut bit): (u32, u32) = (byte, 0);
        while bit < u8::BITS {
            value = (value >> 1) ^ if value & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[at] = value;
        (at, byte) = (at + 1, byte + 1);
    }
    table
};

/// CRC-32 and length of what was unpacked, as gzip has them at the end.
pub(crate) struct Checksum {
    register: u32,
    length: u32,
}

impl Default for Checksum {
    fn default() -> Self {
        Self { register: u32::MAX, length: 0 }
    }
}

impl Checksum {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [low, ..] = self.register.to_le_bytes();
            self.register = (self.register >> 8) ^ CHECKSUMS[usize::from(low ^ byte)];
        }
        // The format counts no further than this either.
        self.length = self.length.wrapping_add(u32::try_from(bytes.len()).unwrap_or_default());
    }

    pub(crate) fn trailer(&self) -> Vec<u8> {
        [(!self.register).to_le_bytes(), self.length.to_le_bytes()].concat()
    }
}
