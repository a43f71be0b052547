//! Exact arithmetic on mantissas; the checked operations of `Decimal` round silently.

use std::cmp::Ordering;

use rust_decimal::Decimal;

/// A number as mantissa and decimal places, wider than a `Decimal`.
///
/// Every sum and product is exact or `None`; an order there always is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exact {
    mantissa: i128,
    scale: u32,
}

impl Exact {
    pub(crate) const ZERO: Self = Self { mantissa: 0, scale: 0 };

    pub(crate) fn of(value: Decimal) -> Self {
        Self { mantissa: value.mantissa(), scale: value.scale() }.shortest()
    }

    pub(crate) fn difference(external: Decimal, internal: Decimal) -> Option<Self> {
        Self::of(external).minus(Self::of(internal))
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let (left, right, scale) = aligned(self, other)?;
        Some(Self { mantissa: left.checked_add(right)?, scale })
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated()?)
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let mantissa = self.mantissa.checked_mul(other.mantissa)?;
        Some(Self { mantissa, scale: self.scale.checked_add(other.scale)? })
    }

    pub(crate) fn negated(self) -> Option<Self> {
        Some(Self { mantissa: self.mantissa.checked_neg()?, scale: self.scale })
    }

    pub(crate) fn magnitude(self) -> Option<Self> {
        Some(Self { mantissa: self.mantissa.checked_abs()?, scale: self.scale })
    }

    /// -1, 0 or 1.
    pub(crate) fn signum(self) -> i128 {
        self.mantissa.signum()
    }

    pub(crate) fn compare(self, other: Self) -> Ordering {
        match aligned(self, other) {
            Some((left, right, _)) => left.cmp(&right),
            // Only the number of fewer places is scaled up; where that leaves 128 bits, it is the
            // one further from zero.
            None if self.scale < other.scale => self.mantissa.cmp(&0),
            None => 0.cmp(&other.mantissa),
        }
    }

    /// The same number as a `Decimal`, when its 96 bits and 28 places hold it.
    pub(crate) fn decimal(self) -> Option<Decimal> {
        let short = self.shortest();
        Decimal::try_from_i128_with_scale(short.mantissa, short.scale).ok()
    }

    /// Without zeros at the end, so that unlike scales seldom overflow.
    fn shortest(mut self) -> Self {
        while self.scale > 0 && self.mantissa.checked_rem(10) == Some(0) {
            self.mantissa = self.mantissa.checked_div(10).unwrap_or(0);
            self.scale = self.scale.saturating_sub(1);
        }
        self
    }
}

/// Both mantissas at the larger of the two scales.
fn aligned(left: Exact, right: Exact) -> Option<(i128, i128, u32)> {
    let scale = left.scale.max(right.scale);
    Some((at_scale(left, scale)?, at_scale(right, scale)?, scale))
}

fn at_scale(value: Exact, scale: u32) -> Option<i128> {
    if value.mantissa == 0 {
        return Some(0);
    }
    let power = 10_i128.checked_pow(scale.checked_sub(value.scale)?)?;
    value.mantissa.checked_mul(power)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use rust_decimal::{Decimal, dec};

    use super::Exact;

    fn difference(external: Decimal, internal: Decimal) -> Option<Decimal> {
        Exact::difference(external, internal).and_then(Exact::decimal)
    }

    #[test]
    fn keeps_what_a_decimal_would_round_away() {
        let huge = dec!(1000000000000000000000000000);
        assert_eq!(huge.checked_sub(dec!(0.001)), Some(huge), "the trap this module avoids");
        assert_eq!(difference(huge, dec!(0.001)), None);
        assert_eq!(difference(huge, dec!(0.1)), Some(dec!(999999999999999999999999999.9)));
    }

    #[test]
    fn long_zeros_do_not_overflow() {
        assert_eq!(
            difference(dec!(1.0000000000000000000000000000), dec!(7922816251426433759354395033)),
            Some(dec!(-7922816251426433759354395032)),
        );
        assert_eq!(difference(Decimal::MAX, Decimal::MIN), None);
    }

    #[test]
    fn product_of_small_numbers_is_not_zero() {
        let tiny = Exact::of(Decimal::new(1, 20));
        let product = tiny.times(tiny).unwrap();
        assert_eq!(product.compare(Exact::ZERO), Ordering::Greater);
        assert_eq!(product.decimal(), None);
        let huge = Exact::of(Decimal::MIN);
        assert_eq!(product.minus(huge).map(Exact::signum), None);
        assert_eq!(product.compare(huge), Ordering::Greater);
        assert_eq!(huge.compare(product), Ordering::Less);
        assert_eq!(product.negated().unwrap().compare(huge), Ordering::Greater);
        assert_eq!(huge.compare(product.negated().unwrap()), Ordering::Less);
    }
}
