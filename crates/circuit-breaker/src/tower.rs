//! The breaker as a layer of `tower`.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use backstop_circuit_breaker::{Breaker, CallError, Policy, tower::Layer};
//! use backstop_clock::SystemClock;
//! use backstop_error_taxonomy::{Error, Kind};
//! use tower::{Service, ServiceBuilder, service_fn};
//!
//! let venue = Breaker::new(Policy::new(Duration::from_secs(30)).with_consecutive_failures(1))?;
//! let mut client = ServiceBuilder::new()
//!     .layer(Layer::new(venue, SystemClock))
//!     .service(service_fn(async |_: u32| Err::<u32, _>(Error::new(Kind::Timeout, "no answer"))));
//!
//! let answers = pollster::block_on(async { [client.call(1).await, client.call(2).await] });
//! assert!(matches!(answers[0], Err(CallError::Failed(_))));
//! assert!(matches!(answers[1], Err(CallError::Rejected(_))));
//! # Ok::<(), backstop_circuit_breaker::PolicyError>(())
//! ```

use std::{
    borrow::Borrow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use backstop_clock::Clock;
use backstop_error_taxonomy::Classify;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Breaker, CallError, Permit, Rejection, breaker::Rank};

/// Puts a breaker around each service it is given; they all share it.
#[derive(Clone, Debug)]
pub struct Layer<C> {
    breaker: Breaker,
    clock: C,
}

impl<C> Layer<C> {
    /// A layer with this breaker and the clock that it reads.
    pub const fn new(breaker: Breaker, clock: C) -> Self {
        Self { breaker, clock }
    }
}

impl<S, C: Clone> tower_layer::Layer<S> for Layer<C> {
    type Service = Guarded<S, C>;

    fn layer(&self, inner: S) -> Guarded<S, C> {
        Guarded { inner, held: Held::new(self.breaker.clone()), clock: self.clock.clone() }
    }
}

/// A service behind a breaker.
///
/// Being ready takes no permit: only a call is admitted or rejected.
/// A service that fails to get ready has answered no call, so it is not judged.
///
/// Give each thread a clone: then their calls do not meet at a count of references.
/// A clone allocates 256 bytes for a count of its own, so keep one rather than make one per call.
#[derive(Debug)]
pub struct Guarded<S, C> {
    inner: S,
    held: Arc<Held>,
    clock: C,
}

impl<S: Clone, C: Clone> Clone for Guarded<S, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            held: Held::new(self.held.0.clone()),
            clock: self.clock.clone(),
        }
    }
}

/// The breaker as one clone of a service and its calls in flight hold it.
///
/// A call outlives the borrow of its service, so it has to count a reference.
/// Each clone counts its own, two cache lines apart from others.
#[derive(Debug)]
#[repr(align(128))]
struct Held(Breaker);

impl Held {
    fn new(breaker: Breaker) -> Arc<Self> {
        Arc::new(Self(breaker))
    }
}

impl Borrow<Breaker> for Arc<Held> {
    #[inline]
    fn borrow(&self) -> &Breaker {
        &self.0
    }
}

impl<S, C, R> Service<R> for Guarded<S, C>
where
    S: Service<R>,
    S::Error: Classify,
    C: Clock + Clone,
{
    type Response = S::Response;
    type Error = CallError<S::Error>;
    type Future = Call<S::Future, C>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(CallError::Failed)
    }

    #[inline]
    fn call(&mut self, req: R) -> Self::Future {
        let state = match self.held.0.ticket(Rank::Ordinary, || self.clock.instant()) {
            Ok(ticket) => {
                let mut permit = Permit::watched(Arc::clone(&self.held), ticket);
                let now = || self.clock.instant();
                let future = permit.watch(now, || self.inner.call(req));
                State::Running { future, permit, clock: self.clock.clone() }
            }
            Err(rejection) => State::Rejected { rejection },
        };
        Call { state }
    }
}

pin_project! {
    /// One call of a [`Guarded`] service; dropping it releases the permit without a verdict.
    #[derive(Debug)]
    #[must_use = "a future does nothing until it is polled"]
    pub struct Call<F, C> {
        #[pin]
        state: State<F, C>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F, C> {
        Running { #[pin] future: F, permit: Permit<Arc<Held>>, clock: C },
        Rejected { rejection: Rejection },
    }
}

impl<F, C, T, E> Future for Call<F, C>
where
    F: Future<Output = Result<T, E>>,
    E: Classify,
    C: Clock,
{
    type Output = Result<T, CallError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Running { future, permit, clock } => {
                let now = || clock.instant();
                let result = ready!(permit.watch(now, || future.poll(cx)));
                permit.settle_by(&result, now);
                Poll::Ready(result.map_err(CallError::Failed))
            }
            StateProjection::Rejected { rejection } => {
                Poll::Ready(Err(CallError::Rejected(*rejection)))
            }
        }
    }
}
