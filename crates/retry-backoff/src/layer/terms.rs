//! What a service has to know of a request before it is sent twice.

use std::pin::Pin;

use crate::{Guard, Handle, Resolution};

/// On which terms a request is sent again: a closure that gives its guard, or a type of your own.
///
/// A type of your own may also know whom to ask about an order of unknown outcome, and who hears
/// of its acceptance on another channel.
///
/// ```
/// use std::collections::HashMap;
/// use backstop_retry_backoff::layer::{Asking, Terms};
/// use backstop_retry_backoff::{Guard, Handle, Resolution};
///
/// struct Orders {
///     /// What the stream of order events can resolve, by client order id.
///     on_their_way: HashMap<u64, Handle<&'static str>>,
/// }
///
/// impl Terms<u64, &'static str> for Orders {
///     type Key = u64;
///
///     fn guard(&self, id: &u64) -> Guard<u64> {
///         Guard::Once(*id)
///     }
///
///     fn can_ask(&self) -> bool {
///         true
///     }
///
///     fn ask(&self, id: &u64) -> Option<Asking<&'static str>> {
///         let found = if *id == 7 { Resolution::Found("filled") } else { Resolution::Unknown };
///         Some(Box::pin(async move { found }))
///     }
///
///     fn handle(&self, id: &u64) -> Option<Handle<&'static str>> {
///         self.on_their_way.get(id).cloned()
///     }
/// }
/// ```
pub trait Terms<Q, T> {
    /// What the other side knows a request by.
    type Key;

    /// Whether the request may be done twice.
    fn guard(&self, request: &Q) -> Guard<Self::Key>;

    /// Whether [`ask`](Self::ask) knows whom to ask; if not, it is never called.
    fn can_ask(&self) -> bool {
        false
    }

    /// Asks whether the request took effect, see [`Call::asking`](crate::Call::asking).
    ///
    /// `None` leaves it unknown.
    #[expect(unused_variables, reason = "named for those who override it")]
    fn ask(&self, request: &Q) -> Option<Asking<T>> {
        None
    }

    /// Who may resolve the call from outside, see [`Call::resolved_by`](crate::Call::resolved_by).
    #[expect(unused_variables, reason = "named for those who override it")]
    fn handle(&self, request: &Q) -> Option<Handle<T>> {
        None
    }
}

/// An answer to a look-up that is on its way.
pub type Asking<T> = Pin<Box<dyn Future<Output = Resolution<T>> + Send>>;

impl<Q, T, K, G> Terms<Q, T> for G
where
    G: Fn(&Q) -> Guard<K>,
{
    type Key = K;

    #[inline]
    fn guard(&self, request: &Q) -> Guard<K> {
        self(request)
    }
}
