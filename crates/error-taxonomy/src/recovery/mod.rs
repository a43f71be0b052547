//! Doing what was decided, without making it worse.
//!
//! A [`Decision`](crate::Decision) names what to do; [`recover`] has it done by closures, and
//! [`recover_async`] by an async closure of any runtime.
//!
//! | decided | asks for | when it works | when it fails or panics |
//! |---|---|---|---|
//! | fallback | a value | [`Outcome::Recovered`] | failed: degrade, once; panicked: escalate |
//! | degrade | a value marked stale | [`Outcome::Degraded`] | escalate |
//! | reconcile | the outcome, looked up | [`Outcome::Recovered`] | escalate |
//! | compensate, isolate | that it is done | [`Outcome::Handled`] | escalate |
//! | continue | nothing; it may give a value | [`Outcome::Handled`] or `Recovered` | escalate |
//! | halt | that it is done | [`Outcome::Halted`] | escalate |
//! | escalate | nothing; it may tell a person | [`Outcome::Escalated`] | the same |
//! | propagate | nothing | [`Outcome::Returned`] | |
//! | retry | nothing | [`Outcome::Returned`], still open | |
//!
//! # Laws
//!
//! 1. The error that is returned is the original one; what the handler failed with is attached to
//!    it as context and kept in [`Recovery::failures`], never the other way round.
//!    After the last attempt it is exhausted, so that no outer layer starts over.
//! 2. A fallback is followed once; nothing leads back to it.
//! 3. A handler that panics ends its own work, not the process.
//! 4. A recovery that fails is one critical event; one that brings the result or leaves nothing to
//!    do is none.
//!    What ends with less or with the error, as decided, is an event of the decided severity.
//! 5. A failure that was recorded before is not an event again, and an attempt that will be
//!    repeated is none yet.
//! 6. With a [`LoopGuard`], recoveries that lead to recoveries end, by depth and by rate.

mod course;
mod drive;
mod handlers;
mod loops;
mod stale;

pub use course::{HandlerFailure, Outcome, Recovery};
pub use drive::{recover, recover_async};
pub use handlers::{Call, Done, Handlers};
pub use loops::{Entered, LoopCut, LoopGuard};
pub use stale::Stale;
