//! The public behaviour of the taxonomy: defaults, decisions, codes, errors and scenarios.

#[cfg(test)]
mod axes;
#[cfg(test)]
mod chains;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod context;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod drivers;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod policy;
#[cfg(test)]
#[cfg(feature = "serde")]
mod policy_file;
#[cfg(test)]
mod policy_suite;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod venues;
#[cfg(test)]
mod thresholds;
#[cfg(test)]
#[cfg(feature = "serde")]
mod wire;
