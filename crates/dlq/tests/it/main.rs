//! Stories, laws and the contract of every store.
