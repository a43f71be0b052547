//! Amounts: exact at every edge, or an error.

use backstop_position_ledger::Amount;
use backstop_position_ledger::error::AmountError;
use ethnum::I256;
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::kit::amount;

#[test]
fn text_is_read_exactly_or_refused() {
    for (text, shown) in [
        ("0", "0"),
        ("-0.0", "0"),
        ("+1.50", "1.5"),
        ("007", "7"),
        ("-0.000000000000000001", "-0.000000000000000001"),
        ("1.0000000000000000000000000000000000000000", "1"),
        ("170141183460469231731.687303715884105727", "170141183460469231731.687303715884105727"),
    ] {
        assert_eq!(amount(text).to_string(), shown, "{text}");
    }
    for (text, error) in [
        ("", AmountError::Syntax),
        ("-", AmountError::Syntax),
        ("+-1", AmountError::Syntax),
        (".5", AmountError::Syntax),
        ("5.", AmountError::Syntax),
        ("1e3", AmountError::Syntax),
        ("NaN", AmountError::Syntax),
        (" 1", AmountError::Syntax),
        ("1,5", AmountError::Syntax),
        ("0.0000000000000000001", AmountError::Inexact),
        ("170141183460469231731.687303715884105728", AmountError::Overflow),
        ("1234567890123456789012345678901234567890", AmountError::Overflow),
        // Out of range comes before what would be cut off.
        ("170141183460469231732.0000000000000000001", AmountError::Overflow),
    ] {
        assert_eq!(text.parse::<Amount>(), Err(error), "{text}");
    }
}

#[test]
fn decimals_cross_the_edge_exactly_or_not_at_all() {
    let finest = Decimal::try_from_i128_with_scale(1, 18).unwrap();
    assert_eq!(Amount::try_from(finest), Ok(amount("0.000000000000000001")));
    assert_eq!(Decimal::try_from(amount("0.000000000000000001")), Ok(finest));
    let finer = Decimal::try_from_i128_with_scale(1, 19).unwrap();
    assert_eq!(Amount::try_from(finer), Err(AmountError::Inexact));
    assert_eq!(Amount::try_from(Decimal::MAX), Err(AmountError::Overflow));
    // 29 significant digits are more than 96 bits hold.
    let wide = "99999999999.999999999999999999";
    let offered = Decimal::try_from(amount(wide)).unwrap_err();
    assert_eq!((offered.text.as_str(), amount(&offered.text)), (wide, amount(wide)));
    assert_eq!(Decimal::try_from(Amount::from_int(1_000_000)), Ok(Decimal::from(1_000_000)));
}

#[test]
fn products_are_exact_or_say_why_not() {
    assert_eq!(
        amount("99999.99").checked_mul(amount("9999999.999")),
        Ok(amount("999999899900.00001"))
    );
    assert_eq!(
        amount("0.0000000001").checked_mul(amount("0.000000001")),
        Err(AmountError::Inexact)
    );
    assert_eq!(Amount::MAX.checked_mul(amount("2")), Err(AmountError::Overflow));
    assert_eq!(Amount::MIN.checked_sub(amount("1")), Err(AmountError::Overflow));
    assert_eq!(Amount::ONE.mul_div(Amount::ONE, Amount::ZERO), Err(AmountError::DivideByZero));
    assert_eq!(Amount::from_units(i128::MIN), Err(AmountError::Overflow));
}

#[test]
fn halves_round_to_even() {
    let unit = |units| Amount::from_units(units).unwrap();
    let half = |units| unit(units).mul_div(Amount::ONE, Amount::from_int(2)).unwrap();
    for (units, expected) in [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2), (-5, -2), (-7, -4)]
    {
        assert_eq!(half(units), unit(expected), "{units} / 2");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(units in any::<i128>().prop_filter("in range", |units| *units != i128::MIN)) {
        let written = Amount::from_units(units).unwrap();
        prop_assert_eq!(written.to_string().parse::<Amount>(), Ok(written));
    }

    #[test]
    fn mul_div_is_the_nearest(a in any::<i64>(), b in any::<i64>(), c in any::<i64>().prop_filter("not zero", |c| *c != 0)) {
        let unit = |value: i64| Amount::from_units(i128::from(value)).unwrap();
        let result = unit(a).mul_div(unit(b), unit(c)).unwrap();
        // |result * c - a * b| <= |c| / 2
        let distance = I256::from(result.units()) * I256::from(c) - I256::from(a) * I256::from(b);
        prop_assert!(distance.unsigned_abs() * 2 <= I256::from(c).unsigned_abs());
    }

    #[test]
    fn a_product_agrees_with_wide_arithmetic(a in any::<i128>(), b in any::<i64>()) {
        prop_assume!(a != i128::MIN);
        let (left, right) = (Amount::from_units(a).unwrap(), Amount::from_units(i128::from(b)).unwrap());
        let (wide, scale) = (I256::from(a) * I256::from(b), I256::from(Amount::ONE.units()));
        match left.checked_mul(right) {
            Ok(product) => prop_assert_eq!(I256::from(product.units()) * scale, wide),
            Err(AmountError::Inexact) => prop_assert!(wide % scale != 0),
            Err(_) => prop_assert!((wide / scale).unsigned_abs() > I256::from(i128::MAX).unsigned_abs()),
        }
    }
}
