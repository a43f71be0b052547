//! What a comparison finds.

use std::fmt;

use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

/// One difference, or one fault of a statement, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// A function of the case: the same case has the same id in every run.
    pub id: FindingId,
    /// What differs.
    pub kind: Kind,
    /// The key it was found at.
    pub subject: Subject,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Our figure; `None` when we have none, which is not zero.
    pub internal: Option<Decimal>,
    /// Their figure; `None` when they have none, which is not zero.
    pub external: Option<Decimal>,
    /// External less internal; `None` when 28 digits cannot hold it exactly.
    pub difference: Option<Decimal>,
    /// The faulty statement, for findings about one statement alone.
    pub source: Option<String>,
}

/// The key of a finding; orders sort before trades, positions and balances.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An order.
    Order {
        /// Account that ordered.
        account: String,
        /// Instrument ordered.
        instrument: String,
        /// Id of the order.
        order_id: String,
    },
    /// A trade (fill).
    Trade {
        /// Account that traded.
        account: String,
        /// Instrument traded.
        instrument: String,
        /// Id of the trade.
        trade_id: String,
    },
    /// A position.
    Position {
        /// Account that holds it.
        account: String,
        /// Instrument held.
        instrument: String,
    },
    /// A balance.
    Balance {
        /// Account that holds it.
        account: String,
        /// Currency held.
        currency: String,
    },
}

impl Subject {
    /// The account of the key.
    pub fn account(&self) -> &str {
        match self {
            Self::Order { account, .. }
            | Self::Trade { account, .. }
            | Self::Position { account, .. }
            | Self::Balance { account, .. } => account,
        }
    }

    /// The parts of the key, level first.
    fn parts(&self) -> [&str; 4] {
        match self {
            Self::Order { account, instrument, order_id } => {
                ["order", account, instrument, order_id]
            }
            Self::Trade { account, instrument, trade_id } => {
                ["trade", account, instrument, trade_id]
            }
            Self::Position { account, instrument } => ["position", account, instrument, ""],
            Self::Balance { account, currency } => ["balance", account, currency, ""],
        }
    }
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A row of a statement is impossible or contradicts another one; its key is not judged.
    MalformedSource,
    /// A statement lists a row more than once; the figure is how often.
    DuplicateRow,
    /// An open order only the other side knows.
    OrderMissingInternal,
    /// An order open in our book and not on the other side.
    OrderMissingExternal,
    /// An order open on both sides with unlike content; the figures are the filled quantities.
    OrderMismatch,
    /// A trade only the other side knows; the figure is its signed quantity.
    TradeMissingInternal,
    /// A trade only our book knows; the figure is its signed quantity.
    TradeMissingExternal,
    /// A trade with unlike content; the figures are the signed quantities.
    TradeMismatch,
    /// A position only the other side holds.
    MissingInternal,
    /// A position only our book holds.
    MissingExternal,
    /// Long on one side and short on the other.
    Side,
    /// Unlike quantities in the same direction.
    Quantity,
    /// Equal quantities at unlike averages.
    AveragePrice,
    /// Unlike totals of a currency.
    Balance,
}

impl Kind {
    /// The stable name, for logs and stored findings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MalformedSource => "malformed_source",
            Self::DuplicateRow => "duplicate_row",
            Self::OrderMissingInternal => "order_missing_internal",
            Self::OrderMissingExternal => "order_missing_external",
            Self::OrderMismatch => "order_mismatch",
            Self::TradeMissingInternal => "trade_missing_internal",
            Self::TradeMissingExternal => "trade_missing_external",
            Self::TradeMismatch => "trade_mismatch",
            Self::MissingInternal => "missing_internal",
            Self::MissingExternal => "missing_external",
            Self::Side => "side",
            Self::Quantity => "quantity",
            Self::AveragePrice => "average_price",
            Self::Balance => "balance",
        }
    }
}

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The plan has an action for it.
    Auto,
    /// A human has to decide; the plan leaves it alone.
    Manual,
    /// Something on its way may explain it; the next run decides.
    Deferred,
    /// The policy says that our figure is right.
    Accepted,
    /// Told for information; nobody has to act.
    Reported,
}

impl Outcome {
    /// The stable name, for logs and stored findings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
            Self::Deferred => "deferred",
            Self::Accepted => "accepted",
            Self::Reported => "reported",
        }
    }
}

/// Identifies a case: kind, key and figures; shown as 32 hex digits.
///
/// A book may use it as the idempotency key of the action.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId([u8; 16]);

impl FindingId {
    /// The bytes, for storage.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The first half of SHA-256 over the length-prefixed parts.
    fn of(finding: &Finding) -> Self {
        let figure = |value: Option<Decimal>| {
            // Without zeros at the end: 1.0 and 1.00 are the same case.
            value.map_or_else(|| String::from("-"), |value| value.normalize().to_string())
        };
        let figures = [figure(finding.internal), figure(finding.external)];
        let mut hash = Sha256::new();
        let parts = [finding.kind.name(), finding.source.as_deref().unwrap_or_default()];
        let parts = parts.into_iter().chain(finding.subject.parts());
        for part in parts.chain(figures.iter().map(String::as_str)) {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Self(id)
    }
}

impl fmt::Debug for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Finding {
    /// A finding without figures.
    pub(crate) fn new(kind: Kind, subject: Subject, outcome: Outcome) -> Self {
        let mut finding = Self {
            id: FindingId([0; 16]),
            kind,
            subject,
            outcome,
            internal: None,
            external: None,
            difference: None,
            source: None,
        };
        finding.id = FindingId::of(&finding);
        finding
    }

    pub(crate) fn with_figures(
        mut self,
        internal: Option<Decimal>,
        external: Option<Decimal>,
        difference: Option<Decimal>,
    ) -> Self {
        (self.internal, self.external, self.difference) = (internal, external, difference);
        self.id = FindingId::of(&self);
        self
    }

    pub(crate) fn with_source(mut self, source: &str) -> Self {
        self.source = Some(source.to_owned());
        self.id = FindingId::of(&self);
        self
    }
}
