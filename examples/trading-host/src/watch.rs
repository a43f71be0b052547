//! What this process saw: when a fault was noticed, and when its harm was repaired.

use std::{cell::RefCell, collections::BTreeMap};

use backstop_clock::Timestamp;

use crate::venue::FaultSubject;

/// The host's own observations; the report joins them with the venue's audit.
#[derive(Debug, Default)]
pub struct Watch {
    seen: RefCell<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    noticed: BTreeMap<FaultSubject, Timestamp>,
    repaired: BTreeMap<FaultSubject, Timestamp>,
    /// When each trade came into the books.
    booked: BTreeMap<String, Timestamp>,
    /// When the books had what each event says.
    settled: BTreeMap<u64, Timestamp>,
    /// Calls that were answered, and calls that failed, only as far as outages need them.
    answered: Vec<Timestamp>,
    refused: Vec<Timestamp>,
}

impl Watch {
    /// Something is wrong with the subject; the first time counts.
    pub fn notice(&self, subject: FaultSubject, at: Timestamp) {
        self.seen.borrow_mut().noticed.entry(subject).or_insert(at);
    }

    /// The subject is as it should be again; the last time counts.
    pub fn repair(&self, subject: FaultSubject, at: Timestamp) {
        self.seen.borrow_mut().repaired.insert(subject, at);
    }

    /// A trade came into the books.
    pub fn booked(&self, trade_id: &str, at: Timestamp) {
        self.seen.borrow_mut().booked.entry(trade_id.to_owned()).or_insert(at);
    }

    /// The books have what an event says, or what a comparison knew in its place.
    pub fn settled(&self, number: u64, at: Timestamp) {
        self.seen.borrow_mut().settled.entry(number).or_insert(at);
    }

    /// The venue answered: ends what refusals began.
    pub fn answered(&self, at: Timestamp) {
        let mut seen = self.seen.borrow_mut();
        if seen.answered.len() < seen.refused.len() {
            seen.answered.push(at);
        }
    }

    /// The venue refused to talk: begins an absence that the next answer ends.
    pub fn refused(&self, at: Timestamp) {
        let mut seen = self.seen.borrow_mut();
        if seen.refused.len() == seen.answered.len() {
            seen.refused.push(at);
        }
    }

    /// When a fault was noticed.
    pub fn noticed_at(&self, subject: &FaultSubject) -> Option<Timestamp> {
        self.seen.borrow().noticed.get(subject).copied()
    }

    /// When its harm was repaired.
    pub fn repaired_at(&self, subject: &FaultSubject) -> Option<Timestamp> {
        self.seen.borrow().repaired.get(subject).copied()
    }

    /// When a trade came into the books, if this process saw it.
    pub fn booked_at(&self, trade_id: &str) -> Option<Timestamp> {
        self.seen.borrow().booked.get(trade_id).copied()
    }

    /// When the books had what an event says, if this process saw it.
    pub fn settled_at(&self, number: u64) -> Option<Timestamp> {
        self.seen.borrow().settled.get(&number).copied()
    }

    /// The first refusal at or after a moment.
    pub fn first_refusal_from(&self, at: Timestamp) -> Option<Timestamp> {
        self.seen.borrow().refused.iter().copied().find(|refused| *refused >= at)
    }

    /// The first answer after an absence, at or after a moment.
    pub fn first_answer_from(&self, at: Timestamp) -> Option<Timestamp> {
        self.seen.borrow().answered.iter().copied().find(|answered| *answered >= at)
    }
}
