//! Fuzzes [`backstop_fuzz::venue_table`].

#![cfg_attr(fuzzing, no_main)]

backstop_fuzz::program!(backstop_fuzz::venue_table);
