//! A circuit breaker whose stale results change nothing.
