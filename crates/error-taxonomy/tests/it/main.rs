//! The public behaviour of the taxonomy: defaults, decisions, codes, errors and scenarios.

#[cfg(test)]
mod axes;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod scenarios;
#[cfg(all(test, feature = "serde"))]
mod wire;
