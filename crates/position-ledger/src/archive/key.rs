//! The key that begins a row, and the order of trade ids.

use crate::name::TradeId;

/// Bytes of a text that decide which of two is greater, with the one in front of it.
const RANK: usize = 24;

/// A trade id as rows keep it; each kind has an order of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Id<'a> {
    Number(u64),
    Text(&'a [u8]),
}

/// The order of texts: short before long, then byte by byte.
///
/// Of a long text only the beginning counts; texts that begin alike have the same rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank([u64; 3]);

impl Rank {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut bytes = [0; RANK];
        let (first, rest) = bytes.split_at_mut(1);
        first.fill(form_of(text));
        let length = text.len().min(rest.len());
        if let Some((rest, text)) = rest.get_mut(..length).zip(text.get(..length)) {
            rest.copy_from_slice(text);
        }
        let (words, _) = bytes.as_chunks();
        let mut rank = [0; 3];
        for (number, word) in rank.iter_mut().zip(words) {
            *number = u64::from_be_bytes(*word);
        }
        Self(rank)
    }
}

/// What begins a row: the trade id, then the account and instrument.
///
/// A trade id is a byte for its form, and behind it a number in as few bytes as it takes, or a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(super) id: Id<'a>,
    pub(super) pair: u32,
}

impl<'a> Key<'a> {
    /// Set in the first byte when a text follows; the rest of that byte is its length less one.
    pub(super) const TEXT: u8 = 0x80;

    #[inline]
    pub(crate) fn new(pair: u32, trade_id: &'a TradeId) -> Self {
        let text = trade_id.as_str().as_bytes();
        let id = decimal(text).map_or(Id::Text(text), Id::Number);
        Self { id, pair }
    }

    /// The key of a row; that of the number zero when it is no row.
    pub(super) fn of_row(row: &'a [u8]) -> Self {
        let key = row.split_first().and_then(|(form, rest)| {
            let is_text = form & Self::TEXT != 0;
            let length = usize::from(form & !Self::TEXT).saturating_add(is_text.into());
            let (id, rest) = rest.split_at_checked(length)?;
            let number = |bytes: &[u8]| {
                bytes.iter().fold(0_u64, |number, byte| number.wrapping_shl(8) | u64::from(*byte))
            };
            let id = if is_text { Id::Text(id) } else { Id::Number(number(id)) };
            Some(Self { id, pair: u32::from_le_bytes(*rest.first_chunk()?) })
        });
        key.unwrap_or(Self { id: Id::Number(0), pair: 0 })
    }

    /// Whether this begins a row.
    pub(super) fn begins(&self, row: &[u8]) -> bool {
        let rest = match self.id {
            Id::Number(number) => {
                let (bytes, used) = shortest(number);
                let rest = row.strip_prefix(&[used]);
                rest.and_then(|rest| rest.strip_prefix(bytes.get(..used.into())?))
            }
            Id::Text(text) => {
                row.strip_prefix(&[form_of(text)]).and_then(|rest| rest.strip_prefix(text))
            }
        };
        rest.is_some_and(|rest| rest.starts_with(&self.pair.to_le_bytes()))
    }
}

impl std::hash::Hash for Key<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u32(self.pair);
        match self.id {
            Id::Number(number) => state.write_u64(number),
            Id::Text(text) => state.write(text),
        }
    }
}

/// The first byte of a text.
pub(super) fn form_of(text: &[u8]) -> u8 {
    let length = u8::try_from(text.len().saturating_sub(1)).unwrap_or(u8::MAX);
    Key::TEXT | length
}

/// The bytes of a number that are not zeros in front, moved to the front, and how many they are.
#[inline]
pub(super) fn shortest(number: u64) -> ([u8; 8], u8) {
    let unused = number.leading_zeros().wrapping_shr(3);
    let moved = number.wrapping_shl(unused.wrapping_shl(3));
    (moved.to_be_bytes(), 8_u8.wrapping_sub(unused.to_le_bytes()[0]))
}

/// The number that a text writes, if no other text writes it.
#[inline]
fn decimal(digits: &[u8]) -> Option<u64> {
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
#[inline]
fn value(digit: u8) -> Option<u64> {
    let value = digit.wrapping_sub(b'0');
    if value > 9 { None } else { Some(u64::from(value)) }
}
