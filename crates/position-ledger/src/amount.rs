//! Exact amounts: scaled integers with 18 decimals.

mod arithmetic;

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{AmountError, Invalid, TooWide};

pub(crate) use arithmetic::is_away;

/// Units in one: 10 to the power of [`Amount::DECIMALS`].
const SCALE: i128 = 1_000_000_000_000_000_000;

/// An exact decimal number with 18 decimals.
///
/// It stands for prices, quantities and money alike.
/// The value is a whole number of units of 1e-18 in an `i128`, so the range is about 1.7e20 in both directions:
/// finer than the smallest step of any venue, and wide enough for the turnover of one.
///
/// Nothing here panics or rounds in silence.
/// Sums and products are exact or an [`AmountError`]; only [`Amount::rounded_mul`], [`Amount::mul_div`] and
/// [`Amount::mul_div_at`] round, and say how.
///
/// # Examples
///
/// ```
/// use backstop_position_ledger::Amount;
///
/// let price: Amount = "1.10525".parse()?;
/// let quantity: Amount = "20000".parse()?;
/// assert_eq!(price.checked_mul(quantity)?.to_string(), "22105");
/// # Ok::<(), backstop_position_ledger::error::AmountError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    /// Decimals that an amount carries.
    pub const DECIMALS: u32 = 18;
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One whole.
    pub const ONE: Self = Self(SCALE);
    /// The largest amount.
    pub const MAX: Self = Self(i128::MAX);
    /// The smallest amount: the mirror of [`Amount::MAX`], so that every amount can be negated.
    pub const MIN: Self = Self(-i128::MAX);

    /// An amount of so many units of 1e-18.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] for `i128::MIN`, which has no counterpart of the other sign.
    pub const fn from_units(units: i128) -> Result<Self, AmountError> {
        if units == i128::MIN { Err(AmountError::Overflow) } else { Ok(Self(units)) }
    }

    /// A whole number; every `i64` fits.
    pub const fn from_int(whole: i64) -> Self {
        // 9.3e18 * 1e18 is 9.3e36, and the largest i128 is 1.7e38.
        Self((whole as i128).saturating_mul(SCALE))
    }

    /// A few units of 1e-18.
    pub(crate) const fn tiny(units: u32) -> Self {
        Self(units as i128)
    }

    /// The value in units of 1e-18.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The distance from zero in units of 1e-9, if that is whole and fits: another form of most amounts.
    #[inline]
    pub(crate) fn billionths(self) -> Option<u64> {
        arithmetic::coarse(self.0.unsigned_abs())
    }

    /// Whether this is exactly zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether this is above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether this is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The distance from zero.
    #[must_use]
    pub const fn abs(self) -> Self {
        // The range is symmetric.
        Self(self.0.wrapping_abs())
    }

    /// The same distance on the other side of zero.
    #[must_use]
    pub const fn negated(self) -> Self {
        // The range is symmetric.
        Self(self.0.wrapping_neg())
    }

    /// The exact sum.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when it is out of range.
    #[inline]
    pub fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_add(other.0).ok_or(AmountError::Overflow).and_then(Self::from_units)
    }

    /// The exact difference.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when it is out of range.
    #[inline]
    pub fn checked_sub(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_sub(other.0).ok_or(AmountError::Overflow).and_then(Self::from_units)
    }

    /// The mirrored amount; never fails, offered for symmetry with its neighbours.
    ///
    /// # Errors
    ///
    /// None today: the range is symmetric.
    pub const fn checked_neg(self) -> Result<Self, AmountError> {
        Ok(self.negated())
    }

    /// The exact product.
    ///
    /// # Errors
    ///
    /// [`AmountError::Inexact`] when it needs more than 18 decimals, [`AmountError::Overflow`] when it is out of range.
    pub fn checked_mul(self, other: Self) -> Result<Self, AmountError> {
        let (units, rest) = arithmetic::product(self.0, other.0).ok_or(AmountError::Overflow)?;
        if rest == 0 { Self::from_units(units) } else { Err(AmountError::Inexact) }
    }

    /// The product, rounded half to even at the 18th decimal.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when it is out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_position_ledger::Amount;
    ///
    /// let (quantity, price): (Amount, Amount) = ("0.0000000003".parse()?, "0.000000005".parse()?);
    /// assert_eq!(quantity.rounded_mul(price)?.to_string(), "0.000000000000000002");
    /// # Ok::<(), backstop_position_ledger::error::AmountError>(())
    /// ```
    #[inline]
    pub fn rounded_mul(self, other: Self) -> Result<Self, AmountError> {
        let (units, rest) = arithmetic::product(self.0, other.0).ok_or(AmountError::Overflow)?;
        if rest == 0 {
            return Self::from_units(units);
        }
        let missing = SCALE.unsigned_abs().wrapping_sub(rest);
        let away = is_away(rest.cmp(&missing), units & 1 == 1);
        let towards = if (self.0 < 0) == (other.0 < 0) { 1 } else { -1 };
        let step = if away { towards } else { 0 };
        units.checked_add(step).ok_or(AmountError::Overflow).and_then(Self::from_units)
    }

    /// `self * numerator / denominator`, rounded half to even at the 18th decimal.
    ///
    /// The product is taken with 256 bits, so only the result has to be in range.
    ///
    /// # Errors
    ///
    /// [`AmountError::DivideByZero`], or [`AmountError::Overflow`] when the result is out of range.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_position_ledger::Amount;
    ///
    /// let third = Amount::ONE.mul_div(Amount::ONE, Amount::from_int(3))?;
    /// assert_eq!(third.to_string(), "0.333333333333333333");
    /// # Ok::<(), backstop_position_ledger::error::AmountError>(())
    /// ```
    #[inline]
    pub fn mul_div(self, numerator: Self, denominator: Self) -> Result<Self, AmountError> {
        self.divided(numerator, denominator, 1)
    }

    /// `self * numerator / denominator`, rounded half to even at the given decimal, at most the 18th.
    ///
    /// For shares of a fee in a currency whose smallest unit is coarser than that of an amount.
    ///
    /// # Errors
    ///
    /// As [`Amount::mul_div`].
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_position_ledger::Amount;
    ///
    /// let share = Amount::ONE.mul_div_at(Amount::ONE, Amount::from_int(3), 2)?;
    /// assert_eq!(share.to_string(), "0.33");
    /// # Ok::<(), backstop_position_ledger::error::AmountError>(())
    /// ```
    pub fn mul_div_at(
        self,
        numerator: Self,
        denominator: Self,
        places: u32,
    ) -> Result<Self, AmountError> {
        let grain = 10_i128.checked_pow(Self::DECIMALS.saturating_sub(places)).unwrap_or(1);
        self.divided(numerator, denominator, grain)
    }

    /// The quotient as a whole multiple of `grain` units.
    #[inline]
    fn divided(self, numerator: Self, denominator: Self, grain: i128) -> Result<Self, AmountError> {
        if denominator.is_zero() {
            return Err(AmountError::DivideByZero);
        }
        let units = arithmetic::share(self.0, numerator.0, denominator.0, grain);
        units.ok_or(AmountError::Overflow).and_then(Self::from_units)
    }

    /// Reads the text of a named field, so that a refusal names field, value and rule.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the text is no decimal number, or one that would have to be cut.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_position_ledger::Amount;
    ///
    /// let refused = Amount::read("price", "NaN").unwrap_err();
    /// assert_eq!(refused.to_string(), "price NaN: it must be a decimal number of the form [+-]digits[.digits]");
    /// ```
    pub fn read(field: &'static str, text: &str) -> Result<Self, Invalid> {
        text.parse().map_err(|error: AmountError| {
            let rule = match error {
                AmountError::Inexact => "have at most 18 decimals",
                AmountError::Overflow => "be at most about 1.7e20 in size",
                _ => "be a decimal number of the form [+-]digits[.digits]",
            };
            let shown: String = text.chars().take(64).collect();
            Invalid::new(field, shown, rule)
        })
    }

    /// Whether this is a whole multiple of `step`; false for a step of zero.
    pub fn is_multiple_of(self, step: Self) -> bool {
        self.0.checked_rem(step.0) == Some(0)
    }
}

impl Amount {
    /// What is left beyond the last whole multiple of `step` towards zero; all of it for a step of zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop_position_ledger::Amount;
    ///
    /// let held: Amount = "-3.75".parse()?;
    /// assert_eq!(held.remainder(Amount::ONE).to_string(), "-0.75");
    /// # Ok::<(), backstop_position_ledger::error::AmountError>(())
    /// ```
    #[must_use]
    pub const fn remainder(self, step: Self) -> Self {
        match self.0.checked_rem(step.0) {
            Some(rest) => Self(rest),
            None => self,
        }
    }
}

impl TryFrom<Decimal> for Amount {
    type Error = AmountError;

    /// Exact or an error: at most 18 decimals that are not zero, at most about 1.7e20.
    fn try_from(decimal: Decimal) -> Result<Self, AmountError> {
        let (mantissa, scale) = (decimal.mantissa(), decimal.scale());
        let Some(up) = Self::DECIMALS.checked_sub(scale) else {
            let power = 10_i128
                .checked_pow(scale.saturating_sub(Self::DECIMALS))
                .ok_or(AmountError::Overflow)?;
            if mantissa.checked_rem(power) != Some(0) {
                return Err(AmountError::Inexact);
            }
            return mantissa
                .checked_div(power)
                .ok_or(AmountError::Overflow)
                .and_then(Self::from_units);
        };
        let units = 10_i128.checked_pow(up).and_then(|power| mantissa.checked_mul(power));
        units.ok_or(AmountError::Overflow).and_then(Self::from_units)
    }
}

impl TryFrom<Amount> for Decimal {
    type Error = TooWide;

    /// Exact or [`TooWide`]: a `Decimal` holds 96 bits, about 28 digits; the error offers the decimal string.
    fn try_from(amount: Amount) -> Result<Self, TooWide> {
        let (mut mantissa, mut scale) = (amount.0, Amount::DECIMALS);
        while scale > 0 && mantissa.checked_rem(10) == Some(0) {
            mantissa = mantissa.checked_div(10).unwrap_or(0);
            scale = scale.saturating_sub(1);
        }
        Self::try_from_i128_with_scale(mantissa, scale)
            .map_err(|_out_of_96_bits| TooWide { text: amount.to_string() })
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Reads `[+-]digits[.digits]`; no exponent, no blanks, no digits that would be lost.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let negative = text.starts_with('-');
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
        let mut parts = digits.splitn(2, |&byte| byte == b'.');
        let (whole, fraction) = (parts.next().unwrap_or_default(), parts.next());
        let wellformed = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        if !wellformed(whole) || fraction.is_some_and(|part| !wellformed(part)) {
            return Err(AmountError::Syntax);
        }
        let (kept, lost) = fraction
            .unwrap_or_default()
            .split_at_checked(18)
            .unwrap_or((fraction.unwrap_or_default(), &[]));
        let padding = 18_usize.saturating_sub(kept.len());
        let mut units = 0_i128;
        for digit in whole.iter().chain(kept).copied().chain(std::iter::repeat_n(b'0', padding)) {
            let value = i128::from(digit.saturating_sub(b'0'));
            let shifted = units.checked_mul(10).and_then(|units| units.checked_add(value));
            units = shifted.ok_or(AmountError::Overflow)?;
        }
        if lost.iter().any(|&digit| digit != b'0') {
            return Err(AmountError::Inexact);
        }
        Ok(if negative { Self(units).negated() } else { Self(units) })
    }
}

/// The shortest exact form: no exponent, no zeros at the end, no sign on zero.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        let scale = SCALE.unsigned_abs();
        let (whole, fraction) =
            (size.checked_div(scale).unwrap_or(0), size.checked_rem(scale).unwrap_or(0));
        let mut digits = whole.to_string();
        if fraction != 0 {
            digits.push('.');
            digits.push_str(format!("{fraction:018}").trim_end_matches('0'));
        }
        f.pad_integral(self.0 >= 0, "", &digits)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As a string, because a JSON number would be read as a float; in binary forms as units.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_i128(self.0);
        }
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let units = i128::deserialize(deserializer)?;
            return Self::from_units(units).map_err(serde::de::Error::custom);
        }
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
