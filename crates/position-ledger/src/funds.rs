//! Funds: what an account has in a currency, what open orders lock of it, and what is free.

use crate::amount::Amount;
use crate::books::Books;
use crate::error::FundsError;
use crate::fill::Side;
use crate::instrument::Instrument;
use crate::name::{Account, Currency, InstrumentId};
use crate::order::Order;
use crate::rules::Contract;

/// Money of an account in one currency: `total = locked + free`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funds {
    /// All of it.
    pub total: Amount,
    /// What open orders may take; orders of unknown outcome count, since they may be at the venue.
    pub locked: Amount,
    /// The rest; below zero when orders may take more than there is.
    pub free: Amount,
}

impl Books {
    /// What an account has, what its open orders lock, and what is free.
    ///
    /// An open order of a spot pair locks what is not filled yet: a buy its value at the limit, a sell its quantity.
    /// A market buy is valued by `price_of`, since nothing else says what it will take.
    /// Contracts lock their margin at the venue, which only the venue knows: they lock nothing here.
    ///
    /// # Errors
    ///
    /// [`FundsError::NoBalance`] when the account never had the currency;
    /// [`FundsError::Unpriced`] naming the order whose price nobody knows; a lock is never taken for zero.
    pub fn funds(
        &self,
        account: &Account,
        currency: &Currency,
        price_of: impl Fn(&InstrumentId) -> Option<Amount>,
    ) -> Result<Funds, FundsError> {
        let Some(balance) = self.balance(account, currency) else {
            return Err(FundsError::NoBalance {
                account: account.clone(),
                currency: currency.clone(),
            });
        };
        let total = balance.total;
        let mut locked = Amount::ZERO;
        for order in self.open_orders().filter(|order| order.account() == account) {
            let Some(terms) = self.instruments().find(&order.intent().instrument) else { continue };
            if terms.contract() == Contract::Spot {
                locked = locked.checked_add(lock(order, terms, currency, &price_of)?)?;
            }
        }
        Ok(Funds { total, locked, free: total.checked_sub(locked)? })
    }
}

/// What one order of a spot pair locks of a currency.
fn lock(
    order: &Order,
    terms: &Instrument,
    currency: &Currency,
    price_of: &impl Fn(&InstrumentId) -> Option<Amount>,
) -> Result<Amount, FundsError> {
    let intent = order.intent();
    let open = intent.quantity.checked_sub(order.filled())?;
    match intent.side {
        Side::Sell if terms.base() == Some(currency) => Ok(open),
        Side::Buy if terms.settlement() == currency => {
            let price = intent.limit.or_else(|| price_of(&intent.instrument));
            let price = price.ok_or(FundsError::Unpriced(intent.order_id))?;
            // A negative price takes nothing.
            Ok(terms.value(open, price)?.max(Amount::ZERO))
        }
        _ => Ok(Amount::ZERO),
    }
}
