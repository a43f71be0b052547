//! A trading host that shows the backstop crates wired together.
//!
//! The modules in the order of the story:
//!
//! 1. [`market`] brings prices, [`strategy`] says what to hold at them.
//! 2. [`order`] turns that into intents, written down before they are sent.
//! 3. [`guard`] stands in front of the [`venue`]; [`stack`] keeps its layers in order.
//! 4. [`events`] brings what happened there in order, [`fill`] books it, [`letters`] keep what
//!    could not be booked, [`redrive`] tries those again.
//! 5. [`recon`] compares the books with the venue's, [`snapshots`] publishes profit and loss.
//! 6. [`startup`] comes before all of it, [`trouble`] says what becomes of any failure, [`halt`]
//!    ends it, [`proof`] checks it.
//!
//! [`host`] owns the parts and runs them on simulated time ([`runtime`]).

pub mod market;
pub mod strategy;
pub mod order;
pub mod venue;
pub mod guard;
pub mod stack;
pub mod events;
pub mod fill;
pub mod letters;
pub mod redrive;
pub mod consume;
pub mod recon;
pub mod snapshots;
pub mod startup;
pub mod trouble;
pub mod halt;
pub mod closing;
pub mod proof;
pub mod report;
pub mod host;
pub mod duties;
pub mod accounts;
pub mod alerts;
pub mod errors;
pub mod watch;
pub mod ids;
pub mod runtime;
pub mod setup;
pub mod inspect;
pub mod operator;
pub mod serve;
pub mod crash;
pub mod chance;
pub mod faults;
pub mod sim_venue;
pub mod http_venue;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
