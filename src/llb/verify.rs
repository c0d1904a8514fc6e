//! What BuildKit would refuse, found before it is asked.

use std::collections::BTreeMap;
use std::fmt;

use bollard_buildkit_proto::pb;
use prost::Message as _;

use crate::digest::Digest;

/// What is wrong with a definition; numbers are places in `def`, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// BuildKit refuses definitions of fewer than two vertices.
    TooSmall,
    /// No op message.
    Undecodable(usize),
    /// The last op is not one input and nothing else, or an earlier one is.
    Terminal(usize),
    /// An input is no earlier op of the definition.
    DanglingInput(usize, String),
    /// An input's number is beyond the results of its op.
    NoSuchResult(usize, String),
    /// A process without a platform, or a platform without system or architecture.
    Platform(usize),
    /// A process whose first mount is not its root.
    Root(usize),
    /// A mount or file action uses an input that the op does not have.
    NoSuchInput(usize),
    /// The same op twice.
    Duplicate(usize),
    /// Metadata or locations for a digest that is no op.
    Stray(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall => f.write_str("fewer than two vertices"),
            Self::Undecodable(n) => write!(f, "op {n} can't be decoded"),
            Self::Terminal(n) => write!(f, "op {n} is not a terminal op in its place"),
            Self::DanglingInput(n, d) => write!(f, "op {n}: no op {d} before it"),
            Self::NoSuchResult(n, d) => write!(f, "op {n}: {d} has no such result"),
            Self::Platform(n) => write!(f, "op {n}: no platform"),
            Self::Root(n) => write!(f, "op {n}: the first mount is not the root"),
            Self::NoSuchInput(n) => write!(f, "op {n}: no such input"),
            Self::Duplicate(n) => write!(f, "op {n} stands there twice"),
            Self::Stray(d) => write!(f, "metadata for {d}, which is no op"),
        }
    }
}

impl std::error::Error for Fault {}

/// Checks a definition; the empty one is the empty tree and in order. Fails with the first fault.
pub fn verify(definition: &pb::Definition) -> Result<(), Fault> {
    if definition.def.is_empty() {
        return Ok(());
    }
    if definition.def.len() < 2 {
        return Err(Fault::TooSmall);
    }
    let mut results: BTreeMap<String, i64> = BTreeMap::new();
    let last = definition.def.len() - 1;
    for (number, bytes) in definition.def.iter().enumerate() {
        let op = pb::Op::decode(bytes.as_slice()).map_err(|_| Fault::Undecodable(number))?;
        for input in &op.inputs {
            match results.get(&input.digest) {
                None => return Err(Fault::DanglingInput(number, input.digest.clone())),
                Some(n) if input.index < 0 || input.index >= *n => {
                    return Err(Fault::NoSuchResult(number, input.digest.clone()));
                }
                Some(_) => {}
            }
        }
        let is_terminal = op.op.is_none() && op.inputs.len() == 1;
        if is_terminal != (number == last) || (op.op.is_none() && !is_terminal) {
            return Err(Fault::Terminal(number));
        }
        let outputs = outputs(&op, number)?;
        if results.insert(Digest::of(bytes).to_string(), outputs).is_some() {
            return Err(Fault::Duplicate(number));
        }
    }
    let located = definition.source.iter().flat_map(|s| s.locations.keys());
    for digest in definition.metadata.keys().chain(located) {
        if !results.contains_key(digest) {
            return Err(Fault::Stray(digest.clone()));
        }
    }
    Ok(())
}

/// How many results an op has.
fn outputs(op: &pb::Op, number: usize) -> Result<i64, Fault> {
    let inputs = i64::try_from(op.inputs.len()).unwrap_or(i64::MAX);
    let fits = |input: i64, more: i64| (-1..inputs + more).contains(&input);
    if op.platform.as_ref().is_some_and(|p| p.os.is_empty() || p.architecture.is_empty()) {
        return Err(Fault::Platform(number));
    }
    match &op.op {
        None | Some(pb::op::Op::Source(_) | pb::op::Op::Build(_) | pb::op::Op::Diff(_)) => Ok(1),
        Some(pb::op::Op::Exec(exec)) => {
            if op.platform.is_none() {
                return Err(Fault::Platform(number));
            }
            if exec.mounts.first().is_none_or(|m| m.dest != "/") {
                return Err(Fault::Root(number));
            }
            if exec.mounts.iter().any(|m| !fits(m.input, 0)) {
                return Err(Fault::NoSuchInput(number));
            }
            Ok(exec.mounts.iter().filter(|m| m.output >= 0).count() as i64)
        }
        Some(pb::op::Op::File(file)) => {
            for (action, before) in file.actions.iter().zip(0..) {
                if !fits(action.input, before) || !fits(action.secondary_input, before) {
                    return Err(Fault::NoSuchInput(number));
                }
            }
            Ok(file.actions.iter().filter(|a| a.output >= 0).count() as i64)
        }
        Some(pb::op::Op::Merge(merge)) => {
            if merge.inputs.iter().any(|m| !fits(m.input, 0)) {
                return Err(Fault::NoSuchInput(number));
            }
            Ok(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llb::{Graph, Vertex};

    #[test]
    fn a_graph_of_ours_is_in_order_and_a_broken_one_is_not() {
        let mut graph = Graph::new();
        let source = |n: &str| Vertex::source(format!("https://example.org/{n}"), BTreeMap::new());
        let (a, b) = (graph.add(source("a")), graph.add(source("b")));
        assert_eq!(graph.add(source("a")), a, "the same bytes are one vertex");
        let mut definition = graph.definition(Some(b));
        assert_eq!(definition.def.len(), 2, "what is not needed is left out");
        assert_eq!(verify(&definition), Ok(()));
        definition.def.remove(0);
        assert_eq!(verify(&definition), Err(Fault::TooSmall));
        let mut swapped = graph.definition(Some(a));
        swapped.def.swap(0, 1);
        assert!(matches!(verify(&swapped), Err(Fault::DanglingInput(0, _))));
    }
}
