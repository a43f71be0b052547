//! The async driver: runs, sleeps and asks as the pure core says.

use std::future::{Ready, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use backstop_clock::{Clock, Sleep};
use backstop_error_taxonomy::{Class, Classify, Effect};
use rand::Rng;

use crate::{
    Elapsed, Finished, Guard, Policy, PolicyError, Progress, Resolution, Step, StopReason, Stopped,
};

/// A checked policy and a guard; make it once, run it as often as you like.
///
/// It needs no runtime: clock and sleep are arguments, and any executor can poll the run.
/// Dropping a run cancels it; nothing is sent or slept on afterwards.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use std::time::Duration;
/// use backstop_clock::{Clock, ManualClock, Timestamp};
/// use backstop_retry_backoff::{Guard, Policy, Resolution, Retry, Schedule, StopReason};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// # pollster::block_on(async {
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let mut rng = StdRng::seed_from_u64(7);
/// let policy = Policy::new(Schedule::exponential(Duration::from_millis(500)));
/// let submit = Retry::new(policy, Guard::Once)?;
///
/// // The connection broke after the order had left: it is not sent again.
/// let broken = async |_attempt| Err::<u64, _>(Error::from(ErrorKind::ConnectionReset));
/// let stopped = submit.run(&clock, &mut rng, broken).await.unwrap_err();
/// assert_eq!((stopped.reason, stopped.attempts), (StopReason::UnknownOutcome, 1));
///
/// // The same with somebody to ask: the venue has it as order 42.
/// let asking = submit.resolve(async || Resolution::Found(42));
/// let finished = asking.run(&clock, &mut rng, broken).await.unwrap();
/// assert_eq!((finished.value, finished.resolved), (42, true));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Retry {
    policy: Policy,
    guard: Guard,
}

impl Retry {
    /// Checks the policy.
    ///
    /// # Errors
    /// [`PolicyError`] names the first setting that no loop can work with.
    pub fn new(policy: Policy, guard: Guard) -> Result<Self, PolicyError> {
        policy.check()?;
        Ok(Self { policy, guard })
    }

    /// The first attempt starts `now`; for those who drive the pure core themselves.
    pub fn start(&self, now: Instant) -> Progress {
        Progress::new(self.policy, self.guard, now)
    }

    /// Runs `op` until it succeeds or nothing is left to try.
    ///
    /// `op` gets the number of the attempt, from 1.
    /// Dropping the future that `op` returned must be harmless: that is how an attempt is cut.
    ///
    /// # Errors
    /// [`Stopped`] with the reason and the last error.
    pub async fn run<T, E, F>(
        &self,
        clock: &(impl Clock + Sleep),
        rng: &mut (impl Rng + ?Sized),
        op: impl FnMut(u32) -> F,
    ) -> Result<Finished<T>, Stopped<E>>
    where
        E: Classify + From<Elapsed>,
        F: Future<Output = Result<T, E>>,
    {
        let nobody = None::<fn() -> Ready<Resolution<T>>>;
        drive(self.start(clock.instant()), clock, rng, op, nobody).await
    }

    /// Asks `look_up` before anything of unknown outcome is sent again under [`Guard::Once`].
    ///
    /// It is asked after the sleep and before the resend, within the attempt timeout and the rest
    /// of the deadline; when no attempt is left, nothing is asked and the outcome stays unknown.
    pub fn resolve<L>(&self, look_up: L) -> Resolving<'_, L> {
        Resolving { retry: self, look_up }
    }
}

/// A [`Retry`] with somebody to ask about unknown outcomes.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing happens until it is run"]
pub struct Resolving<'r, L> {
    retry: &'r Retry,
    look_up: L,
}

impl<L> Resolving<'_, L> {
    /// Runs `op` as [`Retry::run`] does, and looks up what may have taken effect.
    ///
    /// # Errors
    /// [`Stopped`] with the reason and the last error.
    pub async fn run<T, E, F, G>(
        self,
        clock: &(impl Clock + Sleep),
        rng: &mut (impl Rng + ?Sized),
        op: impl FnMut(u32) -> F,
    ) -> Result<Finished<T>, Stopped<E>>
    where
        E: Classify + From<Elapsed>,
        F: Future<Output = Result<T, E>>,
        L: FnMut() -> G,
        G: Future<Output = Resolution<T>>,
    {
        let progress = self.retry.start(clock.instant()).with_look_up();
        drive(progress, clock, rng, op, Some(self.look_up)).await
    }
}

// Plain closures that return a future, not async ones: with those, no caller could prove that
// the run may move to another thread.
async fn drive<T, E, F, G>(
    mut progress: Progress,
    clock: &(impl Clock + Sleep),
    rng: &mut (impl Rng + ?Sized),
    mut op: impl FnMut(u32) -> F,
    mut look_up: Option<impl FnMut() -> G>,
) -> Result<Finished<T>, Stopped<E>>
where
    E: Classify + From<Elapsed>,
    F: Future<Output = Result<T, E>>,
    G: Future<Output = Resolution<T>>,
{
    loop {
        let limit = progress.limit(clock.instant());
        let (error, class) = match within(clock, limit, op(progress.attempt())).await {
            Ok(Ok(value)) => return Ok(finished(&progress, value, false)),
            Ok(Err(error)) => {
                let class = error.class();
                (error, class)
            }
            Err(elapsed) => {
                let error = E::from(elapsed);
                // Whatever the error's own type claims: a cut attempt may have been processed.
                let class = error.class().with_effect(Effect::Unknown);
                (error, class)
            }
        };
        let stop = match progress.failed(class, clock.instant(), rng) {
            Step::Stop(reason) => Some(reason),
            Step::Run { after } => {
                clock.sleep(after).await;
                None
            }
            Step::Ask { after } => {
                clock.sleep(after).await;
                let limit = progress.limit(clock.instant());
                let answer = match &mut look_up {
                    Some(look_up) => within(clock, limit, look_up()).await,
                    None => Ok(Resolution::Unknown),
                };
                match answer.unwrap_or(Resolution::Unknown) {
                    Resolution::Found(value) => return Ok(finished(&progress, value, true)),
                    Resolution::NotFound => progress.not_applied(),
                    // `resume` refuses to send what is still unknown.
                    Resolution::Unknown => {}
                }
                None
            }
        };
        let stop = stop.or_else(|| progress.resume(clock.instant()).err());
        if let Some(reason) = stop {
            return Err(stopped(&progress, reason, error, class));
        }
    }
}

fn finished<T>(progress: &Progress, value: T, resolved: bool) -> Finished<T> {
    Finished { value, attempts: progress.attempt(), resolved }
}

fn stopped<E>(progress: &Progress, reason: StopReason, error: E, last: Class) -> Stopped<E> {
    Stopped { reason, error, attempts: progress.attempt(), class: progress.class(last, reason) }
}

/// Polls `work` and, if there is a limit, a sleep; an answer that comes with the limit counts.
async fn within<T>(
    clock: &impl Sleep,
    limit: Option<Duration>,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let Some(limit) = limit else { return Ok(work.await) };
    let mut work = pin!(work);
    let mut timer = pin!(clock.sleep(limit));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| Err(Elapsed::new(limit))),
    })
    .await
}
