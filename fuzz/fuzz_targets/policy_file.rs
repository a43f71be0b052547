//! Fuzzes [`backstop_fuzz::policy_file`].

#![cfg_attr(fuzzing, no_main)]

backstop_fuzz::program!(backstop_fuzz::policy_file);
