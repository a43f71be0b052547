//! Positions, and the trades that explain their differences.

use rust_decimal::Decimal;

use crate::{
    coverage::{Reason, Skipped},
    exact::Exact,
    findings::{Finding, Kind, Outcome},
    join::{Row, join},
    limits::Authority,
    rows::PositionRow,
    run::Run,
    trades::Gap,
};

/// Account and instrument.
type Key<'r> = (&'r str, &'r str);

/// A key whose two positions do not match.
#[derive(Debug)]
struct Break<'r, 'a> {
    /// The row that names the key: the external one where there is one.
    row: &'r PositionRow<'a>,
    /// Ours, when it is not flat.
    internal: Option<&'r PositionRow<'a>>,
    /// Theirs, when it is not flat.
    external: Option<&'r PositionRow<'a>>,
    /// How the quantities differ; `None` when only the averages do.
    quantity: Option<Kind>,
}

/// What the two sides' trades say about the positions of their key.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    /// The trades account for the whole difference; it is no finding of its own.
    explained: bool,
    /// What becomes of a trade that our book lacks; `Deferred` holds for the whole key.
    trades: Outcome,
}

/// Judges every key that has unlike positions or trades.
pub(crate) fn compare<'r, 'a>(run: &mut Run<'r, 'a>, gaps: &[Gap<'r, 'a>]) {
    let breaks = breaks(run);
    let observed = breaks.is_some();
    let mut breaks = breaks.unwrap_or_default().into_iter().peekable();
    for group in gaps.chunk_by(|a, b| key_of(a) == key_of(b)) {
        let Some(key) = group.first().map(key_of) else { continue };
        while let Some(alone) = breaks.next_if(|next| next.key() < key) {
            judge(run, alone.key(), Some(&alone), &[], observed);
        }
        let here = breaks.next_if(|next| next.key() == key);
        judge(run, key, here.as_ref(), group, observed);
    }
    for alone in breaks {
        judge(run, alone.key(), Some(&alone), &[], observed);
    }
}

fn key_of<'r>(gap: &Gap<'r, '_>) -> Key<'r> {
    (&gap.row.account, &gap.row.instrument)
}

/// The keys whose positions do not match, in order; `None` when positions were not observed.
fn breaks<'r, 'a>(run: &mut Run<'r, 'a>) -> Option<Vec<Break<'r, 'a>>> {
    let [ours, theirs] = run.both(|statement| &statement.positions)?;
    let mut breaks = Vec::new();
    run.compared.positions = join(&ours, &theirs, |[ours, theirs]| {
        if let (Some(ours), Some(theirs)) = (ours, theirs)
            && ours.quantity == theirs.quantity
            && ours.average_price == theirs.average_price
        {
            return;
        }
        let Some(row) = theirs.or(ours) else { return };
        let held = |row: Option<&'r PositionRow<'a>>| row.filter(|row| !row.quantity.is_zero());
        let (internal, external) = (held(ours), held(theirs));
        let found = Break { row, internal, external, quantity: None };
        let quantity = found.quantity_kind(run);
        if quantity.is_some() || found.averages_differ(run) {
            breaks.push(Break { quantity, ..found });
        }
    });
    Some(breaks)
}

impl<'r> Break<'r, '_> {
    fn key(&self) -> Key<'r> {
        (&self.row.account, &self.row.instrument)
    }

    /// The quantities, ours first; `None` is flat.
    fn quantities(&self) -> [Option<Decimal>; 2] {
        [self.internal, self.external].map(|row| row.map(|row| row.quantity))
    }

    /// The average prices, ours first.
    fn averages(&self) -> [Option<Decimal>; 2] {
        [self.internal, self.external].map(|row| row.and_then(|row| row.average_price))
    }

    /// External less internal quantity.
    fn difference(&self) -> Option<Exact> {
        let [ours, theirs] = self.quantities();
        Exact::difference(theirs.unwrap_or_default(), ours.unwrap_or_default())
    }

    fn quantity_kind(&self, run: &Run<'_, '_>) -> Option<Kind> {
        let quantities = self.quantities();
        let external = quantities[1].unwrap_or_default();
        if quantity_matches(run, &self.row.instrument, self.difference(), external) {
            return None;
        }
        Some(match quantities {
            [None, _] => Kind::MissingInternal,
            [_, None] => Kind::MissingExternal,
            [Some(a), Some(b)] if a.is_sign_negative() != b.is_sign_negative() => Kind::Side,
            _ => Kind::Quantity,
        })
    }

    fn averages_differ(&self, run: &Run<'_, '_>) -> bool {
        // A source that states no average says nothing about it.
        let [Some(ours), Some(theirs)] = self.averages() else { return false };
        let step = run.context.steps(&self.row.instrument).map(|steps| steps.price);
        let tolerance = run.policy.average_price.tolerance;
        Exact::difference(theirs, ours).is_none_or(|difference| {
            !tolerance.covers(difference, theirs, step.unwrap_or_default())
        })
    }

    /// Whether the external statement is older than what our book knows of the key.
    fn is_stale(&self, run: &Run<'_, '_>) -> bool {
        let last = self.internal.and_then(|row| row.last_activity);
        last.is_some_and(|at| run.external.as_of < at)
    }

    fn is_young(&self, run: &Run<'_, '_>) -> bool {
        let mut rows = [self.internal, self.external].into_iter().flatten();
        rows.any(|row| row.last_activity.is_some_and(|at| run.is_young(at)))
    }
}

fn quantity_matches(
    run: &Run<'_, '_>,
    instrument: &str,
    difference: Option<Exact>,
    external: Decimal,
) -> bool {
    let step = run.context.steps(instrument).map(|steps| steps.lot).unwrap_or_default();
    let tolerance = run.policy.quantity.tolerance;
    difference.is_some_and(|difference| tolerance.covers(difference, external, step))
}

fn judge<'r, 'a>(
    run: &mut Run<'r, 'a>,
    key: Key<'_>,
    found: Option<&Break<'r, 'a>>,
    gaps: &[Gap<'r, 'a>],
    observed: bool,
) {
    let stale = found.filter(|found| found.is_stale(run));
    if let Some(found) = stale {
        run.skipped.push(Skipped { subject: found.row.subject(), reason: Reason::StaleSource });
    }
    let verdict = match stale {
        Some(_) => Verdict { explained: true, trades: Outcome::Deferred },
        None => verdict(run, key, found, gaps, observed),
    };
    for gap in gaps {
        report_trade(run, gap, verdict);
    }
    if let Some(found) = found.filter(|_| stale.is_none()) {
        report_position(run, found, gaps.is_empty(), verdict);
    }
}

fn verdict(
    run: &Run<'_, '_>,
    key: Key<'_>,
    found: Option<&Break<'_, '_>>,
    gaps: &[Gap<'_, '_>],
    observed: bool,
) -> Verdict {
    let (account, instrument) = key;
    let in_flight = run.context.in_flight;
    if in_flight.is_some_and(|known| known.has_key(account, instrument)) {
        return Verdict { explained: false, trades: Outcome::Deferred };
    }
    if !observed {
        return Verdict { explained: true, trades: Outcome::Auto };
    }
    let waiting = in_flight.is_some_and(|known| known.touches(account, instrument))
        || gaps.iter().any(|gap| gap.arriving)
        || found.is_some_and(|found| found.is_young(run));
    let differs = found.filter(|found| found.quantity.is_some());
    let difference = differs.map_or(Some(Exact::ZERO), Break::difference);
    let external = found.and_then(|found| found.quantities()[1]).unwrap_or_default();
    let matches = |rest| quantity_matches(run, instrument, rest, external);
    let lacking = gaps.iter().filter(|gap| gap.kind == Kind::TradeMissingInternal);
    // Only these can be applied; the others explain, but stay as they are.
    let repaired = rest(difference, lacking);
    let trades = match (matches(repaired), difference.zip(repaired)) {
        (true, _) if !gaps.is_empty() => Outcome::Auto,
        _ if waiting => Outcome::Deferred,
        (_, Some((whole, rest))) if is_nearer(whole, rest) => Outcome::Auto,
        _ => Outcome::Manual,
    };
    Verdict { explained: matches(repaired) || matches(rest(difference, gaps.iter())), trades }
}

/// What is left of a difference once the other side's trades stand.
fn rest<'g>(
    difference: Option<Exact>,
    mut gaps: impl Iterator<Item = &'g Gap<'g, 'g>>,
) -> Option<Exact> {
    gaps.try_fold(difference?, |rest, gap| rest.minus(gap.change()?))
}

/// Whether `rest` is on the same side of zero as `whole`, and nearer to it.
fn is_nearer(whole: Exact, rest: Exact) -> bool {
    let sizes = rest.magnitude().zip(whole.magnitude());
    let nearer = sizes.is_some_and(|(rest, whole)| rest.compare(whole).is_lt());
    nearer && rest.signum() == whole.signum()
}

fn report_trade<'r, 'a>(run: &mut Run<'r, 'a>, gap: &Gap<'r, 'a>, verdict: Verdict) {
    let lacking = gap.kind == Kind::TradeMissingInternal;
    let outcome = match run.policy.trades {
        _ if gap.arriving || verdict.trades == Outcome::Deferred => Outcome::Deferred,
        Authority::Internal => Outcome::Accepted,
        Authority::External if lacking => verdict.trades,
        Authority::External => Outcome::Manual,
    };
    let [internal, external] = gap.quantities();
    let finding = Finding::new(gap.kind, gap.row.subject(), outcome).with_figures(
        internal,
        external,
        gap.change().and_then(Exact::decimal),
    );
    if outcome == Outcome::Auto {
        run.plan_trade(gap.row, finding.id);
    }
    run.findings.push(finding);
}

fn report_position(run: &mut Run<'_, '_>, found: &Break<'_, '_>, alone: bool, verdict: Verdict) {
    let outcome = |authority| match authority {
        _ if verdict.trades == Outcome::Deferred => Outcome::Deferred,
        Authority::Internal => Outcome::Accepted,
        Authority::External => Outcome::Manual,
    };
    let differs = found.quantity.filter(|_| !verdict.explained);
    if let Some(kind) = differs {
        let [internal, external] = found.quantities();
        let difference = found.difference().and_then(Exact::decimal);
        let finding =
            Finding::new(kind, found.row.subject(), outcome(run.policy.quantity.authority));
        run.findings.push(finding.with_figures(internal, external, difference));
    }
    // An average belongs to its quantity: while that has to be repaired, only an average that we
    // keep anyway is told.
    let authority = run.policy.average_price.authority;
    let settled = found.quantity.is_none() && alone;
    if (settled || authority == Authority::Internal) && found.averages_differ(run) {
        let [internal, external] = found.averages();
        let difference = external
            .zip(internal)
            .and_then(|(theirs, ours)| Exact::difference(theirs, ours))
            .and_then(Exact::decimal);
        let finding = Finding::new(Kind::AveragePrice, found.row.subject(), outcome(authority));
        run.findings.push(finding.with_figures(internal, external, difference));
    }
}
