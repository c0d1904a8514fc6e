//! The `stagex` command.
fn main() {}
