//! Stories, laws and the contract of every store.

#[cfg(test)]
mod support;

#[cfg(test)]
mod capture;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod parking;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod flood;
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod sqlite;
