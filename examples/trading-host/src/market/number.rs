//! Decimal text to exact numbers.

use rust_decimal::Decimal;

/// Most steps a price may have: 10^14.
///
/// It keeps sums of squared prices in the strategies within an i128.
const STEPS_MAX: Decimal = Decimal::from_parts(276_447_232, 23_283, 0, false, 0);

/// A number read from text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    /// The value, cut to 28 decimal places if the text had more.
    pub(super) value: Decimal,
    /// Whether the value is what the text says, digit by digit.
    pub(super) exact: bool,
}

/// Read a decimal number: a sign if negative, digits, at most one point, an exponent of ten.
///
/// Exponents are read because spreadsheets write large volumes with one (`1.00532E+11`).
/// Separators of thousands, infinities and words are not numbers of a market folder, and
/// guessing at a price costs money.
pub(super) fn decimal(text: &str) -> Option<Number> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, read_exponent(exponent)?),
        None => (text, 0),
    };
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    let plain = unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain || !unsigned.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (value, exact) = match Decimal::from_str_exact(digits) {
        Ok(value) => (value, true),
        Err(_) => (digits.parse().ok()?, false),
    };
    Some(Number { value: times_ten_to(exponent, value)?, exact })
}

/// An exponent of up to four digits: larger ones cannot be kept anyway.
fn read_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// `value` with its point moved; `None` if that does not fit exactly.
fn times_ten_to(exponent: i32, value: Decimal) -> Option<Decimal> {
    let scale = i32::try_from(value.scale()).ok()? - exponent;
    let factor = 10_i128.checked_pow(scale.min(0).unsigned_abs())?;
    let mantissa = value.mantissa().checked_mul(factor)?;
    Decimal::try_from_i128_with_scale(mantissa, scale.max(0).unsigned_abs()).ok()
}

/// The multiple of `step` nearest to `value`, ties upwards; `None` beyond 10^14 steps.
///
/// `value` is not negative and `step` is above zero.
pub(super) fn on_step(value: Decimal, step: Decimal) -> Option<Decimal> {
    if value > STEPS_MAX.checked_mul(step)? {
        return None;
    }
    // By remainder, not by quotient: a quotient may be cut at its 28th digit.
    let over = value.checked_rem(step)?;
    let below = value.checked_sub(over)?;
    let mut nearest =
        if step.checked_sub(over)? <= over { below.checked_add(step)? } else { below };
    nearest.rescale(step.scale());
    Some(nearest)
}
