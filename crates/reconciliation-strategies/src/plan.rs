use rust_decimal::Decimal;

use crate::{ApplyError, findings::FindingId, rows::TradeRow};

/// The repair of a book, to be applied to the version it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Version of the book that was compared.
    pub expected_version: u64,
    /// What to do, in this order: trades, balances, orders.
    pub actions: Vec<Action>,
}

/// One change of the book, with the finding that causes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Book a real trade that our side lacks.
    ApplyTrade {
        /// The trade as the other side states it.
        trade: TradeRow<'static>,
        /// The finding that causes it.
        finding: FindingId,
    },
    /// Book an adjustment of a balance, with the finding as its reason.
    AdjustBalance {
        /// Account to adjust.
        account: String,
        /// Currency to adjust.
        currency: String,
        /// What to add, in units of the currency; negative takes away.
        amount: Decimal,
        /// The finding that causes it.
        finding: FindingId,
    },
    /// Look the order up at the venue by its id and book what became of it.
    ResolveOrder {
        /// Account that ordered.
        account: String,
        /// Instrument ordered.
        instrument: String,
        /// Id of the order.
        order_id: String,
        /// The finding that causes it.
        finding: FindingId,
    },
}

impl Action {
    /// The finding that causes the action.
    pub fn finding(&self) -> FindingId {
        match self {
            Self::ApplyTrade { finding, .. }
            | Self::AdjustBalance { finding, .. }
            | Self::ResolveOrder { finding, .. } => *finding,
        }
    }
}

/// A book that a plan can be applied to.
///
/// ```
/// use std::convert::Infallible;
/// use backstop_reconciliation_strategies::{Action, ApplyError, Books, Plan, apply};
///
/// /// Counts what it is asked to do.
/// struct Counting(u64);
///
/// impl Books for Counting {
///     type Error = Infallible;
///
///     fn version(&self) -> u64 {
///         self.0
///     }
///
///     fn apply(&mut self, _: &Action) -> Result<(), Infallible> {
///         self.0 += 1;
///         Ok(())
///     }
/// }
///
/// let plan = Plan { expected_version: 7, actions: Vec::new() };
/// assert_eq!(apply(&plan, &mut Counting(7)), Ok(0));
/// let stale = apply(&plan, &mut Counting(8));
/// assert_eq!(stale, Err(ApplyError::StalePlan { expected: 7, actual: 8 }));
/// ```
pub trait Books {
    /// Why the book refuses an action.
    type Error;

    /// The version of the book; any change moves it.
    fn version(&self) -> u64;

    /// Books one action, or refuses it and changes nothing.
    ///
    /// # Errors
    /// Whatever keeps the book from taking the action.
    fn apply(&mut self, action: &Action) -> Result<(), Self::Error>;
}

/// Applies a plan in order; returns how many actions were applied.
///
/// # Errors
/// `StalePlan` when the book moved since the plan was made: nothing was applied.
/// `Refused` when the book refuses an action: those before it stay, the next run plans the rest.
pub fn apply<B: Books>(plan: &Plan, books: &mut B) -> Result<usize, ApplyError<B::Error>> {
    let actual = books.version();
    if actual != plan.expected_version {
        return Err(ApplyError::StalePlan { expected: plan.expected_version, actual });
    }
    for (applied, action) in plan.actions.iter().enumerate() {
        books.apply(action).map_err(|source| ApplyError::Refused { applied, source })?;
    }
    Ok(plan.actions.len())
}
