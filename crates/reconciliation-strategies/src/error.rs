use backstop_error_taxonomy::{Class, Classify, Kind};
use rust_decimal::Decimal;

/// A setting of a policy that cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: it must {rule}")]
pub struct PolicyError {
    pub(crate) field: &'static str,
    pub(crate) value: Decimal,
    pub(crate) rule: &'static str,
}

impl PolicyError {
    /// The setting.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// The value it was given.
    pub fn value(&self) -> Decimal {
        self.value
    }
}

impl Classify for PolicyError {
    fn class(&self) -> Class {
        Class::of(Kind::Config)
    }
}

/// Why two statements could not be compared at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// Our own statement has no version, so its plan could never be refused as stale.
    #[error("the internal statement of `{source_name}` has no version")]
    NoVersion {
        /// Name of the internal source.
        source_name: String,
    },
    /// A book would be compared with itself.
    #[error("both statements come from `{source_name}`")]
    SameSource {
        /// The name that both statements bear.
        source_name: String,
    },
}

impl Classify for ReconcileError {
    fn class(&self) -> Class {
        Class::of(Kind::Invalid)
    }
}

/// Why a plan was not applied, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError<E> {
    /// The book moved since the plan was made; nothing was applied.
    #[error("the plan is for version {expected} of the book, which is at {actual}")]
    StalePlan {
        /// Version the plan was made for.
        expected: u64,
        /// Version of the book now.
        actual: u64,
    },
    /// The book refused an action; those before it stay applied.
    #[error("action {} of the plan was refused", .applied.saturating_add(1))]
    Refused {
        /// How many actions were applied before.
        applied: usize,
        /// What the book says.
        source: E,
    },
}

impl<E: Classify> Classify for ApplyError<E> {
    fn class(&self) -> Class {
        match self {
            Self::StalePlan { .. } => Class::of(Kind::Conflict),
            Self::Refused { source, .. } => source.class(),
        }
    }
}
