//! stagex: package specs in YAML become BuildKit graphs or Containerfiles.
//!
//! ```text
//! bytes ─load→ Package ─resolve→ PackageGraph ─lower→ BuildPlan ─emit→ Definition | Containerfile ─solve→ Layout
//! ```
//!
//! Each noun can no longer hold what an earlier stage has settled, and each arrow is one function.

pub mod cli;
mod compile;
pub mod diag;
pub mod digest;
pub mod emit;
pub mod engine;
pub mod frontend;
pub mod graph;
pub mod llb;
pub mod package;
pub mod plan;
pub mod tree;

pub use compile::{Compiled, Query, Subject, check, compile};
