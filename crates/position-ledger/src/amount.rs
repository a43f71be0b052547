//! Exact amounts: scaled integers with 18 decimals.

use std::fmt;
use std::str::FromStr;

use ethnum::I256;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::AmountError;

/// Units in one: 10 to the power of [`Amount::DECIMALS`].
const SCALE: i128 = 1_000_000_000_000_000_000;

/// An exact decimal number with 18 decimals.
///
/// It stands for prices, quantities and money alike.
/// The value is a whole number of units of 1e-18 in an `i128`, so the range is about 1.7e20 in both directions:
/// finer than the smallest step of any venue, and wide enough for the turnover of one.
///
/// Nothing here panics or rounds in silence.
/// Sums and products are exact or an [`AmountError`]; only [`Amount::mul_div`] rounds, and says how.
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

    /// The value in units of 1e-18.
    pub const fn units(self) -> i128 {
        self.0
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
        Self(self.0.saturating_abs())
    }

    /// The same distance on the other side of zero.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self(self.0.saturating_neg())
    }

    /// The exact sum.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when it is out of range.
    pub fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_add(other.0).ok_or(AmountError::Overflow).and_then(Self::from_units)
    }

    /// The exact difference.
    ///
    /// # Errors
    ///
    /// [`AmountError::Overflow`] when it is out of range.
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
        let (quotient, exact) = if let Some(product) = self.0.checked_mul(other.0) {
            (product.checked_div(SCALE), product.checked_rem(SCALE) == Some(0))
        } else {
            let (product, scale) = (wide_product(self, other), I256::from(SCALE));
            let exact = product.checked_rem(scale) == Some(I256::ZERO);
            (product.checked_div(scale).and_then(narrow), exact)
        };
        let units = quotient.ok_or(AmountError::Overflow)?;
        if exact { Self::from_units(units) } else { Err(AmountError::Inexact) }
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
    pub fn mul_div(self, numerator: Self, denominator: Self) -> Result<Self, AmountError> {
        if denominator.is_zero() {
            return Err(AmountError::DivideByZero);
        }
        let product = wide_product(self, numerator);
        let divisor = I256::from(denominator.0);
        let divided = product.checked_div(divisor).zip(product.checked_rem(divisor));
        let (quotient, rest) = divided.ok_or(AmountError::Overflow)?;
        // Both distances are below 2^127, so twice the rest cannot overflow 256 bits.
        let twice = rest.unsigned_abs().wrapping_shl(1);
        let odd = quotient.wrapping_rem(I256::from(2)) != I256::ZERO;
        let away = match twice.cmp(&divisor.unsigned_abs()) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => odd,
            std::cmp::Ordering::Greater => true,
        };
        let towards = if product.is_negative() == divisor.is_negative() { 1 } else { -1 };
        let step = if away { I256::from(towards) } else { I256::ZERO };
        let rounded = quotient.checked_add(step).and_then(narrow);
        rounded.ok_or(AmountError::Overflow).and_then(Self::from_units)
    }

    /// Whether this is a whole multiple of `step`; false for a step of zero.
    pub fn is_multiple_of(self, step: Self) -> bool {
        self.0.checked_rem(step.0) == Some(0)
    }
}

/// Both factors are below 2^127 in size, so their product always fits.
fn wide_product(left: Amount, right: Amount) -> I256 {
    I256::from(left.0).wrapping_mul(I256::from(right.0))
}

fn narrow(wide: I256) -> Option<i128> {
    i128::try_from(wide).ok()
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
    type Error = AmountError;

    /// Exact or [`AmountError::Overflow`]: a `Decimal` holds 96 bits; what does not fit has its decimal string.
    fn try_from(amount: Amount) -> Result<Self, AmountError> {
        let (mut mantissa, mut scale) = (amount.0, Amount::DECIMALS);
        while scale > 0 && mantissa.checked_rem(10) == Some(0) {
            mantissa = mantissa.checked_div(10).unwrap_or(0);
            scale = scale.saturating_sub(1);
        }
        Self::try_from_i128_with_scale(mantissa, scale)
            .map_err(|_out_of_96_bits| AmountError::Overflow)
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
        if lost.iter().any(|&digit| digit != b'0') {
            return Err(AmountError::Inexact);
        }
        let padding = 18_usize.saturating_sub(kept.len());
        let mut units = 0_i128;
        for digit in whole.iter().chain(kept).copied().chain(std::iter::repeat_n(b'0', padding)) {
            let value = i128::from(digit.saturating_sub(b'0'));
            let shifted = units.checked_mul(10).and_then(|units| units.checked_add(value));
            units = shifted.ok_or(AmountError::Overflow)?;
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

/// As a string, because a JSON number would be read as a float.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
