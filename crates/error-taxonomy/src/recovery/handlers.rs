//! Who does what was decided.

use std::fmt;

use super::Stale;
use crate::{Action, Decision, Error, HaltScope};

/// What a handler is asked to do.
///
/// What it needs is in the decision: the name of the stand-in, of the compensation, how much to
/// halt, how old a value may be.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Call<'c> {
    /// What to do now; after a fallback that failed it is [`Action::Degrade`].
    pub action: Action,
    /// What failed.
    pub error: &'c Error,
    /// What was decided about it.
    pub decision: &'c Decision<'c>,
}

impl<'c> Call<'c> {
    /// The name of what stands in, if the decision knows one.
    pub fn fallback(&self) -> Option<&'c str> {
        self.decision.fallback
    }

    /// The name of what undoes or corrects it, if the decision knows one.
    pub fn compensation(&self) -> Option<&'c str> {
        self.decision.compensation
    }

    /// How much to halt.
    pub fn halt(&self) -> HaltScope {
        self.decision.halt
    }
}

/// What a handler came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Done<T> {
    /// A result as good as the one that was wanted.
    Value(T),
    /// A value of some age.
    Stale(Stale<T>),
    /// It is done, and there is no value.
    Nothing,
    /// Nobody here does that.
    NotMine,
}

type Doer<'h, T> = Box<dyn FnMut(Call<'_>) -> Result<Done<T>, Error> + 'h>;

/// The closures that do what may be decided.
///
/// Only those that a bot has need to be given.
/// What is decided and cannot be done is escalated, but for three: without a handler a fallback
/// degrades, and continuing and degrading go on without a value.
///
/// ```
/// use std::time::Duration;
/// use backstop_error_taxonomy::recovery::{Handlers, Outcome, Stale, recover};
/// use backstop_error_taxonomy::{Classify, Component, Error, Kind, Policy, Site};
///
/// let policy = Policy::default();
/// let error = Error::new(Kind::Unavailable, "feed is down");
/// let site = Site::new(Component::DATA, "last_price").idempotent().with_attempt(4, 4);
/// let decision = policy.decide(error.class(), &site);
///
/// let recovery = recover(
///     &decision,
///     error,
///     Handlers::new().on_degrade(|_| Ok(Stale::new("1.0712", Duration::from_secs(40)))),
/// );
/// let Outcome::Degraded(Some(price)) = recovery.outcome else { unreachable!() };
/// assert_eq!(price.age(), Duration::from_secs(40));
/// ```
pub struct Handlers<'h, T> {
    /// At most one per action.
    doers: Vec<(Action, Doer<'h, T>)>,
}

impl<T> Default for Handlers<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Handlers<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.doers.iter().map(|(action, _)| action)).finish()
    }
}

impl<'h, T> Handlers<'h, T> {
    /// Nobody does anything yet.
    pub const fn new() -> Self {
        Self { doers: Vec::new() }
    }

    /// Gets the value from what stands in.
    #[must_use]
    pub fn on_fallback(self, mut get: impl FnMut(Call<'_>) -> Result<T, Error> + 'h) -> Self {
        self.on(Action::Fallback, Box::new(move |call| get(call).map(Done::Value)))
    }

    /// Gives an older value, marked with its age.
    #[must_use]
    pub fn on_degrade(self, mut get: impl FnMut(Call<'_>) -> Result<Stale<T>, Error> + 'h) -> Self {
        self.on(Action::Degrade, Box::new(move |call| get(call).map(Done::Stale)))
    }

    /// Looks up what became of it, and gives that as the result.
    #[must_use]
    pub fn on_reconcile(self, mut get: impl FnMut(Call<'_>) -> Result<T, Error> + 'h) -> Self {
        self.on(Action::Reconcile, Box::new(move |call| get(call).map(Done::Value)))
    }

    /// Gives the value to go on with.
    #[must_use]
    pub fn on_continue(self, mut get: impl FnMut(Call<'_>) -> Result<T, Error> + 'h) -> Self {
        self.on(Action::Continue, Box::new(move |call| get(call).map(Done::Value)))
    }

    /// Undoes or corrects what is half done.
    #[must_use]
    pub fn on_compensate(self, mut act: impl FnMut(Call<'_>) -> Result<(), Error> + 'h) -> Self {
        self.on(Action::Compensate, Box::new(move |call| act(call).map(|()| Done::Nothing)))
    }

    /// Sets it aside.
    #[must_use]
    pub fn on_isolate(self, mut act: impl FnMut(Call<'_>) -> Result<(), Error> + 'h) -> Self {
        self.on(Action::Isolate, Box::new(move |call| act(call).map(|()| Done::Nothing)))
    }

    /// Tells a person.
    #[must_use]
    pub fn on_escalate(self, mut act: impl FnMut(Call<'_>) -> Result<(), Error> + 'h) -> Self {
        self.on(Action::Escalate, Box::new(move |call| act(call).map(|()| Done::Nothing)))
    }

    /// Stops what the decision says is to stop.
    #[must_use]
    pub fn on_halt(self, mut act: impl FnMut(Call<'_>) -> Result<(), Error> + 'h) -> Self {
        self.on(Action::Halt, Box::new(move |call| act(call).map(|()| Done::Nothing)))
    }

    /// The later of two for one action counts.
    fn on(mut self, action: Action, doer: Doer<'h, T>) -> Self {
        self.doers.retain(|(known, _)| *known != action);
        self.doers.push((action, doer));
        self
    }

    /// Has it done; `None` if nobody does it.
    pub(super) fn run(&mut self, call: Call<'_>) -> Option<Result<Done<T>, Error>> {
        let doer = self.doers.iter_mut().find(|(action, _)| *action == call.action);
        doer.map(|(_, doer)| doer(call))
    }
}
