//! The key that begins a row, and the order of trade ids.

use crate::name::TradeId;

/// Bytes of a key that decide which of two trade ids is greater.
const RANK: usize = 24;

/// The order of trade ids: numbers before texts, short before long, then byte by byte.
///
/// Of a long text only the beginning counts; texts that begin alike have the same rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank([u64; 3]);

impl Rank {
    /// That of a number whose bytes that count are moved to the front.
    fn of_number(used: u32, moved: u64) -> Self {
        let first = u64::from(used).wrapping_shl(56) | moved.wrapping_shr(8);
        Self([first, moved.wrapping_shl(56), 0])
    }

    fn of_text(form: u8, text: &[u8]) -> Self {
        let mut bytes = [0; RANK];
        let (first, rest) = bytes.split_at_mut(1);
        first.fill(form);
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

/// What of a key decides where its row is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Id {
    pub(super) rank: Rank,
    pub(super) pair: u32,
    pub(super) is_text: bool,
}

/// What begins a row: the trade id, then the account and instrument.
///
/// A trade id is a byte for its form, and behind it a number in as few bytes as it takes, or a text.
#[derive(Debug)]
pub(crate) struct Key<'a> {
    pub(super) id: Id,
    pub(super) form: u8,
    /// The number, moved to the front, and how many bytes of it count; none beside a text.
    pub(super) number: [u8; 8],
    pub(super) used: u8,
    /// None beside a number.
    pub(super) text: &'a [u8],
}

impl<'a> Key<'a> {
    /// Set in the first byte when a text follows; the rest of that byte is its length less one.
    pub(super) const TEXT: u8 = 0x80;

    pub(crate) fn new(pair: u32, trade_id: &'a TradeId) -> Self {
        let text = trade_id.as_str().as_bytes();
        match decimal(text) {
            Some(number) => Self::of_number(pair, number),
            None => Self::of_text(pair, text),
        }
    }

    fn of_number(pair: u32, number: u64) -> Self {
        let unused = number.leading_zeros().wrapping_shr(3);
        let used = 8_u32.wrapping_sub(unused);
        let moved = number.wrapping_shl(unused.wrapping_shl(3));
        let rank = Rank::of_number(used, moved);
        let form = used.to_le_bytes()[0];
        let id = Id { rank, pair, is_text: false };
        Self { id, form, number: moved.to_be_bytes(), used: form, text: &[] }
    }

    fn of_text(pair: u32, text: &'a [u8]) -> Self {
        let length = u8::try_from(text.len().saturating_sub(1)).unwrap_or(u8::MAX);
        let form = Self::TEXT | length;
        let id = Id { rank: Rank::of_text(form, text), pair, is_text: true };
        Self { id, form, number: [0; 8], used: 0, text }
    }

    /// The key of a row; that of the number zero when it is no row.
    pub(super) fn of_row(row: &'a [u8]) -> Self {
        let parts = row.split_first().and_then(|(form, rest)| {
            let is_text = form & Self::TEXT != 0;
            let length = usize::from(form & !Self::TEXT).saturating_add(is_text.into());
            let (id, rest) = rest.split_at_checked(length)?;
            Some((is_text, id, u32::from_le_bytes(*rest.first_chunk()?)))
        });
        match parts {
            Some((true, text, pair)) => Self::of_text(pair, text),
            Some((false, bytes, pair)) => {
                let number = bytes
                    .iter()
                    .fold(0_u64, |number, byte| number.wrapping_shl(8) | u64::from(*byte));
                Self::of_number(pair, number)
            }
            None => Self::of_number(0, 0),
        }
    }

    /// Whether this begins a row.
    pub(super) fn begins(&self, row: &[u8]) -> bool {
        let rest = row.strip_prefix(&[self.form]);
        let rest = rest.and_then(|rest| rest.strip_prefix(self.number.get(..self.used.into())?));
        let rest = rest.and_then(|rest| rest.strip_prefix(self.text));
        rest.is_some_and(|rest| rest.starts_with(&self.id.pair.to_le_bytes()))
    }
}

/// As bytes of a row, which is what decides whether two are the same.
impl std::hash::Hash for Key<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u32(self.id.pair);
        if self.id.is_text {
            state.write(self.text);
        } else {
            state.write_u64(u64::from_be_bytes(self.number));
            state.write_u8(self.form);
        }
    }
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
