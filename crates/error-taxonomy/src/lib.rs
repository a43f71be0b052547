//! What failed, whether it took effect, whether it may be tried again, and what to do.
//!
//! Every failure has five axes: [`Kind`] (what), [`Transience`] (will it pass), [`Effect`] (did it
//! happen), [`Severity`] (how bad) and [`Component`] (where).
//! [`Class`] carries what an error knows of them, [`Classify`] is how an error says so, and
//! [`decide`] turns a class and a place into an [`Action`].
//!
//! ```
//! use backstop_error_taxonomy::{Action, Classify, Component, Effect, Error, Kind, Site, decide};
//!
//! // The order left, the answer did not come.
//! let error = Error::new(Kind::Timeout, "no answer within 2 s").with_op("submit_order");
//! assert_eq!(error.class().effect(), Effect::Unknown);
//!
//! // Resending might buy twice, so the outcome is looked up.
//! let submit = Site::new(Component::EXECUTION, "submit_order");
//! assert_eq!(decide(error.class(), &submit).action, Action::Reconcile);
//!
//! // Reading twice harms nobody.
//! let read = Site::new(Component::DATA, "fetch_candles").idempotent();
//! assert_eq!(decide(error.class(), &read).action, Action::Retry);
//!
//! // The fourth of four attempts was the last one.
//! let last = decide(error.class(), &read.with_attempt(4, 4));
//! assert_eq!(last.action, Action::Propagate);
//! ```
//!
//! # Defaults
//!
//! The table of [`Kind`] lists the default transience, effect, severity and action of each kind.
//! A [`Site`] is not idempotent unless it says so, and has four attempts.
//!
//! # What it is not
//!
//! It does not retry, log, count or alert; it has no clock and does no input or output.
//! It never reads an error's message: classes come from types and from the [`codes`] of the
//! operating system, HTTP and databases.
//!
//! # Failing
//!
//! Every function is total.
//! Only reading an axis from text can fail, with [`UnknownName`].
//! An error keeps a bounded number of operations and context pairs and counts what it left out.

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
