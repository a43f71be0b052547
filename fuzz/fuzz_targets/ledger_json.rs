//! Fuzzes [`backstop_fuzz::ledger_json`].

#![cfg_attr(fuzzing, no_main)]

backstop_fuzz::program!(backstop_fuzz::ledger_json);
