//! Trades that one side lacks or states differently.

use backstop_clock::Timestamp;
use rust_decimal::Decimal;

use crate::{
    Context, Policy, Preset, exact::Exact, findings::Kind, join::join, rows::TradeRow, run::Run,
};

/// A trade on which the two sides disagree.
#[derive(Debug)]
pub(crate) struct Gap<'r, 'a> {
    pub(crate) kind: Kind,
    /// The row that names the key: the external one where there is one.
    pub(crate) row: &'r TradeRow<'a>,
    pub(crate) internal: Option<&'r TradeRow<'a>>,
    pub(crate) external: Option<&'r TradeRow<'a>>,
    /// May still be on its way to the side that lacks it.
    pub(crate) arriving: bool,
}

impl Gap<'_, '_> {
    /// The signed quantities, internal first.
    pub(crate) fn quantities(&self) -> [Option<Decimal>; 2] {
        [self.internal, self.external].map(|row| row.map(TradeRow::signed_quantity))
    }

    /// What our position would change by if the other side's trade stood.
    pub(crate) fn change(&self) -> Option<Exact> {
        let exact = |quantity: Option<Decimal>| quantity.map_or(Exact::ZERO, Exact::of);
        let [internal, external] = self.quantities();
        exact(external).minus(exact(internal))
    }
}

/// The gaps in order of account, instrument and trade id; empty when trades were not observed.
pub(crate) fn gaps<'r, 'a>(run: &mut Run<'r, 'a>) -> Vec<Gap<'r, 'a>> {
    let Some([ours, theirs]) = run.both(|statement| &statement.trades) else { return Vec::new() };
    let window = window(run);
    let as_of = run.external.as_of;
    let mut gaps = Vec::new();
    let compared = join(&ours, &theirs, |[internal, external]| {
        let (kind, row) = match (internal, external) {
            (None, Some(theirs)) => (Kind::TradeMissingInternal, theirs),
            // A statement older than the trade cannot hold it.
            (Some(ours), None) if ours.at > as_of => return,
            (Some(ours), None) => (Kind::TradeMissingExternal, ours),
            (Some(ours), Some(theirs)) if !same_content(ours, theirs) => {
                (Kind::TradeMismatch, theirs)
            }
            _ => return,
        };
        if window.is_none_or(|from| row.at >= from) {
            let arriving = is_arriving(run, kind, row);
            gaps.push(Gap { kind, row, internal, external, arriving });
        }
    });
    run.compared.trades = compared;
    gaps
}

fn is_arriving(run: &Run<'_, '_>, kind: Kind, trade: &TradeRow<'_>) -> bool {
    let in_flight = run.context.in_flight.is_some_and(|known| known.has_trade(trade));
    // Content does not change on the way: a mismatch is no matter of time.
    in_flight || (kind != Kind::TradeMismatch && run.is_young(trade.at))
}

/// From when on both lists are complete and the preset looks at all.
///
/// Rows are matched before this is asked, so a trade at the edge never looks missing.
fn window(run: &Run<'_, '_>) -> Option<Timestamp> {
    let lists = run.internal.trades_from.max(run.external.trades_from);
    lists.max(lookback(run.policy, run.context))
}

fn lookback(policy: &Policy, context: &Context<'_>) -> Option<Timestamp> {
    match policy.preset {
        Preset::Full => None,
        Preset::Incremental => {
            let back = i64::try_from(policy.lookback.as_millis()).unwrap_or(i64::MAX);
            Some(Timestamp::from_millis(context.now.as_millis().saturating_sub(back)))
        }
    }
}

fn same_content(ours: &TradeRow<'_>, theirs: &TradeRow<'_>) -> bool {
    ours.side == theirs.side
        && ours.quantity == theirs.quantity
        && ours.price == theirs.price
        && ours.fee == theirs.fee
        && ours.order_id == theirs.order_id
        && (ours.fee.is_zero() || ours.fee_currency == theirs.fee_currency)
}
