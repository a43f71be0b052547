//! Journals: append-only, hash-chained, verifiable.
//!
//! Entry `n` is stored with its canonical bytes, the hash of entry `n - 1`, and its own hash:
//!
//! ```text
//! hash = SHA-256("backstop.position-ledger.entry.1" | sequence | previous hash | length of body | body)
//! ```
//!
//! Numbers are big-endian, sequence and length have 64 bits, and the hash before the first entry is all zeros.

mod bytes;
mod codec;
mod facts;
mod steps;
mod verify;

use std::fmt;
use std::str::FromStr;

use backstop_clock::Timestamp;
use backstop_error_taxonomy::{Class, Effect, Kind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::entry::Entry;
use crate::error::{DecodeError, JournalError};

pub(crate) use bytes::Writer;
pub(crate) use codec::{Stored, Terms, decode, encode, fact_digest};
pub(crate) use facts::has_terms;
pub(crate) use steps::VERSION;
pub(crate) use verify::Chain;

pub use verify::{verify, verify_against};

/// Separates these hashes from all other uses of SHA-256.
const DOMAIN: &[u8] = b"backstop.position-ledger.entry.1";

/// Separate images and their rows from all other uses of SHA-256.
const IMAGE: &[u8] = b"backstop.position-ledger.image.1";
const ROWS: &[u8] = b"backstop.position-ledger.rows.1";

/// Records read at a time; bounds the memory of a replay.
pub(crate) const PAGE: usize = 1024;

/// Where entries are kept; they are only ever added.
///
/// An implementation stores records as they are given and gives them back unchanged.
/// The [`Ledger`](crate::Ledger) makes the chain, [`verify`] checks it.
pub trait Journal: fmt::Debug + Send {
    /// Adds records after the last one: all of them or none.
    ///
    /// With [`Durability::Durable`] they survive a crash once this returns.
    /// With [`Durability::Grouped`] they may wait for a commit in company, in order, until [`Journal::flush`] at the latest.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when they do not follow the last record, or cannot be stored.
    fn append(&mut self, records: Vec<Record>, durability: Durability) -> Result<(), JournalError>;

    /// Up to `limit` records after `sequence`, in order, those that wait for their commit included.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when they cannot be read.
    fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalError>;

    /// The last record's number and hash; the start of the chain when there is none.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when it cannot be read.
    fn head(&self) -> Result<Checkpoint, JournalError>;

    /// Returns once everything that was added is durable.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when some of it is not, and never will be.
    fn flush(&mut self) -> Result<(), JournalError>;

    /// Whether others may append between two calls.
    ///
    /// Then an append that does not follow the last record is an error of kind conflict, and has no effect; the ledger
    /// answers with a version conflict and goes on once it has caught up.
    /// A journal of one writer has no such case: there a conflict means that something is wrong, and the ledger stops.
    fn is_shared(&self) -> bool {
        false
    }

    /// Keeps an image and the chunks of rows that it adds to those of earlier ones, numbered from `first`.
    ///
    /// Durable when this returns; all of it or none.
    /// Images but the last two leave, chunks of rows stay.
    ///
    /// # Errors
    ///
    /// [`JournalError`], of kind unsupported from a journal that keeps no images.
    fn keep_image(
        &mut self,
        image: Image,
        first: usize,
        rows: Vec<Vec<u8>>,
    ) -> Result<(), JournalError> {
        let class = Class::of(Kind::Unsupported).with_effect(Effect::NotApplied);
        let at = image.checkpoint.sequence;
        let why = format!("it keeps no images: entry {at}, {} chunks from {first}", rows.len());
        Err(JournalError::new(class, why))
    }

    /// The last image that was kept.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when it cannot be read.
    fn image(&self) -> Result<Option<Image>, JournalError> {
        Ok(None)
    }

    /// A chunk of rows that belongs to images.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when it cannot be read.
    fn image_rows(&self, number: usize) -> Result<Option<Vec<u8>>, JournalError> {
        debug_assert!(number < usize::MAX, "chunks are numbered from zero");
        Ok(None)
    }
}

/// The books after an entry, as bytes; see [`Ledger::keep_image`](crate::Ledger::keep_image).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The entry after which they stood.
    pub checkpoint: Checkpoint,
    /// The digest of everything else.
    pub digest: Digest,
    /// The books but for full chunks of fills, in a form of this version.
    pub body: Vec<u8>,
}

impl Image {
    pub(crate) fn new(checkpoint: Checkpoint, body: Vec<u8>) -> Self {
        Self { checkpoint, digest: Digest::of_image(checkpoint, &body), body }
    }

    /// Whether it is as it was made.
    pub fn is_whole(&self) -> bool {
        self.digest == Digest::of_image(self.checkpoint, &self.body)
    }
}

/// When an entry has to be safe from a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// With the next commit; what is lost with it can be learned again from the venue.
    Grouped,
    /// Before the call returns; for what the venue will act on.
    Durable,
}

/// One stored entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place, from 1, without gaps.
    pub sequence: u64,
    /// The hash of the record before it.
    pub previous: Digest,
    /// Its own hash.
    pub hash: Digest,
    /// The entry in canonical form.
    pub body: Vec<u8>,
}

impl Record {
    /// Chains `body` after the record that `head` names.
    pub(crate) fn after(head: Checkpoint, body: Vec<u8>) -> Self {
        let sequence = head.sequence.saturating_add(1);
        let hash = Digest::of_record(sequence, head.hash, &body);
        Self { sequence, previous: head.hash, hash, body }
    }

    /// Its number and hash.
    pub const fn checkpoint(&self) -> Checkpoint {
        Checkpoint { sequence: self.sequence, hash: self.hash }
    }

    /// Reads the entry; says nothing about the chain.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the body is not an entry in canonical form.
    pub fn entry(&self) -> Result<Entry, DecodeError> {
        decode(&self.body).map(|stored| stored.entry)
    }
}

/// A state of the past: after an entry, or at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After the entry of this number; 0 is before the first.
    After(u64),
    /// After everything that had been written down by this time.
    ///
    /// The journal ends before the first entry that was journaled later.
    At(Timestamp),
}

impl From<u64> for Moment {
    fn from(sequence: u64) -> Self {
        Self::After(sequence)
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self::At(time)
    }
}

/// A point of a journal, known by its hash: everything up to it is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The number of the entry; 0 before the first.
    pub sequence: u64,
    /// The hash of the entry.
    pub hash: Digest,
}

impl Checkpoint {
    /// The start of every chain.
    pub const START: Self = Self { sequence: 0, hash: Digest([0; 32]) };

    /// The point after `records`, if they follow this one; what every journal asks before it appends.
    ///
    /// # Errors
    ///
    /// [`JournalError`] of kind conflict, naming the record that does not follow.
    pub fn advanced_by(self, records: &[Record]) -> Result<Self, JournalError> {
        records.iter().try_fold(self, |head, record| {
            if record.previous == head.hash && record.sequence == head.sequence.saturating_add(1) {
                return Ok(record.checkpoint());
            }
            let class = Class::of(Kind::Conflict).with_effect(Effect::NotApplied);
            let why =
                format!("record {} does not follow record {}", record.sequence, head.sequence);
            Err(JournalError::new(class, why))
        })
    }
}

/// A SHA-256 hash, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Takes a hash as it was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of `content` under a tag that keeps its purpose apart from all others.
    pub(crate) fn tagged(tag: &[u8], content: &[u8]) -> Self {
        Self(Sha256::new().chain_update(tag).chain_update(content).finalize().into())
    }

    fn of_image(checkpoint: Checkpoint, body: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(IMAGE)
            .chain_update(checkpoint.sequence.to_be_bytes())
            .chain_update(checkpoint.hash.0)
            .chain_update(body);
        Self(hash.finalize().into())
    }

    pub(crate) fn of_rows(rows: &[u8]) -> Self {
        Self::tagged(ROWS, rows)
    }

    pub(crate) fn of_record(sequence: u64, previous: Self, body: &[u8]) -> Self {
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let hash = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update(sequence.to_be_bytes())
            .chain_update(previous.0)
            .chain_update(length.to_be_bytes())
            .chain_update(body);
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let wrong =
            |offset| DecodeError { what: "not one of 64 lower-case hexadecimal digits", offset };
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(wrong(digits.len()));
        }
        let mut bytes = [0; 32];
        for (offset, (byte, pair)) in bytes.iter_mut().zip(digits.chunks_exact(2)).enumerate() {
            let digits = pair.iter().try_fold(0_u8, |value, digit| {
                let digit = match digit {
                    b'0'..=b'9' => digit.saturating_sub(b'0'),
                    b'a'..=b'f' => digit.saturating_sub(b'a').saturating_add(10),
                    _ => return None,
                };
                Some(value.wrapping_shl(4) | digit)
            });
            *byte = digits.ok_or_else(|| wrong(offset.saturating_mul(2)))?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 32]>::deserialize(deserializer).map(Self);
        }
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
