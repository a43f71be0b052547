//! The proof that the books add up.

use std::collections::BTreeMap;

use ethnum::I256;

use crate::books::Books;
use crate::error::Imbalance;
use crate::money::Balance;
use crate::name::Currency;
use crate::position::Position;
use crate::rules::Contract;
use crate::wide;

impl Books {
    /// Proves that nothing created or lost money.
    ///
    /// Per position `realized - side * open_cost` is its net cash flow, and a flat one costs nothing.
    /// Per balance the total is the sum of its parts; what positions make of it is what the positions say.
    /// The cost grows with positions and balances, not with the history.
    ///
    /// # Errors
    ///
    /// [`Imbalance`] with the first figure that does not add up.
    pub fn check_conservation(&self) -> Result<(), Imbalance> {
        let mut of_positions: BTreeMap<_, Sums> = BTreeMap::new();
        for position in self.positions().into_iter().chain(self.shares()) {
            let imbalance = || Imbalance {
                account: position.account().clone(),
                what: format!("position {}", position.instrument().id()),
            };
            if !position.slot.state.is_conserved(position.instrument()) {
                return Err(imbalance());
            }
            if position.slot.main.is_some() {
                continue;
            }
            for (currency, parts) in parts_of(&position) {
                let all = of_positions.entry((position.account, currency)).or_default();
                all.iter_mut().zip(parts).for_each(|(sum, part)| *sum = sum.wrapping_add(part));
            }
        }
        for (account, currency, balance) in self.balances() {
            let Balance { realized_gross, invested, funding, income, held, .. } = balance;
            let held = [realized_gross, invested, funding, income, held];
            let held = held.map(|part| wide::sum([part]));
            let right = of_positions.get(&(account, currency)).copied().unwrap_or_default();
            if !balance.is_conserved() || held != right {
                return Err(Imbalance {
                    account: account.clone(),
                    what: format!("balance {currency}"),
                });
            }
        }
        Ok(())
    }
}

/// Realized profit, what of spot positions is not back in cash yet, funding, income, and units held: exact in any range.
type Sums = [I256; 5];

/// What a position has of each, by currency.
fn parts_of<'a>(position: &Position<'a>) -> impl Iterator<Item = (&'a Currency, Sums)> {
    let terms = position.instrument();
    let base = terms.base().filter(|_| terms.contract() == Contract::Spot);
    let (realized, nothing) = (position.realized_gross(), I256::ZERO);
    let (cash, carried) = (position.cash_flow(), position.slot.state.carried);
    let invested = base.map(|_| [realized, cash.negated(), carried]);
    let money = [
        wide::sum([realized]),
        wide::sum(invested.into_iter().flatten()),
        wide::sum([position.funding()]),
        wide::sum([position.income()]),
        nothing,
    ];
    // A fee in kind is out of the quantity, and stands with the fees.
    let fees = position.fees().into_iter().filter(|(currency, _)| Some(*currency) == base);
    let units = wide::sum(fees.map(|(_, fee)| fee).chain([position.quantity()]));
    let units = base.map(|base| (base, [nothing, nothing, nothing, nothing, units]));
    std::iter::once((terms.settlement(), money)).chain(units)
}
