mod slots;

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use self::slots::Slots;
use crate::{
    Breaker, Event, Initial, Permit, Policy, PolicyError, Rejection, breaker::Rank, permit::Ticket,
    policy_error,
};

/// A breaker for each key, made when the key is first asked for; at most so many.
///
/// When it is full, a new key takes the place of a breaker that nobody would miss: closed, without
/// a failure or a slow call in its window, and with no permit or clone in anybody's hands.
/// Among several it is one that was not asked for lately.
/// A policy that it got by [`Breaker::reconfigure`] or brought along is forgotten with it; keep a
/// clone of the breaker to keep both.
/// If there is none the call is rejected with
/// [`Reason::RegistryFull`](crate::Reason::RegistryFull): an open breaker is never forgotten.
///
/// A part of the keys may have a policy of its own, such as a component with a lower threshold.
///
/// ```
/// use std::time::Duration;
/// use backstop_circuit_breaker::{Policy, Registry};
/// use backstop_clock::{Clock, SystemClock};
/// use backstop_error_taxonomy::Component;
///
/// let now = || SystemClock.instant();
/// let policy = |failures| Policy::new(Duration::from_secs(300)).with_consecutive_failures(failures);
/// let breakers = Registry::new(16, policy(10))?
///     .with_policy_for(|component| *component == Component::EXECUTION, policy(3))?;
///
/// for _ in 0..3 {
///     breakers.admit(&Component::EXECUTION, now)?.failure(now);
///     breakers.admit(&Component::DATA, now)?.failure(now);
/// }
/// assert!(breakers.admit(&Component::EXECUTION, now).is_err());
/// assert!(breakers.admit(&Component::DATA, now).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Registry<K> {
    keys_max: usize,
    start: Option<Instant>,
    policies: Vec<Special<K>>,
    listener: Option<Listener<K>>,
    rejected: AtomicU64,
    would_reject: AtomicU64,
    prioritized: AtomicU64,
    slots: RwLock<Slots<K>>,
}

/// Which keys have this policy instead of the general one.
type Special<K> = (Matches<K>, Arc<Policy>);
type Matches<K> = Box<dyn Fn(&K) -> bool + Send + Sync>;
type Listener<K> = Arc<dyn Fn(&K, &Breaker, &Event) + Send + Sync>;

/// How a registry is doing; the first number is a gauge, the others only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occupancy {
    /// Keys that have a breaker now.
    pub live: usize,
    /// Breakers that were forgotten for a new key.
    pub evicted: u64,
    /// Calls that were rejected where no breaker could be forgotten.
    pub rejected: u64,
    /// Calls that passed all the same, by a policy that rejects nothing.
    pub would_reject: u64,
    /// Calls that passed all the same, by their priority.
    pub prioritized: u64,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Registry<K> {
    /// An empty registry for at most `keys_max` keys, each with this policy.
    ///
    /// # Errors
    /// A limit of zero, and every impossible setting of the policy.
    pub fn new(keys_max: usize, policy: impl Into<Arc<Policy>>) -> Result<Self, PolicyError> {
        let policy = policy.into();
        policy_error::check_keyed(&policy, keys_max)?;
        let places = HashMap::new();
        let slots = Slots { policy, list: Vec::new(), places, hand: 0, made: 0, evicted: 0 };
        Ok(Self {
            keys_max,
            start: None,
            policies: Vec::new(),
            listener: None,
            rejected: AtomicU64::new(0),
            would_reject: AtomicU64::new(0),
            prioritized: AtomicU64::new(0),
            slots: RwLock::new(slots),
        })
    }

    /// Gives the keys that match a policy of their own; the first match counts.
    ///
    /// # Errors
    /// Every impossible setting of the policy.
    pub fn with_policy_for(
        mut self,
        matches: impl Fn(&K) -> bool + Send + Sync + 'static,
        policy: impl Into<Arc<Policy>>,
    ) -> Result<Self, PolicyError> {
        let policy = policy.into();
        policy.check()?;
        self.policies.push((Box::new(matches), policy));
        Ok(self)
    }

    /// Adds a listener to every breaker made from now on; see [`Breaker::with_listener`].
    #[must_use]
    pub fn with_listener(
        mut self,
        listener: impl Fn(&K, &Breaker, &Event) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Starts the time line of every breaker at `start`; see [`Breaker::starting`].
    #[must_use]
    pub const fn with_start(mut self, start: Instant) -> Self {
        self.start = Some(start);
        self
    }

    /// The breaker of a key.
    ///
    /// Whoever keeps it keeps it from being forgotten.
    /// `now` is read only where room must be made.
    ///
    /// # Errors
    /// The registry is full of breakers that must not be forgotten.
    pub fn breaker(&self, key: &K, now: impl FnOnce() -> Instant) -> Result<Breaker, Rejection> {
        self.found_or_made(key, now).ok_or_else(|| self.full())
    }

    fn found_or_made(&self, key: &K, now: impl FnOnce() -> Instant) -> Option<Breaker> {
        if let Some(breaker) = self.find(key) {
            return Some(breaker);
        }
        // This is the caller's code, which must not run under the lock.
        let own = self.own_policy(key);
        let make = |general: &Arc<Policy>, number| {
            Breaker::keyed(Arc::clone(own.unwrap_or(general)), self.start, number)
        };
        self.place(key, now, make)
    }

    /// Puts another general policy in force, for new keys and for the breakers that are there.
    ///
    /// Their state, counts and permits stay, as with [`Breaker::reconfigure`].
    /// Keys with a [policy of their own](Self::with_policy_for) keep it; every other breaker gets
    /// the new one, also one that had been reconfigured by itself or was brought along.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_circuit_breaker::{Policy, Registry};
    /// use backstop_clock::{Clock, SystemClock};
    ///
    /// let now = || SystemClock.instant();
    /// let policy = |failures| Policy::new(Duration::from_secs(30)).with_consecutive_failures(failures);
    /// let breakers = Registry::new(16, policy(10))?;
    /// breakers.admit(&"venue", now)?.failure(now);
    /// breakers.reconfigure(policy(2))?;
    /// breakers.admit(&"venue", now)?.failure(now);
    /// assert!(breakers.admit(&"venue", now).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Every impossible setting; the policies in force stay.
    pub fn reconfigure(&self, policy: impl Into<Arc<Policy>>) -> Result<(), PolicyError> {
        let policy = policy.into();
        policy.check()?;
        self.write().policy = policy;
        // Those that come meanwhile have it already.
        let key_at = |place: usize| self.read().list.get(place).map(|slot| slot.key.clone());
        for (place, key) in (0..).map_while(|place| Some((place, key_at(place)?))) {
            if self.own_policy(&key).is_some() {
                continue;
            }
            // Under the lock, so that of two at once the later one is the last everywhere.
            let slots = self.read();
            if let Some(slot) = slots.list.get(place).filter(|slot| slot.key == key) {
                slot.breaker.reconfigure(Arc::clone(&slots.policy))?;
            }
        }
        Ok(())
    }

    /// Gives a key a breaker that was made elsewhere, such as one [restored](Breaker::restore).
    ///
    /// A key that has one already keeps it; what the key has then comes back.
    /// The listener of the registry is added to a breaker that is taken.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_circuit_breaker::{Breaker, Policy, Registry};
    /// use backstop_clock::{Clock, SystemClock};
    ///
    /// let (clock, now) = (SystemClock, || SystemClock.instant());
    /// let policy = Policy::new(Duration::from_secs(300)).with_consecutive_failures(3);
    /// let before = Registry::new(16, policy.clone())?;
    /// before.breaker(&"venue", now)?.open(now());
    /// let kept: Vec<_> =
    ///     before.breakers().into_iter().map(|(key, at)| (key, at.snapshot(&clock))).collect();
    ///
    /// let after = Registry::new(16, policy)?;
    /// for (key, snapshot) in kept {
    ///     after.insert(&key, Breaker::restore(snapshot, &clock)?, now)?;
    /// }
    /// assert!(after.admit(&"venue", now).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The registry is full of breakers that must not be forgotten.
    pub fn insert(
        &self,
        key: &K,
        breaker: Breaker,
        now: impl FnOnce() -> Instant,
    ) -> Result<Breaker, Rejection> {
        self.place(key, now, |_, _| breaker).ok_or_else(|| self.full())
    }

    /// The breaker of a key, or the one that `make` gives it; the time is read without the lock.
    fn place(
        &self,
        key: &K,
        now: impl FnOnce() -> Instant,
        make: impl FnOnce(&Arc<Policy>, u32) -> Breaker,
    ) -> Option<Breaker> {
        let (mut now, mut moment) = (Some(now), None);
        let (mut slots, place) = loop {
            let mut slots = self.write();
            // Somebody else may have made it between the two locks.
            if let Some(place) = slots.places.get(key) {
                return Some(slots.list[*place].breaker.clone());
            }
            if slots.list.len() < self.keys_max {
                let place = slots.list.len();
                break (slots, place);
            }
            if let Some(now) = now.take() {
                drop(slots);
                moment = Some(now());
                continue;
            }
            let place = moment.and_then(|moment| slots.evict(moment))?;
            break (slots, place);
        };
        let number = u32::try_from(slots.made).unwrap_or(u32::MAX);
        let breaker = self.observed(key, make(&slots.policy, number));
        let old = slots.put(place, key.clone(), breaker.clone());
        drop(slots);
        // A listener of it may hold what asks the registry when it is dropped.
        drop(old);
        Some(breaker)
    }

    fn full(&self) -> Rejection {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Rejection::REGISTRY_FULL
    }

    /// Asks the breaker of a key to make one call; see [`Breaker::admit`].
    ///
    /// A key whose policy is a [dry run](Policy::with_dry_run), or [starts](Policy::with_initial)
    /// disabled or metrics only, is not rejected where the registry is full either: its call passes
    /// and does not judge.
    ///
    /// # Errors
    /// The call is not admitted, by the breaker or because the registry is full.
    pub fn admit(&self, key: &K, now: impl Fn() -> Instant) -> Result<Permit, Rejection> {
        match self.found_or_made(key, &now) {
            Some(breaker) => breaker.admit_owned(now),
            None => self.admit_unplaced(key, Rank::Ordinary),
        }
    }

    /// Asks to make one call that must pass while others are kept back; see
    /// [`Breaker::admit_priority`].
    ///
    /// It passes where the registry is full, too, and does not judge.
    ///
    /// # Errors
    /// The breaker of the key is forced open, or would start so if there were room for it.
    pub fn admit_priority(&self, key: &K, now: impl Fn() -> Instant) -> Result<Permit, Rejection> {
        match self.found_or_made(key, &now) {
            Some(breaker) => {
                let ticket = breaker.ticket(Rank::Priority, now)?;
                Ok(Permit::new(breaker, ticket))
            }
            None => self.admit_unplaced(key, Rank::Priority),
        }
    }

    /// Admits, where the registry is full, what the breaker of the key would have let pass always.
    ///
    /// The permit is of a breaker that nobody keeps.
    fn admit_unplaced(&self, key: &K, rank: Rank) -> Result<Permit, Rejection> {
        let own = self.own_policy(key).cloned();
        let policy = own.unwrap_or_else(|| Arc::clone(&self.read().policy));
        let passed = match (rank, policy.initial) {
            (Rank::Priority, initial) if initial != Initial::ForcedOpen => &self.prioritized,
            _ if policy.dry_run => &self.would_reject,
            (_, Initial::Disabled | Initial::MetricsOnly) => &self.would_reject,
            (Rank::Ordinary, _) => return Err(self.full()),
            (Rank::Priority, _) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                return Err(Rejection::FORCED_OPEN);
            }
        };
        passed.fetch_add(1, Ordering::Relaxed);
        Ok(Permit::new(Breaker::keyed(policy, self.start, 0), Ticket::SPENT))
    }

    /// The breaker of a key that has one; looking makes none.
    pub fn peek(&self, key: &K) -> Option<Breaker> {
        let slots = self.read();
        slots.places.get(key).map(|place| slots.list[*place].breaker.clone())
    }

    /// Every key with its breaker, oldest first as far as none was evicted.
    pub fn breakers(&self) -> Vec<(K, Breaker)> {
        let slots = self.read();
        slots.list.iter().map(|slot| (slot.key.clone(), slot.breaker.clone())).collect()
    }

    /// How many keys have a breaker, and what became of others.
    pub fn occupancy(&self) -> Occupancy {
        let slots = self.read();
        Occupancy {
            live: slots.list.len(),
            evicted: slots.evicted,
            rejected: self.rejected.load(Ordering::Relaxed),
            would_reject: self.would_reject.load(Ordering::Relaxed),
            prioritized: self.prioritized.load(Ordering::Relaxed),
        }
    }

    fn find(&self, key: &K) -> Option<Breaker> {
        let slots = self.read();
        let slot = &slots.list[*slots.places.get(key)?];
        // Read first: a shared flag that is set already need not be written.
        if !slot.touched.load(Ordering::Relaxed) {
            slot.touched.store(true, Ordering::Relaxed);
        }
        Some(slot.breaker.clone())
    }

    fn own_policy(&self, key: &K) -> Option<&Arc<Policy>> {
        let own = self.policies.iter().find(|(matches, _)| matches(key));
        own.map(|(_, policy)| policy)
    }

    fn observed(&self, key: &K, breaker: Breaker) -> Breaker {
        match &self.listener {
            Some(listener) => {
                let (listener, key) = (Arc::clone(listener), key.clone());
                breaker.with_listener(move |breaker, event| listener(&key, breaker, event))
            }
            None => breaker,
        }
    }

    /// Nothing of ours panics under the lock but a key's own `Hash` or `Eq`, before any change.
    fn read(&self) -> RwLockReadGuard<'_, Slots<K>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slots<K>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: fmt::Debug> fmt::Debug for Registry<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("keys_max", &self.keys_max).finish_non_exhaustive()
    }
}
