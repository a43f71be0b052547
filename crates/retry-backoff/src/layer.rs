//! The retry as a tower layer.

mod terms;

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use backstop_clock::{Clock, ManualClock, Sleep, Timestamp};
use backstop_error_taxonomy::Classify;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tower_service::Service;

use crate::call::LookUp;
use crate::first::Given;
use crate::run::Last;
use crate::{Attempt, Elapsed, Guard, Handle, Retry, StopToken, Stopped, drive};
pub use terms::{Asking, Terms};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How a call of a retried service ends.
type Ended<S, Q> = Result<<S as Service<Q>>::Response, Stopped<<S as Service<Q>>::Error>>;

/// A clock whose sleeps may move to another thread, as services do.
pub trait Timer: Clock + Send + Sync + 'static {
    /// Completes once `duration` has passed.
    fn timer(&self, duration: Duration) -> Boxed<()>;
}

#[cfg(feature = "tokio")]
impl Timer for backstop_clock::SystemClock {
    fn timer(&self, duration: Duration) -> Boxed<()> {
        Box::pin(async move { Self.sleep(duration).await })
    }
}

impl Timer for ManualClock {
    fn timer(&self, duration: Duration) -> Boxed<()> {
        let clock = self.clone();
        Box::pin(async move { clock.sleep(duration).await })
    }
}

/// Puts a retry around a service, which is cloned for each attempt after the first.
///
/// The [`Terms`] come from the request, so that one service may carry reads and orders.
///
/// ```
/// use std::future::{Ready, ready};
/// use std::io::{Error, ErrorKind};
/// use std::task::{Context, Poll};
/// use std::time::Duration;
/// use backstop_clock::{ManualClock, Timestamp};
/// use backstop_retry_backoff::layer::Layer;
/// use backstop_retry_backoff::{Guard, Policy, Retry, Schedule, StopReason};
/// use tower_layer::Layer as _;
/// use tower_service::Service;
///
/// /// A venue that never answers.
/// #[derive(Clone)]
/// struct Venue;
///
/// impl Service<&'static str> for Venue {
///     type Response = ();
///     type Error = Error;
///     type Future = Ready<Result<(), Error>>;
///
///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
///         Poll::Ready(Ok(()))
///     }
///
///     fn call(&mut self, _order: &'static str) -> Self::Future {
///         ready(Err(ErrorKind::TimedOut.into()))
///     }
/// }
///
/// let clock = ManualClock::new(Timestamp::EPOCH);
/// let retry = Retry::new(Policy::new(Schedule::exponential(Duration::from_millis(500))))?;
/// let mut venue = Layer::new(retry, clock, 7, |order: &&'static str| Guard::Once(*order)).layer(Venue);
/// let stopped = pollster::block_on(venue.call("order 7")).unwrap_err();
/// assert_eq!((stopped.reason, stopped.attempts), (StopReason::UnknownOutcome, 1));
/// # Ok::<(), backstop_retry_backoff::PolicyError>(())
/// ```
pub struct Layer<C, G> {
    shared: Arc<Shared<C, G>>,
    token: Option<StopToken>,
}

struct Shared<C, G> {
    retry: Retry,
    clock: C,
    terms: G,
    /// Makes a generator for each run that needs one.
    seed: AtomicU64,
}

impl<C, G> Layer<C, G> {
    /// A retry whose calls are made on the [`Terms`] of their requests.
    ///
    /// The same `seed` and the same order of failures give the same delays.
    pub fn new(retry: Retry, clock: C, seed: u64, terms: G) -> Self {
        let shared = Arc::new(Shared { retry, clock, terms, seed: seed.into() });
        Self { shared, token: None }
    }

    /// Ends every call gracefully once the token is stopped.
    #[must_use]
    pub fn until(mut self, token: StopToken) -> Self {
        self.token = Some(token);
        self
    }
}

impl<C, G> Clone for Layer<C, G> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), token: self.token.clone() }
    }
}

impl<C, G> fmt::Debug for Layer<C, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("retry", &self.shared.retry).finish_non_exhaustive()
    }
}

impl<S, C, G> tower_layer::Layer<S> for Layer<C, G> {
    type Service = Retried<S, C, G>;

    fn layer(&self, inner: S) -> Self::Service {
        Retried { inner, shared: Arc::clone(&self.shared), token: self.token.clone() }
    }
}

/// A service with a retry around it, made by [`Layer`].
pub struct Retried<S, C, G> {
    inner: S,
    shared: Arc<Shared<C, G>>,
    token: Option<StopToken>,
}

impl<S: Clone, C, G> Clone for Retried<S, C, G> {
    fn clone(&self) -> Self {
        let (shared, token) = (Arc::clone(&self.shared), self.token.clone());
        Self { inner: self.inner.clone(), shared, token }
    }
}

impl<S: fmt::Debug, C, G> fmt::Debug for Retried<S, C, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retried").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, C, G, Q> Service<Q> for Retried<S, C, G>
where
    S: Service<Q> + Clone + Send + 'static,
    S::Response: Send + 'static,
    S::Error: Classify + From<Elapsed> + Send + 'static,
    S::Future: Send + 'static,
    Q: Clone + Send + 'static,
    C: Timer,
    G: Terms<Q, S::Response, Key: Clone + Send + 'static> + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = Stopped<S::Error>;
    type Future = Attempting<S, Q, C, G, G::Key>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Stopped::unready)
    }

    #[inline]
    fn call(&mut self, req: Q) -> Self::Future {
        // The clone waits for the next call; what was polled ready makes the first attempt.
        let next = self.inner.clone();
        let mut service = mem::replace(&mut self.inner, next);
        let shared = Arc::clone(&self.shared);
        let (guard, handle) = (shared.terms.guard(&req), shared.terms.handle(&req));
        let is_watched = self.token.is_some() || handle.is_some();
        if !is_watched && shared.retry.is_bare() {
            let first = service.call(req.clone());
            let again = Again { service, request: req, shared, guard, token: None, handle };
            return Attempting { first: Some(first), again: Some(again), rest: None };
        }
        let token = self.token.clone();
        let again = Again { service, request: req, shared, guard, token, handle };
        Attempting { first: None, again: None, rest: Some(again.rest(Last::None)) }
    }
}

/// What a run needs after a first attempt that was no success.
struct Again<S: Service<Q>, Q, C, G, K> {
    service: S,
    request: Q,
    shared: Arc<Shared<C, G>>,
    guard: Guard<K>,
    token: Option<StopToken>,
    handle: Option<Handle<S::Response>>,
}

/// Asks on the terms of one request.
struct Enquiry<'s, Q, C, G> {
    shared: &'s Shared<C, G>,
    request: Q,
}

impl<Q, C, G: Terms<Q, T>, T> LookUp<T> for Enquiry<'_, Q, C, G> {
    type Asking = Asking<T>;

    fn ask(&mut self) -> Option<Asking<T>> {
        self.shared.terms.ask(&self.request)
    }

    fn can_ask(&self) -> bool {
        self.shared.terms.can_ask()
    }
}

impl<S, Q, C, G, K> Again<S, Q, C, G, K>
where
    S: Service<Q> + Clone + Send + 'static,
    S::Response: Send + 'static,
    S::Error: Classify + From<Elapsed> + Send + 'static,
    S::Future: Send + 'static,
    Q: Clone + Send + 'static,
    C: Timer,
    G: Terms<Q, S::Response, Key = K> + Send + Sync + 'static,
    K: Clone + Send + 'static,
{
    #[cold]
    fn rest(self, last: Last<S::Response, S::Error>) -> Boxed<Ended<S, Q>> {
        let Self { service, request, shared, guard, token, handle } = self;
        let seed = shared.seed.fetch_add(1, Ordering::Relaxed);
        // A service that was not called yet is still ready; a clone of it need not be.
        let next = service.clone();
        let mut ready = matches!(last, Last::None).then_some(service);
        Box::pin(async move {
            let rng = SmallRng::seed_from_u64(seed);
            let about = request.clone();
            let op = move |_: Attempt<K>| {
                let (service, is_ready) = match ready.take() {
                    Some(ready) => (ready, true),
                    None => (next.clone(), false),
                };
                attempt(service, is_ready, request.clone())
            };
            let mut call = shared.retry.guarded(guard);
            (call.token, call.handle) = (token.as_ref(), handle.as_ref());
            let call = call.asking(Enquiry { shared: &shared, request: about });
            let clock = Timed(&shared.clock);
            let given = Given { call, clock, rng, op };
            let ended = drive::rest(given, (last, None)).await;
            ended.map(|finished| finished.value)
        })
    }
}

async fn attempt<S: Service<Q>, Q>(
    mut service: S,
    is_ready: bool,
    request: Q,
) -> Result<S::Response, S::Error> {
    if !is_ready {
        poll_fn(|cx| service.poll_ready(cx)).await?;
    }
    service.call(request).await
}

/// A [`Timer`] as the driver wants it.
struct Timed<'c, C>(&'c C);

impl<C: Timer> Clock for Timed<'_, C> {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn instant(&self) -> Instant {
        self.0.instant()
    }
}

impl<C: Timer> Sleep for Timed<'_, C> {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        self.0.timer(duration)
    }
}

pin_project_lite::pin_project! {
    /// A call of a [`Retried`] service; the first attempt lies in it, later ones in a box.
    pub struct Attempting<S, Q, C, G, K>
    where
        S: Service<Q>,
    {
        #[pin]
        first: Option<S::Future>,
        again: Option<Again<S, Q, C, G, K>>,
        rest: Option<Boxed<Ended<S, Q>>>,
    }
}

impl<S: Service<Q>, Q, C, G, K> fmt::Debug for Attempting<S, Q, C, G, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempting").finish_non_exhaustive()
    }
}

impl<S, Q, C, G, K> Future for Attempting<S, Q, C, G, K>
where
    S: Service<Q> + Clone + Send + 'static,
    S::Response: Send + 'static,
    S::Error: Classify + From<Elapsed> + Send + 'static,
    S::Future: Send + 'static,
    Q: Clone + Send + 'static,
    C: Timer,
    G: Terms<Q, S::Response, Key = K> + Send + Sync + 'static,
    K: Clone + Send + 'static,
{
    type Output = Result<S::Response, Stopped<S::Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(first) = this.first.as_mut().as_pin_mut() {
            let error = match ready!(first.poll(cx)) {
                Ok(response) => return Poll::Ready(Ok(response)),
                Err(error) => error,
            };
            this.first.set(None);
            let class = error.class();
            let again = this.again.take();
            *this.rest = again.map(|again| again.rest(Last::Failed(error, class)));
        }
        match this.rest {
            Some(rest) => rest.as_mut().poll(cx),
            // Polled after its end, which futures need not answer.
            None => Poll::Pending,
        }
    }
}
