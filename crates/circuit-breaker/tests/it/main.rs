//! The breaker as its users see it: scenarios, a naive model, threads, calls and listeners.

#[cfg(test)]
mod scenarios;
