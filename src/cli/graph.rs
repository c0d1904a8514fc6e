//! `stagex graph`

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{self, Goal, Library, NodeId, PackageGraph, Request, Target, resolve};
use crate::package::Evaluator;
use crate::plan::Options;

use super::args::{Graph, GraphFormat};
use super::workspace::{host, platforms};
use super::{Done, Failure, Screen, Workspace};

pub(super) fn run(
    workspace: &mut Workspace,
    screen: &Screen,
    (args, json): (&Graph, bool),
) -> Done {
    let graph = if args.reverse {
        users(workspace, args)?
    } else {
        workspace.compile(&args.compile, Options::default())?.graph
    };
    match args.format {
        GraphFormat::Json => self::json(screen, &graph),
        GraphFormat::Text if json => self::json(screen, &graph),
        GraphFormat::Text => Ok(screen.text(&graph::text(&graph))?),
        GraphFormat::Dot => Ok(screen.text(&graph::dot(&graph))?),
    }
}

pub(super) fn json(screen: &Screen, graph: &PackageGraph) -> Done {
    Ok(screen.text(&graph::json(graph))?)
}

/// Of the graph of the whole tree, what needs a package, directly or not.
fn users(workspace: &mut Workspace, args: &Graph) -> Result<PackageGraph, Failure> {
    let named = workspace.named(&args.compile.package)?;
    let wanted = match named.subject {
        crate::Subject::Package(name) => name,
        crate::Subject::Spec(place, bytes) => {
            let evaluator = Evaluator::new();
            let mut loader = crate::package::Loader::new(&workspace.tree, &evaluator);
            loader.load(&place, bytes, &mut workspace.files)?.name.value.clone()
        }
    };
    let names = Library::names(&workspace.tree)?;
    let evaluator = Evaluator::new();
    let mut library = Library::new(&workspace.tree, &evaluator, BTreeSet::new());
    library.read(names, false, &mut workspace.files).or(())?;
    let asked = platforms(&args.compile.platform)?;
    let mut targets = Vec::new();
    for (name, package) in &library.packages {
        let platforms = match (asked.as_slice(), package.platforms.as_slice()) {
            ([], []) => vec![host()],
            ([], own) => own.iter().map(|p| p.value.clone()).collect(),
            (asked, _) => asked.to_vec(),
        };
        for platform in platforms {
            targets.push(Target { package: name.clone(), goal: Goal::Outputs, platform });
        }
    }
    let request = Request { targets, build: host(), vars: BTreeMap::new() };
    let graph = resolve(&library, &request)?;
    let mut keep: Vec<bool> = graph.nodes.iter().map(|n| n.name == wanted).collect();
    for (at, node) in graph.nodes.iter().enumerate() {
        keep[at] |= node.edges().iter().any(|(id, _)| keep[id.0 as usize]);
    }
    Ok(part(&graph, &keep))
}

/// The nodes that are kept, with the edges between them.
fn part(graph: &PackageGraph, keep: &[bool]) -> PackageGraph {
    let mut numbers = BTreeMap::new();
    for (at, _) in keep.iter().enumerate().filter(|(_, k)| **k) {
        let new = u32::try_from(numbers.len()).expect("fewer than four billion nodes");
        numbers.insert(u32::try_from(at).expect("fewer than four billion nodes"), NodeId(new));
    }
    let nodes = graph.nodes.iter().zip(keep).filter(|(_, k)| **k);
    let nodes = nodes.map(|(n, _)| n.renumbered(&numbers)).collect();
    PackageGraph { nodes, roots: Vec::new() }
}
