//! Stories and laws of the ledger, through its public interface.

#[cfg(test)]
mod kit;
#[cfg(test)]
mod orders;
