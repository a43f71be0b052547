//! All fills for ever: which they are, and what they said, in about sixty bytes each.
//!
//! A row begins with its key, so that a fill is found, and told from every other, without reading the rest:
//!
//! ```text
//! trade id | account and instrument (32 bits) | flags (8 bits) | sequence | time | order id | quantity | price | ...
//! ```
//!
//! A trade id that is a plain decimal number is kept as a number, any other as text.
//! What is equal to a default, or follows from the position, takes a flag and no bytes.
//! Rows are aligned to eight bytes, and the place of a row is its address in units of eight bytes.
//! These bytes are no interchange format: they live as long as the process, or as a snapshot of state of this version.

mod key;
mod row;
mod runs;

use std::hash::BuildHasher as _;

use backstop_clock::Timestamp;
use hashbrown::DefaultHashBuilder;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::amount::Amount;
use crate::compact::Reader;
use crate::fill::{Fill, LotChoice, Side, Source};
use crate::index::Index;
use crate::name::{Currency, InstrumentId, LegId, TradeId};
use row::{read, write};
use runs::Runs;

pub(crate) use key::Key;

/// Bytes of a chunk: large enough that its end wastes little, small enough to allocate without a pause.
const CHUNK: usize = 1 << 18;

/// No row is longer: a trade id of 128 bytes, a finding of 512, and a few numbers.
const ROW_MAX: usize = 1 << 10;

/// Rows begin at multiples of this.
const ALIGN: usize = 8;

/// Places per chunk, as a power of two.
const PLACES: u32 = (CHUNK / ALIGN).trailing_zeros();

/// Where a fill is kept; stays the same for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place(u32);

/// A fill as it is kept, without the names that its position knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) pair: u32,
    /// None for the first position of the pair.
    pub(crate) slot: Option<u32>,
    /// The share that it counts to as well.
    pub(crate) share: Option<u32>,
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) trade_id: TradeId,
    pub(crate) order_id: Uuid,
    pub(crate) side: Side,
    pub(crate) quantity: Amount,
    pub(crate) price: Amount,
    pub(crate) cost: Option<Amount>,
    pub(crate) fee: Amount,
    /// None for the settlement currency of the position.
    pub(crate) fee_currency: Option<Currency>,
    pub(crate) source: Source,
}

impl Kept {
    /// The fill as it was given.
    pub(crate) fn into_fill(
        self,
        (instrument, settlement): (&InstrumentId, &Currency),
        leg: Option<LegId>,
        lots: Vec<LotChoice>,
    ) -> Fill {
        Fill {
            trade_id: self.trade_id,
            order_id: self.order_id,
            instrument: instrument.clone(),
            side: self.side,
            quantity: self.quantity,
            price: self.price,
            cost: self.cost,
            fee: self.fee,
            fee_currency: Some(self.fee_currency.unwrap_or_else(|| settlement.clone())),
            leg,
            lots,
            source: self.source,
        }
    }
}

/// The bytes of all rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks<'a> {
    pub(crate) full: &'a [Chunk],
    pub(crate) last: &'a [u8],
}

/// Rows one after another, none of which goes on in another chunk.
pub(crate) type Chunk = Vec<u8>;

/// What the books add to a fill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Booking<'a> {
    /// Its position, where that is not the first of the pair.
    pub(crate) slot: Option<u32>,
    /// The share that it counts to as well.
    pub(crate) share: Option<u32>,
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    /// None for the settlement currency of the position.
    pub(crate) fee_currency: Option<&'a Currency>,
}

/// Fills that enter the index together, so that the processor waits for their lines of memory together.
const PENDING_MAX: usize = 32;

/// All fills, in the order of the journal, and by what they are found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Archive {
    chunks: Vec<Chunk>,
    rows: usize,
    /// Those whose ids came in rising order; venues count up, so that is most of them.
    runs: Runs,
    /// The others.
    index: Index,
    /// Hash and place of the last of the others, which are not in the index yet.
    pending: Vec<(u32, u32)>,
    hasher: DefaultHashBuilder,
}

/// How they are found follows from the rows.
impl PartialEq for Archive {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.chunks == other.chunks
    }
}

impl Eq for Archive {}

impl Archive {
    /// Where the fill of this key is.
    #[inline]
    pub(crate) fn find(&self, key: &Key<'_>) -> Option<Place> {
        if self.runs.is_new(key) { None } else { self.find_old(key) }
    }

    /// The same for one that may be known.
    fn find_old(&self, key: &Key<'_>) -> Option<Place> {
        let is_same = |place: &u32| key.begins(self.tail(Place(*place)));
        if let Some(place) = self.runs.find(key, |place| self.key(place)).filter(is_same) {
            return Some(Place(place));
        }
        let hash = self.hash(key);
        let pending = self.pending.iter().find(|(held, place)| *held == hash && is_same(place));
        let found = pending.map(|(_, place)| *place);
        found.or_else(|| self.index.find(hash, |place| is_same(&place))).map(Place)
    }

    /// Keeps a fill that is not there yet; none when there is no room.
    #[inline]
    pub(crate) fn push(
        &mut self,
        key: &Key<'_>,
        booking: &Booking<'_>,
        fill: &Fill,
    ) -> Option<Place> {
        if self.chunks.last().is_none_or(|chunk| chunk.len().saturating_add(ROW_MAX) > CHUNK) {
            self.begin_chunk()?;
        }
        let before = self.chunks.len().saturating_sub(1);
        let chunk = self.chunks.last_mut()?;
        let place = Place::of(before, chunk.len()).0;
        write(chunk, key, booking, fill);
        if !self.runs.push(key, place) {
            self.list(self.hash(key), place);
        }
        self.rows = self.rows.saturating_add(1);
        Some(Place(place))
    }

    /// Adds a chunk; none after 16 GiB, so that half of the numbers name no place.
    #[cold]
    fn begin_chunk(&mut self) -> Option<()> {
        let chunks = u32::try_from(self.chunks.len()).ok()?;
        if chunks >= u32::MAX.wrapping_shr(PLACES.wrapping_add(1)) {
            return None;
        }
        // The first one grows as it is used, for books that stay small.
        let bytes = if chunks == 0 { 0 } else { CHUNK };
        self.chunks.push(Vec::with_capacity(bytes));
        Some(())
    }

    /// Lets a row that is in no run be found by the hash of its key.
    fn list(&mut self, hash: u32, place: u32) {
        self.pending.push((hash, place));
        if self.pending.len() >= PENDING_MAX {
            self.pending.drain(..).for_each(|(hash, place)| self.index.insert(hash, place));
        }
    }

    /// Forgets the last fill, which has to be the one at `place`.
    pub(crate) fn pop(&mut self, place: Place) {
        let mut runs = std::mem::take(&mut self.runs);
        let key = self.key(place.0);
        let hash = self.hash(&key);
        if !runs.pop(&key, place.0, |place| self.key(place))
            && self.pending.pop_if(|(_, last)| *last == place.0).is_none()
        {
            self.index.remove(hash, place.0);
        }
        self.runs = runs;
        self.rows = self.rows.saturating_sub(1);
        let (number, offset) = place.split();
        self.chunks.truncate(number.saturating_add(1));
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.truncate(offset);
        }
        if offset == 0 {
            drop(self.chunks.pop());
        }
    }

    /// The fill at a place.
    pub(crate) fn get(&self, place: Place) -> Option<Kept> {
        read(&mut Reader::new(self.tail(place)))
    }

    /// All fills, in the order of the journal.
    pub(crate) fn iter(&self) -> Rows<'_> {
        Rows { chunks: self.chunks.iter(), chunk: &[], next: (0, 0), left: self.rows }
    }

    /// The chunks that will not change any more, and what is in the last one.
    pub(crate) fn chunks(&self) -> Chunks<'_> {
        match self.chunks.split_last() {
            Some((last, full)) => Chunks { full, last },
            None => Chunks { full: &[], last: &[] },
        }
    }

    /// The fills of these chunks; none when they are not rows.
    pub(crate) fn of_chunks(chunks: Vec<Chunk>) -> Option<Self> {
        let mut archive = Self { chunks, ..Self::default() };
        let mut found = Vec::new();
        for (number, chunk) in (0_u32..).zip(&archive.chunks) {
            let in_front = number.checked_mul(1_u32.wrapping_shl(PLACES))?;
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                let offset = chunk.len().checked_sub(rest.len())?.checked_div(ALIGN)?;
                let place = in_front.checked_add(u32::try_from(offset).ok()?)?;
                found.push(place);
                let mut reader = Reader::new(rest);
                read(&mut reader)?;
                rest = rest.get(reader.used(rest).next_multiple_of(ALIGN)..)?;
            }
        }
        archive.rows = found.len();
        let mut runs = Runs::default();
        for place in found {
            let key = archive.key(place);
            if !runs.push(&key, place) {
                archive.list(archive.hash(&key), place);
            }
        }
        archive.runs = runs;
        Some(archive)
    }

    /// The key that begins a row.
    fn key(&self, place: u32) -> Key<'_> {
        Key::of_row(self.tail(Place(place)))
    }

    /// The bytes from a place to the end of its chunk.
    fn tail(&self, place: Place) -> &[u8] {
        let (chunk, offset) = place.split();
        self.chunks.get(chunk).and_then(|chunk| chunk.get(offset..)).unwrap_or_default()
    }

    fn hash(&self, key: &Key<'_>) -> u32 {
        let hash = self.hasher.hash_one(key);
        u32::try_from(hash.wrapping_shr(32)).unwrap_or(u32::MAX)
    }
}

impl Place {
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    pub(crate) const fn of_number(number: u32) -> Self {
        Self(number)
    }

    /// That of a byte in a chunk of which there is [room](Archive::begin_chunk) for all places.
    #[inline]
    fn of(chunk: usize, offset: usize) -> Self {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let in_chunk = number(offset.wrapping_div(ALIGN));
        Self(number(chunk).wrapping_shl(PLACES).wrapping_add(in_chunk))
    }

    /// The chunk, and the byte in it.
    fn split(self) -> (usize, usize) {
        let mask = 1_u32.wrapping_shl(PLACES).wrapping_sub(1);
        let number = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        (number(self.0.wrapping_shr(PLACES)), number(self.0 & mask).wrapping_mul(ALIGN))
    }
}

/// All fills, one after another, with their places.
#[derive(Clone, Debug)]
pub(crate) struct Rows<'a> {
    chunks: std::slice::Iter<'a, Chunk>,
    chunk: &'a [u8],
    /// The place of the next row, and that of the next chunk.
    next: (u32, u32),
    left: usize,
}

impl Iterator for Rows<'_> {
    type Item = (Place, Kept);

    fn next(&mut self) -> Option<(Place, Kept)> {
        if self.chunk.is_empty() {
            self.chunk = self.chunks.next()?;
            self.next = (self.next.1, self.next.1.wrapping_add(1_u32.wrapping_shl(PLACES)));
        }
        let mut reader = Reader::new(self.chunk);
        let kept = read(&mut reader)?;
        let used = reader.used(self.chunk).next_multiple_of(ALIGN);
        let place = Place(self.next.0);
        let step = u32::try_from(used.checked_div(ALIGN)?).ok()?;
        self.next.0 = self.next.0.wrapping_add(step);
        self.chunk = self.chunk.get(used..).unwrap_or_default();
        self.left = self.left.saturating_sub(1);
        Some((place, kept))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Rows<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use backstop_clock::Timestamp;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{Archive, Booking, Key};
    use crate::amount::Amount;
    use crate::fill::{Fill, Side, Source};
    use crate::name::{Currency, InstrumentId, Text, TradeId};

    fn currency() -> impl Strategy<Value = Currency> {
        prop_oneof![Just("USD"), Just("BNB")].prop_map(|code| Currency::new(code).unwrap())
    }

    fn trade_id() -> impl Strategy<Value = TradeId> {
        prop_oneof![
            (0_u64..30).prop_map(TradeId::of_number),
            any::<u64>().prop_map(TradeId::of_number),
            // Texts that look like numbers, begin alike, or have the bytes of a number.
            "0[0-9]{0,2}|[0-9]{19,22}|[a-z]{1,3}|same-beginning-of-many-bytes-[0-9]{1,2}|\u{20ac}"
                .prop_map(|text| TradeId::new(&text).unwrap()),
        ]
    }

    fn amount() -> impl Strategy<Value = Amount> {
        let units = prop_oneof![Just(0), any::<i64>().prop_map(i128::from), any::<i128>()];
        units.prop_map(|units| Amount::from_units(units).unwrap_or(Amount::MAX))
    }

    prop_compose! {
        fn fill()(trade_id in trade_id(), order in any::<u8>(), is_buy in any::<bool>(), amounts in [amount(), amount(), amount()], cost in proptest::option::of(amount()),
            fee_currency in currency(), finding in 0..3_u8) -> Fill {
            let text = Text::new("a finding").unwrap();
            Fill {
                trade_id,
                order_id: Uuid::from_u128(order.into()),
                instrument: InstrumentId::new("EUR/USD").unwrap(),
                side: if is_buy { Side::Buy } else { Side::Sell },
                quantity: amounts[0],
                price: amounts[1],
                fee: amounts[2],
                cost,
                fee_currency: Some(fee_currency),
                leg: None,
                lots: Vec::new(),
                source: match finding {
                    0 => Source::Stream,
                    1 => Source::Recovered { finding: text },
                    _ => Source::Synthetic { finding: text },
                },
            }
        }
    }

    proptest! {
        #[test]
        fn every_fill_is_found_by_its_key_and_read_back(fills in prop::collection::vec((fill(), 0_u32..3, any::<Option<u32>>(), any::<Option<u32>>()), 0..40), kept in any::<prop::sample::Index>()) {
            let usd = Currency::new("USD").unwrap();
            let (mut archive, mut model, mut order) = (Archive::default(), BTreeMap::new(), Vec::new());
            for (number, (fill, pair, slot, share)) in fills.into_iter().enumerate() {
                let key = (pair, fill.trade_id.clone());
                prop_assert_eq!(archive.find(&Key::new(pair, &fill.trade_id)), model.get(&key).map(|(place, _)| *place));
                if model.contains_key(&key) {
                    continue;
                }
                let sequence = u64::try_from(number).unwrap();
                let fee_currency = fill.fee_currency.as_ref().filter(|currency| **currency != usd);
                let booking = Booking { slot, share, sequence, at: Timestamp::from_millis(-5), fee_currency };
                let place = archive.push(&Key::new(pair, &fill.trade_id), &booking, &fill).unwrap();
                model.insert(key.clone(), (place, (fill, sequence, slot, share)));
                order.push(key);
            }
            // What is taken back, from the end, is gone, and the rest stays.
            let last = order.split_off(kept.index(order.len().max(1)).min(order.len()));
            let mut taken_back = Vec::new();
            for key in last.into_iter().rev() {
                let (place, row) = model.remove(&key).unwrap();
                archive.pop(place);
                prop_assert_eq!(archive.find(&Key::new(key.0, &key.1)), None);
                taken_back.push((key, row));
            }
            // Half of it comes again, the other way round.
            taken_back.truncate(taken_back.len() / 2);
            for (key, (fill, sequence, slot, share)) in taken_back {
                let fee_currency = fill.fee_currency.as_ref().filter(|currency| **currency != usd);
                let booking = Booking { slot, share, sequence, at: Timestamp::from_millis(-5), fee_currency };
                let place = archive.push(&Key::new(key.0, &key.1), &booking, &fill).unwrap();
                model.insert(key.clone(), (place, (fill, sequence, slot, share)));
                order.push(key);
            }
            let chunks = archive.chunks();
            let chunks = chunks.full.iter().cloned().chain([chunks.last.to_vec()]).filter(|chunk| !chunk.is_empty());
            let read_back = Archive::of_chunks(chunks.collect()).unwrap();
            prop_assert_eq!(&read_back, &archive);
            let mut rows = archive.iter();
            prop_assert_eq!(rows.len(), order.len());
            for key in &order {
                let (place, (fill, sequence, slot, share)) = &model[key];
                for archive in [&archive, &read_back] {
                    prop_assert_eq!(archive.find(&Key::new(key.0, &key.1)), Some(*place));
                }
                let row = archive.get(*place).unwrap();
                prop_assert_eq!(rows.next(), Some((*place, row.clone())));
                prop_assert_eq!((row.pair, row.sequence, row.slot, row.share), (key.0, *sequence, *slot, *share));
                prop_assert_eq!(&row.into_fill((&fill.instrument, &usd), None, Vec::new()), fill);
            }
            prop_assert_eq!(rows.next(), None);
        }
    }

    #[test]
    fn the_longest_rows_are_kept_whole() {
        let (third, finding) =
            (Currency::new(&"C".repeat(16)).unwrap(), Text::new(&"f".repeat(512)).unwrap());
        let most = |less: i128| Amount::from_units(i128::MAX - less).unwrap();
        let (mut archive, mut kept) = (Archive::default(), Vec::new());
        for number in 0..1_000_u32 {
            // In and out of order, as text and as number.
            let text = format!("x{:0>127}", if number % 2 == 0 { number } else { 5_000 - number });
            let trade_id = match number % 5 {
                4 => TradeId::of_number(u64::MAX - u64::from(number)),
                _ => TradeId::new(&text).unwrap(),
            };
            let source = if number % 3 == 0 {
                Source::Stream
            } else {
                Source::Synthetic { finding: finding.clone() }
            };
            let fill = Fill {
                trade_id,
                order_id: Uuid::from_u128(u128::MAX),
                instrument: InstrumentId::new("X").unwrap(),
                side: Side::Sell,
                quantity: most(0),
                price: most(2).negated(),
                fee: most(4),
                cost: Some(most(6)),
                fee_currency: Some(third.clone()),
                leg: None,
                lots: Vec::new(),
                source,
            };
            let at = Timestamp::from_millis(if number % 2 == 0 { i64::MIN } else { i64::MAX });
            let (slot, share, sequence) = (Some(u32::MAX), Some(u32::MAX), u64::MAX);
            let booking = Booking { slot, share, sequence, at, fee_currency: Some(&third) };
            let place = archive.push(&Key::new(7, &fill.trade_id), &booking, &fill).unwrap();
            kept.push((place, fill, at));
        }
        for (place, fill, at) in &kept {
            let row = archive.get(*place).unwrap();
            assert_eq!(
                (&row.trade_id, row.quantity, row.price),
                (&fill.trade_id, fill.quantity, fill.price)
            );
            assert_eq!((row.fee, row.cost, &row.source), (fill.fee, fill.cost, &fill.source));
            assert_eq!((row.fee_currency.as_ref(), row.at), (Some(&third), *at));
            assert_eq!(
                (row.slot, row.share, row.sequence),
                (Some(u32::MAX), Some(u32::MAX), u64::MAX)
            );
        }
        assert!(archive.chunks.iter().all(|chunk| chunk.len() <= super::CHUNK));
        let again = Archive::of_chunks(archive.chunks.clone()).unwrap();
        assert!(again == archive && again.iter().count() == kept.len());
        kept.iter().rev().for_each(|(place, ..)| archive.pop(*place));
        assert!(archive == Archive::default());
    }
}
