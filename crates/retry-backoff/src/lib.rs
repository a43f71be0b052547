//! Retry that never resends what may have happened.
