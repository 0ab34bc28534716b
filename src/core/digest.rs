//! Keyed digests of file content. They live in memory only: a random key a process makes them useless elsewhere.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// A 128-bit keyed digest; [`Self::UNREAD`] at first. Shown nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Stands for content that nobody read because its length already differs.
    pub(crate) const UNREAD: Self = Self([0; 16]);

    /// The digest as a number, for comparing.
    pub(crate) const fn number(self) -> u128 {
        u128::from_le_bytes(self.0)
    }

    /// The digest of this number: 0 for [`Self::UNREAD`].
    #[cfg(test)]
    pub(crate) const fn of_number(number: u128) -> Self {
        Self(number.to_le_bytes())
    }
}

/// Makes digests under one key.
#[derive(Clone)]
pub struct Digester(SipHasher13);

impl Digester {
    /// A digester under this key; callers draw the key at random.
    pub fn new(key: (u64, u64)) -> Self {
        Self(SipHasher13::new_with_keys(key.0, key.1))
    }

    /// Digest of `bytes`.
    pub fn digest(&self, bytes: &[u8]) -> Digest {
        let mut hasher = self.0;
        hasher.write(bytes);
        Digest(hasher.finish128().as_bytes())
    }

    /// Digest of the pieces that `give` hands over, one after the other, and what it returns.
    pub(crate) fn digest_pieces<T>(&self, give: impl FnOnce(&mut dyn FnMut(&[u8])) -> T) -> (Digest, T) {
        let mut hasher = self.0;
        let given = give(&mut |piece| hasher.write(piece));
        (Digest(hasher.finish128().as_bytes()), given)
    }
}
