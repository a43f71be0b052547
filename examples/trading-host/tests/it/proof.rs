//! The proof: each invariant says so when the truth is another than the books tell.

use std::rc::Rc;

use backstop_clock::Timestamp;
use backstop_dlq::{Message, StoreError};
use backstop_position_ledger::{
    Books as View, Durability, Entry, Outcome,
    error::{AppendError, JournalError, ReplayError},
    journal::Digest,
    pnl::Snapshot,
};
use rust_decimal::Decimal;
use trading_host::{
    accounts::Books,
    host::run,
    report::Report,
    snapshots::Stream,
    venue::{
        Acceptance, Answer, Audit, AuditedOrder, EventPage, FaultSubject, LookUp, OrderRequest,
        TradeWindow, Venue, VenueStatement,
    },
};
use uuid::Uuid;

use crate::stage::{Fate, ScriptedVenue, Set, Stage, Submit, at, broken};

/// A run with something of everything: a lost order, a dropped fill, a drift and a halt.
fn stage() -> Stage {
    let mut stage = Stage::new(2, 600).with_liquidity(50).wishing(20, 0, 200).wishing(50, 1, -100);
    stage.script.submits.insert(1, Submit::Lost);
    stage.script.events.insert(3, Fate::Never);
    stage.script.drift = Some((at(150), Decimal::from(-12)));
    stage.settings.halt_at = Some(at(400));
    stage
}

/// A venue whose audit tells what a test makes of it.
#[derive(Debug)]
pub(crate) struct Doctored {
    venue: Rc<ScriptedVenue>,
    doctor: fn(&mut Audit),
}

impl Doctored {
    pub(crate) const fn new(venue: Rc<ScriptedVenue>, doctor: fn(&mut Audit)) -> Self {
        Self { venue, doctor }
    }
}

impl Venue for Doctored {
    fn submit<'a>(&'a self, order: &'a OrderRequest) -> Answer<'a, Acceptance> {
        self.venue.submit(order)
    }

    fn look_up(&self, client_order_id: Uuid) -> Answer<'_, LookUp> {
        self.venue.look_up(client_order_id)
    }

    fn cancel(&self, client_order_id: Uuid) -> Answer<'_, ()> {
        self.venue.cancel(client_order_id)
    }

    fn events(&self, after: u64) -> Answer<'_, EventPage> {
        self.venue.events(after)
    }

    fn statement(&self, window: Option<TradeWindow>) -> Answer<'_, VenueStatement> {
        self.venue.statement(window)
    }

    fn audit(&self) -> Answer<'_, Audit> {
        Box::pin(async move {
            let mut audit = self.venue.audit().await?;
            (self.doctor)(&mut audit);
            Ok(audit)
        })
    }
}

fn doctored(doctor: fn(&mut Audit)) -> Report {
    let stage = stage();
    let Set { mut ports, venue, .. } = stage.set();
    ports.venue = Rc::new(Doctored::new(venue, doctor));
    run(ports, stage.settings).unwrap()
}

/// What was injected of money, and when.
fn drift(audit: &mut Audit) -> (&mut Timestamp, &mut Decimal) {
    let drift = audit.faults.iter_mut().find_map(|fault| match &mut fault.subject {
        FaultSubject::Balance(_, amount) => Some((&mut fault.at, amount)),
        _ => None,
    });
    drift.unwrap()
}

#[test]
fn the_run_itself_is_in_order() {
    let report = doctored(|_| ());
    assert_eq!(broken(&report), [""; 0]);
    assert!(report.ok && report.halted.is_some());
    assert_eq!((report.fills.recovered, report.reconciliation.auto_resolved), (1, 2));
}

#[test]
fn each_difference_breaks_its_invariant_and_no_other() {
    type Case = (&'static str, &'static str, fn(&mut Audit));
    let cases: [Case; 17] = [
        ("one_order_per_intent", "a second order for one intent", |audit| {
            let order = audit.orders[0].clone();
            audit.orders.push(AuditedOrder { client_order_id: Uuid::max(), ..order });
        }),
        ("no_order_misjudged", "the order that was given up was accepted", |audit| {
            let lost = audit.faults.iter().find_map(|fault| match fault.subject {
                FaultSubject::Order(id) => Some(id),
                _ => None,
            });
            let (tag, client_order_id) = (audit.submits[0].1, lost.unwrap());
            let order = audit.orders[0].clone();
            audit.orders.push(AuditedOrder { tag, client_order_id, ..order });
        }),
        ("every_trade_once", "another price", |audit| audit.trades[1].1.price += Decimal::ONE),
        ("every_trade_once", "another fee", |audit| audit.trades[1].1.fee += Decimal::ONE),
        ("every_trade_once", "a trade more", |audit| {
            let mut trade = audit.trades[0].clone();
            trade.1.trade_id = "T99999999".to_owned();
            audit.trades.push(trade);
        }),
        ("every_trade_once", "a trade less", |audit| drop(audit.trades.pop())),
        ("every_trade_once", "recovered though it was not lost", |audit| {
            audit.dropped_trades.clear();
        }),
        ("adjustments_are_drift", "another drift", |audit| *drift(audit).1 += Decimal::ONE),
        ("adjustments_are_drift", "a drift after its repair", |audit| *drift(audit).0 = at(590)),
        ("adjustments_are_drift", "no drift", |audit| {
            audit.faults.retain(|fault| !matches!(fault.subject, FaultSubject::Balance(..)));
        }),
        ("books_equal_venue", "another position", |audit| {
            audit.positions.push(("BBB".to_owned(), Decimal::TEN));
        }),
        ("books_equal_venue", "another balance", |audit| {
            audit.balances[0].1 += Decimal::new(1, 8);
        }),
        ("books_equal_venue", "other fees", |audit| audit.fees[0].1 -= Decimal::new(1, 8)),
        ("nothing_sent_when_closed", "it came once more than it was sent", |audit| {
            let first = audit.submits[0];
            audit.submits.push(first);
        }),
        ("nothing_sent_when_closed", "nobody intended it", |audit| {
            audit.submits.push((at(100), Uuid::max()));
        }),
        ("nothing_sent_after_halt", "it came long after the halt", |audit| {
            audit.submits[1].0 = at(500);
        }),
        ("nothing_sent_after_halt", "it came for the first time after the halt", |audit| {
            audit.submits[0].0 = at(450);
        }),
    ];
    for (name, what, doctor) in cases {
        let report = doctored(doctor);
        assert_eq!(broken(&report), [name], "{what}");
        assert!(!report.ok, "{what}");
    }
}

/// Books whose journal cannot be read again as it was written.
#[derive(Debug)]
struct Forgetful(Box<dyn Books>);

impl Books for Forgetful {
    fn view(&self) -> &View {
        self.0.view()
    }

    fn append(&mut self, entry: &Entry, durability: Durability) -> Result<Outcome, AppendError> {
        self.0.append(entry, durability)
    }

    fn flush(&mut self) -> Result<(), AppendError> {
        self.0.flush()
    }

    fn as_of(&self, sequence: u64) -> Result<View, ReplayError> {
        self.0.as_of(sequence)
    }

    fn disagreeing(
        &self,
        snapshots: &mut dyn Iterator<Item = Snapshot>,
    ) -> Result<Vec<Digest>, ReplayError> {
        self.0.disagreeing(snapshots)
    }

    fn replay(&self) -> Result<View, ReplayError> {
        self.0.as_of(self.0.view().sequence() - 1)
    }

    fn last_written_at(&self) -> Result<Option<Timestamp>, JournalError> {
        self.0.last_written_at()
    }
}

#[test]
fn a_journal_that_leads_elsewhere_is_found() {
    let stage = stage();
    let Set { mut ports, .. } = stage.set();
    ports.books = Box::new(Forgetful(ports.books));
    let report = run(ports, stage.settings).unwrap();
    assert_eq!(broken(&report), ["journal_replays"]);
    assert!(!report.ledger.chain_verified);
}

/// A stream that gives back another record than it was given.
#[derive(Debug)]
struct Careless(Box<dyn Stream>, fn(&mut Vec<u8>));

impl Stream for Careless {
    fn publish(&self, payload: Vec<u8>, at: Timestamp) -> Result<u64, StoreError> {
        self.0.publish(payload, at)
    }

    fn read(&self, position: u64) -> Result<Option<Message>, StoreError> {
        let mut message = self.0.read(position)?;
        if let Some(message) = &mut message {
            (self.1)(&mut message.payload);
        }
        Ok(message)
    }
}

#[test]
fn a_snapshot_that_was_changed_is_found() {
    let torn: fn(&mut Vec<u8>) = |payload| payload.truncate(payload.len() / 2);
    let changed: fn(&mut Vec<u8>) = |payload| {
        let mut snapshot: serde_json::Value = serde_json::from_slice(payload).unwrap();
        snapshot["sequence"] = 1.into();
        *payload = serde_json::to_vec(&snapshot).unwrap();
    };
    for damage in [torn, changed] {
        let stage = stage();
        let Set { mut ports, alerts, .. } = stage.set();
        ports.stream = Box::new(Careless(ports.stream, damage));
        let report = run(ports, stage.settings).unwrap();
        assert!(broken(&report).contains(&"snapshots_verify"), "{:?}", broken(&report));
        assert!(!report.ok);
        assert!(alerts.raised.borrow().iter().any(|alert| alert.name == "snapshot_mismatch"));
    }
}
