//! The host's parts and its whole, through the public interface.

#[cfg(test)]
mod market;
#[cfg(test)]
mod strategy;
#[cfg(test)]
mod sim_venue;
#[cfg(test)]
mod http_venue;
