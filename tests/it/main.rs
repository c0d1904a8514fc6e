//! All tests that need no engine, in one binary.

mod architecture;
mod cases;
mod cli;
mod docs;
mod hostile;
mod properties;
