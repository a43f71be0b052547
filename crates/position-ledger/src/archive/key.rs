//! The key that begins a row, and the order of trade ids.

use crate::name::TradeId;

/// Bytes of a key that decide which of two trade ids is greater.
pub(super) const RANK: usize = 24;

/// The order of trade ids: numbers before texts, short before long, then byte by byte.
///
/// Of a long text only the beginning counts; texts that begin alike have the same rank.
pub(super) type Rank = [u8; RANK];

/// The bytes that begin a row: the trade id, then the account and instrument.
#[derive(Debug)]
pub(super) struct Key {
    bytes: [u8; Self::BYTES_MAX],
    length: usize,
    pub(super) rank: Rank,
}

impl Key {
    /// A byte for the form of the trade id, its text, the position.
    const BYTES_MAX: usize = 1 + TradeId::BYTES_MAX + 4;

    const EMPTY: Self = Self { bytes: [0; Self::BYTES_MAX], length: 0, rank: [0; RANK] };

    /// Set in the first byte when a text follows; the rest of that byte is its length less one.
    pub(super) const TEXT: u8 = 0x80;

    pub(super) fn new(pair: u32, trade_id: &TradeId) -> Self {
        let mut key = Self::EMPTY;
        let text = trade_id.as_str();
        if let Some(number) = decimal(text) {
            let unused = number.leading_zeros().wrapping_shr(3);
            let used = 8_u32.wrapping_sub(unused);
            // The bytes that are used, moved to the front: all eight are copied, and so many count.
            let bytes = number.wrapping_shl(unused.wrapping_shl(3)).to_be_bytes();
            key.put([used.to_le_bytes()[0]], 1);
            key.put(bytes, usize::try_from(used).unwrap_or(8));
        } else {
            let length = u8::try_from(text.len().saturating_sub(1)).unwrap_or(u8::MAX);
            key.put([Self::TEXT | length], 1);
            key.push(text.as_bytes());
        }
        key.end_id();
        key.put(pair.to_le_bytes(), 4);
        key
    }

    /// The key of a row.
    pub(super) fn of(row: &[u8]) -> Self {
        let mut key = Self::EMPTY;
        let first = row.first().copied().unwrap_or(0);
        let id =
            usize::from(first & !Self::TEXT).saturating_add(usize::from(first & Self::TEXT != 0));
        let (id, rest) = row.split_at_checked(id.saturating_add(1)).unwrap_or((row, &[]));
        key.push(id);
        key.end_id();
        key.push(rest.get(..4).unwrap_or(rest));
        key
    }

    /// What is there so far is the trade id, which decides the rank.
    fn end_id(&mut self) {
        if let Some(id) = self.bytes.first_chunk() {
            self.rank = *id;
        }
    }

    /// Adds the first `used` of some bytes.
    fn put<const N: usize>(&mut self, bytes: [u8; N], used: usize) {
        if let Some(free) = self.bytes.get_mut(self.length..).and_then(<[u8]>::first_chunk_mut) {
            *free = bytes;
            self.length = self.length.saturating_add(used);
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(free) = self.bytes.get_mut(self.length..end) {
            free.copy_from_slice(bytes);
            self.length = end;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The number that a text writes, if no other text writes it.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.as_bytes();
    if digits.is_empty()
        || digits.len() > 20
        || (digits.first() == Some(&b'0') && digits.len() != 1)
    {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(value.into())
    })
}
