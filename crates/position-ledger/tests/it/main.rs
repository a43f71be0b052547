//! Stories and laws of the ledger, through its public interface.

#[cfg(test)]
mod kit;
#[cfg(test)]
mod amounts;
#[cfg(test)]
mod values;
#[cfg(test)]
mod fills;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod money;
#[cfg(test)]
mod deeds;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod spot;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod journals;
#[cfg(test)]
#[cfg(unix)]
mod kills;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod images;
#[cfg(test)]
mod model;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod world;
#[cfg(test)]
mod scenarios;
