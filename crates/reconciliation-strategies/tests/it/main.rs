//! Behaviour of the comparison, seen from outside.

#[cfg(test)]
mod book;
#[cfg(test)]
mod trades;
#[cfg(test)]
mod positions;
#[cfg(test)]
mod balances;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod scenarios;
