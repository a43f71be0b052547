//! Fuzzes [`backstop_fuzz::ledger_csv`].

#![cfg_attr(fuzzing, no_main)]

backstop_fuzz::program!(backstop_fuzz::ledger_csv);
