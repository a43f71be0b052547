//! What failed, whether it took effect, whether it may be tried again, and what to do.
//!
//! A retry that looks harmless buys twice.
//! Here every failure says whether the request may have taken effect, and no rule can turn what
//! may have happened into a second try.
//!
//! ```
//! use std::io::{Error as IoError, ErrorKind};
//! use backstop_error_taxonomy::{
//!     Action, Classify, Component, Context, Effect, Error, Site, decide,
//! };
//!
//! // The order left; the connection broke before the answer came.
//! fn submit(id: &str) -> Result<(), Error> {
//!     let answer = Err(IoError::from(ErrorKind::ConnectionReset));
//!     answer.op("submit_order").component(Component::EXECUTION).with("order_id", id)
//! }
//! let error = submit("o-17").unwrap_err();
//! assert_eq!(error.to_string(), "submit_order: connection reset (connection)");
//! assert_eq!(error.class().effect(), Effect::Unknown);
//!
//! // Sent again it may buy twice, so the outcome is looked up.
//! let order = Site::new(Component::EXECUTION, "submit_order");
//! assert_eq!(decide(error.class(), &order).action, Action::Reconcile);
//! // The very same failure of a read is simply tried again.
//! let read = Site::new(Component::DATA, "fetch_candles").idempotent();
//! assert_eq!(decide(error.class(), &read).action, Action::Retry);
//! ```
//!
//! # The axes
//!
//! | axis | question | values | who says it |
//! |---|---|---|---|
//! | [`Kind`] | what failed | 19, from `invalid` to `other` | the error's type or code |
//! | [`Transience`] | will it pass | permanent, transient, exhausted | the kind, unless the error knows better |
//! | [`Effect`] | did it happen | not applied, unknown, applied | the kind, unless the error knows better |
//! | [`Severity`] | how bad | info, low, medium, high, critical | the policy, not below the error's floor |
//! | [`Component`] | where | open, 13 named | the layer nearest to the failure |
//!
//! They vary independently: a timeout while connecting and one after sending are of the same kind
//! and of different effect.
//! [`Class`] carries what an error knows of them in 16 bytes.
//!
//! # From the error to the deed
//!
//! | step | with |
//! |---|---|
//! | an error says its class | [`Classify`] for a type of your own; [`codes`] and [`drivers`] behind it; [`venue`] tables |
//! | or it is found | [`Classifier`] walks the sources of a `dyn Error` and asks each by its type |
//! | it travels | [`Error`] of one pointer, told more by [`Context`] on the way out; [`facts`] |
//! | it is decided on | [`decide`] by the defaults, [`Policy`] by rules; both pure |
//! | it is done | [`recovery::recover`] with your closures |
//! | it is counted | [`Error::record_once`], [`thresholds`], [`tally`] |
//!
//! # Defaults
//!
//! The table of [`Kind`] lists transience, effect, severity and action of each kind.
//! A [`Site`] is not idempotent unless it says so, and has four attempts.
//! What nobody can classify is [`Kind::Other`]: permanent, of unknown effect, and a person is told.
//!
//! # What it is not
//!
//! It does not retry, sleep, log or alert, and does no input or output.
//! It reads no error's message: classes come from types and codes.
//! The only clock it reads is for [`Error::id`], where nobody gave an id.
//!
//! # Features
//!
//! None is on by default; each only adds.
//!
//! | feature | adds |
//! |---|---|
//! | `serde` | axes, classes, errors, policies and venue tables in the form of data |
//! | `backtrace` | `Error::with_backtrace`; no stack is captured without it, whatever `RUST_BACKTRACE` says |
//! | `tokio` | [`Classify`] for `Elapsed` and `JoinError` |
//! | `serde_json`, `reqwest` | [`Classify`] for their `Error` |
//! | `rusqlite` | [`Classify`] for its `Error`; brings `SQLite` |
//! | `sqlx` | [`Classify`] for its `Error`, of whatever driver; brings none |
//! | `rdkafka` | [`Classify`] for its errors; builds librdkafka with a C compiler and make |
//!
//! The tables in [`codes`], [`drivers`] and [`venue`] are there without any feature.
//!
//! # Failing
//!
//! Classifying and deciding are total.
//! Reading can fail: a name with [`UnknownName`], a policy and a venue table with an error that
//! tells everything that is wrong at once.
//! Whatever comes from outside is kept to a limit, and what was cut says so.

pub use crate::action::{Action, HaltScope, LogLevel};
pub use crate::class::{Class, Effect, Transience};
pub use crate::classifier::Classifier;
pub use crate::classify::Classify;
pub use crate::component::Component;
pub use crate::decision::{AlertAfter, Decision, decide};
pub use crate::environment::Environment;
pub use crate::error::{Context, Error};
pub use crate::kind::Kind;
pub use crate::names::UnknownName;
pub use crate::policy::Policy;
pub use crate::severity::Severity;
pub use crate::site::Site;
pub use crate::stated::Stated;

mod kind;
mod class;
mod severity;
mod component;
mod classify;
mod classifier;
mod stated;
mod action;
mod environment;
mod site;
mod decision;
pub mod policy;
pub mod recovery;
pub mod thresholds;
pub mod tally;
mod error;
pub mod codes;
pub mod drivers;
pub mod venue;
mod adapters;
mod names;

/// What an error knows besides its class.
pub mod facts {
    pub use crate::error::{Fingerprint, Key, Location};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
