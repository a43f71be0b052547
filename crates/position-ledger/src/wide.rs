//! Figures on the way to others that are wider than an amount: products of three, quotients of two, and sums.

use ethnum::{I256, U256};

use crate::amount::{Amount, is_away};
use crate::error::AmountError;

/// Units of 1e-36 in one; below 2^120.
const SQUARE: U256 = U256::from_words(0, 1_000_000_000_000_000_000_000_000_000_000_000_000);

/// `a * b * c`, rounded half to even at the 18th decimal.
///
/// # Errors
///
/// [`AmountError::Overflow`] when it is out of range.
pub(crate) fn product(a: Amount, b: Amount, c: Amount) -> Result<Amount, AmountError> {
    // Two factors are below 2^254; the rest of them and the third are below 2^247.
    let two = size(a).wrapping_mul(size(b));
    let (whole, part) = (two.wrapping_div(SQUARE), two.wrapping_rem(SQUARE));
    let last = part.wrapping_mul(size(c));
    let (carried, rest) = (last.wrapping_div(SQUARE), last.wrapping_rem(SQUARE));
    let sum = whole.checked_mul(size(c)).and_then(|sum| sum.checked_add(carried));
    let negative = a.is_negative() ^ b.is_negative() ^ c.is_negative();
    rounded(sum.ok_or(AmountError::Overflow)?, rest, SQUARE, negative)
}

/// `value / (a * b)`, rounded half to even at the 18th decimal.
///
/// # Errors
///
/// [`AmountError::DivideByZero`], or [`AmountError::Overflow`] when it is out of range.
pub(crate) fn quotient(value: Amount, a: Amount, b: Amount) -> Result<Amount, AmountError> {
    // Below 2^247 over below 2^254.
    let (over, under) = (size(value).wrapping_mul(SQUARE), size(a).wrapping_mul(size(b)));
    let count = over.checked_div(under).ok_or(AmountError::DivideByZero)?;
    let negative = value.is_negative() ^ a.is_negative() ^ b.is_negative();
    rounded(count, over.wrapping_rem(under), under, negative)
}

/// The exact sum in units of 1e-18, also where it is out of the range of an amount.
pub(crate) fn sum(amounts: impl IntoIterator<Item = Amount>) -> I256 {
    let units = amounts.into_iter().map(|amount| I256::from(amount.units()));
    units.fold(I256::ZERO, I256::wrapping_add)
}

fn size(amount: Amount) -> U256 {
    U256::from(amount.units().unsigned_abs())
}

/// `count` and `rest / divisor` to the nearest whole number of units, the even one if two are as near.
fn rounded(count: U256, rest: U256, divisor: U256, negative: bool) -> Result<Amount, AmountError> {
    let is_odd = count.wrapping_rem(U256::from(2_u8)) != U256::ZERO;
    let away = is_away(rest.cmp(&divisor.wrapping_sub(rest)), is_odd);
    let size = count.checked_add(U256::from(u8::from(away)));
    let size = size.and_then(|size| i128::try_from(size).ok()).ok_or(AmountError::Overflow)?;
    Amount::from_units(if negative { size.wrapping_neg() } else { size })
}
