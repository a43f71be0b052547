//! A signal bot keeps what its message loop cannot handle as letters, and replays them later.
#![expect(clippy::print_stdout, reason = "the program shows what happened")]

use std::{collections::VecDeque, convert::Infallible, mem::take};

use anyhow::ensure;
use backstop_clock::{ManualClock, Timestamp};
use backstop_dlq::{
    Consumer, DeadLetterStore, Handler, Message, Replay, Source, SqliteStore, Step,
};
use backstop_error_taxonomy::{Class, Classify, Kind};
use backstop_storage::Database;
use pollster::block_on;

/// The bot's own queue: number, symbol, weight.
struct Signals(VecDeque<(u64, &'static str, &'static str)>);

impl Source for Signals {
    type Error = Infallible;

    async fn next(&mut self) -> Result<Option<Message>, Infallible> {
        Ok(self.0.pop_front().map(|(number, symbol, weight)| {
            Message::new("signals", number, weight.into(), Timestamp::EPOCH).with_key(symbol.into())
        }))
    }
}

/// The bot's own error; one `impl` tells the crate what it means.
#[derive(Debug, thiserror::Error)]
#[error("{self:?}")]
enum SignalError {
    Unreadable,
    Locked,
}

impl Classify for SignalError {
    fn class(&self) -> Class {
        Class::of(if matches!(self, Self::Locked) { Kind::Unavailable } else { Kind::Data })
    }
}

struct Weights {
    seen: Vec<i64>,
    unit: char,
    locked: bool,
}

impl Handler for Weights {
    type Message = i64;
    type Error = SignalError;

    fn decode(&self, raw: &Message) -> Result<i64, SignalError> {
        let weight = str::from_utf8(&raw.payload).unwrap_or_default();
        weight.trim_end_matches(self.unit).parse().or(Err(SignalError::Unreadable))
    }

    async fn handle(&mut self, message: i64, _: &Message) -> Result<(), SignalError> {
        if take(&mut self.locked) {
            return Err(SignalError::Locked);
        }
        self.seen.push(message);
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let store = SqliteStore::create(&Database::in_memory()?, Timestamp::EPOCH)?;
    let signals = [(1, "BTC", "5"), (2, "ETH", "7%"), (3, "ETH", "8"), (4, "BTC", "6")];
    let weights = Weights { seen: vec![], unit: ' ', locked: true };
    let mut bot = Consumer::new(Signals(signals.into()), weights, store.clone(), clock.clone());
    while block_on(bot.step())? != Step::Idle {}
    ensure!(bot.handler_mut().seen == [5, 6], "8 waits behind 7%");
    // The bot learns to read percent; what waited comes back in order.
    bot.handler_mut().unit = '%';
    let replayed = block_on(Replay::everything().run(bot.handler_mut(), &store, &clock))?;
    println!("{} letters replayed, seen {:?}", replayed.resolved.len(), bot.handler_mut().seen);
    ensure!(bot.handler_mut().seen == [5, 6, 7, 8] && block_on(store.stats())?.open() == 0);
    Ok(())
}
