//! Images: the books after an entry as bytes, so that a ledger opens without reading all before it.
//!
//! An image is a cache of what the journal says, bound to it by the hash of its last entry.
//! One of another version, or one that is damaged, is left aside, and the journal is read from its start.
//! Fills go apart, in chunks that never change once they are full: the next image adds only those that are new.

use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::archive::{Archive, Chunk, Chunks, Place};
use crate::books::Books;
use crate::change::{IsolationKey, WaitingKey};
use crate::error::{JournalError, ReplayError, VerifyError};
use crate::fill::LotChoice;
use crate::instrument::Instruments;
use crate::journal::{Digest, Image, Journal, Terms};
use crate::money::Adjustment;
use crate::name::InstrumentId;
use crate::order::Order;
use crate::pairs::Pair;
use crate::slots::{Amended, BalanceSlot, Deed, Isolation, NoteKey, Slot, Told};

/// The form of an image; every change of what the books keep raises it, and the test `forms` keeps a fixture of it.
const VERSION: u16 = 9;

/// What the books are made of, but for what follows from it; sorted where the books are not.
#[derive(Serialize, Deserialize)]
struct Parts {
    terms: Vec<(InstrumentId, Terms)>,
    pairs: Vec<Pair>,
    slots: Vec<Slot>,
    balances: Vec<BalanceSlot>,
    orders: Vec<Order>,
    amended: Vec<(Place, Amended)>,
    choices: Vec<(Place, Choice)>,
    waiting: Vec<(WaitingKey, Option<Amount>)>,
    deeds: Vec<Deed>,
    told: Vec<Told>,
    adjustments: Vec<Adjustment>,
    noted: Vec<(NoteKey, Digest)>,
    isolated: Vec<(IsolationKey, Isolation)>,
    /// The digests of the full chunks of fills.
    chunks: Vec<Digest>,
    /// The chunk that is not full.
    last: Vec<u8>,
}

/// The lots that a fill names.
type Choice = Box<[LotChoice]>;

/// An image, and the chunks that earlier ones lack.
type Made = (Image, Vec<Chunk>);

fn sorted<K: Clone + Ord, V: Clone>(map: &HashMap<K, V>) -> Vec<(K, V)> {
    let mut rows: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    rows.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    rows
}

impl Books {
    /// The books as an image, and the full chunks of fills from number `kept` on.
    ///
    /// # Errors
    ///
    /// The serializer's words, which no content of the books leads to.
    pub(crate) fn image(&self, kept: usize) -> Result<Made, postcard::Error> {
        let instruments = self.pairs.iter().filter_map(|pair| self.instruments.at(pair.instrument));
        let mut terms: Vec<_> = instruments
            .map(|instrument| (instrument.id().clone(), Terms::of(instrument)))
            .collect();
        terms.sort_by(|one, other| one.0.cmp(&other.0));
        terms.dedup();
        let Chunks { full, last } = self.fills.chunks();
        let parts = Parts {
            terms,
            pairs: self.pairs.rows().to_vec(),
            slots: self.slots.clone(),
            balances: self.balances.clone(),
            orders: self.orders().into_iter().cloned().collect(),
            amended: sorted(&self.amended),
            choices: sorted(&self.choices),
            waiting: sorted(&self.waiting),
            deeds: self.deeds.clone(),
            told: self.told.clone(),
            adjustments: self.adjustments.clone(),
            noted: sorted(&self.noted),
            isolated: self.isolated.clone().into_iter().collect(),
            chunks: full.iter().map(|chunk| Digest::of_rows(chunk)).collect(),
            last: last.to_vec(),
        };
        let body = postcard::to_stdvec(&(VERSION, parts))?;
        let fresh = full.iter().skip(kept).cloned().collect();
        Ok((Image::new(self.checkpoint(), body), fresh))
    }

    /// The books of an image; none when it is of another version, or not as it was made.
    ///
    /// # Errors
    ///
    /// [`ReplayError::Terms`] when an instrument has other terms now; or the journal cannot be read.
    pub(crate) fn of_image(
        image: &Image,
        journal: &dyn Journal,
        instruments: &Arc<Instruments>,
    ) -> Result<Option<Self>, ReplayError> {
        let Some(parts) = parts(image) else { return Ok(None) };
        for (id, terms) in &parts.terms {
            if instruments.find(id).map(Terms::of).as_ref() != Some(terms) {
                let (sequence, instrument) = (image.checkpoint.sequence, id.clone());
                return Err(ReplayError::Terms { sequence, instrument });
            }
        }
        let chunks = chunks(&parts, journal).map_err(VerifyError::from)?;
        let Some(fills) = chunks.and_then(Archive::of_chunks) else { return Ok(None) };
        let mut books = Self::over(Arc::clone(instruments));
        books.head = image.checkpoint;
        books.fills = fills;
        for mut pair in parts.pairs {
            // Numbers of instruments are those of this run.
            let Some(instrument) = instruments.number(&pair.id) else { return Ok(None) };
            pair.instrument = instrument;
            books.pairs.push(pair);
        }
        for (number, slot) in (0..).zip(parts.balances) {
            books.balance_numbers.insert((slot.account.clone(), slot.currency.clone()), number);
            books.balances.push(slot);
        }
        for order in parts.orders {
            let order_id = order.intent().order_id;
            if order.status().is_open() {
                books.open.insert(order_id);
            }
            books.orders.insert(order_id, order);
        }
        books.slots = parts.slots;
        books.amended = parts.amended.into_iter().collect();
        books.choices = parts.choices.into_iter().collect();
        books.waiting = parts.waiting.into_iter().collect();
        books.deeds = parts.deeds;
        books.told = parts.told;
        books.adjustments = parts.adjustments;
        books.noted = parts.noted.into_iter().collect();
        books.isolated = parts.isolated.into_iter().collect();
        Ok(Some(books))
    }

    /// How many chunks of fills are full, and so part of every image from now on.
    pub(crate) fn full_chunks(&self) -> usize {
        self.fills.chunks().full.len()
    }
}

fn parts(image: &Image) -> Option<Parts> {
    if !image.is_whole() {
        return None;
    }
    let (version, rest) = postcard::take_from_bytes::<u16>(&image.body).ok()?;
    if version != VERSION {
        return None;
    }
    postcard::from_bytes(rest).ok()
}

/// The chunks of an image; none when one is missing or changed.
fn chunks(parts: &Parts, journal: &dyn Journal) -> Result<Option<Vec<Chunk>>, JournalError> {
    let mut chunks = Vec::with_capacity(parts.chunks.len().saturating_add(1));
    for (number, digest) in (0..).zip(&parts.chunks) {
        match journal.image_rows(number)? {
            Some(rows) if Digest::of_rows(&rows) == *digest => chunks.push(rows),
            _ => return Ok(None),
        }
    }
    if !parts.last.is_empty() {
        chunks.push(parts.last.clone());
    }
    Ok(Some(chunks))
}
