use std::{sync::Arc, time::Duration};

use backstop_clock::{Clock, Timestamp};

use crate::{
    Breaker, Policy, PolicyError, State,
    state::Machine,
    time::{left, tick},
};

/// How old a time line may be that goes on: a century, of the 292 years that its ticks can tell.
///
/// No verdict of a window is that old, and near their end all times would be the same.
const AGE_MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// What a breaker knows that should outlive its process.
///
/// Policy, state, the rest of the open time, how often it reopened, and what tells its jitter from
/// that of others.
/// Counts, permits, totals and trips are not part of it: they speak of calls that ended with the
/// process.
///
/// ```
/// use std::time::Duration;
/// use backstop_circuit_breaker::{Breaker, Policy};
/// use backstop_clock::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let venue = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(1))?;
/// venue.open(clock.instant());
/// let kept = venue.snapshot(&clock);
///
/// clock.advance(Duration::from_secs(10));
/// let venue = Breaker::restore(kept, &clock)?;
/// let rejection = venue.admit(|| clock.instant()).unwrap_err();
/// assert_eq!(rejection.retry_after, Some(Duration::from_secs(20)));
/// # Ok::<(), backstop_circuit_breaker::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Snapshot {
    policy: Policy,
    state: State,
    /// The rest of the open time or the half-open period when it was taken, if that had an end.
    #[cfg_attr(feature = "serde", serde(rename = "left_ms", default))]
    #[cfg_attr(feature = "serde", serde(with = "crate::plain::optional_millis"))]
    left: Option<Duration>,
    /// The number of the last opening since the last close, if there was one.
    open_attempt: Option<u32>,
    /// How long the time line was then, on which the slices of a window lie.
    #[cfg_attr(feature = "serde", serde(rename = "age_ms"))]
    #[cfg_attr(feature = "serde", serde(with = "crate::plain::millis"))]
    age: Duration,
    /// What tells its jitter from that of other breakers with the same policy.
    draw: u32,
    taken_at: Timestamp,
}

impl Snapshot {
    /// The state it holds.
    pub const fn state(&self) -> State {
        self.state
    }

    /// When it was taken, by the wall clock.
    pub const fn taken_at(&self) -> Timestamp {
        self.taken_at
    }
}

impl Breaker {
    /// Writes down what should outlive the process.
    ///
    /// Time does its part first, as by [`expire`](Self::expire), so a half-open period that has
    /// lasted too long ends and listeners hear of it.
    pub fn snapshot(&self, clock: &impl Clock) -> Snapshot {
        let now = clock.instant();
        // What is written down is how it stands now, not when somebody last looked.
        self.expire(now);
        let tick = self.gate().moment(now).tick;
        let taken_at = clock.now();
        self.read(|machine| Snapshot {
            policy: Policy::clone(&machine.policy),
            state: machine.state(),
            left: machine.until().map(|until| left(until, tick)),
            open_attempt: machine.has_opened().then(|| machine.open_attempt()),
            age: left(tick, 0),
            draw: machine.draw,
            taken_at,
        })
    }

    /// A breaker that goes on where another one was.
    ///
    /// The time since the snapshot is read from the wall clock and counts as time passed.
    /// A wall clock that was set back counts as none, so that no open time grows.
    /// Slices of a time window lie where they lay before, unless that began a century ago.
    ///
    /// # Errors
    /// Every setting of the policy that is impossible, as in a snapshot edited by hand.
    pub fn restore(snapshot: Snapshot, clock: &impl Clock) -> Result<Self, PolicyError> {
        snapshot.policy.check()?;
        let passed = clock.now().since(snapshot.taken_at);
        let (now, age) = (clock.instant(), snapshot.age.saturating_add(passed));
        // One that is older, or starts before the clock can tell, ends: another starts now.
        let start = if age > AGE_MAX { None } else { now.checked_sub(age) }.unwrap_or(now);
        let end = |left: Duration| now.checked_add(left.saturating_sub(passed));
        let until = snapshot.left.map(|left| end(left).map_or(i64::MAX, |end| tick(start, end)));
        let mut machine = Machine::new(Arc::new(snapshot.policy));
        machine.draw = snapshot.draw;
        machine.resume(snapshot.state, until, snapshot.open_attempt);
        Ok(Self::of(machine, Some(start)))
    }
}
