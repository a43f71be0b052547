//! The breaker as its users see it: scenarios, a naive model, threads, calls and listeners.

#![expect(unexpected_cfgs, reason = "`--cfg loom` is set by hand to run the model checker")]

#[cfg(test)]
#[cfg(not(loom))]
mod calls;
#[cfg(test)]
#[cfg(loom)]
mod interleavings;
#[cfg(test)]
#[cfg(not(loom))]
mod listeners;
#[cfg(test)]
#[cfg(not(loom))]
mod model;
#[cfg(test)]
#[cfg(not(loom))]
mod permits;
#[cfg(test)]
#[cfg(not(loom))]
mod policy;
#[cfg(test)]
#[cfg(not(loom))]
mod scenarios;
#[cfg(test)]
#[cfg(not(loom))]
mod threads;
#[cfg(test)]
#[cfg(not(loom))]
mod control;
#[cfg(test)]
#[cfg(not(loom))]
mod registry;
#[cfg(test)]
#[cfg(not(loom))]
mod windows;
#[cfg(test)]
#[cfg(not(loom))]
mod peers;
#[cfg(test)]
#[cfg(not(loom))]
mod allocations;
#[cfg(test)]
#[cfg(all(not(loom), feature = "bulkhead"))]
mod waiting;
#[cfg(test)]
#[cfg(all(not(loom), feature = "tower"))]
mod layer;
#[cfg(test)]
#[cfg(all(not(loom), feature = "serde"))]
mod stored;
#[cfg(test)]
#[cfg(all(not(loom), feature = "metrics", feature = "tracing", feature = "bulkhead"))]
mod telemetry;
