//! [`PackageGraph`] → [`BuildPlan`]: every policy is decided here and in `stage`, once.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::graph::{
    self, FileContent, FileEntry, Goal, Image, Kind, Origin, Output, PackageGraph, Source,
    TakeFiles,
};
use crate::package::{Package, Platform};

use super::{
    BuildPlan, Content, Copy, Entry, Fetch, ImageConfig, Node, NodeId, Op, PlanResult, Port,
    TreeRef,
};

/// The search path of steps and images.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the caller may decide about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The time stamp of every file and image, seconds since 1970.
    pub epoch: i64,
    /// Roots as unions; copies one upon another where an engine has no union.
    pub merge: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { epoch: 0, merge: true }
    }
}

/// Lowers a graph; fails where no engine could do what a spec says.
pub fn lower(graph: &PackageGraph, options: &Options) -> Result<BuildPlan, Diagnostics> {
    let several: BTreeSet<&Platform> = graph.roots.iter().map(|(t, _)| &t.platform).collect();
    let mut lowering = Lowering {
        graph,
        options,
        several: several.len() > 1,
        plan: BuildPlan { epoch: options.epoch, ..BuildPlan::default() },
        made: Vec::new(),
        fetched: BTreeMap::new(),
        found: Diagnostics::new(),
    };
    for node in &graph.nodes {
        let made = lowering.node(node);
        lowering.made.push(made);
    }
    for (target, ids) in &graph.roots {
        let result = match &target.goal {
            Goal::Output(_) | Goal::Outputs => ids.first().map(|id| lowering.image(*id)),
            Goal::Stage(_) => ids.first().map(|id| lowering.stage_image(*id)),
            Goal::Tests => Some(lowering.test_image(target, ids)),
        };
        let Some((layers, config, annotations)) = result else { continue };
        let names: Vec<String> = layers.iter().map(|(name, _)| name.clone()).collect();
        let names = match names.as_slice() {
            // Copies onto the first layer are one operation, and so one layer.
            [first, rest @ ..] if !options.merge && !rest.is_empty() => {
                vec![first.clone(), rest.join(", ")]
            }
            _ => names,
        };
        let trees: Vec<TreeRef> = layers.into_iter().map(|(_, tree)| tree).collect();
        let group = lowering.group(&target.package.to_string(), &target.platform);
        let tree = lowering.union(&trees, (&group, "layers", Vec::new()), &target.platform);
        let target = target.clone();
        lowering.plan.results.push(PlanResult { target, tree, layers: names, config, annotations });
    }
    let Lowering { plan, found, .. } = lowering;
    found.or(plan)
}

/// What a node of the graph became.
#[derive(Clone, Debug)]
pub(super) enum Made {
    /// A stage or test: the root that its steps leave, and what is in `$OUT`.
    Stage { root: Option<TreeRef>, out: Option<TreeRef> },
    /// An output: its own layers with their names, from the bottom.
    Output(Vec<(String, TreeRef)>),
}

pub(super) struct Lowering<'g> {
    pub(super) graph: &'g PackageGraph,
    pub(super) options: &'g Options,
    several: bool,
    pub(super) plan: BuildPlan,
    made: Vec<Made>,
    fetched: BTreeMap<(Fetch, Platform), TreeRef>,
    pub(super) found: Diagnostics,
}

type Finished = (Vec<(String, TreeRef)>, ImageConfig, BTreeMap<String, String>);

/// The group, the label and the origin of a node.
pub(super) type Shown<'s> = (&'s str, &'s str, Vec<Span>);

impl Lowering<'_> {
    pub(super) fn add(&mut self, shown: Shown<'_>, platform: &Platform, op: Op) -> TreeRef {
        let (group, label, origin) = (shown.0.to_owned(), shown.1.to_owned(), shown.2);
        let platform = platform.clone();
        self.plan.nodes.push(Node { group, label, origin, platform, op });
        let id = u32::try_from(self.plan.nodes.len() - 1).expect("fewer than four billion nodes");
        TreeRef { node: NodeId(id), port: Port::Root }
    }

    pub(super) fn group(&self, name: &str, platform: &Platform) -> String {
        if self.several { format!("{name} {platform}") } else { name.to_owned() }
    }

    fn node(&mut self, node: &graph::Node) -> Made {
        let group = self.group(&node.name.to_string(), &node.platform);
        match (&node.kind, &node.package) {
            (Kind::Context(reference), _) => {
                let fetch = Fetch::Context(reference.clone());
                let label = format!("context {reference}");
                let tree = self.fetch(fetch, (&group, &label, Vec::new()), &node.platform);
                Made::Output(vec![(node.label(), tree)])
            }
            (Kind::Stage(stage), Some(package)) => {
                let (root, out) = self.stage(node, stage, (package, &group));
                Made::Stage { root, out }
            }
            (Kind::Test(test), Some(package)) => {
                let (root, out) = self.test(node, test, (package, &group));
                Made::Stage { root, out }
            }
            (Kind::Output(output), Some(package)) => {
                Made::Output(self.output(node, output, (package, &group)))
            }
            (Kind::Stage(_) | Kind::Test(_) | Kind::Output(_), None) => Made::Output(Vec::new()),
        }
    }

    /// The trees of outputs: each with its closure, each once.
    pub(super) fn trees(&self, ids: &[graph::NodeId]) -> Vec<(String, TreeRef)> {
        let mut trees = Vec::new();
        let mut seen = BTreeSet::new();
        for id in ids {
            let closure: &[graph::NodeId] = match &self.graph.node(*id).kind {
                Kind::Output(output) => &output.closure,
                Kind::Stage(_) | Kind::Test(_) | Kind::Context(_) => &[],
            };
            for member in closure.iter().chain([id]) {
                if seen.insert(*member) {
                    trees.extend(self.own(*member));
                }
            }
        }
        trees
    }

    /// The layers of an output without what it requires.
    pub(super) fn own(&self, id: graph::NodeId) -> Vec<(String, TreeRef)> {
        match &self.made[id.0 as usize] {
            Made::Output(layers) => layers.clone(),
            Made::Stage { .. } => Vec::new(),
        }
    }

    pub(super) fn stage_root(&self, id: graph::NodeId) -> Option<TreeRef> {
        match &self.made[id.0 as usize] {
            Made::Stage { root, .. } => *root,
            Made::Output(_) => None,
        }
    }

    /// Several trees as one; with copies where the engine has no union. Both have the same files.
    pub(super) fn union(
        &mut self,
        trees: &[TreeRef],
        shown: Shown<'_>,
        platform: &Platform,
    ) -> Option<TreeRef> {
        match trees {
            [] => None,
            [only] => Some(*only),
            _ if self.options.merge => Some(self.add(shown, platform, Op::Union(trees.to_vec()))),
            [base, rest @ ..] => {
                let copies = rest.iter().map(|t| copy(*t, "/", "/")).collect();
                Some(self.add(shown, platform, Op::Copy { base: Some(*base), copies }))
            }
        }
    }

    pub(super) fn fetch(&mut self, fetch: Fetch, shown: Shown<'_>, platform: &Platform) -> TreeRef {
        let key = (fetch, platform.clone());
        if let Some(known) = self.fetched.get(&key) {
            return *known;
        }
        let tree = self.add(shown, platform, Op::Fetch(key.0.clone()));
        self.fetched.insert(key, tree);
        tree
    }

    /// A source as a tree, and the path in it that is the source.
    pub(super) fn source(
        &mut self,
        source: &Source,
        group: &str,
        platform: &Platform,
    ) -> (TreeRef, String) {
        let label = |what: &str| format!("fetch {what}");
        let file = format!("/{}", source.file_name);
        let origin = vec![source.span];
        match &source.origin {
            Origin::Url(urls, digest) => {
                let file_name = source.file_name.clone();
                let fetch = Fetch::Http { urls: urls.clone(), digest: digest.clone(), file_name };
                (self.fetch(fetch, (group, &label(&source.file_name), origin), platform), file)
            }
            Origin::Git { remote, commit, subdir } => {
                let (remote, commit, subdir) = (remote.clone(), commit.clone(), subdir.clone());
                let shown = label(&remote);
                let fetch = Fetch::Git { remote, commit, subdir };
                (self.fetch(fetch, (group, &shown, origin), platform), "/".to_owned())
            }
            Origin::Image(name, digest) => {
                let fetch = Fetch::Image { name: name.clone(), digest: digest.clone() };
                (self.fetch(fetch, (group, &label(name), origin), platform), "/".to_owned())
            }
            Origin::Path { path, exclude } => {
                let fetch = Fetch::Local { path: path.clone(), exclude: exclude.clone() };
                let shown = format!("load {path}");
                let src = if path == "." { "/".to_owned() } else { format!("/{path}") };
                (self.fetch(fetch, (group, &shown, origin), platform), src)
            }
            Origin::Bytes(bytes) => {
                let (mode, owner) = (source.mode, (0, 0));
                let content = Content::File(bytes.clone());
                let entry = Entry { path: file.clone(), content, mode, owner };
                let shown = format!("write {}", source.name);
                (self.add((group, &shown, origin), platform, Op::Write(vec![entry])), file)
            }
        }
    }

    /// The own layers of an output: what it takes of a stage, then its files and accounts.
    fn output(
        &mut self,
        node: &graph::Node,
        output: &Output,
        (package, group): (&Package, &str),
    ) -> Vec<(String, TreeRef)> {
        let mut layers = Vec::new();
        let name = node.label();
        let timestamp = Some(self.options.epoch);
        let origin = vec![output.name.span];
        if let Some((stage, files)) = &output.take {
            let copies = self.take(*stage, files, output);
            if !copies.is_empty() {
                let label = format!("output {}", output.name.value);
                let op = Op::Copy { base: None, copies };
                layers.push((name.clone(), self.add((group, &label, origin), &node.platform, op)));
            }
        }
        let mut entries = Vec::new();
        let mut copies = Vec::new();
        for file in &output.files {
            match self.file(file, group, &node.platform) {
                Placed::Entry(entry) => entries.push(entry),
                Placed::Copy(copy) => copies.push(Copy { timestamp, ..*copy }),
            }
        }
        if let Some(accounts) = &output.accounts {
            for (path, text) in
                [("/etc/passwd", accounts.passwd()), ("/etc/group", accounts.group())]
            {
                if output.files.iter().any(|f| f.path == path) {
                    let said = format!("{path} is made from `accounts:`");
                    let written = package.files.iter().find(|f| f.path.as_literal() == Some(path));
                    let at = written.map_or(package.name.span, |f| f.path.span);
                    let found = Diagnostic::new(Code::Conflict, at, said);
                    self.found.push(found.hint("remove it from `files:`"));
                }
                entries.push(self.entry(path, Content::File(text.into_bytes()), 0o644));
            }
        }
        let origin = vec![package.name.span];
        let written = (!entries.is_empty()).then(|| {
            self.add((group, "files", origin.clone()), &node.platform, Op::Write(entries))
        });
        let layer = if copies.is_empty() {
            written
        } else {
            copies.splice(0..0, written.map(|w| Copy { timestamp, ..copy(w, "/", "/") }));
            let op = Op::Copy { base: None, copies };
            Some(self.add((group, "files", origin), &node.platform, op))
        };
        layers.extend(layer.map(|l| (format!("{name} files"), l)));
        layers
    }

    /// Normalising copies: owner 0:0 unless said otherwise and every time stamp the epoch. Setuid
    /// bits, hard links and file capabilities survive a copy that changes the owner: BuildKit's
    /// fsutil sets the owner first and the mode and attributes after it.
    fn take(&mut self, stage: graph::NodeId, files: &TakeFiles, output: &Output) -> Vec<Copy> {
        let Made::Stage { root, out } = self.made[stage.0 as usize].clone() else {
            return Vec::new();
        };
        let timestamp = Some(self.options.epoch);
        let normal = |copy: Copy| Copy { owner: Some((0, 0)), timestamp, ..copy };
        match files {
            TakeFiles::Out(include, exclude) => {
                let Some(out) = out else { return Vec::new() };
                let relative = |p: &String| p.trim_start_matches('/').to_owned();
                // A folder that is there already keeps its owner in a copy, and so what has an
                // owner of its own comes in its own copy alone.
                let owned = output.owners.iter().map(|(path, _)| path);
                let all = Copy {
                    include: include.iter().map(relative).collect(),
                    exclude: exclude.iter().chain(owned).map(relative).collect(),
                    ..normal(copy(out, "/", "/"))
                };
                let owned = output.owners.iter().map(|(path, owner)| Copy {
                    owner: Some(*owner),
                    ..normal(copy(out, path, path))
                });
                std::iter::once(all).chain(owned).collect()
            }
            TakeFiles::Root(pairs) => {
                let Some(root) = root else { return Vec::new() };
                let owner_of = |path: &str| {
                    let owners = output.owners.iter();
                    owners.filter(|(p, _)| p == path).map(|(_, o)| *o).next()
                };
                let copies = pairs.iter().map(|(from, to)| {
                    let dest = match to.strip_suffix('/') {
                        Some(folder) => {
                            format!("{folder}/{}", from.rsplit('/').next().unwrap_or(""))
                        }
                        None => to.clone(),
                    };
                    let owner = owner_of(&dest).or(Some((0, 0)));
                    Copy { owner, ..normal(copy(root, from, &dest)) }
                });
                copies.collect()
            }
        }
    }

    fn entry(&self, path: &str, content: Content, mode: u32) -> Entry {
        Entry { path: path.to_owned(), content, mode, owner: (0, 0) }
    }

    fn file(&mut self, file: &FileEntry, group: &str, platform: &Platform) -> Placed {
        let (path, owner) = (file.path.clone(), file.owner);
        let of = |content: Content, default: u32| {
            let mode = file.mode.unwrap_or(default);
            Placed::Entry(Entry { path: path.clone(), content, mode, owner })
        };
        match &file.content {
            FileContent::Bytes(bytes) => of(Content::File(bytes.clone()), 0o644),
            FileContent::Link(to) => of(Content::Link(to.clone()), 0o777),
            FileContent::Folder => of(Content::Folder, 0o755),
            FileContent::Source(source) => {
                let (tree, src) = self.source(source, group, platform);
                let mode = (!source.is_folder).then_some(file.mode.unwrap_or(source.mode));
                let owner = Some(owner);
                Placed::Copy(Box::new(Copy { owner, mode, ..copy(tree, &src, &path) }))
            }
        }
    }

    fn image(&mut self, id: graph::NodeId) -> Finished {
        let node = self.graph.node(id);
        let layers = self.trees(&[id]);
        match (&node.kind, &node.package) {
            (Kind::Output(output), Some(package)) => {
                let config = self.config(package, output, node);
                (layers, config, output.image.annotations.clone())
            }
            _ => (layers, ImageConfig::default(), BTreeMap::new()),
        }
    }

    fn config(&self, package: &Package, output: &Output, node: &graph::Node) -> ImageConfig {
        let image: &Image = &output.image;
        let own = package.outputs.get(&output.name.value).and_then(|o| o.description.as_ref());
        let description = own.or(package.description.as_ref());
        let mut labels = BTreeMap::new();
        // The keys are those of OCI image-spec annotations.md.
        let mut label = |key: &str, value: Option<&str>| {
            let value = value.map(|v| (format!("org.opencontainers.image.{key}"), v.to_owned()));
            labels.extend(value);
        };
        label("title", Some(&node.label()));
        label("version", Some(package.version.value.as_str()));
        label("description", description.map(|d| d.value.as_str()));
        label("licenses", package.license.as_ref().map(|l| l.value.as_str()));
        label("url", package.homepage.as_ref().map(|h| h.value.as_str()));
        labels.extend(image.labels.clone());
        let path = match (image.env.get("PATH"), image.path.as_slice()) {
            (Some((path, _)), _) => path.clone(),
            (None, []) => PATH.to_owned(),
            (None, folders) => format!("{}:{PATH}", folders.join(":")),
        };
        let mut env = vec![("PATH".to_owned(), path)];
        let others = image.env.iter().filter(|(name, _)| *name != "PATH");
        env.extend(others.map(|(name, (value, _))| (name.clone(), value.clone())));
        ImageConfig {
            created: self.options.epoch,
            env,
            entrypoint: image.entrypoint.clone(),
            cmd: image.cmd.clone(),
            user: image.user.clone(),
            workdir: image.workdir.clone(),
            labels,
            expose: image.expose.clone(),
            volumes: image.volumes.clone(),
            stop_signal: image.stop_signal.clone(),
        }
    }

    /// A stage for debugging: its root, what it put into `$OUT`, and the environment of its steps.
    fn stage_image(&mut self, id: graph::NodeId) -> Finished {
        let node = self.graph.node(id);
        let Made::Stage { root, out } = self.made[id.0 as usize].clone() else {
            return (Vec::new(), ImageConfig::default(), BTreeMap::new());
        };
        let name = node.label();
        let mut layers: Vec<(String, TreeRef)> =
            root.into_iter().map(|r| (name.clone(), r)).collect();
        if let Some(out) = out {
            let group = self.group(&node.name.to_string(), &node.platform);
            let copies = vec![copy(out, "/", super::stage::OUT)];
            let op = Op::Copy { base: None, copies };
            let tree = self.add((&group, "$OUT", Vec::new()), &node.platform, op);
            layers.push((format!("{name} $OUT"), tree));
        }
        let mut config = ImageConfig { created: self.options.epoch, ..ImageConfig::default() };
        if let (Kind::Stage(stage), Some(package)) = (&node.kind, &node.package) {
            config.env = super::stage::environment(package, stage, &node.platform, self.options);
            config.workdir = Some(super::stage::workdir(stage));
        }
        (layers, config, BTreeMap::new())
    }

    /// What tests left in `$OUT`, one folder each.
    fn test_image(&mut self, target: &graph::Target, ids: &[graph::NodeId]) -> Finished {
        let mut copies = Vec::new();
        for id in ids {
            let Made::Stage { out: Some(out), .. } = self.made[id.0 as usize].clone() else {
                continue;
            };
            let Kind::Test(test) = &self.graph.node(*id).kind else { continue };
            let timestamp = Some(self.options.epoch);
            let owner = Some((0, 0));
            let dest = format!("/{}", test.name);
            copies.push(Copy { owner, timestamp, ..copy(out, "/", &dest) });
        }
        let config = ImageConfig { created: self.options.epoch, ..ImageConfig::default() };
        if copies.is_empty() {
            return (Vec::new(), config, BTreeMap::new());
        }
        let group = self.group(&target.package.to_string(), &target.platform);
        let op = Op::Copy { base: None, copies };
        let tree = self.add((&group, "tests", Vec::new()), &target.platform, op);
        (vec![("tests".to_owned(), tree)], config, BTreeMap::new())
    }
}

enum Placed {
    Entry(Entry),
    Copy(Box<Copy>),
}

/// A plain copy, nothing changed.
pub(super) fn copy(from: TreeRef, src: &str, dest: &str) -> Copy {
    Copy {
        from,
        src: src.to_owned(),
        dest: dest.to_owned(),
        wildcard: false,
        unpack: false,
        include: Vec::new(),
        exclude: Vec::new(),
        owner: None,
        mode: None,
        timestamp: None,
    }
}
