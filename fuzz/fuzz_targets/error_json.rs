//! Fuzzes [`backstop_fuzz::error_json`].

#![cfg_attr(fuzzing, no_main)]

backstop_fuzz::program!(backstop_fuzz::error_json);
