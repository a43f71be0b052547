//! A naive model of a position in exact fractions, written apart from the crate.

use backstop_position_ledger::Amount;
use backstop_position_ledger::fill::Side;
use ethnum::I256;

/// An exact fraction with a positive denominator; small tests keep it far from overflow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fraction {
    top: I256,
    bottom: I256,
}

fn divisor(mut a: I256, mut b: I256) -> I256 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}

impl Fraction {
    pub(crate) fn new(top: I256, bottom: I256) -> Self {
        let common = divisor(top, bottom) * bottom.signum();
        Self { top: top / common, bottom: bottom / common }
    }

    pub(crate) fn whole(value: i64) -> Self {
        Self::new(I256::from(value), I256::ONE)
    }

    fn plus(self, other: Self) -> Self {
        Self::new(self.top * other.bottom + other.top * self.bottom, self.bottom * other.bottom)
    }

    fn times(self, top: i64, bottom: i64) -> Self {
        Self::new(self.top * I256::from(top), self.bottom * I256::from(bottom))
    }

    /// Whether `amount` is within `units` of 1e-18.
    pub(crate) fn is_near(self, amount: Amount, units: u64) -> bool {
        let one = I256::from(Amount::ONE.units());
        let distance = I256::from(amount.units()) * self.bottom - self.top * one;
        distance.abs() <= self.bottom * I256::from(units)
    }
}

/// A position that knows no rounding: whole lots, whole prices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) quantity: i64,
    /// The total cost, with the sign of the quantity.
    pub(crate) cost: Fraction,
    pub(crate) realized: Fraction,
}

impl Position {
    pub(crate) fn flat() -> Self {
        Self { quantity: 0, cost: Fraction::whole(0), realized: Fraction::whole(0) }
    }

    /// Books lot by lot, which is slow, and plainly right.
    pub(crate) fn fill(&mut self, side: Side, lots: i64, price: i64) {
        let step = if side == Side::Buy { 1 } else { -1 };
        for _ in 0..lots {
            if self.quantity * step >= 0 {
                self.cost = self.cost.plus(Fraction::whole(step * price));
            } else {
                // One lot leaves at the average; what it brings above its cost is profit.
                let removed = self.cost.times(1, self.quantity.abs());
                self.cost = self.cost.plus(removed.times(-1, 1));
                self.realized =
                    self.realized.plus(Fraction::whole(-step * price)).plus(removed.times(-1, 1));
            }
            self.quantity += step;
        }
    }
}
