//! Compact bytes for what stays in memory or in a snapshot of state: short numbers take few bytes.

use crate::amount::Amount;

/// Appends to a buffer.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    pub(crate) fn number(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.bytes.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
            value = value.wrapping_shr(7);
        }
        self.bytes.push(u8::try_from(value).unwrap_or(0));
        self
    }

    /// Small distances from zero take few bytes.
    pub(crate) fn signed(&mut self, value: i64) -> &mut Self {
        self.number(value.wrapping_shl(1).cast_unsigned() ^ value.wrapping_shr(63).cast_unsigned())
    }

    /// A byte of sign, zero bytes left out at the low end, and length; then the rest of the distance from zero.
    ///
    /// A value with few decimals is a multiple of a power of two.
    pub(crate) fn amount(&mut self, amount: Amount) -> &mut Self {
        let distance = amount.units().unsigned_abs();
        let low = (distance.trailing_zeros() / 8).min(3);
        let kept = distance.wrapping_shr(low.wrapping_mul(8));
        let used = 16_u32.saturating_sub(kept.leading_zeros() / 8);
        let sign = if amount.is_negative() { 0x80 } else { 0 };
        let low = u8::try_from(low).unwrap_or(0).wrapping_shl(5);
        self.bytes.push(sign | low | u8::try_from(used).unwrap_or(16));
        // A fixed length and a cut are cheaper than a copy of a varying length.
        self.bytes.extend_from_slice(&kept.to_le_bytes());
        let unused = 16_usize.saturating_sub(usize::try_from(used).unwrap_or(16));
        self.bytes.truncate(self.bytes.len().saturating_sub(unused));
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.number(u64::try_from(text.len()).unwrap_or(u64::MAX)).bytes(text.as_bytes())
    }
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

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value.wrapping_shr(1) ^ (value & 1).wrapping_neg()).cast_signed())
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

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}
