//! Library and request → [`PackageGraph`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, Diagnostics, Span, Spanned, suggest};
use crate::package::{
    self, Package, Platform, Reference, Scope, StageName, StagePlatform, TestName,
};

use super::expand::{self, Expander};
use super::image::{self, Accounts};
use super::{
    Goal, Kind, Library, Node, NodeId, Output, PackageGraph, Request, RootEntry, RootFrom, Source,
    Stage, Target, Test,
};

/// How long a path of references may be, stages and outputs counted: StageX's is below a hundred.
/// Each is three calls, and all of them have to fit on a thread's 2 MiB without optimisation.
const MAX_DEPTH: usize = 200;

/// Resolves what is asked for and all that it needs; fails with everything that is wrong.
pub fn resolve(library: &Library<'_>, request: &Request) -> Result<PackageGraph, Diagnostics> {
    let mut resolver = Resolver::new(library, request);
    let roots = resolver.targets();
    let Resolver { nodes, expander, mut found, .. } = resolver;
    found.extend(expander.found);
    found.or(PackageGraph { nodes, roots })
}

/// What a node is made of, for one platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Stage(StageName),
    Output(crate::package::OutputName),
    Test(TestName),
    Context(Reference),
}

type Key = (crate::package::PackageName, Platform, Unit);

enum State {
    Open,
    Done(Option<NodeId>),
}

struct Resolver<'r> {
    library: &'r Library<'r>,
    request: &'r Request,
    expander: Expander<'r>,
    nodes: Vec<Node>,
    states: BTreeMap<Key, State>,
    /// The references that lead to where we are.
    path: Vec<(Key, Span)>,
    scopes: BTreeMap<(crate::package::PackageName, Platform), Arc<Scope>>,
    found: Diagnostics,
}

impl<'r> Resolver<'r> {
    fn new(library: &'r Library<'r>, request: &'r Request) -> Self {
        let (evaluator, tree) = (library.evaluator, library.tree);
        Self {
            library,
            request,
            expander: Expander { evaluator, tree, found: Diagnostics::new() },
            nodes: Vec::new(),
            states: BTreeMap::new(),
            path: Vec::new(),
            scopes: BTreeMap::new(),
            found: Diagnostics::new(),
        }
    }

    fn targets(&mut self) -> Vec<(Target, Vec<NodeId>)> {
        let mut roots = Vec::new();
        let mut checked = BTreeSet::new();
        for target in &self.request.targets {
            let Some(package) = self.library.packages.get(&target.package).cloned() else {
                continue;
            };
            if checked.insert(&target.package) {
                self.check_vars(&package);
            }
            let platform = &target.platform;
            let nodes = match &target.goal {
                Goal::Output(name) => self.goal(&package, name.clone(), platform),
                Goal::Outputs => {
                    let scope = self.scope(&package, platform);
                    for output in package.outputs.values() {
                        if !self.expander.holds(&output.when, &scope) {
                            continue;
                        }
                        let name = Some(output.name.value.clone());
                        let nodes = self.goal(&package, name.clone(), platform);
                        roots.push((Target { goal: Goal::Output(name), ..target.clone() }, nodes));
                    }
                    continue;
                }
                Goal::Stage(name) => {
                    let key = (target.package.clone(), platform.clone(), Unit::Stage(name.clone()));
                    let span = package.name.span;
                    self.unit(key, span, |r| r.stage(&package, name, platform))
                        .into_iter()
                        .collect()
                }
                Goal::Tests => self.tests(&package, platform),
            };
            roots.push((target.clone(), nodes));
        }
        roots
    }

    fn goal(
        &mut self,
        package: &Package,
        output: Option<package::OutputName>,
        platform: &Platform,
    ) -> Vec<NodeId> {
        let value = Reference { package: package.name.value.clone(), output };
        let reference = Spanned::new(value, package.name.span);
        self.reference(&reference, platform).into_iter().collect()
    }

    fn check_vars(&mut self, package: &Package) {
        for (name, value) in &self.request.vars {
            let Some(var) = package.vars.values().find(|v| v.name.value.as_str() == name) else {
                let said = format!("`{}` has no variable `{name}`", package.name.value);
                let mut found = Diagnostic::bare(Code::UnknownArgument, said);
                let known: Vec<&str> = package.vars.keys().map(|v| v.as_str()).collect();
                found.hint = suggest(name, known, "variables")
                    .or_else(|| Some("it declares none; `vars:` in the spec does".to_owned()));
                self.found.push(found);
                continue;
            };
            let allowed: Vec<&str> = var.values.iter().map(|v| v.value.as_str()).collect();
            if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
                let said = format!("`{value}` is no value of `{name}`");
                let mut found = Diagnostic::new(Code::UnknownArgument, var.name.span, said);
                found.hint = suggest(value, allowed, "values");
                self.found.push(found);
            }
            if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
                let said = format!("a control character in the value of `{name}`");
                self.found.push(Diagnostic::bare(Code::UnknownArgument, said));
            }
        }
    }

    fn tests(&mut self, package: &Arc<Package>, platform: &Platform) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        for test in package.tests.values() {
            let name = test.name.value.clone();
            let key = (package.name.value.clone(), platform.clone(), Unit::Test(name));
            nodes.extend(self.unit(key, test.name.span, |r| r.test(package, test, platform)));
        }
        nodes
    }

    /// The node of a unit, made at the first reference.
    fn unit(
        &mut self,
        key: Key,
        span: Span,
        make: impl FnOnce(&mut Self) -> Option<Node>,
    ) -> Option<NodeId> {
        match self.states.get(&key) {
            Some(State::Done(id)) => return *id,
            Some(State::Open) => {
                self.cycle(&key, span);
                return None;
            }
            None => {}
        }
        if self.path.len() >= MAX_DEPTH {
            let said = format!("packages need each other more than {MAX_DEPTH} deep");
            let hint = "let a package on the way do without the next one";
            self.found.push(Diagnostic::new(Code::TooDeep, span, said).hint(hint));
            self.states.insert(key, State::Done(None));
            return None;
        }
        self.states.insert(key.clone(), State::Open);
        self.path.push((key.clone(), span));
        let node = make(self);
        self.path.pop();
        let id = node.map(|node| {
            self.nodes.push(node);
            NodeId(u32::try_from(self.nodes.len() - 1).expect("fewer than four billion nodes"))
        });
        self.states.insert(key, State::Done(id));
        id
    }

    fn cycle(&mut self, key: &Key, span: Span) {
        let start = self.path.iter().position(|(k, _)| k == key).unwrap_or(0);
        let names: Vec<String> = self.path[start..].iter().map(|(k, _)| label(k)).collect();
        let said = format!("a cycle: {} → {}", names.join(" → "), label(key));
        let mut found = Diagnostic::new(Code::Cycle, span, said).label("leads back");
        for (k, place) in self.path[start + 1..].iter().take(20) {
            found = found.note(*place, format!("needs {}", label(k)));
        }
        self.found.push(found.hint("one of them has to do without the other"));
    }

    /// The node of what a spec names, on a platform.
    fn reference(&mut self, reference: &Spanned<Reference>, platform: &Platform) -> Option<NodeId> {
        let span = reference.span;
        if self.library.is_replaced(&reference.value) {
            let wanted = reference.value.clone();
            let name = wanted.package.clone();
            let key = (name.clone(), platform.clone(), Unit::Context(wanted.clone()));
            let (platform, kind) = (platform.clone(), Kind::Context(wanted));
            return self.unit(key, span, |_| Some(Node { name, package: None, platform, kind }));
        }
        let (package, real) = match self.library.find(reference) {
            Ok(found) => found?,
            Err(found) => {
                self.found.push(found);
                return None;
            }
        };
        let default = package::OutputName::parse(package.name.value.name())?;
        let wanted = real.output.clone().unwrap_or_else(|| default.clone());
        let Some(output) = package.outputs.get(&wanted) else {
            let said = format!("`{}` has no output `{wanted}`", package.name.value);
            let mut found = Diagnostic::new(Code::UnknownOutput, span, said);
            let known = package.outputs.keys().map(package::OutputName::as_str);
            found.hint = suggest(wanted.as_str(), known, "outputs");
            self.found.push(found);
            return None;
        };
        if !package.platforms.is_empty() && !package.platforms.iter().any(|p| p.value == *platform)
        {
            let known: Vec<String> =
                package.platforms.iter().map(|p| p.value.to_string()).collect();
            let why = format!("it exists for {}", known.join(", "));
            self.missing(&real, platform, span, &why);
            return None;
        }
        let scope = self.scope(&package, platform);
        if !self.expander.holds(&output.when, &scope) {
            let why = "the output's `when` does not hold there";
            self.missing(&real, platform, span, why);
            return None;
        }
        let key = (package.name.value.clone(), platform.clone(), Unit::Output(wanted));
        self.unit(key, span, |r| r.output(&package, output, (platform, &default)))
    }

    fn missing(&mut self, wanted: &Reference, platform: &Platform, span: Span, why: &str) {
        let said = format!("`{wanted}` does not exist for {platform}");
        let mut found = Diagnostic::new(Code::MissingPlatform, span, said).label(why);
        for (key, place) in self.path.iter().rev().take(20).filter(|(_, p)| *p != span) {
            found = found.note(*place, format!("through {}", label(key)));
        }
        self.found.push(found);
    }

    fn scope(&mut self, package: &Package, platform: &Platform) -> Arc<Scope> {
        let key = (package.name.value.clone(), platform.clone());
        if let Some(scope) = self.scopes.get(&key) {
            return scope.clone();
        }
        let none = BTreeMap::new();
        let asked = self.request.targets.iter().any(|t| t.package == package.name.value);
        let vars = if asked { &self.request.vars } else { &none };
        let scope = Arc::new(expand::scope(package, platform, &self.request.build, vars));
        self.scopes.insert(key, scope.clone());
        scope
    }

    fn stage(
        &mut self,
        package: &Arc<Package>,
        name: &StageName,
        platform: &Platform,
    ) -> Option<Node> {
        let spec = package.stages.get(name)?;
        let (runs_on, on_build) = match &spec.platform {
            StagePlatform::Target => (platform.clone(), false),
            StagePlatform::Build => (self.request.build.clone(), true),
            StagePlatform::Fixed(fixed) => (fixed.value.clone(), false),
        };
        let root = self.root(package, &spec.rootfs, (platform, &runs_on));
        Some(self.stage_node((package, spec), platform, (runs_on, on_build, root)))
    }

    /// The part that calls nothing deeper; its locals stay off the stack of a long path.
    fn stage_node(
        &mut self,
        (package, spec): (&Arc<Package>, &package::Stage),
        platform: &Platform,
        (runs_on, on_build, root): (Platform, bool, Vec<RootEntry>),
    ) -> Node {
        let scope = self.scope(package, platform);
        let mut sources = Vec::new();
        for placed in &spec.sources {
            let Some(source) = package.sources.get(&placed.name.value) else { continue };
            let to = placed.to.as_ref().and_then(|t| self.expander.path(t, &scope));
            let source = self.expander.source(package, source, &scope);
            sources.extend(source.map(|s| (s, to)));
        }
        let workdir = spec.workdir.as_ref().and_then(|t| self.expander.path(t, &scope));
        let own = self.expander.env(&spec.env, &scope);
        let (env, path) = self.tools_say(&root, own, spec.name.span);
        let steps = spec.steps.iter().filter_map(|s| self.expander.step(s, &scope)).collect();
        let accounts = self.root_accounts(&root, spec.name.span);
        let name = spec.name.clone();
        let stage =
            Stage { name, runs_on, on_build, root, accounts, sources, workdir, env, path, steps };
        self.node(package, platform, Kind::Stage(stage))
    }

    fn node(&self, package: &Arc<Package>, platform: &Platform, kind: Kind) -> Node {
        let (name, platform) = (package.name.value.clone(), platform.clone());
        Node { name, package: Some(package.clone()), platform, kind }
    }

    fn root(
        &mut self,
        package: &Arc<Package>,
        entries: &[package::RootEntry],
        (target, runs_on): (&Platform, &Platform),
    ) -> Vec<RootEntry> {
        let scope = self.scope(package, target);
        let mut root = Vec::new();
        for entry in entries {
            if !self.expander.holds(&entry.when, &scope) {
                continue;
            }
            let from = match &entry.from {
                package::RootFrom::Package { reference, for_target } => {
                    let platform = if *for_target { target } else { runs_on };
                    self.reference(reference, platform).map(RootFrom::Package)
                }
                package::RootFrom::Stage(name) => {
                    let unit = Unit::Stage(name.value.clone());
                    let key = (package.name.value.clone(), target.clone(), unit);
                    let id = self.unit(key, name.span, |r| r.stage(package, &name.value, target));
                    id.map(RootFrom::Stage)
                }
                package::RootFrom::Sources(names) => {
                    let known = names.iter().filter_map(|n| package.sources.get(&n.value));
                    let sources: Vec<Source> =
                        known.filter_map(|s| self.expander.source(package, s, &scope)).collect();
                    Some(RootFrom::Sources(sources))
                }
            };
            let path = entry.path.as_ref().and_then(|t| self.expander.path(t, &scope));
            let to = entry.to.as_ref().and_then(|t| self.expander.path(t, &scope));
            let files = self.expander.texts(&entry.files, &scope);
            root.extend(from.map(|from| RootEntry { span: entry.span, from, path, to, files }));
        }
        root
    }

    /// What nodes bring along: each with what it requires, requirements first, each once.
    fn closure(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let mut closure: Vec<NodeId> = Vec::new();
        let mut seen = BTreeSet::new();
        for id in nodes {
            let own: &[NodeId] = match &self.nodes[id.0 as usize].kind {
                Kind::Output(output) => &output.closure,
                Kind::Stage(_) | Kind::Test(_) | Kind::Context(_) => &[],
            };
            closure.extend(own.iter().chain([id]).filter(|n| seen.insert(**n)));
        }
        closure
    }

    fn accounts_of<'n>(&'n self, ids: &'n [NodeId]) -> impl Iterator<Item = &'n package::Accounts> {
        ids.iter().filter_map(|id| {
            let node = &self.nodes[id.0 as usize];
            let Kind::Output(output) = &node.kind else { return None };
            let package = node.package.as_ref()?;
            let is_main = output.name.value.as_str() == package.name.value.name();
            let has_some =
                !package.accounts.users.is_empty() || !package.accounts.groups.is_empty();
            (is_main && has_some).then_some(&package.accounts)
        })
    }

    /// The packages of a root that are there as a whole, with what they require.
    fn whole(&self, root: &[RootEntry]) -> Vec<NodeId> {
        let whole =
            root.iter().filter(|e| e.path.is_none() && e.to.is_none() && e.files.is_empty());
        let ids: Vec<NodeId> = whole
            .filter_map(|e| match &e.from {
                RootFrom::Package(id) => Some(*id),
                RootFrom::Stage(_) | RootFrom::Sources(_) => None,
            })
            .collect();
        self.closure(&ids)
    }

    /// The environment and the paths of a stage: what its tools say of themselves, and its own.
    fn tools_say(
        &mut self,
        root: &[RootEntry],
        own: Vec<(String, String)>,
        span: Span,
    ) -> (Vec<(String, String)>, Vec<String>) {
        let mut image = super::Image::default();
        image.env.extend(own.into_iter().map(|(name, value)| (name, (value, span))));
        let closure = self.whole(root);
        let layers = closure.iter().filter_map(|id| match &self.nodes[id.0 as usize].kind {
            Kind::Output(output) => Some(&output.image),
            Kind::Stage(_) | Kind::Test(_) | Kind::Context(_) => None,
        });
        let layers: Vec<&super::Image> = layers.collect();
        image::inherit(&mut image, (&layers, span), &mut self.found);
        let env = image.env.into_iter().map(|(name, (value, _))| (name, value)).collect();
        (env, image.path)
    }

    /// The accounts of a root in which several packages have some.
    fn root_accounts(&mut self, root: &[RootEntry], span: Span) -> Option<Accounts> {
        let closure = self.whole(root);
        if self.accounts_of(&closure).count() < 2 {
            return None;
        }
        match Accounts::merged(self.accounts_of(&closure)) {
            Ok(accounts) => Some(accounts),
            Err(found) => {
                for clash in found {
                    self.found.push(clash.note(span, "both are in this root"));
                }
                None
            }
        }
    }

    fn output(
        &mut self,
        package: &Arc<Package>,
        spec: &package::Output,
        (platform, default): (&Platform, &package::OutputName),
    ) -> Option<Node> {
        let scope = self.scope(package, platform);
        let is_main = spec.name.value == *default;
        let layers: &[package::Requirement] = if is_main { &package.layers } else { &[] };
        let mut needed = Vec::new();
        let mut complete = true;
        for requirement in layers.iter().chain(&spec.requires) {
            if !self.expander.holds(&requirement.when, &scope) {
                continue;
            }
            match self.reference(&requirement.reference, platform) {
                Some(id) => needed.push(id),
                None => complete = false,
            }
        }
        let take = match &spec.take {
            None => None,
            Some(take) => {
                let unit = Unit::Stage(take.stage.value.clone());
                let key = (package.name.value.clone(), platform.clone(), unit);
                let name = &take.stage.value;
                let id = self.unit(key, take.stage.span, |r| r.stage(package, name, platform));
                complete &= id.is_some();
                id
            }
        };
        complete.then(|| self.output_node((package, spec), (platform, is_main), (take, &needed)))
    }

    /// The part that calls nothing deeper; its locals stay off the stack of a long path.
    fn output_node(
        &mut self,
        (package, spec): (&Arc<Package>, &package::Output),
        (platform, is_main): (&Platform, bool),
        (stage, needed): (Option<NodeId>, &[NodeId]),
    ) -> Node {
        let scope = self.scope(package, platform);
        let files_of = spec.take.as_ref().map(|t| &t.files);
        let take = stage.zip(files_of).map(|(id, f)| (id, self.expander.take(f, &scope)));
        let closure = self.closure(needed);
        let files = if is_main { self.expander.files(package, &scope) } else { Vec::new() };
        let accounts = self.output_accounts(package, &closure, is_main);
        let mut image = self.expander.image(&spec.image, &scope);
        let inherited: Vec<super::Image> = closure
            .iter()
            .filter_map(|id| match &self.nodes[id.0 as usize].kind {
                Kind::Output(output) => Some(output.image.clone()),
                Kind::Stage(_) | Kind::Test(_) | Kind::Context(_) => None,
            })
            .collect();
        let layers: Vec<&super::Image> = inherited.iter().collect();
        image::inherit(&mut image, (&layers, spec.name.span), &mut self.found);
        if let (Some(user), Some(template)) = (&image.user, &spec.image.user) {
            let known = accounts.clone().unwrap_or_else(|| {
                Accounts::merged(self.accounts_of(&closure)).unwrap_or_default()
            });
            self.found.extend_with(image::check_user(user, template.span, &known));
        }
        let mut owners = Vec::new();
        for (path, owner) in &spec.owners {
            owners.extend(self.expander.path(path, &scope).map(|p| (p, *owner)));
        }
        let name = spec.name.clone();
        let output = Output { name, take, owners, closure, files, accounts, image };
        self.node(package, platform, Kind::Output(Box::new(output)))
    }

    /// What stands in the output's own layer: its own accounts, those of its layers besides.
    fn output_accounts(
        &mut self,
        package: &Arc<Package>,
        closure: &[NodeId],
        is_main: bool,
    ) -> Option<Accounts> {
        let own = &package.accounts;
        let has_own = is_main && !(own.users.is_empty() && own.groups.is_empty());
        let others = self.accounts_of(closure).count();
        let is_pallet = is_main && !package.layers.is_empty();
        if !(has_own || is_pallet && others > 1) {
            return None;
        }
        let own = has_own.then_some(own);
        match Accounts::merged(self.accounts_of(closure).chain(own)) {
            Ok(accounts) => Some(accounts),
            Err(found) => {
                self.found.extend(found);
                None
            }
        }
    }

    fn test(
        &mut self,
        package: &Arc<Package>,
        spec: &package::Test,
        platform: &Platform,
    ) -> Option<Node> {
        let scope = self.scope(package, platform);
        let value = Reference {
            package: package.name.value.clone(),
            output: Some(spec.output.value.clone()),
        };
        let tested = self.reference(&Spanned::new(value, spec.output.span), platform)?;
        let mut root = self.root(package, &spec.tools, (platform, platform));
        let entry = RootEntry {
            span: spec.name.span,
            from: RootFrom::Package(tested),
            path: None,
            to: None,
            files: Vec::new(),
        };
        root.push(entry);
        let steps = spec.steps.iter().filter_map(|s| self.expander.step(s, &scope)).collect();
        let accounts = self.root_accounts(&root, spec.name.span);
        let name = StageName::parse(spec.name.value.as_str())?;
        let (env, path) = self.tools_say(&root, Vec::new(), spec.name.span);
        let stage = Stage {
            name: Spanned::new(name, spec.name.span),
            runs_on: platform.clone(),
            on_build: false,
            root,
            accounts,
            sources: Vec::new(),
            workdir: None,
            env,
            path,
            steps,
        };
        let stdout = spec.stdout.as_ref().and_then(|t| self.expander.text(t, &scope));
        let files = spec.files.iter().filter_map(|t| self.expander.path(t, &scope)).collect();
        let name = spec.name.value.to_string();
        let test = Test { name, stage, exit: spec.exit, stdout, files };
        Some(self.node(package, platform, Kind::Test(test)))
    }
}

fn label((package, platform, unit): &Key) -> String {
    match unit {
        Unit::Stage(stage) => format!("{package}:{stage}"),
        Unit::Output(output) if output.as_str() == package.name() => package.to_string(),
        Unit::Output(output) => format!("{package}/{output}"),
        Unit::Test(test) => format!("test {test} of {package}"),
        Unit::Context(reference) => format!("{reference} ({platform})"),
    }
}
