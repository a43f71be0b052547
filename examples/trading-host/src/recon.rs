//! Compares the books with the venue's, and applies what the policy allows.

use std::{
    cell::{Ref, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use backstop_clock::{Clock, Timestamp};
use backstop_position_ledger::{
    Amount, Currency, Fact, Outcome, Text,
    fill::{Side, Source},
};
use backstop_reconciliation_strategies::{
    self as recon, Action, ApplyError, Context, InFlight, Policy, Preset, Report, Statement,
    findings::{Finding, FindingId, Outcome as Verdict, Subject},
    limits::{Instruments, Steps},
    rows::{self, BalanceRow, OrderRow, PositionRow, TradeRow},
};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    accounts::Accounts,
    fill::{BookingError, booked_as},
    host::{Host, Stop},
    trouble::Trouble,
    venue::{self, FaultSubject, Trade, TradeWindow, VenueStatement},
};

/// A difference of balances up to this much, in its currency, is repaired without a human.
const AUTO_RESOLVE_LIMIT: Decimal = Decimal::from_parts(50, 0, 0, false, 0);

/// How reconciliation repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// By the plan: the missing trades first, then what they leave unexplained.
    Planned,
    /// By setting our balance to the venue's; shows what the invariants are for.
    Overwrite,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depths {
    /// Positions and balances.
    Figures,
    /// Trades and open orders too, from a moment on.
    Full {
        /// Trades from here on.
        from: Timestamp,
    },
}

/// What the runs came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Comparisons made.
    pub runs: u64,
    /// Differences found.
    pub found: u64,
    /// Repaired by rule.
    pub auto_resolved: u64,
    /// Left to a human.
    pub manual: u64,
}

/// The policies and steps, made once.
#[derive(Debug)]
pub struct Rules {
    figures: Policy,
    full: Policy,
    instruments: Instruments,
    repair: Repair,
    /// Our side of a comparison of figures, kept because most find the books unchanged.
    figures_made: RefCell<Option<Statement<'static>>>,
}

impl Rules {
    /// The host's rules for its instruments.
    ///
    /// # Errors
    /// A step that is not above zero.
    pub fn new(
        instruments: &[crate::market::Instrument],
        repair: Repair,
    ) -> Result<Self, recon::PolicyError> {
        let policy = |preset| {
            let policy = Policy::new(preset).with_grace(std::time::Duration::ZERO);
            policy.with_auto_resolve_limit(AUTO_RESOLVE_LIMIT)
        };
        let steps = instruments.iter().try_fold(Instruments::default(), |known, instrument| {
            let steps = Steps::new(instrument.lot_step, instrument.price_step)?;
            Ok::<_, recon::PolicyError>(known.with(instrument.symbol.as_str(), steps))
        })?;
        Ok(Self {
            figures: policy(Preset::Incremental)?,
            full: policy(Preset::Full)?,
            instruments: steps,
            repair,
            figures_made: RefCell::default(),
        })
    }
}

/// What is known to be on its way into the books.
#[derive(Clone, Debug, Default)]
pub struct OnTheWay {
    /// Trades that have arrived and wait for their turn.
    pub trades: Vec<Trade>,
    /// Symbols of which something has arrived that cannot be read yet.
    pub symbols: BTreeSet<String>,
}

/// Compares once and repairs; the report's findings say what is left.
///
/// A comparison of figures alone repairs nothing that it cannot explain: its manual findings are
/// for the caller to look into with a full comparison, which alone may call a human.
///
/// # Errors
/// [`Stop`] when the books can no longer be written.
pub fn compare(
    host: &Host,
    theirs: &VenueStatement,
    depths: Depths,
    on_the_way: &OnTheWay,
) -> Result<Report, Stop> {
    let account = host.accounts.account().as_str();
    let mut in_flight = InFlight::default();
    for trade in &on_the_way.trades {
        in_flight = in_flight.with_trade(account, &*trade.symbol, &*trade.trade_id);
    }
    for symbol in &on_the_way.symbols {
        in_flight = in_flight.with_key(account, &**symbol);
    }
    let (policy, window) = match depths {
        Depths::Figures => (&host.rules.figures, None),
        Depths::Full { from } => (&host.rules.full, Some(from)),
    };
    let context = Context::new(host.clock.now())
        .with_instruments(&host.rules.instruments)
        .with_in_flight(&in_flight);
    let theirs = their_statement(account, theirs, window);
    let report = match window {
        Some(_) => recon::reconcile(policy, &context, &our_statement(host, window)?, &theirs)?,
        None => recon::reconcile(policy, &context, &*our_figures(host)?, &theirs)?,
    };
    host.heed_money(&differing_money(&report));
    if depths != Depths::Figures || report.manual() == 0 {
        settle(host, &report)?;
    }
    Ok(report)
}

/// Money that differs and is not repaired, by currency.
fn differing_money(report: &Report) -> BTreeMap<&str, Decimal> {
    let left = |finding: &&Finding| matches!(finding.outcome, Verdict::Deferred | Verdict::Manual);
    let money = report.findings.iter().filter(left).filter_map(|finding| match &finding.subject {
        Subject::Balance { currency, .. } => Some((currency.as_str(), finding.difference?)),
        _ => None,
    });
    money.collect()
}

/// Orders that are open here and not at the venue.
pub fn to_look_up(report: &Report) -> Vec<Uuid> {
    let orders = report.plan.actions.iter().filter_map(|action| match action {
        Action::ResolveOrder { order_id, .. } => order_id.parse().ok(),
        _ => None,
    });
    orders.collect()
}

fn settle(host: &Host, report: &Report) -> Result<(), Stop> {
    let now = host.clock.now();
    for finding in &report.findings {
        if let Subject::Balance { currency, .. } = &finding.subject
            && finding.outcome != Verdict::Deferred
        {
            let drift = FaultSubject::Balance(currency.clone(), Decimal::ZERO);
            host.watch.notice(drift, now);
        }
    }
    // The plan is for the books as they are: what is set apart is so only once it is applied.
    repair(host, report)?;
    let manual = || report.with_outcome(Verdict::Manual);
    let of_one = |finding: &&Finding| instrument_of(&finding.subject).is_some();
    // Money that differs beside an instrument differs because of it: once that is set apart, the
    // next comparison leaves the money alone, or says that it differs by itself.
    let is_of_one = manual().any(|finding| of_one(&finding));
    for finding in manual().filter(|finding| !is_of_one || of_one(finding)) {
        let symbol = instrument_of(&finding.subject);
        let is_known = symbol.is_some_and(|symbol| host.is_apart(symbol));
        if !is_known && host.is_news(finding.id) {
            host.count_manual();
            report_to_human(host, finding);
        }
    }
    Ok(())
}

fn repair(host: &Host, report: &Report) -> Result<(), Stop> {
    if host.rules.repair == Repair::Overwrite {
        return overwrite(host, report);
    }
    let mut books = Writing { host, accounts: &host.accounts };
    let is_repair = |action: &&Action| match action {
        // An order's end is looked up, not applied.
        Action::ResolveOrder { .. } => false,
        Action::ApplyTrade { trade, .. } => !host.is_apart(&trade.instrument),
        _ => true,
    };
    let applied = report.plan.actions.iter().filter(is_repair).count();
    match recon::apply(&report.plan, &mut books) {
        Ok(_) => {
            host.count_reconciled(report, applied);
            Ok(())
        }
        Err(ApplyError::Refused { source, .. }) => Err(Stop::Books(source.to_string())),
        // Nothing runs between the comparison and here that could change the books.
        Err(stale) => Err(Stop::Books(stale.to_string())),
    }
}

fn report_to_human(host: &Host, finding: &Finding) {
    let shown = |figure: Option<Decimal>| figure.map_or("none".to_owned(), |it| it.to_string());
    let text = format!(
        "the books differ from the venue's: {} of {}: {} in the books, {} at the venue",
        finding.kind.name(),
        in_words(&finding.subject),
        shown(finding.internal),
        shown(finding.external)
    );
    match instrument_of(&finding.subject) {
        Some(symbol) => host.meet(Trouble::InstrumentDiffers, host.known(symbol), text),
        None => host.meet(Trouble::BooksDiffer, None, text),
    }
}

fn in_words(subject: &Subject) -> String {
    match subject {
        Subject::Order { instrument, order_id, .. } => format!("order {order_id} of {instrument}"),
        Subject::Trade { instrument, trade_id, .. } => format!("trade {trade_id} of {instrument}"),
        Subject::Position { instrument, .. } => format!("the position of {instrument}"),
        Subject::Balance { currency, .. } => format!("the balance of {currency}"),
    }
}

fn instrument_of(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::Order { instrument, .. }
        | Subject::Trade { instrument, .. }
        | Subject::Position { instrument, .. } => Some(instrument),
        Subject::Balance { .. } => None,
    }
}

/// The repair that a bot without a plan makes: the venue's figure replaces ours.
fn overwrite(host: &Host, report: &Report) -> Result<(), Stop> {
    for finding in &report.findings {
        let difference = finding.difference.filter(|difference| !difference.is_zero());
        let missed = match (&finding.subject, difference) {
            (Subject::Balance { currency, .. }, Some(difference)) => (currency, difference),
            _ => continue,
        };
        adjust(&host.accounts, missed.0, missed.1, finding.id)?;
    }
    host.count_reconciled(report, report.findings.len());
    Ok(())
}

/// Lets the plan write into the ledger.
struct Writing<'h> {
    host: &'h Host,
    accounts: &'h Accounts,
}

impl recon::Books for Writing<'_> {
    type Error = Stop;

    fn version(&self) -> u64 {
        self.accounts.version()
    }

    fn apply(&mut self, action: &Action) -> Result<(), Stop> {
        let now = self.host.clock.now();
        match action {
            Action::ApplyTrade { trade, finding } => {
                let source = Source::Recovered { finding: text_of(*finding) };
                let trade = trade_of(trade)?;
                let fill = booked_as(&trade, source)?;
                let cause = trade.client_order_id;
                if self.accounts.is_apart(&fill.instrument) {
                    // The venue still tells of it when the instrument is released.
                    return Ok(());
                }
                let instrument = fill.instrument.clone();
                match self.accounts.post(trade.at, cause, Fact::Filled(fill))? {
                    Outcome::Applied { .. } | Outcome::Voided { .. } | Outcome::Recorded { .. } => {
                        self.host.watch.booked(&trade.trade_id, now);
                    }
                    Outcome::Duplicate => {}
                    Outcome::Conflict(difference) => {
                        let text = format!("trade {}: {difference}", trade.trade_id);
                        self.host.count_manual();
                        self.host.meet(Trouble::TradeDiffers, Some(&instrument), text);
                    }
                }
                Ok(())
            }
            Action::AdjustBalance { currency, amount, finding, .. } => {
                adjust(self.accounts, currency, *amount, *finding)?;
                let drift = FaultSubject::Balance(currency.clone(), Decimal::ZERO);
                self.host.watch.repair(drift, now);
                Ok(())
            }
            // Only the venue knows how the order ended: it is looked up after the comparison.
            _ => Ok(()),
        }
    }
}

fn adjust(
    accounts: &Accounts,
    currency: &str,
    amount: Decimal,
    finding: FindingId,
) -> Result<(), Stop> {
    let fact = Fact::Adjusted {
        currency: Currency::new(currency)?,
        amount: Amount::try_from(amount)?,
        reason: text_of(finding),
    };
    let cause = accounts.mint("adjustment");
    let at = accounts.now();
    // A conflict cannot be: the id of the entry is new, and nothing else identifies it.
    drop(accounts.post_durably(at, cause, fact)?);
    Ok(())
}

fn text_of(finding: FindingId) -> Text {
    Text::clipped(&format!("finding {finding}"))
}

/// Our positions and balances, made anew only when the books have changed since they were made.
fn our_figures(host: &Host) -> Result<Ref<'_, Statement<'static>>, Stop> {
    let version = host.accounts.version();
    let made = &host.rules.figures_made;
    if made.borrow().as_ref().is_none_or(|made| made.version != Some(version)) {
        made.replace(Some(our_statement(host, None)?));
    }
    if let Some(made) = made.borrow_mut().as_mut() {
        made.as_of = host.clock.now();
    }
    let lacks = || Stop::Books("the figures were not made".to_owned());
    Ref::filter_map(made.borrow(), Option::as_ref).map_err(|_none| lacks())
}

fn our_statement(host: &Host, window: Option<Timestamp>) -> Result<Statement<'static>, Stop> {
    let books = host.accounts.view();
    let account = host.accounts.account().as_str();
    let held = books.positions();
    let mut positions = Vec::with_capacity(held.len());
    for position in held.iter().filter(|position| !position.quantity().is_zero()) {
        let quantity = Decimal::try_from(position.quantity())?;
        let instrument = position.instrument().id().as_str().to_owned();
        positions.push(PositionRow::new(account.to_owned(), instrument, quantity));
    }
    let mut balances = Vec::new();
    for (_, currency, balance) in books.balances() {
        let total = Decimal::try_from(balance.total)?;
        let currency = currency.as_str().to_owned();
        balances.push(BalanceRow::new(account.to_owned(), currency, total));
    }
    let mut ours = Statement::new("ledger", host.clock.now())
        .with_version(books.sequence())
        .with_positions(positions)
        .with_balances(balances);
    if let Some(from) = window {
        let mut trades = Vec::new();
        for booked in books.fills().filter(|booked| booked.at >= from) {
            trades.push(our_trade(account, &booked)?);
        }
        let mut orders = Vec::new();
        for order in books.open_orders().filter(|order| !order.status().is_unresolved()) {
            let intent = order.intent();
            orders.push(OrderRow {
                account: account.to_owned().into(),
                instrument: intent.instrument.as_str().to_owned().into(),
                order_id: intent.order_id.to_string().into(),
                side: our_side(intent.side),
                quantity: intent.quantity.try_into()?,
                filled: order.filled().try_into()?,
                price: intent.limit.map(Decimal::try_from).transpose()?,
                updated: None,
            });
        }
        ours = ours.with_trades_since(from, trades).with_orders(orders);
    }
    Ok(ours)
}

fn our_trade(
    account: &str,
    booked: &backstop_position_ledger::fill::Booked,
) -> Result<TradeRow<'static>, Stop> {
    let fill = &booked.fill;
    Ok(TradeRow {
        account: account.to_owned().into(),
        instrument: fill.instrument.as_str().to_owned().into(),
        trade_id: fill.trade_id.as_str().to_owned().into(),
        order_id: fill.order_id.to_string().into(),
        side: our_side(fill.side),
        quantity: fill.quantity.try_into()?,
        price: fill.price.try_into()?,
        fee: fill.fee.try_into()?,
        fee_currency: fill.fee_currency.as_ref().map_or("", Currency::as_str).to_owned().into(),
        at: booked.at,
    })
}

const fn our_side(side: Side) -> rows::Side {
    match side {
        Side::Buy => rows::Side::Buy,
        Side::Sell => rows::Side::Sell,
    }
}

const fn their_side(side: venue::Side) -> rows::Side {
    match side {
        venue::Side::Buy => rows::Side::Buy,
        venue::Side::Sell => rows::Side::Sell,
    }
}

fn their_statement<'a>(
    account: &'a str,
    theirs: &'a VenueStatement,
    window: Option<Timestamp>,
) -> Statement<'a> {
    let position = |(symbol, quantity): &'a (String, Decimal)| {
        PositionRow::new(account, symbol.as_str(), *quantity)
    };
    let balance = |(currency, total): &'a (String, Decimal)| {
        BalanceRow::new(account, currency.as_str(), *total)
    };
    let statement = Statement::new("venue", theirs.as_of)
        .with_positions(theirs.positions.iter().map(position).collect())
        .with_balances(theirs.balances.iter().map(balance).collect());
    let (Some(from), Some(trades), Some(orders)) = (window, &theirs.trades, &theirs.open_orders)
    else {
        return statement;
    };
    let trade = |trade: &'a Trade| TradeRow {
        account: account.into(),
        instrument: trade.symbol.as_str().into(),
        trade_id: trade.trade_id.as_str().into(),
        order_id: trade.client_order_id.to_string().into(),
        side: their_side(trade.side),
        quantity: trade.quantity,
        price: trade.price,
        fee: trade.fee,
        fee_currency: trade.fee_currency.as_str().into(),
        at: trade.at,
    };
    let order = |order: &'a venue::VenueOrder| OrderRow {
        account: account.into(),
        instrument: order.symbol.as_str().into(),
        order_id: order.client_order_id.to_string().into(),
        side: their_side(order.side),
        quantity: order.quantity,
        filled: order.filled,
        price: order.limit,
        updated: None,
    };
    statement
        .with_trades_since(from, trades.iter().map(trade).collect())
        .with_orders(orders.iter().map(order).collect())
}

fn trade_of(row: &TradeRow<'_>) -> Result<Trade, Stop> {
    let client_order_id = row.order_id.parse().map_err(|error| {
        Stop::Books(format!("the venue names order {:?}: {error}", row.order_id))
    })?;
    Ok(Trade {
        trade_id: row.trade_id.clone().into_owned(),
        client_order_id,
        symbol: row.instrument.clone().into_owned(),
        side: match row.side {
            rows::Side::Buy => venue::Side::Buy,
            rows::Side::Sell => venue::Side::Sell,
        },
        quantity: row.quantity,
        price: row.price,
        fee: row.fee,
        fee_currency: row.fee_currency.clone().into_owned(),
        at: row.at,
    })
}

/// The window that a full comparison asks the venue for.
pub const fn window(from: Timestamp) -> Option<TradeWindow> {
    Some(TradeWindow { from })
}

impl From<BookingError> for Stop {
    fn from(error: BookingError) -> Self {
        Self::Books(error.to_string())
    }
}
