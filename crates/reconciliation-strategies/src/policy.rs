use std::time::Duration;

use rust_decimal::Decimal;

use crate::{
    PolicyError,
    limits::{Authority, Rule, Tolerance, not_negative},
};

/// Half a lot: what a rounded display can hide, and less than anything that can be traded.
const QUANTITY_STEPS: Decimal = Decimal::from_parts(5, 0, 0, false, 1);
/// One in ten thousand: venues round averages recursively, so they never agree to the last digit.
const AVERAGE_PRICE_RELATIVE: Decimal = Decimal::from_parts(1, 0, 0, false, 4);
/// How long a fill may take to reach both sides before its absence means something.
const GRACE: Duration = Duration::from_secs(5);
/// How far back an incremental run judges trades.
const LOOKBACK: Duration = Duration::from_hours(24);

/// What a run compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Every leg that both sides observed, trades as far back as both lists reach.
    Full,
    /// Like `Full`, but trades older than the lookback are not judged.
    Incremental,
}

/// The rules of a run: plain data that holds once it exists.
///
/// | setting | default |
/// | --- | --- |
/// | quantity | half a lot step, external is right |
/// | average price | 0.0001 of the external one, external is right |
/// | balance | exact, external is right |
/// | trades | exact, external is right |
/// | grace | 5 s |
/// | lookback | 24 h, incremental runs only |
/// | auto-resolve limit | 0: every balance difference waits for a human |
///
/// ```
/// use backstop_reconciliation_strategies::{Policy, Preset};
/// use rust_decimal::dec;
///
/// let policy = Policy::new(Preset::Full).with_auto_resolve_limit(dec!(0.05))?;
/// # Ok::<(), backstop_reconciliation_strategies::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(crate) preset: Preset,
    pub(crate) quantity: Rule,
    pub(crate) average_price: Rule,
    pub(crate) balance: Rule,
    pub(crate) trades: Authority,
    pub(crate) grace: Duration,
    pub(crate) lookback: Duration,
    pub(crate) auto_resolve_limit: Decimal,
}

impl Policy {
    /// The defaults of a preset.
    pub fn new(preset: Preset) -> Self {
        let exact = Tolerance::exact();
        let quantity = Tolerance { steps: Some(QUANTITY_STEPS), ..exact };
        let average_price = Tolerance { relative: Some(AVERAGE_PRICE_RELATIVE), ..exact };
        Self {
            preset,
            quantity: Rule::new(quantity),
            average_price: Rule::new(average_price),
            balance: Rule::new(exact),
            trades: Authority::External,
            grace: GRACE,
            lookback: LOOKBACK,
            auto_resolve_limit: Decimal::ZERO,
        }
    }

    /// With another rule for quantities; steps are lot steps.
    #[must_use]
    pub fn with_quantity(mut self, rule: Rule) -> Self {
        self.quantity = rule;
        self
    }

    /// With another rule for average prices; steps are price steps.
    #[must_use]
    pub fn with_average_price(mut self, rule: Rule) -> Self {
        self.average_price = rule;
        self
    }

    /// With another rule for balances.
    #[must_use]
    pub fn with_balance(mut self, rule: Rule) -> Self {
        self.balance = rule;
        self
    }

    /// With another authority for trades.
    #[must_use]
    pub fn with_trades(mut self, authority: Authority) -> Self {
        self.trades = authority;
        self
    }

    /// With another time that a fill or an order change may take to reach both sides.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// With another lookback for incremental runs.
    #[must_use]
    pub fn with_lookback(mut self, lookback: Duration) -> Self {
        self.lookback = lookback;
        self
    }

    /// With the largest balance difference that the plan repairs, in units of its currency.
    ///
    /// # Errors
    /// A negative limit.
    pub fn with_auto_resolve_limit(mut self, limit: Decimal) -> Result<Self, PolicyError> {
        self.auto_resolve_limit = not_negative("auto-resolve limit", limit)?;
        Ok(self)
    }
}
