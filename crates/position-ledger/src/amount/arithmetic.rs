//! Products and quotients of scaled integers: exact through 256 bits, and short where numbers are of usual size.

use std::cmp::Ordering;

use ethnum::I256;

use super::SCALE;

/// The units of 1e-18 in one of 1e-9 are `2^TWOS * FIVES`.
const TWOS: u32 = 9;
const FIVES: u64 = 5_u64.pow(TWOS);

/// What `FIVES` has to be multiplied with to make one, if only 64 bits are kept.
const INVERSE: u64 = inverse(FIVES);

/// By Newton's method: each step doubles the number of low bits that are right, of which an odd number has three.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut bits = 3;
    while bits < u64::BITS {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        bits = bits.wrapping_mul(2);
    }
    inverse
}

/// `left * right` cut off at the 18th decimal, and the size of what was cut, in units of 1e-36; none out of range.
#[inline]
pub(super) fn product(left: i128, right: i128) -> Option<(i128, u128)> {
    let negative = (left < 0) != (right < 0);
    let (left, right) = (left.unsigned_abs(), right.unsigned_abs());
    let (size, rest) = match (coarse(left), coarse(right)) {
        (Some(left), Some(right)) => (u128::from(left).wrapping_mul(u128::from(right)), 0),
        _ => long_product(left, right)?,
    };
    let size = i128::try_from(size).ok()?;
    Some((if negative { size.wrapping_neg() } else { size }, rest))
}

fn long_product(left: u128, right: u128) -> Option<(u128, u128)> {
    const ONE: u128 = SCALE.unsigned_abs();
    let parts = |size: u128| (size.wrapping_div(ONE), size.wrapping_rem(ONE));
    let (left, right) = (parts(left), parts(right));
    // (a + b)(c + d) with fractions b and d below one: their product is below 1e36, and fits as well.
    let (carried, rest) = parts(left.1.wrapping_mul(right.1));
    let whole = left.0.checked_mul(right.0)?.checked_mul(ONE)?;
    let size = whole
        .checked_add(left.0.checked_mul(right.1)?)?
        .checked_add(left.1.checked_mul(right.0)?)?
        .checked_add(carried)?;
    Some((size, rest))
}

/// `units * numerator / denominator` as a whole multiple of `grain`, rounded half to even; none out of range.
///
/// The denominator is not zero.
#[inline]
pub(super) fn share(units: i128, numerator: i128, denominator: i128, grain: i128) -> Option<i128> {
    if grain == 1
        && let Some(share) = short_share(units, numerator, denominator)
    {
        return Some(share);
    }
    long_share(units, numerator, denominator, grain)
}

fn long_share(units: i128, numerator: i128, denominator: i128, grain: i128) -> Option<i128> {
    // Quantities are mostly coarse: without their common zeros the product mostly fits 128 bits.
    let (numerator, denominator) = shortened(numerator, denominator);
    let narrow_product = units.checked_mul(numerator);
    let count = match narrow_product.zip(denominator.checked_mul(grain)) {
        Some((product, divisor)) => half_even(product, divisor),
        None => half_even_wide(units, numerator, denominator, grain),
    };
    count.and_then(|count| count.checked_mul(grain))
}

/// The same in units of one where nothing leaves 128 bits; none does not mean that it is out of range.
#[inline]
fn short_share(units: i128, numerator: i128, denominator: i128) -> Option<i128> {
    let negative = (units < 0) != ((numerator < 0) != (denominator < 0));
    let divisor = u128::from(coarse(denominator.unsigned_abs())?);
    let numerator = u128::from(coarse(numerator.unsigned_abs())?);
    let product = units.unsigned_abs().checked_mul(numerator)?;
    let quotient = product.checked_div(divisor)?;
    let rest = product.wrapping_sub(quotient.wrapping_mul(divisor));
    let away = is_away(rest.cmp(&divisor.wrapping_sub(rest)), quotient & 1 == 1);
    let size = i128::try_from(quotient.wrapping_add(u128::from(away))).ok()?;
    Some(if negative { size.wrapping_neg() } else { size })
}

/// A size in units of 1e-9, if it is below 18 billion and has at most nine decimals, as most have.
///
/// Where the division leaves no rest it is a multiplication with the inverse, and where it would, multiplying back
/// gives another number: several times cheaper than dividing 128 bits.
#[inline]
pub(super) fn coarse(size: u128) -> Option<u64> {
    const REST: u128 = (1 << TWOS) - 1;
    let fives = size.wrapping_shr(TWOS);
    let low = u64::try_from(fives & u128::from(u64::MAX)).ok()?;
    let billionths = low.wrapping_mul(INVERSE);
    let is_whole = u128::from(billionths).wrapping_mul(u128::from(FIVES)) == fives;
    (is_whole && size & REST == 0).then_some(billionths)
}

/// Both numbers without the zeros at the end that they share, nine at a time.
fn shortened(mut numerator: i128, mut denominator: i128) -> (i128, i128) {
    const ZEROS: i128 = 1_000_000_000;
    for _ in 0..2 {
        if numerator.wrapping_rem(ZEROS) != 0 || denominator.wrapping_rem(ZEROS) != 0 {
            break;
        }
        (numerator, denominator) = (numerator.wrapping_div(ZEROS), denominator.wrapping_div(ZEROS));
    }
    (numerator, denominator)
}

/// The nearest whole quotient, the even one if two are as near; `None` when it is out of range.
fn half_even(product: i128, divisor: i128) -> Option<i128> {
    let (quotient, rest) = (product.checked_div(divisor)?, product.checked_rem(divisor)?);
    let (rest, size) = (rest.unsigned_abs(), divisor.unsigned_abs());
    let away = is_away(rest.cmp(&size.wrapping_sub(rest)), quotient & 1 == 1);
    let towards = if (product < 0) == (divisor < 0) { 1 } else { -1 };
    quotient.checked_add(if away { towards } else { 0 })
}

/// Whether a quotient goes to its neighbour further from zero, by how its rest compares with what is missing there.
///
/// Half to even, which is the rule of every amount that is rounded.
#[inline]
pub(crate) const fn is_away(rest: Ordering, is_odd: bool) -> bool {
    match rest {
        Ordering::Less => false,
        Ordering::Equal => is_odd,
        Ordering::Greater => true,
    }
}

/// The same through 256 bits.
fn half_even_wide(left: i128, right: i128, denominator: i128, grain: i128) -> Option<i128> {
    // Factors below 2^127 and a grain of at most 1e18, so that both products fit.
    let product = I256::from(left).wrapping_mul(I256::from(right));
    let divisor = I256::from(denominator).wrapping_mul(I256::from(grain));
    let (quotient, rest) = (product.checked_div(divisor)?, product.checked_rem(divisor)?);
    let (rest, size) = (rest.unsigned_abs(), divisor.unsigned_abs());
    let is_odd = quotient.wrapping_rem(I256::from(2)) != I256::ZERO;
    let away = is_away(rest.cmp(&size.wrapping_sub(rest)), is_odd);
    let towards = if product.is_negative() == divisor.is_negative() { 1 } else { -1 };
    let step = if away { I256::from(towards) } else { I256::ZERO };
    quotient.checked_add(step).and_then(|wide| i128::try_from(wide).ok())
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the numbers are small, and a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::{SCALE, coarse, half_even_wide, long_product, product, share, short_share};

    /// Around the borders of the short ways: nine decimals, 18 billion, 64 and 128 bits, ties.
    fn units() -> impl Strategy<Value = i128> {
        let coarse =
            (-6_000_000_000_000_000_i128..6_000_000_000_000_000).prop_map(|n| n * 1_000_000_000);
        let cents = (-1_000_000_i128..1_000_000).prop_map(|n| n * 10_000_000_000_000_000);
        let edge = (-3_i128..4, 0_u32..126).prop_map(|(near, power)| (1_i128 << power) + near);
        let limit = (-3_i128..4).prop_map(|near| ((1_i128 << 64) + near) * 1_000_000_000);
        let small = -40_i128..40;
        let any = (-i128::MAX)..i128::MAX;
        prop_oneof![3 => coarse, 3 => cents, 1 => edge, 1 => limit, 1 => small, 1 => any]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_short_product_is_the_long_one(left in units(), right in units()) {
            let long = long_product(left.unsigned_abs(), right.unsigned_abs());
            let long = long.and_then(|(size, rest)| Some((i128::try_from(size).ok()?, rest)));
            let found = product(left, right).map(|(units, rest)| (units.abs(), rest));
            prop_assert_eq!(found, long);
            let is_negative = product(left, right).is_some_and(|(units, _)| units < 0);
            prop_assert!(!is_negative || (left < 0) != (right < 0));
        }

        #[test]
        fn the_short_share_is_the_wide_one(units in units(), numerator in units(), denominator in units()) {
            prop_assume!(denominator != 0);
            let wide = half_even_wide(units, numerator, denominator, 1);
            if let Some(short) = short_share(units, numerator, denominator) {
                prop_assert_eq!(Some(short), wide);
            }
            prop_assert_eq!(share(units, numerator, denominator, 1), wide);
        }

        #[test]
        fn what_is_coarse_is_all_of_it(units in units()) {
            let size = units.unsigned_abs();
            if let Some(billionths) = coarse(size) {
                prop_assert_eq!(u128::from(billionths) * 1_000_000_000, size);
            } else {
                prop_assert!(size % 1_000_000_000 != 0 || size / 1_000_000_000 > u128::from(u64::MAX));
            }
        }
    }

    #[test]
    fn usual_numbers_take_the_short_way() {
        let (quantity, price) = (25 * SCALE / 10, 65_432 * SCALE + SCALE / 100);
        assert!(
            coarse(quantity.unsigned_abs()).is_some() && coarse(price.unsigned_abs()).is_some()
        );
        assert_eq!(short_share(price, quantity, 3 * SCALE), share(price, quantity, 3 * SCALE, 1));
        assert!(short_share(price, quantity, 3 * SCALE).is_some());
    }
}
