//! What the host itself finds wrong, and the one policy that says what becomes of any failure.
//!
//! Nobody else in the host asks of what kind a failure is to choose what to do: alerts, halts, what
//! is set apart and the strategies' refusals follow from [`policy`], which is built at start from the taxonomy's
//! profile of a trading system.

use backstop_error_taxonomy::{
    Action, Class, Classify, Component, HaltScope, Kind, Policy, Severity, Site,
    policy::{BuildError, Draft, Rule},
};

use backstop_position_ledger::InstrumentId;

use crate::halt::{Cause, Depth};

/// Dead letters.
pub const DLQ: Component = Component::new("dlq");

/// The place where an order is sent, which must not be done twice.
pub const SUBMIT: Site<'static> = Site::new(Component::EXECUTION, "submit_order");

/// Something wrong that no call returned: the host found it by looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An order stands otherwise in the books than the venue says.
    OrderDiffers,
    /// A trade is in the books with another content.
    TradeDiffers,
    /// A comparison found what no rule may repair, and it is of no one instrument.
    BooksDiffer,
    /// A comparison found what no rule may repair in the trades or position of an instrument.
    InstrumentDiffers,
    /// Money has differed for long while an instrument is set apart.
    MoneyDiffers,
    /// A published snapshot does not agree with the books.
    SnapshotDiffers,
    /// Letters of an instrument failed too often.
    LettersWait,
    /// Events of the venue do not come.
    EventsBehind,
    /// The venue has given no answer for long.
    VenueSilent,
}

impl Trouble {
    /// Every trouble.
    pub const ALL: [Self; 9] = [
        Self::OrderDiffers,
        Self::TradeDiffers,
        Self::BooksDiffer,
        Self::InstrumentDiffers,
        Self::MoneyDiffers,
        Self::SnapshotDiffers,
        Self::LettersWait,
        Self::EventsBehind,
        Self::VenueSilent,
    ];

    /// The stable word that an alert has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderDiffers => "order_differs",
            Self::TradeDiffers => "trade_differs",
            Self::BooksDiffer => "reconciliation_manual",
            Self::InstrumentDiffers => "instrument_differs",
            Self::MoneyDiffers => "money_unexplained",
            Self::SnapshotDiffers => "snapshot_mismatch",
            Self::LettersWait => "letters_quarantined",
            Self::EventsBehind => "events_behind",
            Self::VenueSilent => "venue_silent",
        }
    }

    /// Where it is found; looking again harms nobody.
    pub const fn site(self) -> Site<'static> {
        let (component, op) = match self {
            Self::OrderDiffers => (Component::EXECUTION, "book_order"),
            Self::TradeDiffers => (Component::POSITION, "book_trade"),
            Self::BooksDiffer => (Component::POSITION, "reconcile"),
            Self::InstrumentDiffers => (Component::POSITION, "reconcile_instrument"),
            Self::MoneyDiffers => (Component::POSITION, "explain_money"),
            Self::SnapshotDiffers => (Component::POSITION, "verify_snapshot"),
            Self::LettersWait => (DLQ, "redrive"),
            Self::EventsBehind => (Component::DATA, "catch_up"),
            Self::VenueSilent => (Component::NETWORK, "reach_venue"),
        };
        Site::new(component, op).idempotent()
    }

    /// The cause that a halt because of it has.
    pub const fn cause(self) -> Cause {
        match self {
            Self::BooksDiffer | Self::InstrumentDiffers | Self::TradeDiffers => {
                Cause::Reconciliation
            }
            _ => Cause::CriticalError,
        }
    }
}

/// What a decision is about.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The stable word that an alert has for it.
    pub name: &'static str,
    /// Where it happened; its events are counted together.
    pub component: Component,
    /// The cause that a halt because of it has.
    pub cause: Cause,
    /// The one instrument that it concerns.
    pub instrument: Option<&'a InstrumentId>,
    /// What happened.
    pub text: String,
}

impl Classify for Trouble {
    fn class(&self) -> Class {
        match self {
            Self::OrderDiffers
            | Self::TradeDiffers
            | Self::BooksDiffer
            | Self::InstrumentDiffers
            | Self::MoneyDiffers
            | Self::SnapshotDiffers => Class::of(Kind::Inconsistent),
            Self::LettersWait => Class::of(Kind::Data).exhausted(),
            // Looked for again and again before anybody calls it trouble.
            Self::EventsBehind | Self::VenueSilent => Class::of(Kind::Unavailable).exhausted(),
        }
    }
}

/// What becomes of which failure.
///
/// | failure | what happens |
/// |---|---|
/// | orders differ, or balances where no plan may repair them | critical: halt |
/// | trades or the position of an instrument differ where no plan may repair them | critical: the instrument is set apart |
/// | letters of an instrument wait for a human | the instrument is set apart, because its books lag |
/// | something of no known instrument should be set apart | halt |
/// | money differs for ten minutes beside what is set apart | a human hears of it: it may be because of that, or not |
/// | a snapshot differs | a human hears of it; trading rests on the books, not on it |
/// | events are behind, the venue is silent | a human hears of it, once in five minutes |
/// | gate or halt keep an order back | nothing: that is what they are for |
/// | everything else | as the profile `trading_exceptions` has it |
///
/// # Errors
/// Never, but for a change of the rules that contradicts itself.
pub fn policy() -> Result<Policy, BuildError> {
    let on = |id: &str, component, kind| Rule::new(id).on_component(component).on_kind(kind);
    Draft::new("trading_host")
        .extending("trading_exceptions")
        .with_rule(
            // What a plan may repair is repaired before anybody calls it trouble.
            on("position_validation", Component::POSITION, Kind::Inconsistent)
                .act(Action::Halt)
                .with_halt(HaltScope::Trading)
                .with_severity(Severity::Critical),
        )
        .with_rule(
            on("instrument_differs", Component::POSITION, Kind::Inconsistent)
                .on_op("reconcile_instrument")
                .act(Action::Isolate)
                .with_severity(Severity::Critical),
        )
        .with_rule(
            // Two trades under one id.
            on("trade_differs", Component::POSITION, Kind::Inconsistent)
                .on_op("book_trade")
                .act(Action::Isolate)
                .with_severity(Severity::Critical),
        )
        .with_rule(
            // Two orders under one client order id: what one intent bought is not known.
            on("order_differs", Component::EXECUTION, Kind::Inconsistent)
                .act(Action::Halt)
                .with_halt(HaltScope::Trading)
                .with_severity(Severity::Critical),
        )
        .with_rule(
            on("money_differs", Component::POSITION, Kind::Inconsistent)
                .on_op("explain_money")
                .act(Action::Escalate)
                .with_severity(Severity::High),
        )
        .with_rule(
            on("snapshot_differs", Component::POSITION, Kind::Inconsistent)
                .on_op("verify_snapshot")
                .act(Action::Escalate)
                .with_severity(Severity::High),
        )
        .with_rule(
            on("letters_wait", DLQ, Kind::Data)
                .on_op("redrive")
                .act(Action::Isolate)
                .with_severity(Severity::High),
        )
        .with_rule(
            on("events_behind", Component::DATA, Kind::Unavailable)
                .on_op("catch_up")
                .act(Action::Escalate)
                .with_alert_after(1),
        )
        .with_rule(
            on("venue_silent", Component::NETWORK, Kind::Unavailable)
                .on_op("reach_venue")
                .act(Action::Escalate)
                .with_alert_after(1),
        )
        .with_rule(
            on("kept_back", Component::EXECUTION, Kind::Precondition)
                .act(Action::Continue)
                .with_severity(Severity::Info),
        )
        .build()
}

/// How far a halt of this scope goes.
pub const fn depth(scope: HaltScope) -> Depth {
    match scope {
        HaltScope::Position => Depth::Flatten,
        // A host that ends leaves its positions as they are, too.
        HaltScope::Trading | HaltScope::Process => Depth::Cancel,
    }
}
