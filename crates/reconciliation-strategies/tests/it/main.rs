//! Behaviour of the comparison, seen from outside.
