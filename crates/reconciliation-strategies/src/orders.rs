//! Open orders; a difference is looked up, never guessed.

use crate::{
    Action,
    exact::Exact,
    findings::{Finding, Kind, Outcome, Subject},
    join::{Row, join},
    rows::OrderRow,
    run::Run,
};

/// Judges every order that is not open in the same way on both sides.
pub(crate) fn compare(run: &mut Run<'_, '_>) {
    let Some([ours, theirs]) = run.both(|statement| &statement.orders) else { return };
    let mut breaks = Vec::new();
    run.compared.orders = join(&ours, &theirs, |[ours, theirs]| match (ours, theirs) {
        (Some(ours), Some(theirs)) if same_content(ours, theirs) => {}
        _ => breaks.extend(theirs.or(ours).map(|row| (row, ours, theirs))),
    });
    for (row, ours, theirs) in breaks {
        let kind = match (ours, theirs) {
            (None, _) => Kind::OrderMissingInternal,
            (_, None) => Kind::OrderMissingExternal,
            _ => Kind::OrderMismatch,
        };
        let outcome = match kind {
            _ if is_waiting(run, row, ours) => Outcome::Deferred,
            // An order that we never sent may be somebody else's.
            Kind::OrderMissingInternal => Outcome::Reported,
            _ => Outcome::Auto,
        };
        let filled = [ours, theirs].map(|row| row.map(|row| row.filled));
        let [internal, external] = filled;
        let difference = external
            .zip(internal)
            .and_then(|(theirs, ours)| Exact::difference(theirs, ours))
            .and_then(Exact::decimal);
        let finding =
            Finding::new(kind, row.subject(), outcome).with_figures(internal, external, difference);
        if outcome == Outcome::Auto {
            run.plan(Action::ResolveOrder {
                account: row.account.to_string(),
                instrument: row.instrument.to_string(),
                order_id: row.order_id.to_string(),
                finding: finding.id,
            });
        }
        run.findings.push(finding);
    }
}

/// Whether the order is changing, or its trades are about to explain it.
fn is_waiting(run: &Run<'_, '_>, row: &OrderRow<'_>, ours: Option<&OrderRow<'_>>) -> bool {
    let in_flight = run.context.in_flight;
    let updated = row.updated.max(ours.and_then(|row| row.updated));
    let changing = updated.is_some_and(|at| run.is_young(at) || at > run.external.as_of);
    changing
        || in_flight.is_some_and(|known| known.touches(&row.account, &row.instrument))
        || run.findings.iter().any(|found| {
            matches!(found.outcome, Outcome::Auto | Outcome::Deferred)
                && is_trade_of(&found.subject, row)
        })
}

fn is_trade_of(subject: &Subject, row: &OrderRow<'_>) -> bool {
    let Subject::Trade { account, instrument, .. } = subject else { return false };
    *account == row.account && *instrument == row.instrument
}

fn same_content(ours: &OrderRow<'_>, theirs: &OrderRow<'_>) -> bool {
    ours.side == theirs.side
        && ours.quantity == theirs.quantity
        && ours.filled == theirs.filled
        && ours.price == theirs.price
}
