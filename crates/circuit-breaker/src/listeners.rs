use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Breaker, Event};

type Listener = Arc<dyn Fn(&Breaker, &Event) + Send + Sync>;

/// Who hears of events; std's lock even under the model checker, as it guards no decision.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Vec<Listener>>);

impl Listeners {
    pub(crate) fn add(&self, listener: Listener) {
        self.lock().push(listener);
    }

    /// Tells everybody, in the order of the events; no lock is held meanwhile.
    pub(crate) fn tell(&self, breaker: &Breaker, events: &[Event]) {
        let listeners = self.lock().clone();
        for event in events {
            for listener in &listeners {
                // The panic hook has reported it; the call it happened to run in is not at fault.
                drop(catch_unwind(AssertUnwindSafe(|| listener(breaker, event))));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
