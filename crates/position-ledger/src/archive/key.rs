//! The key that begins a row, and the order of trade ids.

use crate::change::index;
use crate::name::TradeId;

/// Bytes of a key that decide which of two trade ids is greater.
const RANK: usize = 24;

/// The order of trade ids: numbers before texts, short before long, then byte by byte.
///
/// Of a long text only the beginning counts; texts that begin alike have the same rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank([u64; 3]);

impl Rank {
    fn of(bytes: [u8; RANK]) -> Self {
        let (words, _) = bytes.as_chunks();
        let mut rank = [0; 3];
        for (number, word) in rank.iter_mut().zip(words) {
            *number = u64::from_be_bytes(*word);
        }
        Self(rank)
    }

    /// That of the key that begins a row.
    pub(super) fn of_row(row: &[u8]) -> Self {
        let mut bytes = [0; RANK];
        let id = row.get(..id_length(row)).unwrap_or(row);
        bytes.iter_mut().zip(id).for_each(|(byte, given)| *byte = *given);
        Self::of(bytes)
    }
}

/// The bytes that begin a row: the trade id, then the account and instrument.
#[derive(Debug)]
pub(crate) struct Key {
    bytes: [u8; Self::BYTES_MAX],
    length: usize,
    pub(super) rank: Rank,
    pub(super) pair: usize,
    pub(super) is_text: bool,
}

impl Key {
    /// A byte for the form of the trade id, its text, the position.
    const BYTES_MAX: usize = 1 + TradeId::BYTES_MAX + 4;

    /// Set in the first byte when a text follows; the rest of that byte is its length less one.
    pub(super) const TEXT: u8 = 0x80;

    pub(crate) fn new(pair: u32, trade_id: &TradeId) -> Self {
        let mut key = Self::empty();
        let text = trade_id.as_str();
        if let Some(number) = decimal(text) {
            let unused = number.leading_zeros().wrapping_shr(3);
            let used = 8_u32.wrapping_sub(unused);
            // The bytes that are used, moved to the front: all eight are copied, and so many count.
            let bytes = number.wrapping_shl(unused.wrapping_shl(3)).to_be_bytes();
            key.put([used.to_le_bytes()[0]], 1);
            key.put(bytes, index(used));
        } else {
            let length = u8::try_from(text.len().saturating_sub(1)).unwrap_or(u8::MAX);
            key.put([Self::TEXT | length], 1);
            key.push(text.as_bytes());
            key.is_text = true;
        }
        key.end(pair);
        key
    }

    /// The key of a row.
    pub(super) fn of(row: &[u8]) -> Self {
        let mut key = Self::empty();
        let (id, rest) = row.split_at_checked(id_length(row)).unwrap_or((row, &[]));
        key.push(id);
        key.is_text = id.first().is_some_and(|first| first & Self::TEXT != 0);
        key.end(rest.first_chunk().copied().map(u32::from_le_bytes).unwrap_or_default());
        key
    }

    const fn empty() -> Self {
        let (bytes, rank) = ([0; Self::BYTES_MAX], Rank([0; 3]));
        Self { bytes, length: 0, rank, pair: 0, is_text: false }
    }

    /// What is there so far is the trade id, which decides the rank.
    fn end(&mut self, pair: u32) {
        if let Some(id) = self.bytes.first_chunk() {
            self.rank = Rank::of(*id);
        }
        self.pair = index(pair);
        self.put(pair.to_le_bytes(), 4);
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

/// Bytes of the trade id of a row, with the one for its form.
fn id_length(row: &[u8]) -> usize {
    let first = row.first().copied().unwrap_or(0);
    let text = usize::from(first & Key::TEXT != 0);
    usize::from(first & !Key::TEXT).saturating_add(text).saturating_add(1)
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
    // Nineteen digits fit whatever they are.
    let (sure, last) = digits.split_at_checked(19).unwrap_or((digits, &[]));
    let mut number = 0_u64;
    for digit in sure {
        number = number.wrapping_mul(10).wrapping_add(value(*digit)?);
    }
    last.iter()
        .try_fold(number, |number, digit| number.checked_mul(10)?.checked_add(value(*digit)?))
}

/// What a digit counts.
fn value(digit: u8) -> Option<u64> {
    let value = digit.wrapping_sub(b'0');
    if value > 9 { None } else { Some(u64::from(value)) }
}
