//! Real builds on real engines. `tests/run` brings the engines up and calls this; without them the
//! tests fail, because a test that passes by skipping says nothing.

mod contexts;
mod dying;
mod engines;
mod errors;
mod frontend;
mod hex0;
mod normal;
mod world;
