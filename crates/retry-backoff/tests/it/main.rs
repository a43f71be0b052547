//! The public behaviour of retries: delays, limits, order safety, the driver and the scenarios.

#[cfg(test)]
mod sim;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod model;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod scripted_run;
