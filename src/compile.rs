//! The pipeline from end to end, for one package or for a whole tree.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Code, Diagnostic, Diagnostics, Files, suggest};
use crate::graph::{Goal, Library, PackageGraph, Request, Target, resolve};
use crate::package::{Evaluator, PackageName, Place, Platform, Reference, TreeConfig};
use crate::plan::{BuildPlan, Options, lower};
use crate::tree::Tree;

/// Which spec is meant.
#[derive(Clone, Debug)]
pub enum Subject {
    /// The package of this name in the tree.
    Package(PackageName),
    /// A spec that was handed over, which need not be in the tree.
    Spec(Place, Vec<u8>),
}

/// What is to be compiled.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which spec.
    pub subject: Subject,
    /// What of it.
    pub goal: Goal,
    /// For which platforms; when empty, the package's only one, otherwise the engine's own.
    pub platforms: Vec<Platform>,
    /// The engine's own platform.
    pub build: Platform,
    /// Values of declared variables.
    pub vars: BTreeMap<String, String>,
    /// Packages that named contexts replace.
    pub replaced: BTreeSet<Reference>,
    /// Time stamps and unions.
    pub options: Options,
}

impl Query {
    /// The main output of a package for an engine's own platform, nothing changed.
    pub fn new(subject: Subject, build: Platform) -> Self {
        Self {
            subject,
            goal: Goal::Output(None),
            platforms: Vec::new(),
            build,
            vars: BTreeMap::new(),
            replaced: BTreeSet::new(),
            options: Options::default(),
        }
    }
}

/// What a query became.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The package that was asked for.
    pub package: std::sync::Arc<crate::package::Package>,
    /// Everything that it needs.
    pub graph: PackageGraph,
    /// What is done.
    pub plan: BuildPlan,
}

/// Compiles one package of a tree; only it and what it needs are read. Fails with everything that
/// is wrong with them.
pub fn compile(tree: &dyn Tree, query: &Query, files: &mut Files) -> Result<Compiled, Diagnostics> {
    let evaluator = Evaluator::new();
    let mut library = Library::new(tree, &evaluator, query.replaced.clone());
    let tests = query.goal == Goal::Tests;
    let (name, mut found) = match &query.subject {
        Subject::Package(name) => (name.clone(), library.read(vec![name.clone()], tests, files)),
        Subject::Spec(place, bytes) => {
            (library.read_spec(place, bytes.clone(), tests, files)?, Diagnostics::new())
        }
    };
    let Some(package) = library.packages.get(&name).cloned() else {
        if found.is_empty() {
            found.push(no_package(tree, &name));
        }
        return Err(found);
    };
    if let (Goal::Tests, true) = (&query.goal, package.tests.is_empty()) {
        found.push(
            Diagnostic::new(Code::BadRequest, package.name.span, format!("`{name}` has no tests"))
                .hint("declare some: `tests: { prints-version: { run: … } }`"),
        );
    }
    if let Goal::Stage(stage) = &query.goal
        && !package.stages.contains_key(stage)
    {
        let said = format!("`{name}` has neither an output nor a stage `{stage}`");
        let mut unknown = Diagnostic::bare(Code::UnknownStage, said);
        let known = package.stages.keys().map(|s| s.as_str());
        let outputs = package.outputs.keys().map(|o| o.as_str());
        unknown.hint = suggest(stage.as_str(), known.chain(outputs), "targets");
        found.push(unknown);
    }
    let platforms = match (query.platforms.as_slice(), package.platforms.as_slice()) {
        ([], [only]) => vec![only.value.clone()],
        ([], _) => vec![query.build.clone()],
        (asked, _) => asked.to_vec(),
    };
    let target = |platform: Platform| {
        let (package, goal) = (name.clone(), query.goal.clone());
        Target { package, goal, platform }
    };
    let targets = platforms.into_iter().map(target).collect();
    let request = Request { targets, build: query.build.clone(), vars: query.vars.clone() };
    let graph = match resolve(&library, &request) {
        Ok(graph) if found.is_empty() => graph,
        Ok(_) => return Err(found),
        Err(more) => {
            found.extend(more);
            return Err(found);
        }
    };
    let plan = lower(&graph, &query.options)?;
    Ok(Compiled { package, graph, plan })
}

fn no_package(tree: &dyn Tree, name: &PackageName) -> Diagnostic {
    let said = format!("no package `{name}` in this tree");
    let mut found = Diagnostic::bare(Code::UnknownPackage, said);
    let names = Library::names(tree).unwrap_or_default();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    found.hint = suggest(&name.to_string(), names.iter().map(String::as_str), "packages")
        .or_else(|| Some(format!("its spec would stand in {}", name.spec_path())));
    found
}

/// Checks every package of a tree, for each of its platforms; returns how many there are, or
/// everything that is wrong.
pub fn check(tree: &dyn Tree, build: &Platform, files: &mut Files) -> Result<usize, Diagnostics> {
    let mut found = Diagnostics::new();
    let config = match TreeConfig::read(tree, files) {
        Ok(config) => config,
        Err(e) => {
            found.extend(e);
            TreeConfig::default()
        }
    };
    let names = Library::names(tree)?;
    let evaluator = Evaluator::new();
    let mut library = Library::new(tree, &evaluator, BTreeSet::new());
    found.extend(library.read(names.clone(), true, files));
    let mut targets = Vec::new();
    for name in &names {
        let Some(package) = library.packages.get(name) else { continue };
        let platforms: Vec<Platform> = match package.platforms.as_slice() {
            [] if config.platforms.is_empty() => vec![build.clone()],
            [] => config.platforms.clone(),
            own => own.iter().map(|p| p.value.clone()).collect(),
        };
        for platform in platforms {
            for goal in [Goal::Outputs, Goal::Tests] {
                targets.push(Target { package: name.clone(), goal, platform: platform.clone() });
            }
        }
    }
    let request = Request { targets, build: build.clone(), vars: BTreeMap::new() };
    match resolve(&library, &request) {
        Ok(graph) => found.extend(lower(&graph, &Options::default()).err().unwrap_or_default()),
        Err(more) => found.extend(more),
    }
    found.or(names.len())
}
