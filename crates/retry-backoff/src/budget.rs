//! How many retries many calls may make together.

mod bucket;
mod deposits;
mod in_flight;
mod throttle;

use std::time::{Duration, Instant};

use backstop_error_taxonomy::{Class, Kind};
use rand::{Rng, RngExt as _};

use crate::error::{PolicyError, Problem};
use bucket::Bucket;
use deposits::Deposits;
use in_flight::InFlight;
use throttle::{Limits, Throttle};

/// Most tokens that a budget can count.
const TOKENS_MAX: f64 = 1e12;

/// Fewest tokens but none that a budget can count, see [`micros`].
const TOKEN_MIN: f64 = 1e-6;

/// The settings of a [`Budget`], as plain data.
///
/// | budget | from | grants a retry |
/// |---|---|---|
/// | token bucket | AWS clients | if the tokens cover its cost |
/// | threshold bucket | gRPC, proposal A6 | while more than `min` tokens are left |
/// | in-flight ratio | Envoy, failsafe-go | while few enough retries are in flight |
/// | deposit ratio | Finagle | against what recent calls have paid in |
/// | throttle | Google, handling overload | by chance, the less the more calls fail |
#[derive(Clone, Copy, PartialEq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Rule {
    /// Starts full; a retry takes its cost, and gets the last one back if it leads to success.
    TokenBucket {
        /// Most tokens, which it also starts with.
        capacity: f64,
        /// Cost of a retry.
        cost: f64,
        /// Cost after the other side said "too many requests"; `None` for the same.
        #[cfg_attr(feature = "serde", serde(default))]
        throttled_cost: Option<f64>,
        /// Cost after a timeout; `None` for the same.
        #[cfg_attr(feature = "serde", serde(default))]
        timeout_cost: Option<f64>,
        /// Tokens that a success at the first try earns.
        #[cfg_attr(feature = "serde", serde(default))]
        success_reward: f64,
    },
    /// Starts full; failures that may be retried take tokens, successes give some.
    ThresholdBucket {
        /// Most tokens, which it also starts with.
        capacity: f64,
        /// A retry needs more than this.
        min: f64,
        /// Tokens that a failure takes.
        failure_cost: f64,
        /// Tokens that a success gives.
        success_reward: f64,
    },
    /// At most a share of the calls in flight may be retries.
    InFlightRatio {
        /// Retries for each call in flight.
        ratio: f64,
        /// As many retries are always granted.
        floor: u32,
    },
    /// A call pays in a share of a retry; both are forgotten after a time.
    DepositRatio {
        /// How long a deposit or a retry counts.
        #[cfg_attr(feature = "serde", serde(rename = "ttl_ms", with = "crate::plain::millis"))]
        ttl: Duration,
        /// Retries per second that need no deposit.
        min_per_s: f64,
        /// Retries for each call.
        ratio: f64,
    },
    /// Refuses with the probability by which the other side fails, and forgets.
    ///
    /// `min(max_rejection, max(0, (sent - ok / success_threshold) / (sent + 1)))` over the window.
    Throttle {
        /// Share of successes below which retries are refused, above 0 and at most 1.
        success_threshold: f64,
        /// Highest probability of a refusal.
        max_rejection: f64,
        /// With fewer calls in the window nothing is refused.
        min_calls: u32,
        /// How long a call counts; longer than its timeout, or slow calls are forgotten.
        #[cfg_attr(feature = "serde", serde(rename = "window_ms", with = "crate::plain::millis"))]
        window: Duration,
        /// Parts of the window that are forgotten together.
        slices: u32,
    },
}

impl Rule {
    fn check(&self) -> Result<(), PolicyError> {
        const AMOUNT: &str = "0, or a number from 1e-6 to 1e12";
        let mut problems = Vec::new();
        let mut zero_time = None;
        let mut number = |setting, value, fits: bool, rule| {
            if !fits {
                problems.push(Problem::Number { setting, value, rule });
            }
        };
        match *self {
            Self::TokenBucket { capacity, cost, throttled_cost, timeout_cost, success_reward } => {
                let costs = [("throttled_cost", throttled_cost), ("timeout_cost", timeout_cost)];
                let costs = costs.map(|(setting, cost)| (setting, cost.unwrap_or(0.0)));
                let first = [("capacity", capacity), ("cost", cost)];
                let last = [("success_reward", success_reward)];
                for (setting, value) in first.into_iter().chain(costs).chain(last) {
                    number(setting, value, is_counted(value, TOKENS_MAX), AMOUNT);
                }
            }
            Self::ThresholdBucket { capacity, min, failure_cost, success_reward } => {
                let rule = "0, or a number from 1e-6 to the capacity";
                number("capacity", capacity, is_counted(capacity, TOKENS_MAX), AMOUNT);
                number("min", min, is_counted(min, capacity), rule);
                let last = [("failure_cost", failure_cost), ("success_reward", success_reward)];
                for (setting, value) in last {
                    number(setting, value, is_counted(value, TOKENS_MAX), AMOUNT);
                }
            }
            Self::InFlightRatio { ratio, .. } => {
                number("ratio", ratio, is_share(ratio), "a share from 0 to 1");
            }
            Self::DepositRatio { ttl, min_per_s, ratio } => {
                zero_time = ttl.is_zero().then_some("ttl");
                let fits = (0.0..=1e6).contains(&min_per_s);
                number("min_per_s", min_per_s, fits, "a number from 0 to 1e6");
                let rule = "0, or a number from 1e-6 to 1000";
                number("ratio", ratio, is_counted(ratio, 1e3), rule);
            }
            Self::Throttle { success_threshold, max_rejection, window, slices, .. } => {
                zero_time = window.is_zero().then_some("window");
                let fits = success_threshold > 0.0 && is_share(success_threshold);
                let rule = "a share above 0 and at most 1";
                number("success_threshold", success_threshold, fits, rule);
                let rule = "a share from 0 to 1";
                number("max_rejection", max_rejection, is_share(max_rejection), rule);
                // Slices are numbered, and finer ones would run out of numbers within days.
                let most = u32::try_from(window.as_millis().min(10_000)).unwrap_or(10_000);
                // A window of nothing is a problem of its own.
                let most = if window.is_zero() { 10_000 } else { most };
                let rule = "a number from 1 to 10000, each slice of a millisecond or more";
                number("slices", slices.into(), (1..=most).contains(&slices), rule);
            }
        }
        problems.extend(zero_time.map(|setting| Problem::NoTime { setting }));
        PolicyError::check(problems)
    }
}

/// Nothing, or at least what can be counted: a smaller cost would round to a retry that is free.
fn is_counted(value: f64, most: f64) -> bool {
    (TOKEN_MIN..=most).contains(&value) || (value == 0.0 && most >= 0.0)
}

fn is_share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

#[derive(Debug)]
enum Account {
    Tokens { bucket: Bucket, costs: Costs },
    Threshold { bucket: Bucket, min: u64, failure_cost: u64, reward: u64 },
    InFlight(InFlight),
    Deposits(Deposits),
    Throttle(Throttle),
}

/// Costs and the reward in millionths of a token.
#[derive(Clone, Copy, Debug)]
struct Costs {
    plain: u64,
    throttled: u64,
    timeout: u64,
    reward: u64,
}

impl Costs {
    fn of(self, class: Option<Class>) -> u64 {
        match class.map(Class::kind) {
            Some(Kind::RateLimited) => self.throttled,
            Some(Kind::Timeout) => self.timeout,
            _ => self.plain,
        }
    }
}

/// A limit on the retries of many calls together, without a lock.
///
/// Give the same one to every [`Retry`](crate::Retry) that talks to the same other side; the
/// first attempt of a call never asks it.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use backstop_clock::{Clock, ManualClock, Timestamp};
/// use backstop_error_taxonomy::{Error, Kind};
/// use backstop_retry_backoff::budget::{Budget, Rule};
/// use backstop_retry_backoff::{Policy, Retry, Schedule, StopReason};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let mut rng = StdRng::seed_from_u64(7);
/// let one_retry = Rule::TokenBucket {
///     capacity: 14.0, cost: 14.0, throttled_cost: None, timeout_cost: None, success_reward: 1.0,
/// };
/// let budget = Arc::new(Budget::new(one_retry, clock.instant())?);
/// let policy = Policy::new(Schedule::fixed(Duration::from_secs(1)));
/// let reads = Retry::new(policy)?.with_budget(Arc::clone(&budget));
///
/// let busy = |_| Err::<(), _>(Error::new(Kind::RateLimited, "busy"));
/// let stopped = reads.read().run_blocking(&clock, &mut rng, busy).unwrap_err();
/// assert_eq!((stopped.reason, stopped.attempts), (StopReason::BudgetExhausted, 2));
/// assert_eq!(budget.tokens(), Some(0.0));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// ```
#[derive(Debug)]
pub struct Budget {
    account: Account,
    /// Where the slices of time start.
    origin: Instant,
}

impl Budget {
    /// A full budget; `now` is when its time starts.
    ///
    /// # Errors
    /// [`PolicyError`] with every setting that no budget can work with.
    pub fn new(policy: Rule, now: Instant) -> Result<Self, PolicyError> {
        policy.check()?;
        let account = match policy {
            Rule::TokenBucket { capacity, cost, throttled_cost, timeout_cost, success_reward } => {
                Account::Tokens {
                    bucket: Bucket::full(micros(capacity)),
                    costs: Costs {
                        plain: micros(cost),
                        throttled: micros(throttled_cost.unwrap_or(cost)),
                        timeout: micros(timeout_cost.unwrap_or(cost)),
                        reward: micros(success_reward),
                    },
                }
            }
            Rule::ThresholdBucket { capacity, min, failure_cost, success_reward } => {
                Account::Threshold {
                    bucket: Bucket::full(micros(capacity)),
                    min: micros(min),
                    failure_cost: micros(failure_cost),
                    reward: micros(success_reward),
                }
            }
            Rule::InFlightRatio { ratio, floor } => Account::InFlight(InFlight::new(ratio, floor)),
            Rule::DepositRatio { ttl, min_per_s, ratio } => {
                Account::Deposits(Deposits::new(ttl, min_per_s, ratio))
            }
            Rule::Throttle { success_threshold, max_rejection, min_calls, window, slices } => {
                let limits = Limits { success_threshold, max_rejection, min_calls };
                Account::Throttle(Throttle::new(limits, window, slices))
            }
        };
        Ok(Self { account, origin: now })
    }

    /// A call begins; what it spends and earns goes through the [`Spending`].
    pub fn begin(&self) -> Spending<'_> {
        if let Account::InFlight(in_flight) = &self.account {
            in_flight.begin();
        }
        Spending { budget: self, last_cost: None, retrying: 0, has_deposited: false }
    }

    /// Tokens left in a bucket; `None` for the other budgets.
    pub fn tokens(&self) -> Option<f64> {
        match &self.account {
            Account::Tokens { bucket, .. } | Account::Threshold { bucket, .. } => {
                Some(tokens(bucket.tokens()))
            }
            Account::InFlight(_) | Account::Deposits(_) | Account::Throttle(_) => None,
        }
    }

    /// Retries that a deposit ratio covers now; `None` for the other budgets.
    pub fn balance(&self, now: Instant) -> Option<f64> {
        match &self.account {
            Account::Deposits(deposits) => Some(deposits.balance(self.age(now))),
            _ => None,
        }
    }

    /// The probability with which a throttle refuses now; `None` for the other budgets.
    pub fn reject_probability(&self, now: Instant) -> Option<f64> {
        match &self.account {
            Account::Throttle(throttle) => Some(throttle.reject_probability(self.age(now))),
            _ => None,
        }
    }

    /// Retries in flight of an in-flight ratio; `None` for the other budgets.
    pub fn retries_in_flight(&self) -> Option<u32> {
        match &self.account {
            Account::InFlight(in_flight) => Some(in_flight.retries()),
            _ => None,
        }
    }

    /// Whether a plain retry could be granted now; of a throttle, whether nothing is refused.
    pub fn allows(&self, now: Instant) -> bool {
        match &self.account {
            Account::Tokens { bucket, costs } => bucket.tokens() >= costs.plain,
            Account::Threshold { bucket, min, .. } => bucket.tokens() > *min,
            Account::InFlight(in_flight) => in_flight.has_place(),
            Account::Deposits(deposits) => deposits.balance(self.age(now)) >= 1.0,
            Account::Throttle(throttle) => throttle.reject_probability(self.age(now)) <= 0.0,
        }
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }
}

/// What one call spends and earns; dropping it gives its places back.
#[derive(Debug)]
#[must_use = "the call is in flight for as long as this is held"]
pub struct Spending<'b> {
    budget: &'b Budget,
    /// What the last retry took; `None` if there was none.
    last_cost: Option<u64>,
    /// Places that it holds among the retries in flight; more than one only while it hedges.
    retrying: u32,
    has_deposited: bool,
}

impl Spending<'_> {
    /// An attempt is sent; `now` is read only by a budget that forgets.
    pub fn sent(&mut self, now: impl FnOnce() -> Instant) {
        match &self.budget.account {
            Account::Deposits(deposits) if !self.has_deposited => {
                self.has_deposited = true;
                deposits.deposit(self.budget.age(now()));
            }
            Account::Throttle(throttle) => throttle.sent(self.budget.age(now())),
            _ => {}
        }
    }

    /// The attempt failed; only a failure that may be retried counts.
    pub fn failed(&mut self, is_retryable: bool) {
        self.retry_ended();
        self.charge(is_retryable);
    }

    /// The same while other attempts of the call go on, which keep its place.
    pub(crate) fn charge(&self, is_retryable: bool) {
        if let Account::Threshold { bucket, failure_cost, .. } = &self.budget.account
            && is_retryable
        {
            bucket.drain(*failure_cost);
        }
    }

    /// The attempt succeeded; `now` is read only by a budget that forgets.
    pub fn succeeded(&mut self, now: impl FnOnce() -> Instant) {
        self.retry_ended();
        match &self.budget.account {
            Account::Tokens { bucket, costs } => {
                bucket.fill(self.last_cost.take().unwrap_or(costs.reward));
            }
            Account::Threshold { bucket, reward, .. } => bucket.fill(*reward),
            Account::Throttle(throttle) => throttle.succeeded(self.budget.age(now())),
            Account::InFlight(_) | Account::Deposits(_) => {}
        }
    }

    /// Asks for a retry after a failure of this class, and takes its cost if it is granted.
    pub fn grants(
        &mut self,
        class: Option<Class>,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> bool {
        match &self.budget.account {
            Account::Tokens { bucket, costs } => {
                let cost = costs.of(class);
                let is_granted = bucket.take(cost);
                if is_granted {
                    self.last_cost = Some(cost);
                }
                is_granted
            }
            Account::Threshold { bucket, min, .. } => bucket.tokens() > *min,
            // One attempt after the other needs but one place.
            Account::InFlight(_) if self.retrying > 0 => true,
            Account::InFlight(_) => self.takes_place(),
            Account::Deposits(deposits) => deposits.withdraw(self.budget.age(now)),
            Account::Throttle(throttle) => {
                let probability = throttle.reject_probability(self.budget.age(now));
                // No draw where nothing is refused, so that the run stays the same without it.
                probability <= 0.0 || rng.random::<f64>() >= probability
            }
        }
    }

    /// The same for an attempt that runs beside others, so that it needs a place of its own.
    pub(crate) fn grants_beside(
        &mut self,
        class: Option<Class>,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> bool {
        match &self.budget.account {
            Account::InFlight(_) => self.takes_place(),
            _ => self.grants(class, now, rng),
        }
    }

    fn takes_place(&mut self) -> bool {
        let Account::InFlight(in_flight) = &self.budget.account else { return false };
        let is_granted = in_flight.begin_retry();
        self.retrying += u32::from(is_granted);
        is_granted
    }

    /// The retry that was granted has ended; doing it twice changes nothing.
    pub fn retry_ended(&mut self) {
        while self.retrying > 0 {
            self.one_ended();
        }
    }

    /// One of several attempts that run beside each other has ended.
    pub(crate) fn one_ended(&mut self) {
        if let Account::InFlight(in_flight) = &self.budget.account
            && self.retrying > 0
        {
            self.retrying -= 1;
            in_flight.end_retry();
        }
    }
}

impl Drop for Spending<'_> {
    fn drop(&mut self) {
        self.retry_ended();
        if let Account::InFlight(in_flight) = &self.budget.account {
            in_flight.end();
        }
    }
}

/// Millionths, in which everything is counted: sums of tenths stay exact.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_arithmetic,
    reason = "checked to be at most 1e12 tokens, which fits"
)]
fn micros(tokens: f64) -> u64 {
    (tokens * 1e6).round() as u64
}

#[expect(
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "for display; whole tokens below nine thousand millions are exact"
)]
fn tokens(micros: u64) -> f64 {
    micros as f64 / 1e6
}
