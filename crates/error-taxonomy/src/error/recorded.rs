//! The mark that keeps one failure from being counted twice.

use std::error::Error as StdError;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Error, causes};

/// How deep the mark is looked for; a chain may be cyclic.
const DEPTH_MAX: usize = 64;

/// One failure is counted, logged and alerted on once.
impl Error {
    /// Whether the caller is the first to record this failure; every later call says no.
    ///
    /// Whoever counts or logs errors asks this first, and records only on yes.
    /// The mark belongs to the failure and not to the layer: it is seen through every [`Error`]
    /// and foreign error that wraps this one, and through an `Arc`, and it is written down and
    /// read back with it.
    /// If several threads ask at once, one of them gets the yes.
    ///
    /// ```
    /// use backstop_error_taxonomy::{Error, Kind};
    ///
    /// let error = Error::new(Kind::Timeout, "no answer");
    /// assert!(error.record_once(), "the inner layer counts it");
    ///
    /// let wrapped = Error::caused_by(error, "order not confirmed");
    /// assert!(!wrapped.record_once(), "the outer layer sees that somebody did");
    /// ```
    #[must_use = "recording it anyway would count one failure twice"]
    pub fn record_once(&self) -> bool {
        if self.is_recorded() {
            return false;
        }
        // The innermost error is the one that all wrappers share, so it decides a race.
        let innermost = layers(self).last().unwrap_or(self);
        let first = !innermost.0.recorded.swap(true, Ordering::AcqRel);
        self.mark();
        first
    }

    /// Marks a failure that was retried or dealt with, so that nobody records it as an error.
    pub fn mark_handled(&self) {
        self.mark();
    }

    /// Whether this failure was recorded or handled already.
    pub fn is_recorded(&self) -> bool {
        layers(self).any(|layer| layer.0.recorded.load(Ordering::Acquire))
    }

    /// Marks every layer, so that one that is taken out later keeps the mark.
    fn mark(&self) {
        for layer in layers(self) {
            layer.0.recorded.store(true, Ordering::Release);
        }
    }
}

/// This error and those of our type below it, outermost first.
fn layers(error: &Error) -> impl Iterator<Item = &Error> {
    iter::once(error).chain(causes(error).take(DEPTH_MAX).filter_map(as_ours))
}

fn as_ours<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    // A shared or boxed error hides its own layer: `source` of an `Arc` is the source of what is in it.
    error
        .downcast_ref::<Error>()
        .or_else(|| error.downcast_ref::<Arc<Error>>().map(|shared| &**shared))
        .or_else(|| error.downcast_ref::<Box<Error>>().map(|boxed| &**boxed))
}
