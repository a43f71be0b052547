//! A target as a program of its own.

use std::process::ExitCode;
use std::{env, fs};

/// The program of a target: libFuzzer's under cargo-fuzz, else one that reads files.
#[macro_export]
macro_rules! program {
    ($target:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $target(bytes));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::reproduce($target)
        }
    };
}

/// Gives the files that the command line names to a target.
#[expect(clippy::print_stderr, reason = "a command line tool speaks on its standard streams")]
pub fn reproduce(target: fn(&[u8])) -> ExitCode {
    for path in env::args_os().skip(1) {
        match fs::read(&path) {
            Ok(bytes) => target(&bytes),
            Err(why) => {
                eprintln!("{} cannot be read: {why}", path.display());
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}
