//! Values and prices of every contract, in one rounding.

use backstop_position_ledger::error::AmountError;
use backstop_position_ledger::rules::Contract;
use backstop_position_ledger::{Amount, Fact, Instrument, Instruments, Ledger, MemoryJournal};
use proptest::prelude::*;

use crate::kit::{Desk, account, amount, apply, currency, fill, instrument_id};
use crate::model::{Fraction, exact, rounded};

fn contract(kind: Contract, multiplier: Amount) -> Instrument {
    let made = Instrument::new(instrument_id("X"), currency("USD"), Amount::ONE, Amount::ONE);
    let made = match kind {
        Contract::Inverse => made.unwrap().inverse(currency("BTC")),
        Contract::Quanto => made.unwrap().quanto(currency("EUR")),
        _ => made,
    };
    made.unwrap().with_multiplier(multiplier).unwrap()
}

/// The amount that a fraction is rounded to; none when it is out of range.
fn nearest(value: &Fraction) -> Option<Amount> {
    let value = rounded(value);
    let fits = value <= exact(Amount::MAX) && value >= exact(Amount::MIN);
    let units = value * Fraction::from_integer(Amount::ONE.units().into());
    fits.then(|| Amount::from_units(units.to_integer().try_into().unwrap()).unwrap())
}

/// Of every size, from a few units to the whole range.
fn size() -> impl Strategy<Value = Amount> {
    (1..i128::MAX, 0..126_u32)
        .prop_map(|(units, shift)| Amount::from_units((units >> shift).max(1)).unwrap())
}

proptest! {
    #[test]
    fn values_and_prices_are_rounded_once(
        multiplier in size(),
        quantity in size(),
        price in size(),
        negative in any::<bool>(),
        inverse in any::<bool>(),
    ) {
        let kind = if inverse { Contract::Inverse } else { Contract::Quanto };
        let contract = contract(kind, multiplier);
        let price = if negative && !inverse { price.negated() } else { price };
        let units = exact(quantity) * exact(multiplier);
        let value = if inverse { &units / exact(price) } else { &units * exact(price) };
        prop_assert_eq!(contract.value(quantity, price).ok(), nearest(&value));
        let average = if inverse { units / exact(price) } else { exact(price) / units };
        prop_assert_eq!(contract.price_of(quantity, price).ok(), nearest(&average));
    }
}

#[test]
fn a_product_of_three_is_not_a_product_of_rounded_products() {
    // 0.5e-18 is no unit, and so neither product of two is; all three are three and a half.
    let contract = contract(Contract::Linear, amount("0.0000000005"));
    let value = contract.value(amount("0.000000001"), amount("7"));
    assert_eq!(value, Ok(Amount::from_units(4).unwrap()));
    let short = contract.value(amount("0.000000001"), amount("-7"));
    assert_eq!(short, Ok(Amount::from_units(-4).unwrap()));
    assert_eq!(
        contract.price_of(amount("0.000000001"), Amount::ONE),
        Ok(amount("2000000000000000000"))
    );
    let wide = contract.value(Amount::MAX, Amount::MAX);
    assert_eq!(wide, Err(AmountError::Overflow));
    assert_eq!(contract.price_of(Amount::ZERO, Amount::ONE), Err(AmountError::DivideByZero));
}

/// The average of a position after these fills: quantity and price.
fn average(kind: Contract, fills: &[(String, String)]) -> Amount {
    let id = instrument_id("X");
    let known = Instruments::new([contract(kind, Amount::ONE)]).unwrap();
    let mut ledger = Ledger::open(Box::new(MemoryJournal::new()), known).unwrap();
    let mut desk = Desk::default();
    for (place, (quantity, price)) in fills.iter().enumerate() {
        let mut fill = fill(&format!("t{place}"), quantity, price);
        fill.instrument = id.clone();
        apply(&mut ledger, &mut desk, Fact::Filled(fill));
    }
    ledger.books().position(&account(), &id).unwrap().average().unwrap().unwrap()
}

proptest! {
    #[test]
    fn what_an_inverse_position_was_bought_at_is_its_average(
        quantities in prop::collection::vec(1..100_000_u32, 1..5),
        cents in 1..10_000_000_u32,
    ) {
        let price = format!("{}.{:02}", cents / 100, cents % 100);
        let fills: Vec<_> =
            quantities.iter().map(|quantity| (quantity.to_string(), price.clone())).collect();
        prop_assert_eq!(average(Contract::Inverse, &fills), amount(&price));
    }

    #[test]
    fn what_was_bought_in_the_finest_units_has_the_average_it_was_bought_at(
        units in prop::collection::vec(1_000_000_000_000_000..10_i64.pow(18), 1..5),
        cents in -10_000_000..10_000_000_i64,
    ) {
        let price = Amount::from_int(cents).mul_div(Amount::ONE, Amount::from_int(100)).unwrap();
        let fills: Vec<_> = units
            .iter()
            .map(|units| (Amount::from_units((*units).into()).unwrap(), price))
            .map(|(quantity, price)| (quantity.to_string(), price.to_string()))
            .collect();
        prop_assert_eq!(average(Contract::Linear, &fills), price);
    }
}

#[test]
fn an_average_that_is_exact_is_not_made_shorter() {
    let of = |quantity: &str, price: &str| {
        average(Contract::Linear, &[(quantity.to_owned(), price.to_owned())]).to_string()
    };
    assert_eq!(of("1", "100.000000000000000005"), "100.000000000000000005");
    assert_eq!(of("0.000000001", "50000.000000003"), "50000.000000003");
    // Of so little the cost says too little to guess by.
    assert_eq!(of("0.0000000000015", "50000.00003"), "50000.00003");
    assert_eq!(of("0.5", "-7.000000000000000002"), "-7.000000000000000002");
}

#[test]
fn the_average_of_an_inverse_position_does_not_show_what_its_cost_was_rounded_by() {
    let of = |fills: &[(&str, &str)]| {
        let fills = fills.iter().map(|(quantity, price)| ((*quantity).into(), (*price).into()));
        average(Contract::Inverse, &fills.collect::<Vec<_>>()).to_string()
    };
    // 10000 / 14000 and 1 / 30000 have no end, and are kept to the 18th decimal.
    assert_eq!(of(&[("10000", "14000")]), "14000");
    assert_eq!(of(&[("1", "30000")]), "30000");
    assert_eq!(of(&[("10000", "10000"), ("10000", "20000")]), "13333.333333333333333333");
    assert_eq!(of(&[("1", "10000.123456789"), ("1", "10000.123456789")]), "10000.123456789");
    // At both ends of the range: all that there is, and two units.
    assert_eq!(of(&[(&Amount::MAX.to_string(), "1")]), "1");
    assert_eq!(of(&[("1", "500000000000000000")]), "500000000000000000");
}
