//! The BuildKit frontend, started by BuildKit itself.
fn main() {}
