use backstop_reconciliation_strategies::{
    Leg, Policy, Preset, Report, Statement, apply,
    rows::{Side, TradeRow},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use rust_decimal::Decimal;

use crate::book::{Book, compare_with, trade};

const INSTRUMENTS: [&str; 3] = ["X", "Y", "Z"];

/// Instrument, direction, quantity, price and fee.
type Drawn = (usize, bool, i64, i64, i64);

fn policy() -> Policy {
    Policy::new(Preset::Full).with_auto_resolve_limit(Decimal::new(5, 2)).unwrap()
}

fn fills() -> impl Strategy<Value = Vec<TradeRow<'static>>> {
    let fill = (0..INSTRUMENTS.len(), any::<bool>(), 1..1_000_i64, 1..100_000_i64, -50..50_i64);
    vec(fill, 0..20).prop_map(|fills| {
        let fill = |(n, (instrument, buys, quantity, price, fee)): (usize, Drawn)| {
            let side = if buys { Side::Buy } else { Side::Sell };
            let quantity = Decimal::new(quantity, 3);
            let at = 1_000 + i64::try_from(n / 2).unwrap();
            let mut fill = trade(&format!("t{n}"), side, quantity, at);
            fill.instrument = INSTRUMENTS[instrument].into();
            fill.price = Decimal::new(price, 2);
            fill.fee = Decimal::new(fee, 4);
            fill
        };
        fills.into_iter().enumerate().map(fill).collect()
    })
}

fn book(fills: &[TradeRow<'static>]) -> Book {
    let mut book = Book::default();
    for fill in fills {
        book.fill(fill.clone());
    }
    book
}

fn run(ours: &Book, theirs: &Book) -> Report {
    compare_with(&policy(), &ours.statement("ledger"), &theirs.statement("venue"))
}

fn shuffle<T>(leg: &mut Leg<Vec<T>>, order: &[Index]) {
    let Leg::Observed(rows) = leg else { return };
    for (n, index) in order.iter().enumerate().take(rows.len()) {
        let other = index.index(rows.len());
        rows.swap(n, other);
    }
}

proptest! {
    /// Law 1: equal books give no findings.
    #[test]
    fn equal_books_are_silent(fills in fills()) {
        let book = book(&fills);
        let report = run(&book, &book);
        prop_assert_eq!(report.findings, []);
        prop_assert_eq!(report.compared.trades, fills.len());
    }

    /// Law 2: what is found does not depend on the order of the rows.
    #[test]
    fn row_order_is_irrelevant(
        ours in fills(),
        theirs in fills(),
        order in vec(any::<Index>(), 20),
    ) {
        let (ours, theirs) = (book(&ours), book(&theirs));
        let expected = run(&ours, &theirs);
        let mut mixed = [ours.statement("ledger"), theirs.statement("venue")];
        for statement in &mut mixed {
            shuffle(&mut statement.trades, &order);
            shuffle(&mut statement.positions, &order);
        }
        let report = compare_with(&policy(), &mixed[0], &mixed[1]);
        prop_assert_eq!(&report.findings, &expected.findings);
        prop_assert_eq!(report.plan.actions.len(), expected.plan.actions.len());
    }

    /// Law 3: lost fills and a small drift are repaired exactly, and then the run is silent.
    #[test]
    fn repair_converges(
        fills in fills(),
        lost in vec(any::<bool>(), 20),
        drift in -5..=5_i64,
    ) {
        let mut theirs = book(&fills);
        theirs.cash += Decimal::new(drift, 2);
        let kept = fills.iter().zip(&lost).filter(|(_, lost)| !**lost);
        let mut ours = book(&kept.map(|(fill, _)| fill.clone()).collect::<Vec<_>>());
        for _ in 0..2 {
            let plan = run(&ours, &theirs).plan;
            apply(&plan, &mut ours).unwrap();
        }
        prop_assert_eq!(run(&ours, &theirs).findings, []);
        prop_assert_eq!(ours.cash, theirs.cash);
        prop_assert_eq!(ours.trades.len(), fills.len());
    }

    /// Law 4: whatever the books, trades in one run and money in the next are all there is to do.
    #[test]
    fn any_repair_ends(ours in fills(), theirs in fills()) {
        let (mut ours, theirs) = (book(&ours), book(&theirs));
        apply(&run(&ours, &theirs).plan, &mut ours).unwrap();
        apply(&run(&ours, &theirs).plan, &mut ours).unwrap();
        prop_assert_eq!(run(&ours, &theirs).plan.actions, []);
    }

    /// Law 5: a leg that was not observed, or failed, gives no findings.
    #[test]
    fn no_answer_gives_no_findings(ours in fills(), theirs in fills(), failed in any::<bool>()) {
        let (ours, theirs) = (book(&ours), book(&theirs));
        let mut silent = theirs.statement("venue");
        if failed {
            silent.positions = Leg::Failed("no answer".to_owned());
            silent.balances = Leg::Failed("no answer".to_owned());
            silent.trades = Leg::Failed("no answer".to_owned());
            silent.orders = Leg::Failed("no answer".to_owned());
        } else {
            silent = Statement::new("venue", silent.as_of);
        }
        let report = compare_with(&policy(), &ours.statement("ledger"), &silent);
        prop_assert_eq!(report.findings, []);
        prop_assert_eq!(report.plan.actions, []);
        let mut unread = silent;
        (unread.source, unread.version) = ("ledger".into(), Some(1));
        let report = compare_with(&policy(), &unread, &theirs.statement("venue"));
        prop_assert_eq!(report.findings, []);
    }
}
