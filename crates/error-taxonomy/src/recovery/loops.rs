//! Ends recoveries that lead to recoveries.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backstop_clock::Timestamp;

use super::{Call, Done, Handlers, Recovery, recover, recover_async};
use crate::{Action, Class, Classify, Decision, Error, Kind};

/// How deep recoveries may lead to recoveries.
const DEPTH_MAX: u32 = 3;

/// How many recoveries there may be within the window.
const COUNT_MAX: usize = 20;

/// The window.
const WINDOW: Duration = Duration::from_mins(1);

/// Cuts recoveries that lead to recoveries, by depth and by rate.
///
/// Use one per line of work, such as a strategy or a feed: what runs at the same time under one
/// guard counts as depth.
///
/// | limit | default |
/// |---|---|
/// | depth | 3 |
/// | rate | 20 a minute |
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::Timestamp;
/// use backstop_error_taxonomy::recovery::{LoopCut, LoopGuard};
///
/// let guard = LoopGuard::default().with_depth_max(1);
/// let now = Timestamp::EPOCH;
/// let outer = guard.enter(now)?;
/// assert_eq!(guard.enter(now).unwrap_err(), LoopCut::Depth { max: 1 });
/// drop(outer);
/// assert!(guard.enter(now).is_ok());
/// # Ok::<(), LoopCut>(())
/// ```
#[derive(Debug)]
pub struct LoopGuard {
    depth_max: u32,
    count_max: usize,
    window: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    depth: u32,
    /// When the last recoveries began, at most `count_max` of them.
    began: VecDeque<Timestamp>,
}

/// Why a recovery was not begun.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoopCut {
    /// It would be one inside too many others.
    #[error("recoveries lead to recoveries more than {max} deep")]
    Depth {
        /// How deep they may go.
        max: u32,
    },
    /// There were too many lately.
    #[error("more than {max} recoveries within {window:?}")]
    Rate {
        /// How many there may be.
        max: usize,
        /// Within which time.
        window: Duration,
    },
}

impl Classify for LoopCut {
    fn class(&self) -> Class {
        Class::of(Kind::Internal).with_effect(crate::Effect::NotApplied)
    }
}

/// The right to recover once; gives its place in the depth back when it is dropped.
#[derive(Debug)]
#[must_use = "the recovery lasts until it is dropped"]
pub struct Entered<'g>(&'g LoopGuard);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.depth = state.depth.saturating_sub(1);
    }
}

impl Default for LoopGuard {
    fn default() -> Self {
        Self::new(COUNT_MAX, WINDOW)
    }
}

impl LoopGuard {
    /// A guard that lets `count_max` recoveries begin within any `window`; at least one.
    ///
    /// More than 1,024 are taken for 1,024.
    pub fn new(count_max: usize, window: Duration) -> Self {
        let count_max = count_max.clamp(1, 1_024);
        Self { depth_max: DEPTH_MAX, count_max, window, state: Mutex::default() }
    }

    /// Lets recoveries go `depth_max` deep; at least one.
    #[must_use]
    pub fn with_depth_max(mut self, depth_max: u32) -> Self {
        self.depth_max = depth_max.max(1);
        self
    }

    /// Lets a recovery begin.
    ///
    /// # Errors
    ///
    /// [`LoopCut`] when it would be too deep, or one too many.
    pub fn enter(&self, now: Timestamp) -> Result<Entered<'_>, LoopCut> {
        let mut state = self.lock();
        if state.depth >= self.depth_max {
            return Err(LoopCut::Depth { max: self.depth_max });
        }
        // What a clock that stepped back left in the future counts no longer.
        state.began.retain(|began| *began <= now && now.since(*began) < self.window);
        if state.began.len() >= self.count_max {
            return Err(LoopCut::Rate { max: self.count_max, window: self.window });
        }
        state.began.push_back(now);
        state.depth = state.depth.saturating_add(1);
        Ok(Entered(self))
    }

    /// As [`recover`], unless it is cut; then the original error is escalated.
    ///
    /// What is only handed on, to the caller or for another try, is no recovery and never cut.
    pub fn recover<T>(
        &self,
        now: Timestamp,
        decision: &Decision<'_>,
        error: Error,
        handlers: Handlers<'_, T>,
    ) -> Recovery<T> {
        if is_handed_on(decision) {
            return recover(decision, error, handlers);
        }
        match self.enter(now) {
            Ok(_entered) => recover(decision, error, handlers),
            Err(cut) => Recovery::cut(error, cut),
        }
    }

    /// As [`recover_async`], unless it is cut; then the original error is escalated.
    pub async fn recover_async<T>(
        &self,
        now: Timestamp,
        decision: &Decision<'_>,
        error: Error,
        doer: impl AsyncFnMut(Call<'_>) -> Result<Done<T>, Error>,
    ) -> Recovery<T> {
        if is_handed_on(decision) {
            return recover_async(decision, error, doer).await;
        }
        match self.enter(now) {
            Ok(_entered) => recover_async(decision, error, doer).await,
            Err(cut) => Recovery::cut(error, cut),
        }
    }

    /// Nothing of anybody else runs while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody is asked to do anything.
const fn is_handed_on(decision: &Decision<'_>) -> bool {
    matches!(decision.action, Action::Propagate | Action::Retry)
}
