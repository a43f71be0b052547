//! Compare two books, explain the breaks, plan the repair and apply it.
//!
//! ```
//! use backstop_clock::Timestamp;
//! use backstop_reconciliation_strategies::{
//!     Action, Context, Policy, Preset, Statement, reconcile, rows::BalanceRow,
//! };
//! use rust_decimal::dec;
//!
//! let now = Timestamp::from_millis(100_000);
//! let ours = Statement::new("ledger", now)
//!     .with_version(7)
//!     .with_balances(vec![BalanceRow::new("A", "USDT", dec!(1000.00))]);
//! let theirs = Statement::new("venue", now)
//!     .with_balances(vec![BalanceRow::new("A", "USDT", dec!(999.99))]);
//! let policy = Policy::new(Preset::Full).with_auto_resolve_limit(dec!(0.05))?;
//!
//! let report = reconcile(&policy, &Context::new(now), &ours, &theirs)?;
//! assert_eq!(report.plan.expected_version, 7);
//! assert!(matches!(
//!     report.plan.actions[..],
//!     [Action::AdjustBalance { amount, .. }] if amount == dec!(-0.01)
//! ));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`reconcile`] is a pure function of two [`Statement`]s, a [`Policy`] and a [`Context`].
//! Its [`Report`] lists findings and a [`Plan`]; [`apply`] hands the plan to your [`Books`], and
//! refuses it when the book has moved since.
//!
//! # What it promises
//! 1. A leg that was not observed, or whose query failed, gives no findings: no answer is not flat.
//! 2. A real trade that our book lacks is booked as it is, never as an invented fill, and only if
//!    it takes the position to the other side's, or nearer to it.
//! 3. Money is adjusted only when no trade or position of the account is open, and only up to the
//!    limit of the policy.
//! 4. What is known to be on its way is deferred to the next run.
//! 5. A plan that was applied leaves nothing to plan: the second run repairs nothing.
//! 6. The order of rows does not matter, and the same case has the same id in every run.
//!
//! # Defaults
//! Those of [`Policy`]: half a lot, 0.0001 of an average price, exact balances and trades, the
//! external side is right, 5 s grace, and no money is adjusted without a limit that you set.
//!
//! # What it is not
//! It asks no venue, keeps no state, reads no clock and runs on no timer; it knows no ledger.
//!
//! # Features
//! None.
//!
//! # How it fails
//! [`ReconcileError`] for statements that cannot be compared at all, [`PolicyError`] for a setting
//! that cannot hold, [`ApplyError`] for a stale plan or a refusing book.
//! A malformed row is a finding; its key is not judged.
//! Figures that cannot be computed exactly never match and are never repaired.
#![deny(clippy::arithmetic_side_effects)]

mod statement;
pub mod rows;
mod context;
mod policy;
pub mod limits;
mod run;
mod join;
mod trades;
mod positions;
mod balances;
mod orders;
mod exact;
pub mod findings;
mod report;
pub mod coverage;
mod plan;
mod error;

pub use context::{Context, InFlight};
pub use error::{ApplyError, PolicyError, ReconcileError};
pub use plan::{Action, Books, Plan, apply};
pub use policy::{Policy, Preset};
pub use report::Report;
pub use run::reconcile;
pub use statement::{Leg, Statement};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
