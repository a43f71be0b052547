//! What the operator sees at the end.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// The result of a run; as JSON one object with these keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Decided ids, jitter and faults.
    pub seed: u64,
    /// Bars in the market data.
    pub market_events: u64,
    /// Real time from start to report.
    pub elapsed_ms: u64,
    /// Commits that waited for the disk.
    pub durable_commits: u64,
    /// Orders in the books.
    pub orders: Orders,
    /// Fills in the books.
    pub fills: Fills,
    /// How often the venue injected each kind of fault.
    pub faults_injected: BTreeMap<String, u64>,
    /// Attempts after the first, of all calls to the venue.
    pub retries: u64,
    /// Failures by component and kind, and whether a result came of them all the same.
    pub errors: BTreeMap<String, BTreeMap<String, Errors>>,
    /// Share of the recoverable faults whose harm was repaired.
    pub recovery_rate: f64,
    /// Longest simulated time from a fault to its notice.
    pub detect_s_max: f64,
    /// Longest simulated time from a fault to its repair; for an outage from its end.
    pub recover_s_max: f64,
    /// Longest simulated time from a trade to its booking, outages left out.
    pub consistency_age_s_max: f64,
    /// Longest simulated time from any event of the venue, those of orders included, to the moment
    /// at which the books knew of it, outages left out.
    pub news_age_s_max: f64,
    /// The breaker in front of the venue.
    pub breaker: Breaker,
    /// Messages that could not be handled at once.
    pub dead_letters: DeadLetters,
    /// Letters that are still open, each with its reason.
    pub open_letters: Vec<OpenLetter>,
    /// Comparisons with the venue's books.
    pub reconciliation: Reconciliation,
    /// Snapshots of profit and loss.
    pub pnl_snapshots: PnlSnapshots,
    /// Those that are no longer as they were kept.
    pub damaged_snapshots: Vec<DamagedSnapshot>,
    /// The journal.
    pub ledger: Ledger,
    /// Realised profit and fees by currency, as decimal strings.
    pub money: BTreeMap<String, Money>,
    /// Alerts raised.
    pub alerts: u64,
    /// The last alerts, in words.
    pub last_alerts: Vec<String>,
    /// Why the host halted, if it did.
    pub halted: Option<String>,
    /// Instruments that are set apart, and why.
    pub isolated: BTreeMap<String, String>,
    /// What must hold whatever fails.
    pub invariants: Vec<Invariant>,
    /// Whether every invariant holds.
    pub ok: bool,
}

/// Orders in the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// Intents on disk.
    pub intended: u64,
    /// Known to have been accepted.
    pub accepted: u64,
    /// Rejected by the venue.
    pub rejected: u64,
    /// Of unknown outcome at first, found out by look-up.
    pub unknown_resolved: u64,
    /// Orders beyond the first for one intent.
    pub duplicates_at_venue: u64,
}

/// Fills in the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fills {
    /// All of them.
    pub total: u64,
    /// Those for less than the order.
    pub partial: u64,
    /// Brought by reconciliation.
    pub recovered: u64,
}

/// Failures of one kind in one component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// After which the operation came to a result: by a retry, or by a look-up.
    pub recovered: u64,
    /// After which it did not, or a human was told.
    pub failed: u64,
}

/// The breaker in front of the venue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Times that it opened.
    pub opened: u64,
    /// Orders that it kept back.
    pub rejected: u64,
}

/// Messages that could not be handled at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// Letters ever put, parked ones included.
    pub put: u64,
    /// Handled again.
    pub replayed: u64,
    /// Done with.
    pub resolved: u64,
    /// Still open.
    pub remaining: u64,
    /// Put by this process, and not there.
    pub lost: u64,
}

/// A letter that is still open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLetter {
    /// Its id.
    pub id: String,
    /// The instrument that it names.
    pub symbol: String,
    /// How it stands.
    pub state: String,
    /// Why it was put.
    pub reason: String,
}

/// Comparisons with the venue's books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Comparisons made.
    pub runs: u64,
    /// Differences found.
    pub found: u64,
    /// Repaired by rule.
    pub auto_resolved: u64,
    /// Left to a human.
    pub manual: u64,
    /// Differences that are there now.
    pub remaining: u64,
}

/// Snapshots of profit and loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PnlSnapshots {
    /// Kept.
    pub taken: u64,
    /// Of them on the grid of times.
    pub periodic: u64,
    /// Of them at the end of a day.
    pub end_of_day: u64,
    /// Of them after a comparison with the venue's books.
    pub reconciliation: u64,
    /// Published as kept, in agreement with the books of their time.
    pub verified: u64,
    /// Published with a drift that the limits allow.
    pub accepted: u64,
    /// Not as they were taken, or not in agreement with the books.
    pub mismatched: u64,
    /// Due, and not taken.
    pub missing: u64,
}

/// A snapshot that is no longer as it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedSnapshot {
    /// The checksum that it is kept under.
    pub checksum: String,
    /// What is wrong with it.
    pub why: String,
}

/// The journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Entries.
    pub entries: u64,
    /// Fills among them.
    pub fills: u64,
    /// The last hash of the chain.
    pub head: String,
    /// Whether the whole chain was read again and verified.
    pub chain_verified: bool,
    /// Whether positions, balances and fees are the venue's.
    pub equals_venue: bool,
}

/// Money of one currency, as decimal strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Without fees.
    pub realized_gross: String,
    /// Paid.
    pub fees: String,
    /// Deposits, adjustments, realised profit and fees.
    pub balance: String,
}

/// What must hold whatever fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invariant {
    /// A stable name.
    pub name: String,
    /// Whether it holds; absent when it was not checked, which counts as broken.
    pub holds: Option<bool>,
    /// Figures, or the first thing at fault.
    pub detail: String,
}

/// The report as text, for a terminal.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Orders { intended, accepted, rejected, unknown_resolved, duplicates_at_venue } =
            self.orders;
        writeln!(f, "seed {}, {} bars, {} ms", self.seed, self.market_events, self.elapsed_ms)?;
        writeln!(
            f,
            "orders          {intended} intended, {accepted} accepted, {rejected} rejected, \
             {unknown_resolved} unknown and found out, {duplicates_at_venue} duplicates"
        )?;
        let Fills { total, partial, recovered } = self.fills;
        writeln!(f, "fills           {total}, {partial} partial, {recovered} recovered")?;
        for (currency, money) in &self.money {
            let Money { realized_gross, fees, balance } = money;
            writeln!(
                f,
                "money           {currency} {realized_gross} realised, {fees} fees, {balance} held"
            )?;
        }
        let faults: u64 = self.faults_injected.values().sum();
        writeln!(f, "faults          {faults} injected, {} retries", self.retries)?;
        self.write_errors(f)?;
        writeln!(
            f,
            "recovery        {:.2} % of the damage repaired, noticed within {:.1} s, repaired within {:.1} s, \
             books level within {:.1} s",
            percent(self.recovery_rate),
            self.detect_s_max,
            self.recover_s_max,
            self.consistency_age_s_max
        )?;
        let Breaker { opened, rejected } = self.breaker;
        writeln!(f, "breaker         opened {opened} times, kept {rejected} orders back")?;
        let DeadLetters { put, resolved, remaining, .. } = self.dead_letters;
        writeln!(f, "dead letters    {put} put, {resolved} resolved, {remaining} remaining")?;
        let Reconciliation { runs, found, auto_resolved, manual, remaining } = self.reconciliation;
        writeln!(
            f,
            "reconciliation  {runs} runs, {found} found, {auto_resolved} repaired, {manual} \
             manual, {remaining} remaining"
        )?;
        self.write_snapshots(f)?;
        let Ledger { entries, head, .. } = &self.ledger;
        writeln!(f, "ledger          {entries} entries, {} commits", self.durable_commits)?;
        writeln!(f, "                head {head}")?;
        for alert in &self.last_alerts {
            writeln!(f, "alert           {alert}")?;
        }
        for OpenLetter { id, symbol, state, reason } in &self.open_letters {
            writeln!(f, "open letter     {id} of {symbol:?} {state} {reason}")?;
        }
        if let Some(reason) = &self.halted {
            writeln!(f, "halted          {reason}")?;
        }
        for (symbol, reason) in &self.isolated {
            writeln!(f, "set apart       {symbol}: {reason}")?;
        }
        for Invariant { name, holds, detail } in &self.invariants {
            let holds = match holds {
                Some(true) => "holds",
                Some(false) => "BROKEN",
                None => "NOT CHECKED",
            };
            writeln!(f, "  {name:<28} {holds}  {detail}")?;
        }
        write!(f, "{}", if self.ok { "ok" } else { "NOT OK" })
    }
}

impl Report {
    fn write_snapshots(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PnlSnapshots { taken, verified, accepted, mismatched, missing, .. } =
            self.pnl_snapshots;
        writeln!(
            f,
            "pnl snapshots   {taken} taken, {verified} verified, {accepted} accepted with a drift, \
             {mismatched} mismatched, {missing} missing"
        )?;
        for DamagedSnapshot { why, .. } in &self.damaged_snapshots {
            writeln!(f, "                {why}")?;
        }
        Ok(())
    }

    fn write_errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (component, kinds) in &self.errors {
            let of_kind = |(kind, Errors { recovered, failed }): (&String, &Errors)| {
                format!("{kind} {recovered} overcome {failed} final")
            };
            let kinds: Vec<_> = kinds.iter().map(of_kind).collect();
            writeln!(f, "errors          {component}: {}", kinds.join(", "))?;
        }
        Ok(())
    }
}

#[expect(clippy::float_arithmetic, reason = "a share for the reader, not an amount")]
fn percent(share: f64) -> f64 {
    share * 100.0
}
