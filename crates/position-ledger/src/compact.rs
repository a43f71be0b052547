//! Compact bytes for what stays in memory or in an image: short numbers take few bytes.

use crate::amount::Amount;

/// Bytes that one row can need, and what a write of fixed length may touch beyond them.
const BYTES_MAX: usize = 192;

/// Collects the bytes of one row.
///
/// Every write has a fixed length and counts only what it needs of it: that is cheaper than a copy of varying length.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: [u8; BYTES_MAX],
    length: usize,
}

impl Writer {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; BYTES_MAX], length: 0 }
    }

    fn put<const N: usize>(&mut self, bytes: [u8; N], used: usize) -> &mut Self {
        let free = self.bytes.get_mut(self.length..).and_then(<[u8]>::first_chunk_mut);
        if let Some(free) = free {
            *free = bytes;
            self.length = self.length.saturating_add(used);
        }
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.put([value], 1)
    }

    pub(crate) fn array<const N: usize>(&mut self, bytes: [u8; N]) -> &mut Self {
        self.put(bytes, N)
    }

    /// Two numbers behind a byte that has their lengths.
    pub(crate) fn numbers(&mut self, one: u64, other: u64) -> &mut Self {
        let used = |value: u64| 8_u32.wrapping_sub(value.leading_zeros().wrapping_shr(3));
        let (first, second) = (used(one), used(other));
        let lengths = first.wrapping_shl(4) | second;
        self.u8(lengths.to_le_bytes()[0]);
        self.put(one.to_le_bytes(), size(first)).put(other.to_le_bytes(), size(second))
    }

    /// A byte of sign, zero bytes left out at the low end, and length; then the rest of the distance from zero.
    ///
    /// A value with few decimals is a multiple of a power of two.
    pub(crate) fn amount(&mut self, amount: Amount) -> &mut Self {
        let distance = amount.units().unsigned_abs();
        let low = distance.trailing_zeros().wrapping_shr(3).min(3);
        let kept = distance.wrapping_shr(low.wrapping_shl(3));
        let used = 16_u32.wrapping_sub(kept.leading_zeros().wrapping_shr(3));
        let sign = u32::from(amount.is_negative()).wrapping_shl(7);
        self.u8((sign | low.wrapping_shl(5) | used).to_le_bytes()[0]);
        self.put(kept.to_le_bytes(), size(used))
    }

    /// A text of at most 16 bytes.
    pub(crate) fn short_text(&mut self, text: &str) -> &mut Self {
        let mut bytes = [0; 16];
        let used = text.len().min(16);
        for (byte, given) in bytes.iter_mut().zip(text.bytes()) {
            *byte = given;
        }
        self.u8(u8::try_from(used).unwrap_or(16)).put(bytes, used)
    }

    pub(crate) fn finish(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// A length of at most 16.
fn size(used: u32) -> usize {
    usize::try_from(used).unwrap_or(16)
}

/// A number for a signed one: small distances from zero have few bytes.
pub(crate) const fn folded(value: i64) -> u64 {
    value.wrapping_shl(1).cast_unsigned() ^ value.wrapping_shr(63).cast_unsigned()
}

/// The signed number of [`folded`].
pub(crate) const fn unfolded(value: u64) -> i64 {
    (value.wrapping_shr(1) ^ (value & 1).wrapping_neg()).cast_signed()
}

/// Reads what [`Writer`] wrote; none when the bytes are something else.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// How many bytes of `whole` were read.
    pub(crate) const fn used(&self, whole: &[u8]) -> usize {
        whole.len().saturating_sub(self.bytes.len())
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn numbers(&mut self) -> Option<(u64, u64)> {
        let lengths = self.u8()?;
        let mut number = |length: u8| {
            let mut bytes = [0; 8];
            bytes.get_mut(..length.into())?.copy_from_slice(self.take(length.into())?);
            Some(u64::from_le_bytes(bytes))
        };
        Some((number(lengths.wrapping_shr(4))?, number(lengths & 0xf)?))
    }

    pub(crate) fn amount(&mut self) -> Option<Amount> {
        let head = self.u8()?;
        let (low, used) = (u32::from(head & 0x60).wrapping_shr(5), usize::from(head & 0x1f));
        let mut bytes = [0; 16];
        bytes.get_mut(..used)?.copy_from_slice(self.take(used)?);
        let distance = u128::from_le_bytes(bytes).checked_shl(low.wrapping_mul(8))?;
        let amount = Amount::from_units(i128::try_from(distance).ok()?).ok()?;
        Some(if head & 0x80 == 0 { amount } else { amount.negated() })
    }

    pub(crate) fn short_text(&mut self) -> Option<&'a str> {
        let length = self.u8()?;
        std::str::from_utf8(self.take(length.into())?).ok()
    }

    /// A text behind its length in two bytes.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_le_bytes(self.array()?);
        std::str::from_utf8(self.take(length.into())?).ok()
    }
}
