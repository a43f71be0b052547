//! The public behaviour of retries: delays, limits, order safety, drivers, budgets, scenarios.

#![expect(unexpected_cfgs, reason = "`--cfg loom` is set by hand to run the model checker")]

#[cfg(test)]
#[cfg(not(loom))]
mod sim;
#[cfg(test)]
#[cfg(not(loom))]
mod schedules;
#[cfg(test)]
#[cfg(not(loom))]
mod decisions;
#[cfg(test)]
#[cfg(not(loom))]
mod model;
#[cfg(test)]
#[cfg(not(loom))]
mod driver;
#[cfg(test)]
#[cfg(not(loom))]
mod calls;
#[cfg(test)]
#[cfg(not(loom))]
mod open_orders;
#[cfg(test)]
#[cfg(not(loom))]
mod peers;
#[cfg(test)]
#[cfg(not(loom))]
mod allocations;
#[cfg(test)]
#[cfg(not(loom))]
mod hedge;
#[cfg(test)]
#[cfg(not(loom))]
mod budgets;
#[cfg(test)]
#[cfg(not(loom))]
mod amounts;
#[cfg(test)]
#[cfg(not(loom))]
mod scenarios;
#[cfg(test)]
#[cfg(not(loom))]
mod scripted_run;
#[cfg(test)]
#[cfg(not(loom))]
mod whole_runs;
#[cfg(test)]
#[cfg(all(not(loom), feature = "serde"))]
mod written;
#[cfg(test)]
#[cfg(all(not(loom), feature = "tower"))]
mod layer;
#[cfg(test)]
#[cfg(loom)]
mod interleavings;
#[cfg(test)]
#[cfg(all(not(loom), feature = "metrics", feature = "tracing"))]
mod telemetry;
#[cfg(test)]
#[cfg(not(loom))]
mod first_try;
