use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// Hears of the events of a subject.
pub(crate) type Listener<S, E> = Arc<dyn Fn(&S, &E) + Send + Sync>;

/// Who hears of events; costs nothing until there is somebody.
///
/// With std's lock even under the model checker, as it guards no decision.
pub(crate) struct Listeners<S, E>(OnceLock<Box<List<S, E>>>);

type List<S, E> = Mutex<Vec<Listener<S, E>>>;

impl<S, E> Listeners<S, E> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(crate) fn add(&self, listener: Listener<S, E>) {
        lock(self.0.get_or_init(Box::default)).push(listener);
    }

    /// Tells everybody, in the order of the events; no lock is held meanwhile.
    pub(crate) fn tell(&self, subject: &S, events: &[E]) {
        let Some(list) = self.0.get() else { return };
        let listeners = lock(list).clone();
        for event in events {
            for listener in &listeners {
                // The panic hook has reported it; the call it happened to run in is not at fault.
                drop(catch_unwind(AssertUnwindSafe(|| listener(subject, event))));
            }
        }
    }
}

fn lock<S, E>(list: &List<S, E>) -> MutexGuard<'_, Vec<Listener<S, E>>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
