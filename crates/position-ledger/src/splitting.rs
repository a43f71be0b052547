//! Splits: a position and its shares in other units, and cash for what is no whole one.

use crate::action::Split;
use crate::amount::Amount;
use crate::derive::{States, birth, state_of};
use crate::error::{AmountError, AppendError};
use crate::instrument::Instrument;
use crate::lots::Parts;
use crate::slots::Deed;
use crate::state::of;

/// Splits a position and its shares; what is paid for fractions is that of the position.
///
/// Each share has its part of that, in proportion to what it holds: they still add up, in quantity and in cash.
pub(crate) fn run_split(
    states: &mut States,
    (terms, ends): (&Instrument, &[u32]),
    deed: &Deed,
    split: &Split,
) -> Result<(), AppendError> {
    let ratio = (split.new, split.old);
    let Some(main) = ends.first() else { return Ok(()) };
    let held = state_of(states, *main)?.holding.quantity;
    let scaled = held.mul_div(split.new, split.old).map_err(of("quantity"))?;
    let beyond = split.in_lieu.map_or(Amount::ZERO, |in_lieu| scaled.remainder(in_lieu.whole));
    let Some(in_lieu) = split.in_lieu.filter(|_| !beyond.is_zero()) else {
        return scale(states, (terms, ends), ratio, ratio);
    };
    let kept = scaled.checked_sub(beyond).map_err(of("quantity"))?;
    let worth = |part: Amount| terms.value(part.abs(), in_lieu.price);
    let pieces = (held.checked_mul(split.new), kept.checked_mul(split.old));
    let (Ok(all), Ok(rest), true) = (pieces.0, pieces.1, split.old >= Amount::ONE) else {
        scale(states, (terms, ends), ratio, ratio)?;
        return cash_out(states, (terms, ends), (deed, beyond), &worth);
    };
    // A third has no end, but three of them are a whole: so it is counted in pieces of which `old` make a new unit.
    scale(states, (terms, ends), (all, held), (Amount::ONE, Amount::ONE))?;
    let part = all.checked_sub(rest).map_err(of("quantity"))?;
    let worth = |pieces: Amount| worth(pieces)?.mul_div(Amount::ONE, split.old);
    cash_out(states, (terms, ends), (deed, part), &worth)?;
    scale(states, (terms, ends), (kept, rest), ratio)
}

/// Scales a position and its shares to their parts of a ratio, and the prices of lots to those after a split.
fn scale(
    states: &mut States,
    (terms, ends): (&Instrument, &[u32]),
    parts: (Amount, Amount),
    split: (Amount, Amount),
) -> Result<(), AppendError> {
    let Some((main, shares)) = ends.split_first() else { return Ok(()) };
    state_of(states, *main)?.split(terms, &mut Parts::of(parts), split)?;
    let mut scaled = Parts::of(parts);
    shares.iter().try_for_each(|share| state_of(states, *share)?.split(terms, &mut scaled, split))
}

/// Closes a part of a position for what it is worth, and of each share its part of that.
fn cash_out(
    states: &mut States,
    (terms, ends): (&Instrument, &[u32]),
    (deed, part): (&Deed, Amount),
    worth: &dyn Fn(Amount) -> Result<Amount, AmountError>,
) -> Result<(), AppendError> {
    let Some((main, shares)) = ends.split_first() else { return Ok(()) };
    if part.is_zero() {
        return Ok(());
    }
    let (opening, all) = (birth(terms, deed), worth(part).map_err(of("cash_in_lieu"))?);
    let state = state_of(states, *main)?;
    let mut parts = Parts::of((part, state.holding.quantity));
    let mut cash = Parts::of((all, part.abs()));
    state.cash_out(terms, (part, all), opening)?;
    for share in shares {
        let state = state_of(states, *share)?;
        let part = parts.next(state.holding.quantity).map_err(of("quantity"))?;
        let worth = cash.next(part).map_err(of("cash_in_lieu"))?.abs();
        state.cash_out(terms, (part, worth), opening)?;
    }
    Ok(())
}
