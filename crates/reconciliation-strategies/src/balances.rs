//! Balances, judged after the trades and positions that may explain them.

use rust_decimal::Decimal;

use crate::{
    Action,
    exact::Exact,
    findings::{Finding, Kind, Outcome, Subject},
    join::{Row, join},
    limits::Authority,
    rows::BalanceRow,
    run::Run,
};

/// Judges every balance that differs.
pub(crate) fn compare(run: &mut Run<'_, '_>) {
    let Some([ours, theirs]) = run.both(|statement| &statement.balances) else { return };
    let mut breaks = Vec::new();
    run.compared.balances = join(&ours, &theirs, |[ours, theirs]| {
        let total = |row: Option<&BalanceRow<'_>>| row.map(|row| row.total);
        if total(ours).unwrap_or_default() != total(theirs).unwrap_or_default() {
            breaks.extend(theirs.or(ours).map(|row| (row, total(ours), total(theirs))));
        }
    });
    for (row, internal, external) in breaks {
        let theirs = external.unwrap_or_default();
        let difference = Exact::difference(theirs, internal.unwrap_or_default());
        let rule = run.policy.balance;
        let step = Decimal::ZERO;
        if difference.is_some_and(|difference| rule.tolerance.covers(difference, theirs, step)) {
            continue;
        }
        let outcome = outcome(run, &row.account, difference);
        let difference = difference.and_then(Exact::decimal);
        let finding = Finding::new(Kind::Balance, row.subject(), outcome)
            .with_figures(internal, external, difference);
        if let (Outcome::Auto, Some(amount)) = (outcome, difference) {
            run.plan(Action::AdjustBalance {
                account: row.account.to_string(),
                currency: row.currency.to_string(),
                amount,
                finding: finding.id,
            });
        }
        run.findings.push(finding);
    }
}

fn outcome(run: &Run<'_, '_>, account: &str, difference: Option<Exact>) -> Outcome {
    let limit = Exact::of(run.policy.auto_resolve_limit);
    let within = |difference: Exact| {
        let size = difference.magnitude();
        // The action states the amount as a decimal, so it has to fit one.
        size.is_some_and(|size| size.compare(limit).is_le()) && difference.decimal().is_some()
    };
    match cause(run, account) {
        Some(outcome) => outcome,
        None if run.policy.balance.authority == Authority::Internal => Outcome::Accepted,
        None if difference.is_some_and(within) => Outcome::Auto,
        None => Outcome::Manual,
    }
}

/// What the trades and positions of the account leave to decide about its money.
///
/// A fill moves money too: adjusting it before the fill is booked would count it twice.
fn cause(run: &Run<'_, '_>, account: &str) -> Option<Outcome> {
    let in_flight = run.context.in_flight.is_some_and(|known| known.touches_account(account));
    let skipped = run.skipped.iter().any(|skipped| skipped.subject.account() == account);
    let moves =
        |subject: &Subject| matches!(subject, Subject::Trade { .. } | Subject::Position { .. });
    let mut of_account = run.findings.iter().filter(|found| {
        found.subject.account() == account
            && moves(&found.subject)
            && found.kind != Kind::AveragePrice
    });
    if in_flight || skipped || of_account.clone().any(|found| is_moving(found.outcome)) {
        return Some(Outcome::Deferred);
    }
    of_account.any(is_open).then_some(Outcome::Manual)
}

fn is_moving(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Auto | Outcome::Deferred)
}

/// Whether nobody knows yet what really happened to the trade or position.
fn is_open(found: &Finding) -> bool {
    found.outcome == Outcome::Manual || found.kind == Kind::MalformedSource
}
