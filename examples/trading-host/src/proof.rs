//! Proves, or disproves, what must hold whatever fails, against the venue's own audit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use backstop_clock::Timestamp;
use backstop_position_ledger::{
    Account, Amount, Books, InstrumentId,
    fill::{Booked, Side, Source, TradeId},
    order::Status,
};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    alerts::utc,
    host::{FLATTEN, Host},
    report::{
        Breaker, DamagedSnapshot, DeadLetters, Fills, Invariant, Ledger, Money, OpenLetter, Orders,
        PnlSnapshots, Reconciliation, Report,
    },
    startup::Began,
    venue::{self, Audit, FaultSubject, Trade},
};

/// How long a request may be on its way to the venue.
const ON_ITS_WAY_MAX: Duration = Duration::from_millis(100);

/// Faults whose harm is meant to stay: a reject is an answer, and a clock is what it is.
const NOT_RECOVERABLE: [&str; 2] = ["reject", "clock_skew"];

/// What a report is made of, beside the host's own state.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The truth, as the venue knows it.
    pub audit: &'a Audit,
    /// Where the run began.
    pub began: Began,
    /// Bars in the market data.
    pub market_events: u64,
    /// What became of the letters.
    pub letters: DeadLetters,
    /// Those that are still open.
    pub open_letters: &'a [OpenLetter],
    /// What became of the snapshots.
    pub snapshots: PnlSnapshots,
    /// Those that are no longer as they were kept.
    pub damaged_snapshots: &'a [DamagedSnapshot],
}

/// Puts the report together.
///
/// `seed`, `elapsed_ms` and `durable_commits` are the caller's to fill in.
pub fn report(host: &Host, evidence: &Evidence<'_>) -> Report {
    let Evidence { audit, began, market_events, letters, open_letters, snapshots, .. } = *evidence;
    let books = host.accounts.view();
    let chain = chain(host, &books);
    let level = level_with(&books, audit);
    let invariants = invariants(host, &books, evidence, (&chain, &level));
    let times = times(host, audit, began);
    let counts = host.reconciled();
    let breaker = host.guard.breaker();
    Report {
        seed: 0,
        market_events,
        elapsed_ms: 0,
        durable_commits: 0,
        orders: orders(host, &books, audit),
        fills: fills(&books),
        faults_injected: injected(audit),
        retries: host.guard.retries(),
        errors: host.errors.counted(host.accounts.now()),
        recovery_rate: times.recovery_rate,
        detect_s_max: times.detect.as_secs_f64(),
        recover_s_max: times.recover.as_secs_f64(),
        consistency_age_s_max: times.consistency.as_secs_f64(),
        news_age_s_max: times.news.as_secs_f64(),
        breaker: Breaker { opened: breaker.opened, rejected: breaker.rejected },
        dead_letters: letters,
        open_letters: open_letters.to_vec(),
        reconciliation: Reconciliation {
            runs: counts.runs,
            found: counts.found,
            auto_resolved: counts.auto_resolved,
            manual: counts.manual,
            remaining: length(level.len()),
        },
        pnl_snapshots: snapshots,
        damaged_snapshots: evidence.damaged_snapshots.to_vec(),
        ledger: Ledger {
            entries: books.sequence(),
            fills: length(books.fills().len()),
            head: books.head().to_string(),
            chain_verified: chain.is_ok(),
            equals_venue: level.is_empty(),
        },
        money: money(&books),
        alerts: length(host.alerts_raised()),
        last_alerts: host.last_alerts(),
        isolated: isolated(host),
        halted: host.halt.called().map(|called| called.reason),
        ok: invariants.iter().all(|invariant| invariant.holds == Some(true)),
        invariants,
    }
}

/// The journal read again: the chain holds, and leads to the same state.
fn chain(host: &Host, books: &Books) -> Result<String, String> {
    let again = host.accounts.replay().map_err(|error| error.to_string())?;
    if again == *books {
        Ok(format!("{} entries", books.sequence()))
    } else {
        Err("the journal leads to another state".to_owned())
    }
}

fn invariants(
    host: &Host,
    books: &Books,
    evidence: &Evidence<'_>,
    (chain, level): (&Result<String, String>, &[String]),
) -> Vec<Invariant> {
    let Evidence { audit, began, letters, open_letters, snapshots, .. } = *evidence;
    let counts = host.reconciled();
    let (Ok(journal) | Err(journal)) = chain;
    let checks = [
        one_order_per_intent(audit),
        no_order_misjudged(books, audit),
        every_trade_once(host, books, audit),
        adjustments_are_drift(books, audit),
        ("books_equal_venue", level.is_empty(), first_or(level, "to the last step")),
        ("journal_replays", chain.is_ok(), journal.clone()),
        every_letter(letters, open_letters),
        every_snapshot(snapshots),
        nothing_sent_when_closed(host, books, audit, began),
        nothing_sent_after_halt(host, books, audit),
        nothing_sent_while_apart(host, books, audit, began),
        ("nothing_left_to_a_human", counts.manual == 0, format!("{} findings", counts.manual)),
    ];
    let invariant = |(name, holds, detail): Check| Invariant {
        name: name.to_owned(),
        holds: Some(holds),
        detail,
    };
    checks.into_iter().map(invariant).collect()
}

type Check = (&'static str, bool, String);

fn one_order_per_intent(audit: &Audit) -> Check {
    let duplicates = duplicates(audit);
    let detail = match duplicates.first() {
        None => format!("{} orders", audit.orders.len()),
        Some(tag) => format!("{} intents with more than one order, first {tag}", duplicates.len()),
    };
    ("one_order_per_intent", duplicates.is_empty(), detail)
}

fn duplicates(audit: &Audit) -> Vec<Uuid> {
    let mut seen = BTreeSet::new();
    audit.orders.iter().map(|order| order.tag).filter(|tag| !seen.insert(*tag)).collect()
}

/// No order that the venue accepted was ever taken for rejected or never placed.
///
/// A premature "not there" is how a second order comes about under another intent.
fn no_order_misjudged(books: &Books, audit: &Audit) -> Check {
    let accepted: BTreeSet<Uuid> = audit
        .orders
        .iter()
        .filter(|order| !order.rejected)
        .map(|order| order.client_order_id)
        .collect();
    let mut misjudged = Vec::new();
    for order in books.orders() {
        let id = order.intent().order_id;
        let is_given_up = matches!(order.status(), Status::Rejected | Status::NotApplied);
        if order.was_misjudged() || is_given_up && accepted.contains(&id) {
            misjudged.push(id.to_string());
        }
    }
    let detail = first_or(&misjudged, &format!("{} accepted orders", accepted.len()));
    ("no_order_misjudged", misjudged.is_empty(), detail)
}

/// After the halt nothing came to the venue's door but what flattens.
///
/// What was on its way when the halt was called may still arrive.
fn nothing_sent_after_halt(host: &Host, books: &Books, audit: &Audit) -> Check {
    let Some(halt) = host.halt.called() else {
        return ("nothing_sent_after_halt", true, "no halt".to_owned());
    };
    let flattening: BTreeSet<Uuid> = books
        .orders()
        .iter()
        .map(|order| order.intent())
        .filter(|intent| intent.strategy.as_str() == FLATTEN)
        .map(|intent| intent.tag)
        .collect();
    let last = halt.at.saturating_add(ON_ITS_WAY_MAX);
    let late = audit.submits.iter().filter(|(at, tag)| *at > last && !flattening.contains(tag));
    let late: Vec<String> = late.map(|(at, tag)| format!("{tag} at {}", utc(*at))).collect();
    let detail = format!("halted at {}, {} flattening orders", utc(halt.at), flattening.len());
    ("nothing_sent_after_halt", late.is_empty(), first_or(&late, &detail))
}

/// Since an instrument was set apart, nothing of it came to the venue's door.
///
/// That nothing was intended either, the books see to themselves.
/// An operator sets apart after a process has ended, at the time of the last entry; what that
/// process had sent again later came before all the same, so only what this one let through counts.
fn nothing_sent_while_apart(host: &Host, books: &Books, audit: &Audit, began: Began) -> Check {
    let apart: BTreeMap<_, _> = host.accounts.apart().into_iter().collect();
    let mut of_apart: BTreeMap<Uuid, Timestamp> = BTreeMap::new();
    for order in books.orders() {
        let intent = order.intent();
        let Some(isolation) = apart.get(&intent.instrument) else { continue };
        if isolation.sequence > began.sequence || host.guard.sent(intent.tag) > 0 {
            of_apart.insert(intent.tag, isolation.at.saturating_add(ON_ITS_WAY_MAX));
        }
    }
    let late =
        audit.submits.iter().filter(|(at, tag)| of_apart.get(tag).is_some_and(|last| at > last));
    let late: Vec<String> = late.map(|(at, tag)| format!("{tag} at {}", utc(*at))).collect();
    let names: Vec<_> = apart.keys().map(InstrumentId::as_str).collect();
    let detail = format!("set apart: [{}]", names.join(", "));
    ("nothing_sent_while_apart", late.is_empty(), first_or(&late, &detail))
}

fn isolated(host: &Host) -> BTreeMap<String, String> {
    let apart = host.accounts.apart().into_iter();
    apart.map(|(id, why)| (id.as_str().to_owned(), why.reason.to_string())).collect()
}

fn every_trade_once(host: &Host, books: &Books, audit: &Audit) -> Check {
    let dropped: BTreeSet<&String> = audit.dropped_trades.iter().collect();
    let mut faults = Vec::new();
    let mut recovered = Vec::new();
    for (_, trade) in &audit.trades {
        let Some(booked) = find(host.accounts.account(), books, trade) else {
            faults.push(format!("{} lacks", trade.trade_id));
            continue;
        };
        if !agrees(&booked, trade) {
            faults.push(format!("{} differs", trade.trade_id));
        }
        if booked.fill.source != Source::Stream {
            recovered.push(trade.trade_id.clone());
            if !dropped.contains(&trade.trade_id) {
                faults.push(format!("{} was recovered, and had not been lost", trade.trade_id));
            }
        }
    }
    let (ours, theirs) = (books.fills().len(), audit.trades.len());
    if ours != theirs {
        faults.push(format!("{ours} fills for {theirs} trades"));
    }
    let whole = format!("{theirs} trades, recovered: [{}]", recovered.join(", "));
    ("every_trade_once", faults.is_empty(), first_or(&faults, &whole))
}

/// A trade of the venue in the books.
pub fn find(account: &Account, books: &Books, trade: &Trade) -> Option<Booked> {
    let instrument = InstrumentId::new(&trade.symbol).ok()?;
    let trade_id = TradeId::new(&trade.trade_id).ok()?;
    books.fill(account, &instrument, &trade_id)
}

fn agrees(booked: &Booked, trade: &Trade) -> bool {
    let fill = &booked.fill;
    let side = match fill.side {
        Side::Buy => venue::Side::Buy,
        Side::Sell => venue::Side::Sell,
    };
    let same = |ours: Amount, theirs: Decimal| Amount::try_from(theirs) == Ok(ours);
    side == trade.side
        && fill.order_id == trade.client_order_id
        && same(fill.quantity, trade.quantity)
        && same(fill.price, trade.price)
        && same(fill.fee, trade.fee)
        && fill.fee_currency.as_ref().is_some_and(|held| held.as_str() == trade.fee_currency)
}

/// Each adjustment is one drift that was injected before it, to the last decimal.
fn adjustments_are_drift(books: &Books, audit: &Audit) -> Check {
    let mut unexplained = Vec::new();
    let mut drifts: Vec<(&str, Decimal, Timestamp)> = Vec::new();
    for fault in &audit.faults {
        if let FaultSubject::Balance(currency, amount) = &fault.subject {
            drifts.push((currency, *amount, fault.at));
        }
    }
    let shown = |(currency, amount, at): &(&str, Decimal, Timestamp)| {
        format!("{amount} {currency} at {}", utc(*at))
    };
    let injected = drifts.iter().map(shown).collect::<Vec<_>>().join(", ");
    for adjustment in books.adjustments() {
        let explains = |(currency, amount, at): &(&str, Decimal, Timestamp)| {
            *currency == adjustment.currency.as_str()
                && Amount::try_from(*amount) == Ok(adjustment.amount)
                && *at <= adjustment.at
        };
        match drifts.iter().position(explains) {
            Some(place) => drop(drifts.swap_remove(place)),
            None => unexplained.push(format!("{} adjusted", adjustment.amount)),
        }
    }
    unexplained.extend(drifts.iter().map(|drift| format!("{} not adjusted", shown(drift))));
    let detail = first_or(&unexplained, &format!("injected: [{injected}]"));
    ("adjustments_are_drift", unexplained.is_empty(), detail)
}

/// What differs between our figures and the venue's.
pub fn level_with(books: &Books, audit: &Audit) -> Vec<String> {
    let ours = figures(books);
    let mut theirs = BTreeMap::new();
    let kinds =
        [("position", &audit.positions), ("balance", &audit.balances), ("fees", &audit.fees)];
    for (kind, rows) in kinds {
        for (name, amount) in rows.iter().filter(|(_, amount)| !amount.is_zero()) {
            let amount =
                Amount::try_from(*amount).map_or_else(|e| e.to_string(), |a| a.to_string());
            theirs.insert((kind, name.clone()), amount);
        }
    }
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differs = keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key));
    // What is zero is not among the figures.
    let shown = |figure: Option<&String>| figure.map_or_else(|| "0".to_owned(), Clone::clone);
    let in_words = |key: &(&str, String)| {
        let (ours, theirs) = (shown(ours.get(key)), shown(theirs.get(key)));
        format!("{} {}: {ours} in the books, {theirs} at the venue", key.0, key.1)
    };
    differs.map(in_words).collect()
}

/// Positions, balances and fees that are not zero, as canonical text.
fn figures(books: &Books) -> BTreeMap<(&'static str, String), String> {
    let mut figures = BTreeMap::new();
    let mut put = |kind, name: &str, amount: Amount| {
        if !amount.is_zero() {
            figures.insert((kind, name.to_owned()), amount.to_string());
        }
    };
    for position in books.positions() {
        put("position", position.instrument().id().as_str(), position.quantity());
    }
    for (_, currency, balance) in books.balances() {
        put("balance", currency.as_str(), balance.total);
        put("fees", currency.as_str(), balance.fees);
    }
    figures
}

/// Every snapshot that was due was taken, kept and published with the figures of its time.
fn every_snapshot(counts: PnlSnapshots) -> Check {
    let PnlSnapshots { taken, periodic, end_of_day, reconciliation, .. } = counts;
    let PnlSnapshots { verified, mismatched, missing, .. } = counts;
    let holds = verified == taken && mismatched == 0 && missing == 0;
    let detail = if holds {
        format!(
            "{taken} taken: {periodic} periodic, {end_of_day} at the end of a day, \
             {reconciliation} after a comparison"
        )
    } else {
        format!("{taken} taken, {verified} verified, {mismatched} mismatched, {missing} missing")
    };
    ("snapshots_verify", holds, detail)
}

/// Every letter that was put is there, and settled or listed here with its reason.
fn every_letter(letters: DeadLetters, open: &[OpenLetter]) -> Check {
    let DeadLetters { put, remaining, lost, .. } = letters;
    let holds = lost == 0 && remaining == length(open.len());
    let detail = match lost {
        0 => format!("{put} put, open: [{}]", listed(open)),
        _ => format!("{lost} were put and are not there"),
    };
    ("letters_accounted_for", holds, detail)
}

fn listed(open: &[OpenLetter]) -> String {
    let lines: Vec<String> = open
        .iter()
        .map(|letter| format!("{} {} {}", letter.id, letter.state, letter.reason))
        .collect();
    lines.join(", ")
}

/// What came to the venue's door is in the books, and what this process intended was let through
/// by gate, halt and breaker, so many times.
///
/// What an earlier process intended it had let through itself before it was killed, perhaps at
/// the very moment at which this one began: the place in the journal parts the two, not the time.
fn nothing_sent_when_closed(host: &Host, books: &Books, audit: &Audit, began: Began) -> Check {
    let mut arrived: BTreeMap<Uuid, u32> = BTreeMap::new();
    for (_, tag) in &audit.submits {
        *arrived.entry(*tag).or_default() += 1;
    }
    let intended: BTreeMap<Uuid, u64> =
        books.orders().iter().map(|order| (order.intent().tag, order.sequence())).collect();
    let is_uninvited = |tag: &Uuid, times: u32| match intended.get(tag) {
        None => true,
        Some(sequence) => *sequence > began.sequence && host.guard.sent(*tag) < times,
    };
    let uninvited: Vec<String> = arrived
        .iter()
        .filter(|(tag, times)| is_uninvited(tag, **times))
        .map(|(tag, times)| format!("{tag} came {times} times"))
        .collect();
    let detail = format!("{} intents came to the venue", arrived.len());
    ("nothing_sent_when_closed", uninvited.is_empty(), first_or(&uninvited, &detail))
}

fn orders(host: &Host, books: &Books, audit: &Audit) -> Orders {
    let mut orders = Orders {
        unknown_resolved: host.unknown_resolved(),
        duplicates_at_venue: length(duplicates(audit).len()),
        ..Orders::default()
    };
    for order in books.orders() {
        orders.intended += 1;
        match order.status() {
            Status::Rejected => orders.rejected += 1,
            _ if order.venue_order_id().is_some() => orders.accepted += 1,
            _ => {}
        }
    }
    orders
}

fn fills(books: &Books) -> Fills {
    let mut fills = Fills::default();
    for booked in books.fills() {
        fills.total += 1;
        let whole = books.order(booked.fill.order_id).map(|order| order.intent().quantity);
        if whole.is_some_and(|whole| booked.fill.quantity < whole) {
            fills.partial += 1;
        }
        if booked.fill.source != Source::Stream {
            fills.recovered += 1;
        }
    }
    fills
}

fn injected(audit: &Audit) -> BTreeMap<String, u64> {
    let mut injected = BTreeMap::new();
    for fault in &audit.faults {
        *injected.entry(fault.kind.clone()).or_default() += 1;
    }
    injected
}

fn money(books: &Books) -> BTreeMap<String, Money> {
    let mut money = BTreeMap::new();
    for (_, currency, balance) in books.balances() {
        let figures = Money {
            realized_gross: balance.realized_gross.to_string(),
            fees: balance.fees.to_string(),
            balance: balance.total.to_string(),
        };
        money.insert(currency.as_str().to_owned(), figures);
    }
    money
}

struct Times {
    recovery_rate: f64,
    detect: Duration,
    recover: Duration,
    consistency: Duration,
    news: Duration,
}

/// Joins the venue's faults with what the host saw of them.
///
/// A run begins no earlier than the venue has come, so what happened at that very moment belongs
/// to the process before it.
fn times(host: &Host, audit: &Audit, began: Began) -> Times {
    let (mut recoverable, mut recovered) = (0_u32, 0_u32);
    let (mut detect, mut recover) = (Duration::ZERO, Duration::ZERO);
    for fault in &audit.faults {
        if fault.at <= began.at
            || NOT_RECOVERABLE.contains(&fault.kind.as_str())
            || fault.subject == FaultSubject::Other
        {
            continue;
        }
        let (noticed, from, repaired) = seen(host, audit, fault);
        recoverable += 1;
        if let Some(noticed) = noticed {
            detect = detect.max(noticed.since(fault.at));
        }
        if let Some(repaired) = repaired {
            recovered += 1;
            recover = recover.max(outside_outages(audit, from, repaired));
        }
    }
    let consistency = audit
        .trades
        .iter()
        .filter(|(at, _)| *at > began.at)
        .filter_map(|(at, trade)| {
            let booked = host.watch.booked_at(&trade.trade_id)?;
            Some(outside_outages(audit, *at, booked))
        })
        .max()
        .unwrap_or_default();
    let news = (1_u64..)
        .zip(&audit.events)
        .filter(|(_, at)| **at > began.at)
        .filter_map(|(number, at)| {
            Some(outside_outages(audit, *at, host.watch.settled_at(number)?))
        })
        .max()
        .unwrap_or_default();
    // Nothing to recover is everything recovered.
    let recovery_rate = if recoverable == 0 { 1.0 } else { share(recovered, recoverable) };
    Times { recovery_rate, detect, recover, consistency, news }
}

#[expect(clippy::float_arithmetic, reason = "a share for the reader, not an amount")]
fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole)
}

/// When the host noticed a fault, from when repair counts, and when it was repaired.
fn seen(
    host: &Host,
    audit: &Audit,
    fault: &venue::AuditedFault,
) -> (Option<Timestamp>, Timestamp, Option<Timestamp>) {
    match &fault.subject {
        FaultSubject::Outage(number) => {
            // Outages are numbered from 1.
            let place = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
            let over = place.and_then(|place| audit.outages.get(place)).and_then(|away| away.1);
            let noticed = host.watch.first_refusal_from(fault.at);
            let repaired = over.and_then(|over| host.watch.first_answer_from(over));
            (noticed, over.unwrap_or(fault.at), repaired)
        }
        FaultSubject::Balance(currency, _) => {
            let subject = FaultSubject::Balance(currency.clone(), Decimal::ZERO);
            let watch = &host.watch;
            (watch.noticed_at(&subject), fault.at, watch.repaired_at(&subject))
        }
        subject => (host.watch.noticed_at(subject), fault.at, host.watch.repaired_at(subject)),
    }
}

/// The time between two moments in which the venue could be reached.
fn outside_outages(audit: &Audit, from: Timestamp, to: Timestamp) -> Duration {
    let away = audit.outages.iter().map(|(began, over)| {
        let over = over.unwrap_or(to);
        over.min(to).since((*began).max(from))
    });
    to.since(from).saturating_sub(away.sum())
}

fn first_or(faults: &[String], otherwise: &str) -> String {
    faults.first().map_or_else(
        || otherwise.to_owned(),
        |first| format!("{} faults, first: {first}", faults.len()),
    )
}

fn length(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
