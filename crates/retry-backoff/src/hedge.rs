//! Hedging: a slow read gets company.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backstop_clock::{Clock, Sleep};
use backstop_error_taxonomy::{Class, Classify, Transience};
use rand::Rng;

use crate::budget::{Budget, Spending};
use crate::error::{PolicyError, Problem};
use crate::outcome::Answer;
use crate::{Attempt, Ending, Finished, Outcome};

/// Starts further attempts of a read that is slow, and takes the first answer.
///
/// An attempt that has not answered after the delay gets company, one that failed for a time at
/// once; the others are dropped when one answers.
/// Attempts overlap, so this is for reads only: nothing here takes a key or a guard.
///
/// ```
/// use std::time::Duration;
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_retry_backoff::hedge::Hedge;
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let hedge = Hedge::new(Duration::from_millis(50), 2)?;
/// // The first server hangs, the second answers.
/// let mut rng = StdRng::seed_from_u64(7);
/// let price = hedge.run(&clock, &mut rng, |attempt| async move {
///     if attempt.number == 1 { std::future::pending().await } else { Ok::<_, std::io::Error>(101) }
/// });
/// let finished = pollster::block_on(price).unwrap();
/// assert_eq!((finished.value, finished.attempts), (101, 2));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hedge {
    delay: Duration,
    attempts_max: u32,
    budget: Option<Arc<Budget>>,
}

impl Hedge {
    /// At most `attempts_max` attempts, each `delay` after the one before.
    ///
    /// # Errors
    /// [`PolicyError`] if the delay or the number of attempts is zero.
    pub fn new(delay: Duration, attempts_max: u32) -> Result<Self, PolicyError> {
        let mut problems = Vec::new();
        if delay.is_zero() {
            problems.push(Problem::NoTime { setting: "delay" });
        }
        if attempts_max == 0 {
            problems.push(Problem::NoAttempts);
        }
        PolicyError::check(problems)?;
        Ok(Self { delay, attempts_max, budget: None })
    }

    /// Pays for each attempt after the first from a budget that retries pay from too.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Runs `op` until the first answer; what is still on its way is dropped.
    ///
    /// # Errors
    /// The last error, once every attempt has failed or one failed for good.
    pub async fn run<T, E, F, C, R>(
        &self,
        clock: &C,
        rng: &mut R,
        mut op: impl FnMut(Attempt<()>) -> F,
    ) -> Result<Finished<T>, E>
    where
        F: Future<Output: Answer<Value = T, Error = E>>,
        E: Classify,
        C: Clock + Sleep,
        R: Rng + ?Sized,
    {
        let mut race = Race {
            running: Vec::new(),
            started: 0,
            // Without a budget there is nothing to spend.
            spending: self.budget.as_deref().map(Budget::begin),
        };
        race.start(&mut op, clock.instant());
        loop {
            let may_start = race.started < self.attempts_max;
            let delay = if may_start { self.delay } else { Duration::MAX };
            let ended = race.next(clock, delay).await;
            if ended.is_none() && race.grants(None, clock, rng) {
                race.start(&mut op, clock.instant());
                continue;
            }
            let Some((number, outcome)) = ended else {
                // The budget is spent: those on their way have to do.
                race.started = self.attempts_max;
                continue;
            };
            race.one_ended(number);
            let error = match outcome {
                Outcome::Success(value)
                | Outcome::Again(value)
                | Outcome::AgainAfter(value, _)
                | Outcome::AgainNever(value)
                | Outcome::Pending(value) => {
                    race.won(clock);
                    return Ok(Finished::new(value, number, Ending::Success));
                }
                Outcome::Pushback(error) => return Err(error),
                Outcome::Failure(error) => error,
            };
            let class = error.class();
            let may_pass = class.transience() == Transience::Transient;
            if let Some(spending) = &race.spending {
                spending.charge(may_pass);
            }
            if !may_pass {
                return Err(error);
            }
            if may_start && race.grants(Some(class), clock, rng) {
                race.start(&mut op, clock.instant());
            } else if race.running.is_empty() {
                return Err(error);
            }
        }
    }
}

/// An attempt on its way, with its number.
type Running<F> = (u32, Pin<Box<F>>);

/// The attempts on their way.
struct Race<'b, F> {
    running: Vec<Running<F>>,
    started: u32,
    spending: Option<Spending<'b>>,
}

impl<F: Future<Output: Answer>> Race<'_, F> {
    fn start(&mut self, op: &mut impl FnMut(Attempt<()>) -> F, now: Instant) {
        self.started = self.started.saturating_add(1);
        if let Some(spending) = &mut self.spending {
            spending.sent(|| now);
        }
        let attempt = Attempt { number: self.started, key: (), limit: None };
        self.running.push((self.started, Box::pin(op(attempt))));
    }

    fn won(&mut self, clock: &impl Clock) {
        if let Some(spending) = &mut self.spending {
            spending.succeeded(|| clock.instant());
        }
    }

    fn grants<R: Rng + ?Sized>(
        &mut self,
        class: Option<Class>,
        clock: &impl Clock,
        rng: &mut R,
    ) -> bool {
        let Some(spending) = &mut self.spending else { return true };
        spending.grants_beside(class, clock.instant(), rng)
    }

    /// The first attempt is the call itself; each of the others has a place of its own.
    fn one_ended(&mut self, number: u32) {
        if let Some(spending) = &mut self.spending
            && number > 1
        {
            spending.one_ended();
        }
    }

    /// The next answer with the number of its attempt, or `None` once the delay has passed.
    async fn next(&mut self, clock: &impl Sleep, delay: Duration) -> Option<Ended<F>> {
        let mut timer = pin!(clock.sleep(delay));
        poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if delay == Duration::MAX => Poll::Pending,
            Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended<F>> {
        for index in 0..self.running.len() {
            let (number, attempt) = &mut self.running[index];
            if let Poll::Ready(answer) = attempt.as_mut().poll(cx) {
                let number = *number;
                self.running.remove(index);
                return Poll::Ready((number, answer.into_outcome()));
            }
        }
        Poll::Pending
    }
}

type Value<F> = <<F as Future>::Output as Answer>::Value;
type Failure<F> = <<F as Future>::Output as Answer>::Error;

/// An attempt's number and what it came to.
type Ended<F> = (u32, Outcome<Value<F>, Failure<F>>);
