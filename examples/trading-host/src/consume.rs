//! Keeps the books level with the venue: reads its events, redrives letters, compares.

use std::{collections::BTreeSet, rc::Rc, sync::Arc, time::Duration};

use backstop_clock::{Clock, Sleep};
use backstop_dlq::{Consumer, DeadLetterStore, Step, store::Stats};
use backstop_position_ledger::pnl::Kind;
use backstop_reconciliation_strategies::findings::{FindingId, Outcome};

use crate::{
    events::{Inbox, STREAM},
    fill::{Booking, Repeats},
    host::{Host, Stop},
    letters::Letters,
    order,
    recon::{self, Depths, OnTheWay},
    redrive::{self, Redriven},
    runtime::SimClock,
    trouble::Trouble,
    venue::{FaultSubject, VenueStatement},
};

/// Between two looks at events that have not come yet.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Looks in a row without getting level, before the caller hears of it.
const LOOKS_MAX: u32 = 120;

/// How far back a full comparison looks for trades: longer than any outage is let go on.
const TRADES_BACK: Duration = Duration::from_hours(48);

/// Trades this young may still be on their way as events; above the longest delay that is
/// usual, and below the patience with a gap.
pub const TRADE_GRACE: Duration = Duration::from_millis(2_500);

/// What a full comparison left for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// A trade that is not in the books and too young to tell whether it is lost.
    pub left_out_young: bool,
    /// A difference that something on its way may explain.
    pub deferred: bool,
}

/// The one reader of the venue's events.
#[derive(Debug)]
pub struct Consume<D> {
    host: Rc<Host>,
    inbox: Inbox,
    consumer: Consumer<Inbox, Booking, Letters<D>, SimClock>,
    /// Replays letters through the same code.
    booking: Booking,
    letters: Letters<D>,
    /// Whether a letter was put, or may move, since the store was asked last.
    letters_moved: bool,
    /// Symbols whose events wait behind a letter.
    behind_letters: BTreeSet<String>,
    redriven: Redriven,
    /// Letters that were put and are not there.
    lost: u64,
    /// Symbols of which a letter is known to wait for a human.
    quarantined: BTreeSet<String>,
    /// Differences of figures that a full comparison has looked into.
    looked_into: BTreeSet<FindingId>,
}

impl<D: DeadLetterStore> Consume<D> {
    /// Goes on where the stream was committed.
    ///
    /// # Errors
    /// [`Stop::Letters`] when the store cannot answer.
    pub async fn new(
        host: &Rc<Host>,
        letters: &Letters<D>,
        repeats: Repeats,
    ) -> Result<Self, Stop> {
        let next = letters.committed(STREAM, 0).await?.unwrap_or(1);
        let inbox = Inbox::new(next.saturating_sub(1));
        let booking = || Booking { host: Rc::clone(host), repeats };
        let consumer = Consumer::new(inbox.clone(), booking(), letters.clone(), host.clock.clone());
        let consumer = consumer.with_policy(Arc::clone(&host.policy));
        Ok(Self {
            host: Rc::clone(host),
            inbox,
            consumer,
            booking: booking(),
            letters: letters.clone(),
            letters_moved: true,
            behind_letters: BTreeSet::new(),
            redriven: Redriven::default(),
            lost: 0,
            quarantined: BTreeSet::new(),
            looked_into: BTreeSet::new(),
        })
    }

    /// Handles what is parked behind a letter that was settled just before the last process died.
    ///
    /// # Errors
    /// [`Stop`] when books or letters can no longer be written.
    pub async fn resume(&mut self) -> Result<(), Stop> {
        let done = redrive::resume(&self.host, &self.letters, &mut self.booking).await?;
        self.redriven.add(done);
        Ok(())
    }

    /// Reads until the books are level with the venue; false when it does not talk to us.
    ///
    /// # Errors
    /// [`Stop`] when books or letters can no longer be written.
    pub async fn catch_up(&mut self) -> Result<bool, Stop> {
        for _ in 0..LOOKS_MAX {
            if !self.read().await? {
                return Ok(false);
            }
            let may_move = self.redrive().await?;
            if self.inbox.is_complete() && !may_move {
                return Ok(true);
            }
            match self.inbox.lost(self.host.clock.now()) {
                Some(number) if !may_move && self.close_gap(number).await? => {}
                _ => self.host.clock.sleep(LOOK_AGAIN).await,
            }
        }
        let text = format!("events after {} lack", self.inbox.after());
        self.host.meet(Trouble::EventsBehind, None, text);
        Ok(false)
    }

    /// Reads one page and hands on what is in order; false when the venue does not talk to us.
    async fn read(&mut self) -> Result<bool, Stop> {
        let host = Rc::clone(&self.host);
        let after = self.inbox.after();
        let page = host.guard.repeat(|| host.venue.events(after)).await;
        host.observe(&page);
        let Ok(page) = page else { return Ok(false) };
        let absorbed = self.inbox.absorb(page, host.clock.now());
        for number in absorbed.out_of_order.into_iter().chain(absorbed.lacking) {
            host.watch.notice(FaultSubject::Event(number), host.clock.now());
        }
        self.hand_on().await?;
        Ok(true)
    }

    async fn hand_on(&mut self) -> Result<(), Stop> {
        loop {
            let step = self.consumer.step().await?;
            match step {
                Step::Idle => return Ok(()),
                Step::Lettered(id) | Step::Parked(id) => {
                    self.letters_moved = true;
                    // The place in the stream is behind it now: it has to be there.
                    self.lost += u64::from(self.letters.letter(id).await?.is_none());
                    let number = self.inbox.after();
                    self.host.watch.notice(FaultSubject::Event(number), self.host.clock.now());
                    self.host.crash_point("lettered");
                }
                _ => self.host.crash_point("consumed"),
            }
        }
    }

    /// Replays what waits in letters; true when another replay may move what still waits.
    ///
    /// What failed too often is quarantined and waits for a human, with all that is parked
    /// behind it; its instrument is set apart, because its books lag.
    async fn redrive(&mut self) -> Result<bool, Stop> {
        if !self.letters_moved {
            return Ok(false);
        }
        if self.stats().await?.dead > 0 {
            let host = Rc::clone(&self.host);
            let done = redrive::redrive(&host, &self.letters, &mut self.booking).await?;
            self.redriven.add(done);
        }
        let waiting = redrive::waiting(&self.host, &self.letters).await?;
        for symbol in waiting.quarantined.difference(&self.quarantined) {
            let instrument = self.host.known(symbol);
            if instrument.is_some_and(|id| self.host.accounts.is_apart(id)) {
                continue;
            }
            self.host.count_manual();
            let text = match instrument {
                Some(id) => format!(
                    "a letter of {id} and all behind it wait for a human; {id} is set apart until \
                     `release --instrument {id}`"
                ),
                None => format!(
                    "a letter of {symbol:?}, which is not traded here, and all behind it wait for a \
                     human: `release --letter ID` or `discard --letter ID`, then `lift`"
                ),
            };
            self.host.meet(Trouble::LettersWait, instrument, text);
        }
        self.quarantined = waiting.quarantined;
        self.behind_letters = waiting.symbols;
        self.letters_moved = waiting.may_move;
        Ok(self.letters_moved)
    }

    /// Compares everything because a number is lost, and then does without it.
    async fn close_gap(&mut self, number: u64) -> Result<bool, Stop> {
        let Some(compared) = self.full_comparison().await? else { return Ok(false) };
        if compared.left_out_young {
            // The lost trade may be among them: then it has to be booked first.
            return Ok(false);
        }
        let now = self.host.clock.now();
        self.inbox.give_up(number);
        self.host.watch.repair(FaultSubject::Event(number), now);
        self.host.watch.settled(number, now);
        self.hand_on().await?;
        Ok(true)
    }

    /// Compares positions and balances, if the books are level with the venue's.
    ///
    /// # Errors
    /// [`Stop`] when the books can no longer be written.
    pub async fn compare_figures(&mut self) -> Result<(), Stop> {
        let host = Rc::clone(&self.host);
        let statement = host.guard.repeat(|| host.venue.statement(None)).await;
        host.observe(&statement);
        let Ok(statement) = statement else { return Ok(()) };
        if !self.inbox.has_passed(statement.event_head) {
            host.poll.raise();
            return Ok(());
        }
        let symbols = self.symbols_behind_letters().await?;
        let on_the_way = OnTheWay { trades: Vec::new(), symbols };
        let report = recon::compare(&host, &statement, Depths::Figures, &on_the_way)?;
        // Figures say that something is wrong; trades and orders say what, and once is enough.
        let manual: BTreeSet<_> =
            report.with_outcome(Outcome::Manual).map(|finding| finding.id).collect();
        let is_known = manual.is_subset(&self.looked_into);
        if is_known || self.full_comparison().await?.is_some() {
            // What is gone is forgotten: should it come back, it is looked into again.
            self.looked_into = manual;
        }
        Ok(())
    }

    /// Compares trades and orders too, after reading what has come; none when the venue does
    /// not talk to us.
    ///
    /// # Errors
    /// [`Stop`] when the books can no longer be written.
    pub async fn compare_everything(&mut self) -> Result<Option<Compared>, Stop> {
        self.catch_up().await?;
        self.full_comparison().await
    }

    /// One full comparison; none when the venue does not talk to us or has gone ahead meanwhile.
    async fn full_comparison(&mut self) -> Result<Option<Compared>, Stop> {
        let host = Rc::clone(&self.host);
        let from = host.clock.now().saturating_sub(TRADES_BACK);
        let statement = host.guard.repeat(|| host.venue.statement(recon::window(from))).await;
        host.observe(&statement);
        let Ok(statement) = statement else { return Ok(None) };
        if statement.event_head > self.inbox.head() {
            return Ok(None);
        }
        let symbols = self.symbols_behind_letters().await?;
        let (on_the_way, mut compared) = self.on_the_way(&statement, symbols);
        let report = recon::compare(&host, &statement, Depths::Full { from }, &on_the_way)?;
        host.crash_point("compared");
        compared.deferred = report.deferred().next().is_some();
        if !report.plan.actions.is_empty() {
            // The repair of the trades explains the figures, or does not: that is seen only now.
            let again = recon::compare(&host, &statement, Depths::Full { from }, &on_the_way)?;
            compared.deferred = again.deferred().next().is_some();
            for order in recon::to_look_up(&report) {
                order::learn_end(&host, order).await?;
            }
        }
        host.snapshots.take(&host, Kind::Reconciliation)?;
        Ok(Some(compared))
    }

    /// Symbols whose events wait behind a letter, as of now.
    async fn symbols_behind_letters(&mut self) -> Result<BTreeSet<String>, Stop> {
        if self.letters_moved {
            self.behind_letters = redrive::waiting(&self.host, &self.letters).await?.symbols;
        }
        Ok(self.behind_letters.clone())
    }

    /// What must not be repaired because it is coming.
    fn on_the_way(
        &self,
        statement: &VenueStatement,
        behind_letters: BTreeSet<String>,
    ) -> (OnTheWay, Compared) {
        let (mut trades, mut symbols) = self.inbox.in_flight();
        symbols.extend(behind_letters);
        let mut compared = Compared { left_out_young: false, deferred: false };
        // Fills realise by what came before them: nothing overtakes what already waits.
        let first_waiting = trades.iter().map(|trade| trade.trade_id.clone()).min();
        for trade in statement.trades.iter().flatten() {
            let is_young = statement.as_of.since(trade.at) < TRADE_GRACE;
            let overtakes = first_waiting.as_ref().is_some_and(|first| trade.trade_id > *first);
            compared.left_out_young |= is_young && !overtakes && !self.host.has_booked(trade);
            if is_young || overtakes {
                trades.push(trade.clone());
            }
        }
        (OnTheWay { trades, symbols }, compared)
    }

    /// How many letters there are, by state.
    ///
    /// # Errors
    /// [`Stop::Letters`] when the store cannot answer.
    pub async fn stats(&self) -> Result<Stats, Stop> {
        Ok(self.letters.stats().await?)
    }

    /// What redriving came to.
    pub const fn redriven(&self) -> Redriven {
        self.redriven
    }

    /// Letters that were put and are not there.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The letters.
    pub const fn letters(&self) -> &Letters<D> {
        &self.letters
    }
}
