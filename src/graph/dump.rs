//! A graph as people and programs read it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::{Kind, Node, NodeId, PackageGraph, RootFrom, Stage};

impl Node {
    /// What progress and dumps call it: `core/zlib`, `core/llvm/libgcc`, `core/zlib:build`.
    pub fn label(&self) -> String {
        match &self.kind {
            Kind::Stage(stage) => format!("{}:{}", self.name, stage.name.value),
            Kind::Output(output) if output.name.value.as_str() == self.name.name() => {
                self.name.to_string()
            }
            Kind::Output(output) => format!("{}/{}", self.name, output.name.value),
            Kind::Test(test) => format!("{} test {}", self.name, test.name),
            Kind::Context(reference) => format!("{reference} (context)"),
        }
    }

    /// The node in a part of its graph: references outside of the part are left out.
    pub(crate) fn renumbered(&self, numbers: &std::collections::BTreeMap<u32, NodeId>) -> Self {
        let mut node = self.clone();
        let new = |id: &NodeId| numbers.get(&id.0).copied();
        let root = |stage: &mut Stage| {
            stage.root.retain_mut(|entry| match &mut entry.from {
                RootFrom::Package(id) | RootFrom::Stage(id) => new(id).map(|n| *id = n).is_some(),
                RootFrom::Sources(_) => false,
            });
        };
        match &mut node.kind {
            Kind::Stage(stage) => root(stage),
            Kind::Test(test) => root(&mut test.stage),
            Kind::Output(output) => {
                output.take = output.take.take().and_then(|(id, files)| Some((new(&id)?, files)));
                output.closure = output.closure.iter().filter_map(new).collect();
            }
            Kind::Context(_) => {}
        }
        node
    }

    /// The nodes that it needs directly, with what for, in order, each once for each purpose.
    pub fn edges(&self) -> Vec<(NodeId, &'static str)> {
        let mut edges = Vec::new();
        let of_stage = |stage: &Stage, edges: &mut Vec<(NodeId, &'static str)>| {
            for entry in &stage.root {
                match &entry.from {
                    RootFrom::Package(id) => edges.push((*id, "root")),
                    RootFrom::Stage(id) => edges.push((*id, "stage")),
                    RootFrom::Sources(_) => {}
                }
            }
        };
        match &self.kind {
            Kind::Stage(stage) => of_stage(stage, &mut edges),
            Kind::Test(test) => of_stage(&test.stage, &mut edges),
            Kind::Output(output) => {
                edges.extend(output.take.iter().map(|(id, _)| (*id, "made by")));
                edges.extend(output.closure.iter().map(|id| (*id, "requires")));
            }
            Kind::Context(_) => {}
        }
        let mut seen = BTreeSet::new();
        edges.retain(|edge| seen.insert(*edge));
        edges
    }
}

/// One node a paragraph, with the nodes that it needs.
pub fn text(graph: &PackageGraph) -> String {
    let mut out = String::new();
    for node in &graph.nodes {
        let _ = writeln!(out, "{} {}", node.label(), node.platform);
        for (id, what) in node.edges() {
            let to = graph.node(id);
            let _ = writeln!(out, "  {what} {} {}", to.label(), to.platform);
        }
    }
    out
}

/// The same for Graphviz.
pub fn dot(graph: &PackageGraph) -> String {
    let mut out = String::from(
        "digraph stagex {\n  rankdir=LR;\n  node [shape=box, fontname=\"monospace\"];\n",
    );
    for (number, node) in graph.nodes.iter().enumerate() {
        let shape = match node.kind {
            Kind::Stage(_) | Kind::Test(_) => ", style=rounded",
            Kind::Context(_) => ", style=dashed",
            Kind::Output(_) => "",
        };
        let _ =
            writeln!(out, "  n{number} [label=\"{}\\n{}\"{shape}];", node.label(), node.platform);
    }
    for (number, node) in graph.nodes.iter().enumerate() {
        for (id, what) in node.edges() {
            let style = if what == "requires" { " [style=dashed]" } else { "" };
            let _ = writeln!(out, "  n{number} -> n{}{style};", id.0);
        }
    }
    out + "}\n"
}

#[derive(Serialize)]
struct JsonNode {
    name: String,
    platform: String,
    kind: &'static str,
    needs: Vec<JsonEdge>,
}

#[derive(Serialize)]
struct JsonEdge {
    node: u32,
    #[serde(rename = "for")]
    purpose: &'static str,
}

/// The same as JSON: a list of nodes; edges name their numbers.
pub fn json(graph: &PackageGraph) -> String {
    let nodes: Vec<JsonNode> = graph
        .nodes
        .iter()
        .map(|node| JsonNode {
            name: node.label(),
            platform: node.platform.to_string(),
            kind: match node.kind {
                Kind::Stage(_) => "stage",
                Kind::Output(_) => "output",
                Kind::Test(_) => "test",
                Kind::Context(_) => "context",
            },
            needs: node
                .edges()
                .into_iter()
                .map(|(id, purpose)| JsonEdge { node: id.0, purpose })
                .collect(),
        })
        .collect();
    serde_json::to_string_pretty(&nodes).expect("strings and numbers become JSON") + "\n"
}
