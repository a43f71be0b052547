use std::error::Error;

use backstop_error_taxonomy::Classify;

use crate::Message;

/// Where messages come from.
///
/// The contract: within a partition positions rise; after a restart the source begins at the
/// store's committed position or earlier, never later.
/// A position below the committed one is taken for a redelivery and skipped, so a feed that can
/// deliver late must be put in order, or into a log of its own, before it is a source.
pub trait Source {
    /// Why nothing could be read.
    type Error: Classify + Error + Send + Sync + 'static;

    /// The next message; `None` means that there is none now.
    ///
    /// # Errors
    /// The source's own; nothing is lost, the next call tries again.
    fn next(&mut self) -> impl Future<Output = Result<Option<Message>, Self::Error>>;
}
