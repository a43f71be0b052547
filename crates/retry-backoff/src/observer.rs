//! Where a user looks on.

use std::time::Duration;

use backstop_error_taxonomy::Class;

use crate::StopReason;

/// Something that happened in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An attempt starts.
    Started {
        /// Number of the attempt, from 1.
        attempt: u32,
    },
    /// An attempt failed; a failure that is retried is no error of the run.
    Failed {
        /// Number of the attempt, from 1.
        attempt: u32,
        /// What is known of the failure.
        class: Class,
    },
    /// An attempt gave a value that asks for another try.
    Unwanted {
        /// Number of the attempt, from 1.
        attempt: u32,
    },
    /// The run sleeps before the next attempt or look-up.
    Sleeping {
        /// Number of the attempt that ended.
        attempt: u32,
        /// How long.
        delay: Duration,
    },
    /// A look-up or a handle settled an open outcome: the request took effect.
    Resolved {
        /// Number of the last attempt.
        attempt: u32,
    },
    /// The run gave up.
    Stopped {
        /// Number of the last attempt, 0 if there was none.
        attempt: u32,
        /// Why.
        reason: StopReason,
    },
}

/// Looks on while runs go on, to count or to log.
///
/// It is called between the steps of a run, with no lock held; keep it short.
/// Without one, nothing is built and nothing is called.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_error_taxonomy::{Error, Kind};
/// use backstop_retry_backoff::{Policy, Retry, Schedule, observer::Event};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let seen = Arc::new(Mutex::new(Vec::new()));
/// let log = Arc::clone(&seen);
/// let reads = Retry::new(Policy::new(Schedule::fixed(Duration::from_secs(1))))?
///     .with_observer(Arc::new(move |event: Event| log.lock().unwrap().push(event)));
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let mut rng = StdRng::seed_from_u64(7);
/// let missing = |_| Err::<(), _>(Error::new(Kind::NotFound, "no such symbol"));
/// assert!(reads.read().run_blocking(&clock, &mut rng, missing).is_err());
/// assert!(matches!(
///     seen.lock().unwrap()[..],
///     [Event::Started { .. }, Event::Failed { .. }, Event::Stopped { .. }]
/// ));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// ```
pub trait Observer: Send + Sync {
    /// Something happened.
    fn observe(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Observer for F {
    fn observe(&self, event: Event) {
        self(event);
    }
}
