//! Exact and provable books of orders, fills and money.
//!
//! ```
//! use backstop_clock::Timestamp;
//! use backstop_position_ledger::fill::{Fill, Side, TradeId};
//! use backstop_position_ledger::{
//!     Account, Amount, Currency, Durability, Entry, Fact, Instrument, InstrumentId, Instruments, Ledger, MemoryJournal,
//!     Outcome,
//! };
//! # use uuid::Uuid;
//!
//! let (account, usd, id) = (Account::new("main")?, Currency::new("USD")?, InstrumentId::new("EUR/USD")?);
//! let instrument = Instrument::new(id.clone(), usd.clone(), "0.00001".parse()?, Amount::from_int(1000))?;
//! let mut ledger = Ledger::open(Box::new(MemoryJournal::new()), Instruments::new([instrument])?)?;
//!
//! let what = (Side::Buy, Amount::from_int(2000), "1.10".parse()?);
//! let fill = Fill::new(TradeId::new("t1")?, Uuid::nil(), id.clone(), what).with_fee("0.05".parse()?, usd);
//! let at = Timestamp::from_millis(1_000);
//! let entry = Entry::new(Entry::id_at(at, [1; 10]), account.clone(), at, Fact::Filled(fill));
//! assert_eq!(ledger.append(&entry, Durability::Grouped)?, Outcome::Applied { sequence: 1 });
//! assert_eq!(ledger.append(&entry, Durability::Grouped)?, Outcome::Duplicate);
//!
//! let position = ledger.books().position(&account, &id).ok_or("no position")?;
//! assert_eq!(position.open_cost().to_string(), "2200");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is in the books
//!
//! An [`Entry`] states one [`Fact`]: money that came, went or was adjusted, an order [intended](order::Intent) and what
//! became of it, a [fill](fill::Fill), its [bust](fill::Void) or [correction](fill::Correction), a fee, funding, or what
//! else [happened](action) to a position, a [snapshot](pnl::Snapshot) handed out.
//! The [`Ledger`] gives each entry to a [journal](journal::Journal), chained by SHA-256, and adds it to the [`Books`].
//! The same journal gives the same books, to the last bit, at every entry: [`Ledger::as_of`], [`Ledger::replay`].
//!
//! | decision | here |
//! | --- | --- |
//! | contracts | spot, linear, inverse, quanto, with a multiplier: [`rules::Contract`] |
//! | positions | per account and instrument, netted or by leg; shares of strategies and portfolios beside them |
//! | cost | average, FIFO, LIFO, HIFO or named lots: [`rules::Method`] |
//! | order | that of the journal, or of event time: [`rules::Sequencing`] |
//! | numbers | [`Amount`]: 18 decimals, exact or an error |
//! | the value of a fill | the cost that the venue states; else rounded half to even at the 18th decimal |
//! | identity of a fill | (account, instrument, trade id), for ever |
//! | identity of an order | its client order id; each event once |
//! | identity of the rest | the id that its source gave it, else the id of the entry |
//! | what waits for the disk | what you append as [`Durability::Durable`]: intents, before they are sent |
//!
//! # Keeping and reading
//!
//! | to | use |
//! | --- | --- |
//! | check the chain | [`journal::verify`], which names the first bad entry |
//! | see the past | [`Ledger::as_of`] an entry or a time |
//! | open a long journal | [`Ledger::keep_image`] now and then, [`Ledger::resume`] |
//! | keep profit and loss | [`pnl::Schedule`], [`Books::snapshot`], [`pnl::take`], a [`pnl::Store`] |
//! | compare it with the books | [`pnl::Snapshot::validate`] |
//! | hand the journal on, or read it back | [`export`] as CSV or JSON Lines |
//! | simulate, or keep a paper wallet | [`Books::book`], without a journal |
//! | ask who earned what | [`Books::profits`], [`pnl::convert`] at given rates |
//! | know what is free | [`Books::funds`] |
//! | compare several books | [`Books::statement`] |
//! | know how a position came about | [`Books::history`], [`Books::in_order`] |
//! | keep a bad account or instrument apart | [`Fact::Isolated`], [`Fact::Released`] |
//!
//! # What it is not
//!
//! It reads no clock, sends nothing, invents no rate or mark, and asks no venue.
//! It does not correct itself: reconciliation finds, and a correction is an entry like any other.
//! One ledger is the only writer of its journal, unless the journal says that it is [shared](journal::Journal::is_shared).
//!
//! # Features
//!
//! - `sqlite` (default): the journal in a database of `backstop-storage`, with its migrations as data.
//!
//! # How it fails
//!
//! Bad input is a typed [error] that names field, value and rule, and leaves books and journal as they were.
//! The same key with other content is [`Outcome::Conflict`], never applied and never ignored.
//! What cannot be answered is an error or an empty place, never a zero; what is old says how old.
//! A journal that fails stops the ledger; a damaged journal is refused at [`Ledger::open`] with the first bad entry.

#![deny(clippy::arithmetic_side_effects)]

pub use amount::Amount;
pub use books::Books;
pub use entry::{Cause, Entry, Fact};
pub use instrument::{Instrument, Instruments};
pub use journal::Durability;
pub use ledger::{Ledger, Outcome};
pub use memory::MemoryJournal;
pub use name::{Account, Currency, InstrumentId, Text};
pub use replay::Replay;
#[cfg(feature = "sqlite")]
pub use sqlite::{MIGRATIONS, SqliteJournal, SqliteSnapshots};

mod amount;
mod wide;
mod name;
pub mod rules;
mod instrument;
mod average;
mod entry;
pub mod order;
pub mod fill;
pub mod action;
pub mod position;
mod lots;
mod state;
pub mod money;
mod compact;
mod index;
mod series;
mod archive;
mod pairs;
mod slots;
mod books;
mod posting;
mod places;
mod deal;
mod booking;
mod amending;
mod settling;
mod deeds;
mod derive;
mod splitting;
mod proof;
mod change;
mod rates;
mod profit;
mod funds;
pub mod statement;
mod image;
mod ledger;
mod replay;
pub mod pnl;
pub mod journal;
pub mod export;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
#[expect(
    clippy::module_name_repetitions,
    reason = "their names have to stand alone in the code that matches on them"
)]
pub mod error;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
