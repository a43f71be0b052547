//! Compact bytes for what stays in memory or in an image: short numbers take few bytes.

use crate::amount::Amount;

/// Bytes that one row may have here, and what a write of fixed length may touch beyond them.
const ROOM: usize = 176 + 16;

/// Writes what of a row is of bounded length, in the place where it stays.
///
/// Every write has a fixed length and counts only what it needs of it: that is cheaper than a copy of varying length.
/// What it writes beyond that is zero.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    room: &'a mut [u8; ROOM],
    length: u8,
}

impl<'a> Writer<'a> {
    /// Writes behind what is there; the room that it does not use is cut off by whoever has the bytes.
    pub(crate) fn behind(bytes: &'a mut Vec<u8>) -> Option<Self> {
        bytes.extend_from_slice(&[0; ROOM]);
        let room = bytes.last_chunk_mut()?;
        Some(Self { room, length: 0 })
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N], used: u8) -> &mut Self {
        let free = self.room.get_mut(usize::from(self.length)..);
        if let Some(free) = free.and_then(<[u8]>::first_chunk_mut) {
            *free = bytes;
        }
        self.length = self.length.wrapping_add(used);
        self
    }

    #[inline]
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.put([value], 1)
    }

    #[inline]
    pub(crate) fn pair(&mut self, number: u32) -> &mut Self {
        self.put(number.to_le_bytes(), 4)
    }

    /// The first bytes of a number, at most 8; the others are zero.
    #[inline]
    pub(crate) fn number(&mut self, bytes: [u8; 8], used: u8) -> &mut Self {
        self.put(bytes, used)
    }

    #[inline]
    pub(crate) fn uuid(&mut self, bytes: [u8; 16]) -> &mut Self {
        self.put(bytes, 16)
    }

    /// Two numbers behind a byte that has their lengths.
    #[inline]
    pub(crate) fn numbers(&mut self, one: u64, other: u64) -> &mut Self {
        let (first, second) = (used(one), used(other));
        self.u8(first.wrapping_shl(4) | second);
        self.put(one.to_le_bytes(), first).put(other.to_le_bytes(), second)
    }

    /// A byte of sign, form and length; then the distance from zero in billionths, if it is whole in them, or in units.
    #[inline]
    pub(crate) fn amount(&mut self, amount: Amount) -> &mut Self {
        let sign = if amount.is_negative() { SIGN } else { 0 };
        if let Some(billionths) = amount.billionths() {
            let length = used(billionths);
            self.u8(sign | BILLIONTHS | length);
            return self.put(billionths.to_le_bytes(), length);
        }
        let distance = amount.units().unsigned_abs();
        let unused = low_byte(distance.leading_zeros()).wrapping_shr(3);
        let length = 16_u8.wrapping_sub(unused);
        self.u8(sign | length);
        self.put(distance.to_le_bytes(), length)
    }

    /// A text of at most 16 bytes.
    pub(crate) fn short_text(&mut self, text: &str) -> &mut Self {
        let mut bytes = [0; 16];
        for (byte, given) in bytes.iter_mut().zip(text.bytes()) {
            *byte = given;
        }
        let length = u8::try_from(text.len().min(16)).unwrap_or(16);
        self.u8(length).put(bytes, length)
    }

    /// How many bytes were written.
    pub(crate) fn length(&self) -> usize {
        self.length.into()
    }
}

/// Set in the first byte of an amount below zero.
const SIGN: u8 = 0x80;

/// Set in the first byte of an amount in units of 1e-9.
const BILLIONTHS: u8 = 0x40;

/// Bytes of a number without the zeros in front: at most 8.
#[inline]
fn used(number: u64) -> u8 {
    8_u8.wrapping_sub(low_byte(number.leading_zeros()).wrapping_shr(3))
}

const fn low_byte(number: u32) -> u8 {
    number.to_le_bytes()[0]
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
        let length = usize::from(head & 0x1f);
        let mut bytes = [0; 16];
        bytes.get_mut(..length)?.copy_from_slice(self.take(length)?);
        let mut distance = i128::try_from(u128::from_le_bytes(bytes)).ok()?;
        if head & BILLIONTHS != 0 {
            distance = distance.checked_mul(1_000_000_000)?;
        }
        let amount = Amount::from_units(distance).ok()?;
        Some(if head & SIGN == 0 { amount } else { amount.negated() })
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
