//! How far figures may differ, who is right, and the steps of an instrument.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::{PolicyError, exact::Exact};

/// Which side's figure stands when the two differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authority {
    /// Our own book is right: the difference is listed and accepted.
    Internal,
    /// The other side is right; the usual case, because the venue holds the money.
    #[default]
    External,
}

/// How the parts of a tolerance combine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Combine {
    /// The most generous part decides.
    #[default]
    Max,
    /// The strictest part decides.
    Min,
}

/// How far two figures may differ and still match; a difference equal to it matches.
///
/// ```
/// use backstop_reconciliation_strategies::limits::Tolerance;
/// use rust_decimal::dec;
///
/// // One cent or one in ten thousand, whichever is more.
/// let tolerance = Tolerance::exact().with_absolute(dec!(0.01))?.with_relative(dec!(0.0001))?;
/// assert!(Tolerance::exact().with_steps(dec!(-1)).is_err());
/// # Ok::<(), backstop_reconciliation_strategies::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    pub(crate) absolute: Option<Decimal>,
    pub(crate) relative: Option<Decimal>,
    pub(crate) steps: Option<Decimal>,
    pub(crate) combine: Combine,
}

impl Tolerance {
    /// No difference matches.
    pub const fn exact() -> Self {
        Self { absolute: None, relative: None, steps: None, combine: Combine::Max }
    }

    /// With a limit in units of the figure.
    ///
    /// # Errors
    /// A negative limit.
    pub fn with_absolute(mut self, limit: Decimal) -> Result<Self, PolicyError> {
        self.absolute = Some(not_negative("absolute", limit)?);
        Ok(self)
    }

    /// With a limit as a share of the external figure.
    ///
    /// # Errors
    /// A negative limit.
    pub fn with_relative(mut self, limit: Decimal) -> Result<Self, PolicyError> {
        self.relative = Some(not_negative("relative", limit)?);
        Ok(self)
    }

    /// With a limit in steps of the instrument: lot steps for quantities, price steps for prices.
    ///
    /// An instrument whose steps are unknown has a step of zero; a balance has none.
    ///
    /// # Errors
    /// A negative limit.
    pub fn with_steps(mut self, limit: Decimal) -> Result<Self, PolicyError> {
        self.steps = Some(not_negative("steps", limit)?);
        Ok(self)
    }

    /// With another way to combine the parts.
    #[must_use]
    pub fn with_combine(mut self, combine: Combine) -> Self {
        self.combine = combine;
        self
    }

    /// Whether `difference` matches; what cannot be computed exactly does not.
    pub(crate) fn covers(&self, difference: Exact, external: Decimal, step: Decimal) -> bool {
        if difference.signum() == 0 {
            return true;
        }
        let parts =
            [(self.absolute, Decimal::ONE), (self.relative, external.abs()), (self.steps, step)];
        let mut stated = parts.into_iter().filter_map(|(limit, unit)| Some((limit?, unit)));
        let within = |(limit, unit)| {
            let allowed = Exact::of(limit).times(Exact::of(unit));
            let sizes = difference.magnitude().zip(allowed);
            sizes.is_some_and(|(size, allowed)| size.compare(allowed).is_le())
        };
        match self.combine {
            Combine::Max => stated.any(within),
            Combine::Min => *self != Self::exact().with_combine(Combine::Min) && stated.all(within),
        }
    }
}

/// Tolerance and authority of one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub(crate) tolerance: Tolerance,
    pub(crate) authority: Authority,
}

impl Rule {
    /// The external side is right beyond `tolerance`.
    pub const fn new(tolerance: Tolerance) -> Self {
        Self { tolerance, authority: Authority::External }
    }

    /// With another authority.
    #[must_use]
    pub const fn with_authority(mut self, authority: Authority) -> Self {
        self.authority = authority;
        self
    }
}

/// The steps in which an instrument is traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    pub(crate) lot: Decimal,
    pub(crate) price: Decimal,
}

impl Steps {
    /// The smallest change of a quantity and of a price.
    ///
    /// # Errors
    /// A step that is not above zero.
    pub fn new(lot: Decimal, price: Decimal) -> Result<Self, PolicyError> {
        Ok(Self { lot: above_zero("lot step", lot)?, price: above_zero("price step", price)? })
    }
}

/// The steps of every instrument that tolerances may be stated in.
///
/// ```
/// use backstop_reconciliation_strategies::limits::{Instruments, Steps};
/// use rust_decimal::dec;
///
/// let instruments = Instruments::default().with("BTC-USDT", Steps::new(dec!(0.001), dec!(0.1))?);
/// # Ok::<(), backstop_reconciliation_strategies::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instruments {
    steps: BTreeMap<String, Steps>,
}

impl Instruments {
    /// With one more instrument; a known one gets the new steps.
    #[must_use]
    pub fn with(mut self, instrument: impl Into<String>, steps: Steps) -> Self {
        self.steps.insert(instrument.into(), steps);
        self
    }

    pub(crate) fn steps(&self, instrument: &str) -> Option<Steps> {
        self.steps.get(instrument).copied()
    }
}

pub(crate) fn not_negative(field: &'static str, value: Decimal) -> Result<Decimal, PolicyError> {
    if value < Decimal::ZERO {
        return Err(PolicyError { field, value, rule: "not be negative" });
    }
    Ok(value)
}

fn above_zero(field: &'static str, value: Decimal) -> Result<Decimal, PolicyError> {
    if value <= Decimal::ZERO {
        return Err(PolicyError { field, value, rule: "be above zero" });
    }
    Ok(value)
}
