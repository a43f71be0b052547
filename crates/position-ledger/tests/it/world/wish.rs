//! What may happen next: every kind of entry, on every kind of contract, by every method.

use backstop_position_ledger::rules::{Contract, Method};
use proptest::prelude::*;

use super::model::Rules;
use crate::model::{Paid, Terms};

/// Something that may happen; numbers are taken modulo what is there.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) account: usize,
    pub(crate) leg: usize,
    pub(crate) desk: Option<usize>,
    /// In the spot pair, if there is one.
    pub(crate) coin: bool,
    /// How many entries ago it happened.
    pub(crate) late: i64,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Fill(Trade),
    /// A bust of a fill that is there: so many parts in eight of what is left.
    Void {
        pick: usize,
        eighths: i64,
    },
    /// A bust of the next fill, in whole or in part.
    EarlyVoid {
        thousandths: Option<i64>,
    },
    Correct {
        pick: usize,
        cents: i64,
        stated: bool,
    },
    Split {
        ratio: usize,
        in_lieu: Option<i64>,
        everyone: bool,
    },
    Dividend {
        cents: i64,
        everyone: bool,
    },
    Settle {
        cents: i64,
        everyone: bool,
    },
    Deliver {
        cents: i64,
        everyone: bool,
    },
    Move {
        part: i64,
    },
    Repair {
        thousandths: i64,
        cents: i64,
    },
    Open {
        thousandths: i64,
        cents: i64,
    },
    Fee {
        thousandths: i64,
        paid: Paid,
        alone: bool,
    },
    Funding {
        cents: i64,
    },
    Money {
        which: usize,
        cents: i64,
    },
    Order {
        pick: usize,
        news: usize,
    },
    Isolate {
        instrument: bool,
    },
    Snapshot,
}

/// A trade of a history.
#[derive(Clone, Debug)]
pub(crate) struct Trade {
    pub(crate) buy: bool,
    pub(crate) thousandths: i64,
    pub(crate) cents: i64,
    pub(crate) fee: i64,
    pub(crate) paid: Paid,
    /// By how much the stated cost differs from quantity times price, if it is stated.
    pub(crate) stated: Option<i64>,
    /// Which lot it closes first, where it says so, and whether it names lots by their entries.
    pub(crate) first: usize,
    pub(crate) by_entry: bool,
}

/// Every method, by the number of its test.
pub(crate) const METHODS: [Method; 5] =
    [Method::Average, Method::Fifo, Method::Lifo, Method::Hifo, Method::Specific];

fn paid() -> impl Strategy<Value = Paid> {
    prop_oneof![Just(Paid::Settlement), Just(Paid::Base), Just(Paid::Third)]
}

prop_compose! {
    fn trade()(
        buy in any::<bool>(),
        thousandths in 1..9_000_i64,
        cents in prop_oneof![8 => 1..30_000_i64, 1 => -2_000..0_i64],
        fee in prop_oneof![4 => 0..20_i64, 1 => -20..0_i64, 1 => 0..4_000_i64],
        paid in paid(),
        stated in prop_oneof![4 => Just(None), 1 => (-90..90_i64).prop_map(Some)],
        first in any::<usize>(),
        by_entry in any::<bool>(),
    ) -> Trade {
        Trade { buy, thousandths, cents, fee, paid, stated, first, by_entry }
    }
}

fn of_positions() -> impl Strategy<Value = Kind> {
    let (cents, thousandths) = (1..30_000_i64, -9_000..9_000_i64);
    let pick = any::<usize>();
    let in_lieu = prop_oneof![Just(None), (1..30_000_i64).prop_map(Some)];
    prop_oneof![
        3 => (pick, 1..9_i64).prop_map(|(pick, eighths)| Kind::Void { pick, eighths }),
        1 => prop_oneof![Just(None), (1..2_000_i64).prop_map(Some)]
            .prop_map(|thousandths| Kind::EarlyVoid { thousandths }),
        2 => (pick, cents.clone(), any::<bool>())
            .prop_map(|(pick, cents, stated)| Kind::Correct { pick, cents, stated }),
        2 => (0..6_usize, in_lieu, any::<bool>())
            .prop_map(|(ratio, in_lieu, everyone)| Kind::Split { ratio, in_lieu, everyone }),
        1 => (-50..50_i64, any::<bool>()).prop_map(|(cents, everyone)| Kind::Dividend { cents, everyone }),
        1 => (cents.clone(), any::<bool>()).prop_map(|(cents, everyone)| Kind::Settle { cents, everyone }),
        2 => (cents.clone(), any::<bool>()).prop_map(|(cents, everyone)| Kind::Deliver { cents, everyone }),
        3 => (1..4_i64).prop_map(|part| Kind::Move { part }),
        2 => (thousandths.clone(), cents.clone())
            .prop_map(|(thousandths, cents)| Kind::Repair { thousandths, cents }),
        2 => (thousandths, cents).prop_map(|(thousandths, cents)| Kind::Open { thousandths, cents }),
        2 => (-300..300_i64, paid(), any::<bool>())
            .prop_map(|(thousandths, paid, alone)| Kind::Fee { thousandths, paid, alone }),
        1 => (-500..500_i64).prop_map(|cents| Kind::Funding { cents }),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        20 => trade().prop_map(Kind::Fill),
        20 => of_positions(),
        2 => (0..6_usize, 1..5_000_i64).prop_map(|(which, cents)| Kind::Money { which, cents }),
        2 => (any::<usize>(), 0..7_usize).prop_map(|(pick, news)| Kind::Order { pick, news }),
        1 => any::<bool>().prop_map(|instrument| Kind::Isolate { instrument }),
        1 => Just(Kind::Snapshot),
    ]
}

prop_compose! {
    pub(crate) fn wish()(
        account in 0..2_usize,
        leg in 0..2_usize,
        desk in prop_oneof![Just(None), Just(Some(0)), Just(Some(1))],
        coin in any::<bool>(),
        late in prop_oneof![3 => Just(0_i64), 1 => 1..8_i64],
        kind in kind(),
    ) -> Wish {
        Wish { account, leg, desk, coin, late, kind }
    }
}

prop_compose! {
    pub(crate) fn rules()(
        contract in prop_oneof![
            2 => Just(Contract::Linear),
            1 => Just(Contract::Spot),
            1 => Just(Contract::Inverse),
            1 => Just(Contract::Quanto),
        ],
        method in 0..METHODS.len(),
        multiplier in 1..60_i64,
        hedged in any::<bool>(),
        by_time in any::<bool>(),
    ) -> Rules {
        let multiplier = if contract == Contract::Spot { 1 } else { multiplier };
        let terms = Terms { contract, method: METHODS[method], multiplier };
        Rules { terms, hedged, by_time }
    }
}
