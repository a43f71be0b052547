//! The host's parts and its whole, through the public interface.

#[cfg(test)]
mod market;
#[cfg(test)]
mod strategy;
#[cfg(test)]
mod sim_venue;
#[cfg(test)]
mod http_venue;
#[cfg(test)]
mod stack;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod quiet_day;
#[cfg(test)]
mod lost_acknowledgement;
#[cfg(test)]
mod late_acceptance;
#[cfg(test)]
mod venue_outage;
#[cfg(test)]
mod duplicate_fills;
#[cfg(test)]
mod dropped_fill;
#[cfg(test)]
mod poison_fill;
#[cfg(test)]
mod silent_drift;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod halt;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod ports;
#[cfg(test)]
mod restart_with_old_schema;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod broken_rules;
#[cfg(test)]
mod chains;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod inbox;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod any_fault;
#[cfg(test)]
mod proof;
