//! Printers of a [`BuildPlan`](crate::plan::BuildPlan). They decide nothing.

pub mod llb;
mod tar;
