//! Orders: intents written ahead, and what became of them.
//!
//! | event | allowed when the order is | leads to |
//! | --- | --- | --- |
//! | `Accepted` | anything but rejected | accepted; the venue id is kept also when it comes after the end |
//! | `Rejected` | not filled, not cancelled, not expired | rejected |
//! | `Cancelled`, `Expired` | not rejected, not done, not ended the other way | cancelled, expired |
//! | `OutcomeUnknown` | intended | outcome unknown |
//! | `Resolved(Accepted)` | as `Accepted` | accepted |
//! | `Resolved(NotApplied)` | intended or outcome unknown | not applied |
//! | a fill | always, a fill is a fact | done when all is filled; accepted, unless cancelled or expired |
//!
//! `NotApplied` is our own conclusion, so any later word of the venue overrules it.
//! The same event again is a duplicate, whatever came in between; with another content it is a conflict.

use std::sync::Arc;

use backstop_clock::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::amount::Amount;
use crate::entry::Entry;
use crate::error::Difference;
use crate::fill::Side;
use crate::name::{Account, InstrumentId, Text};

pub use crate::name::{Portfolio, Strategy, VenueOrderId};

/// An order as it is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The client order id, fresh for every attempt.
    pub order_id: Uuid,
    /// What the strategy wanted: the same for every order that serves it.
    pub tag: Uuid,
    /// What to trade.
    pub instrument: InstrumentId,
    /// In which direction.
    pub side: Side,
    /// How much: above zero, a multiple of the lot step.
    pub quantity: Amount,
    /// The limit price, a multiple of the price step; none for a market order.
    pub limit: Option<Amount>,
    /// The venue accepts it up to this time, and not later.
    pub accept_by: Timestamp,
    /// Who wants it.
    pub strategy: Strategy,
}

/// What became known about an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The venue took it.
    Accepted {
        /// The venue's id for it.
        venue_order_id: VenueOrderId,
    },
    /// The venue refused it.
    Rejected {
        /// The venue's words.
        reason: Text,
    },
    /// It was cancelled; what was filled before stays.
    Cancelled,
    /// Its time ran out; what was filled before stays.
    Expired,
    /// Nobody knows whether the venue has it; look it up, never send it again.
    OutcomeUnknown,
    /// A look-up gave the answer.
    Resolved(Resolution),
}

impl Event {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Rejected { .. } => "rejected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Resolved(_) => "resolved",
        }
    }
}

/// The answer to an unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The venue has the order.
    Accepted {
        /// The venue's id for it.
        venue_order_id: VenueOrderId,
    },
    /// The venue doesn't have it, and its time for accepting it has passed.
    NotApplied,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Written down, nothing heard yet.
    Intended,
    /// At the venue.
    Accepted,
    /// Perhaps at the venue.
    OutcomeUnknown,
    /// Filled in full.
    Done,
    /// Refused by the venue.
    Rejected,
    /// Cancelled.
    Cancelled,
    /// Expired.
    Expired,
    /// Looked up, and never reached the venue.
    NotApplied,
}

impl Status {
    /// Whether the order may still be, or get, filled.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Intended | Self::Accepted | Self::OutcomeUnknown)
    }

    /// Whether somebody has to look the order up.
    pub const fn is_unresolved(self) -> bool {
        matches!(self, Self::Intended | Self::OutcomeUnknown)
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Accepted => "accepted",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::NotApplied => "not_applied",
        }
    }
}

/// How an order ended, by the word of the venue or by our own conclusion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum End {
    Rejected(Text),
    Cancelled,
    Expired,
    NotApplied,
}

/// An order of the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    intent: Arc<Intent>,
    account: Account,
    portfolio: Option<Portfolio>,
    sequence: u64,
    filled: Amount,
    venue_order_id: Option<VenueOrderId>,
    doubted: bool,
    /// It was taken for never placed or rejected, and news of the venue proved otherwise.
    was_misjudged: bool,
    end: Option<End>,
    /// What was said of it that later news overruled, or may overrule, and when: it may be told again.
    said: Vec<(Timestamp, End)>,
}

/// What an event does to an order.
#[derive(Debug)]
pub(crate) enum Step {
    Changed(Box<Order>),
    Repeated,
    Differs(Difference),
    NotAllowed,
}

impl Order {
    pub(crate) fn new(intent: Arc<Intent>, entry: &Entry, sequence: u64) -> Self {
        Self {
            intent,
            account: entry.account.clone(),
            portfolio: entry.portfolio.clone(),
            sequence,
            filled: Amount::ZERO,
            venue_order_id: None,
            doubted: false,
            was_misjudged: false,
            end: None,
            said: Vec::new(),
        }
    }

    /// What was to be sent.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// For which account.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The portfolio that it counts to, and its fills with it.
    pub const fn portfolio(&self) -> Option<&Portfolio> {
        self.portfolio.as_ref()
    }

    /// Where its intent stands in the journal.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How much of it was filled; more than intended if the venue overfilled it.
    pub const fn filled(&self) -> Amount {
        self.filled
    }

    /// The venue's id, once it is known.
    pub const fn venue_order_id(&self) -> Option<&VenueOrderId> {
        self.venue_order_id.as_ref()
    }

    /// The venue's words, if it refused.
    pub const fn rejection(&self) -> Option<&Text> {
        match &self.end {
            Some(End::Rejected(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Whether it was taken for never placed or rejected before the venue proved otherwise.
    ///
    /// A bot that does so has sent, or may have sent, another order in its place.
    pub const fn was_misjudged(&self) -> bool {
        self.was_misjudged
    }

    /// Where it stands; derived, see the table of this module.
    pub fn status(&self) -> Status {
        if self.filled >= self.intent.quantity {
            return Status::Done;
        }
        match self.end {
            Some(End::Rejected(_)) => Status::Rejected,
            Some(End::Cancelled) => Status::Cancelled,
            Some(End::Expired) => Status::Expired,
            Some(End::NotApplied) => Status::NotApplied,
            None if self.venue_order_id.is_some() || self.filled.is_positive() => Status::Accepted,
            None if self.doubted => Status::OutcomeUnknown,
            None => Status::Intended,
        }
    }

    /// Whether it counts as one that the venue never had, which a fill disproves.
    pub(crate) const fn is_thought_over(&self) -> bool {
        matches!(self.end, Some(End::Rejected(_) | End::NotApplied))
    }

    /// Takes a fill that brings it to `filled`.
    pub(crate) fn fill(&mut self, filled: Amount) {
        self.filled = filled;
        // A fill disproves that the venue never had the order.
        if self.is_thought_over() {
            self.end = None;
            self.was_misjudged = true;
        }
    }

    /// Sets what is filled of it, where that says nothing else: as a bust that takes some back.
    pub(crate) const fn set_filled(&mut self, filled: Amount) {
        self.filled = filled;
    }

    /// The order after an `event` that happened `at` a time, or why there is none.
    pub(crate) fn after(&self, event: &Event, at: Timestamp) -> Step {
        match event {
            Event::Accepted { venue_order_id }
            | Event::Resolved(Resolution::Accepted { venue_order_id }) => {
                self.accepted(venue_order_id)
            }
            Event::Rejected { reason } => self.rejected(End::Rejected(reason.clone()), at),
            Event::Cancelled => self.stopped(End::Cancelled),
            Event::Expired => self.stopped(End::Expired),
            Event::OutcomeUnknown if self.doubted => Step::Repeated,
            Event::OutcomeUnknown if self.status() == Status::Intended => {
                Step::Changed(Box::new(Self { doubted: true, ..self.clone() }))
            }
            Event::OutcomeUnknown => Step::NotAllowed,
            Event::Resolved(Resolution::NotApplied) => {
                let is_said_now = self.said.contains(&(at, End::NotApplied));
                if self.status().is_unresolved() && !is_said_now {
                    self.thought_over(End::NotApplied, at)
                } else if self.said.iter().any(|(_, said)| *said == End::NotApplied) {
                    Step::Repeated
                } else {
                    Step::NotAllowed
                }
            }
        }
    }

    fn rejected(&self, end: End, at: Timestamp) -> Step {
        let may_be = matches!(self.end, None | Some(End::NotApplied)) && self.filled.is_zero();
        if may_be && !self.said.contains(&(at, end.clone())) {
            return self.thought_over(end, at);
        }
        let mut reasons = self.said.iter().filter_map(|(_, said)| match said {
            End::Rejected(reason) => Some(reason),
            _ => None,
        });
        let End::Rejected(reason) = &end else { return Step::NotAllowed };
        match (reasons.clone().any(|held| held == reason), reasons.next_back()) {
            (true, _) => Step::Repeated,
            (false, Some(held)) => Step::Differs(Difference::new("reason", held, reason)),
            (false, None) => Step::NotAllowed,
        }
    }

    fn accepted(&self, offered: &VenueOrderId) -> Step {
        match &self.venue_order_id {
            Some(held) if held == offered => Step::Repeated,
            Some(held) => Step::Differs(Difference::new("venue_order_id", held, offered)),
            None if matches!(self.end, Some(End::Rejected(_))) => Step::NotAllowed,
            None => {
                let mut order = self.clone();
                order.venue_order_id = Some(offered.clone());
                if order.end == Some(End::NotApplied) {
                    order.end = None;
                    order.was_misjudged = true;
                }
                Step::Changed(Box::new(order))
            }
        }
    }

    fn stopped(&self, end: End) -> Step {
        match &self.end {
            Some(held) if *held == end => Step::Repeated,
            None | Some(End::NotApplied) if self.status() != Status::Done => self.ended(end),
            _ => Step::NotAllowed,
        }
    }

    /// The venue never had it, as far as is known.
    fn thought_over(&self, end: End, at: Timestamp) -> Step {
        let mut order = self.clone();
        order.said.push((at, end.clone()));
        order.end = Some(end);
        Step::Changed(Box::new(order))
    }

    fn ended(&self, end: End) -> Step {
        // The venue cannot cancel, or let expire, what it never had.
        let was_misjudged = self.was_misjudged || self.end == Some(End::NotApplied);
        Step::Changed(Box::new(Self { end: Some(end), was_misjudged, ..self.clone() }))
    }
}
