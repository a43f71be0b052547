//! What failed, whether it took effect, and what to do next.
