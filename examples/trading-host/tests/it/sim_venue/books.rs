//! The venue's books, held against the sums that any books must give.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use rust_decimal::Decimal;
use trading_host::faults::Profile;
use trading_host::market::{Instrument, Scripted};
use trading_host::sim_venue::SimVenue;
use trading_host::venue::{Side, TradeWindow};

use super::{answered, at, config, decimal, instrument, order, quiet, tick};

const DEPOSIT: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// Average cost in plain decimals, which round; good enough to a billionth.
#[derive(Default)]
struct Naive {
    quantity: Decimal,
    average: Decimal,
    realised: Decimal,
    cash_flow: Decimal,
    fees: Decimal,
}

impl Naive {
    fn book(&mut self, side: Side, quantity: Decimal, price: Decimal, fee: Decimal) {
        let signed = if side == Side::Buy { quantity } else { -quantity };
        let closes = self.quantity * signed < Decimal::ZERO;
        if closes {
            let share = quantity.min(self.quantity.abs());
            let gain = (price - self.average) * share;
            self.realised += if self.quantity > Decimal::ZERO { gain } else { -gain };
        }
        let after = self.quantity + signed;
        if !closes {
            let cost = self.average * self.quantity.abs() + price * quantity;
            self.average = cost / after.abs();
        } else if after * signed > Decimal::ZERO {
            self.average = price;
        }
        self.quantity = after;
        self.cash_flow -= signed * price;
        self.fees += fee;
    }

    fn balance(&self) -> Decimal {
        DEPOSIT + self.realised - self.fees
    }
}

proptest! {
    /// Balance = deposit + realised - fees after every trade, and once flat also
    /// deposit + what selling brought - what buying cost - fees, to the last decimal.
    #[test]
    fn balances_are_deposits_and_profit_less_fees(
        steps in prop::collection::vec((any::<bool>(), 1..60_u32, 100..2_000_i64), 1..40),
    ) {
        let ticks = steps.iter().zip(0..).map(|(&(.., cents), seconds)| {
            tick(seconds * 10, &Decimal::new(cents, 2).to_string(), Some(300))
        });
        let end = u64::try_from(steps.len()).unwrap() * 10;
        let flattening = (0..40).map(|nth| tick(end + nth, "7.77", Some(1_000)));
        let mut venue = quiet(ticks.chain(flattening).collect());

        let mut naive = Naive::default();
        let mut seen = 0;
        let window = Some(TradeWindow { from: at(0) });
        for (&(is_buy, lots, _), nth) in steps.iter().zip(0_u64..) {
            let side = if is_buy { Side::Buy } else { Side::Sell };
            answered(venue.submit(at(nth * 10), &order(nth.into(), side, lots * 10, None))).unwrap();
            let statement = answered(venue.statement(at(nth * 10 + 1), window)).unwrap();
            for trade in &statement.trades.unwrap()[seen..] {
                naive.book(trade.side, trade.quantity, trade.price, trade.fee);
                seen += 1;
            }
            let off = (statement.balances[0].1 - naive.balance()).abs();
            prop_assert!(off < decimal("0.000000001"), "off by {off}");
            let held = statement.positions.first().map_or(Decimal::ZERO, |row| row.1);
            prop_assert_eq!(held, naive.quantity);
        }

        for nth in 0..u64::try_from(steps.len()).unwrap() {
            answered(venue.cancel(at(end - 1), uuid::Uuid::from_u128(nth.into()))).unwrap();
        }
        let statement = answered(venue.statement(at(end - 1), None)).unwrap();
        let held = statement.positions.first().map_or(Decimal::ZERO, |row| row.1);
        if !held.is_zero() {
            let side = if held > Decimal::ZERO { Side::Sell } else { Side::Buy };
            let lots = u32::try_from(held.abs()).unwrap();
            answered(venue.submit(at(end - 1), &order(1_000, side, lots, None))).unwrap();
        }
        let audit = venue.audit(at(end + 100));
        let flat = audit.trades.iter().fold(Naive::default(), |mut naive, (_, trade)| {
            naive.book(trade.side, trade.quantity, trade.price, trade.fee);
            naive
        });
        prop_assert_eq!(&audit.positions, &[]);
        prop_assert_eq!(audit.balances[0].1, DEPOSIT + flat.cash_flow - flat.fees);
        prop_assert_eq!(audit.fees[0].1, flat.fees);
    }
}

#[test]
fn fees_are_rounded_half_up_at_eight_decimals() {
    for (fee_rate, fee) in [("0.00000005", "0.00000001"), ("0.000000049", "0")] {
        let terms = Instrument { fee_rate: decimal(fee_rate), ..instrument("AAA") };
        let feed = Scripted::new(vec![terms], vec![tick(0, "0.01", Some(10))]);
        let mut venue = SimVenue::new(Box::new(feed), &config(1, Profile::None, 10)).unwrap();
        // Worth 0.1, so the fee before rounding is at, or just below, half a step.
        answered(venue.submit(at(1), &order(1, Side::Sell, 10, None))).unwrap();
        assert_eq!(venue.audit(at(2)).fees, [("USD".to_owned(), decimal(fee))]);
    }
}
