//! The `stagex` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    stagex::cli::run(std::env::args_os())
}
