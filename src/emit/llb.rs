//! [`BuildPlan`] → vertices of an [`llb::Graph`].

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{FileId, Files, Span};
use crate::digest::Digest;
use crate::llb::{
    self, Exec, FileAction, FileOp, Graph, Location, Metadata, MountKind, SourceFile, Vertex,
};
use crate::package::{Platform, Reference};
use crate::plan::{BuildPlan, Content, Copy, Entry, Fetch, Node, Op, Port, Run, TreeRef};

use super::tar;

/// What a plan leaves to the one who builds: where the tree of the specs is, and named contexts.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The tree of the specs, for `path:` sources; a local directory named `context` when `None`.
    pub tree: Option<TreeInput>,
    /// The trees that replace packages.
    pub contexts: BTreeMap<(Reference, Platform), llb::Output>,
    /// Sources whose first address failed: which one to take, from 0.
    pub mirrors: BTreeMap<Digest, usize>,
    /// Packages whose results are not to be taken from the cache; all of them when the list is empty.
    pub no_cache: Option<Vec<String>>,
    /// The session of the client that has local folders. Without it two builds at one time, of
    /// two clients, could be taken for one.
    pub session: Option<String>,
}

/// A tree of specs that the engine has already.
#[derive(Clone, Debug)]
pub struct TreeInput {
    /// Where.
    pub output: llb::Output,
    /// The folder of it that is the tree, absolute; `/` for all of it.
    pub folder: String,
}

/// Prints a plan into a graph; one output for each result, `None` for an empty tree.
pub fn emit(
    plan: &BuildPlan,
    files: &Files,
    inputs: &Inputs,
    graph: &mut Graph,
) -> Vec<Option<llb::Output>> {
    let mut emission =
        Emission { plan, files, inputs, graph, outputs: Vec::new(), lines: BTreeMap::new() };
    for node in &plan.nodes {
        let output = emission.node(node);
        emission.outputs.push(output);
    }
    plan.results.iter().map(|r| r.tree.map(|t| emission.output(t))).collect()
}

struct Emission<'e> {
    plan: &'e BuildPlan,
    files: &'e Files,
    inputs: &'e Inputs,
    graph: &'e mut Graph,
    outputs: Vec<llb::Output>,
    /// For each file its number in the graph and where its lines start.
    lines: BTreeMap<FileId, (u32, Vec<u32>)>,
}

impl Emission<'_> {
    /// Roots are the first result of a process, its output folder the second.
    fn output(&self, tree: TreeRef) -> llb::Output {
        let output = self.outputs[tree.node.0 as usize];
        match tree.port {
            Port::Root => output,
            Port::Out => output.at(1),
        }
    }

    fn node(&mut self, node: &Node) -> llb::Output {
        let metadata = Metadata {
            name: format!("[{}] {}", node.group, node.label),
            group: None,
            locations: node.origin.iter().map(|s| self.location(*s)).collect(),
            ignore_cache: self.is_uncached(&node.group),
        };
        let plain = |op| Vertex { op, platform: None, metadata: metadata.clone() };
        let vertex = match &node.op {
            Op::Fetch(Fetch::Context(reference)) => {
                let key = (reference.clone(), node.platform.clone());
                if let Some(output) = self.inputs.contexts.get(&key) {
                    return *output;
                }
                let identifier = format!("local://{reference}");
                plain(llb::Op::Source { identifier, attrs: BTreeMap::new() })
            }
            Op::Fetch(Fetch::Local { path, exclude }) => match &self.inputs.tree {
                Some(tree) => return self.below(tree, (path, exclude), metadata),
                None => plain(local(path, exclude, self.inputs.session.as_deref())),
            },
            Op::Fetch(Fetch::Image { name, digest }) => {
                let identifier = format!("docker-image://{name}@{digest}");
                let op = llb::Op::Source { identifier, attrs: BTreeMap::new() };
                plain(op).on(node.platform.clone())
            }
            Op::Fetch(Fetch::Http { urls, digest, file_name }) => {
                let which = self.inputs.mirrors.get(digest).copied().unwrap_or(0);
                let identifier = urls[which.min(urls.len() - 1)].clone();
                let attrs = [
                    ("http.checksum".to_owned(), digest.to_string()),
                    ("http.filename".to_owned(), file_name.clone()),
                ];
                plain(llb::Op::Source { identifier, attrs: attrs.into() })
            }
            Op::Fetch(Fetch::Git { remote, commit, subdir }) => {
                plain(git(remote, commit, subdir.as_deref()))
            }
            Op::Write(entries) => return self.write(entries, metadata),
            Op::Copy { base, copies } => {
                let base = base.map(|t| self.output(t));
                let actions = copies.iter().map(|c| FileAction::Copy(Box::new(self.copy(c))));
                plain(llb::Op::File(FileOp { base, actions: actions.collect() }))
            }
            Op::Union(trees) => {
                plain(llb::Op::Merge(trees.iter().map(|t| self.output(*t)).collect()))
            }
            Op::Run(run) => plain(self.run(run)).on(node.platform.clone()),
        };
        self.graph.add(vertex)
    }

    fn is_uncached(&self, group: &str) -> bool {
        let package = group.split(' ').next().unwrap_or(group);
        let named = |names: &Vec<String>| names.is_empty() || names.iter().any(|n| n == package);
        self.inputs.no_cache.as_ref().is_some_and(named)
    }

    fn run(&self, run: &Run) -> llb::Op {
        let mount =
            |input: Option<TreeRef>, dest: &str, selector: &str, kind: MountKind| llb::Mount {
                input: input.map(|t| self.output(t)),
                dest: dest.to_owned(),
                selector: if selector == "/" { String::new() } else { selector.to_owned() },
                kind,
            };
        let mut mounts = vec![mount(run.root, "/", "", MountKind::Result)];
        if let Some(out) = &run.out {
            mounts.push(mount(out.before, &out.dest, "", MountKind::Result));
        }
        for m in &run.mounts {
            mounts.push(mount(Some(m.from), &m.dest, &m.src, MountKind::ReadOnly));
        }
        llb::Op::Exec(Exec {
            args: run.args.clone(),
            env: run.env.iter().map(|(k, v)| format!("{k}={v}")).collect(),
            cwd: run.cwd.clone(),
            mounts,
            network: run.network.is_some(),
        })
    }

    fn copy(&self, copy: &Copy) -> llb::Copy {
        llb::Copy {
            from: Some(self.output(copy.from)),
            src: copy.src.clone(),
            dest: copy.dest.clone(),
            contents: !copy.unpack,
            wildcard: copy.wildcard,
            unpack: copy.unpack,
            include: copy.include.clone(),
            exclude: copy.exclude.clone(),
            owner: copy.owner,
            mode: copy.mode,
            timestamp: copy.timestamp,
        }
    }

    /// A path of a tree that the engine has already, under the same path as from a client.
    fn below(
        &mut self,
        tree: &TreeInput,
        (path, exclude): (&str, &[String]),
        metadata: Metadata,
    ) -> llb::Output {
        let folder = tree.folder.trim_end_matches('/');
        let (src, dest) = match path {
            "." => (format!("{folder}/"), "/".to_owned()),
            path => (format!("{folder}/{path}"), format!("/{path}")),
        };
        let copy = llb::Copy {
            from: Some(tree.output),
            src,
            dest,
            contents: true,
            wildcard: false,
            unpack: false,
            include: Vec::new(),
            exclude: exclude.to_vec(),
            owner: None,
            mode: None,
            timestamp: None,
        };
        let actions = vec![FileAction::Copy(Box::new(copy))];
        let op = llb::Op::File(FileOp { base: None, actions });
        self.graph.add(Vertex { op, platform: None, metadata })
    }

    fn write(&mut self, entries: &[Entry], metadata: Metadata) -> llb::Output {
        let timestamp = self.plan.epoch;
        let simple = |e: &Entry| !matches!(e.content, Content::Link(_)) && e.mode <= 0o777;
        let (op, archived) = if entries.iter().all(simple) {
            (files(entries, timestamp), false)
        } else {
            let all = with_parents(entries);
            let data = tar::archive(&all, timestamp);
            let path = "/entries.tar".to_owned();
            let file = FileAction::MkFile { path, mode: 0o644, data, owner: (0, 0), timestamp };
            (vec![file], true)
        };
        let op = llb::Op::File(FileOp { base: None, actions: op });
        let written = self.graph.add(Vertex { op, platform: None, metadata: metadata.clone() });
        if !archived {
            return written;
        }
        let copy = llb::Copy {
            from: Some(written),
            src: "/entries.tar".to_owned(),
            dest: "/".to_owned(),
            contents: false,
            wildcard: false,
            unpack: true,
            include: Vec::new(),
            exclude: Vec::new(),
            owner: None,
            mode: None,
            timestamp: None,
        };
        let actions = vec![FileAction::Copy(Box::new(copy))];
        let op = llb::Op::File(FileOp { base: None, actions });
        self.graph.add(Vertex { op, platform: None, metadata })
    }

    fn location(&mut self, span: Span) -> Location {
        let (files, graph) = (self.files, &mut *self.graph);
        let (file, starts) = self.lines.entry(span.file).or_insert_with(|| {
            let text = files.text(span.file);
            let path = files.path(span.file).to_owned();
            let data = text.as_bytes().to_vec();
            let number = graph.add_file(SourceFile { path, data, language: "YAML".to_owned() });
            let breaks = text.bytes().zip(1u32..).filter(|(b, _)| *b == b'\n').map(|(_, n)| n);
            (number, std::iter::once(0).chain(breaks).collect())
        });
        let line =
            |at: u32| u32::try_from(starts.partition_point(|s| *s <= at)).unwrap_or(u32::MAX);
        let last = line(span.end.saturating_sub(1).max(span.start));
        Location { file: *file, first: line(span.start), last }
    }
}

fn local(path: &str, exclude: &[String], session: Option<&str>) -> llb::Op {
    let json = |list: Vec<String>| serde_json::to_string(&list).expect("strings become JSON");
    let mut attrs = BTreeMap::new();
    let below = |p: &String| if path == "." { p.clone() } else { format!("{path}/{p}") };
    if path != "." {
        attrs.insert("local.includepattern".to_owned(), json(vec![path.to_owned()]));
    }
    if !exclude.is_empty() {
        let exclude = exclude.iter().map(below).collect();
        attrs.insert("local.excludepatterns".to_owned(), json(exclude));
    }
    if let Some(session) = session {
        attrs.insert("local.session".to_owned(), session.to_owned());
    }
    attrs.insert("local.sharedkeyhint".to_owned(), format!("stagex:context:{path}"));
    llb::Op::Source { identifier: "local://context".to_owned(), attrs }
}

/// `client/llb/source.go` writes the remote without its scheme, the commit and folder behind `#`,
/// and the address in full as an attribute.
pub(crate) fn git(remote: &str, commit: &str, subdir: Option<&str>) -> llb::Op {
    let plain = remote
        .strip_prefix("https://")
        .or_else(|| remote.strip_prefix("ssh://"))
        .unwrap_or(remote)
        .replacen(':', "/", usize::from(remote.starts_with("git@")));
    let folder = subdir.map_or_else(String::new, |s| format!(":{s}"));
    let identifier = format!("git://{plain}#{commit}{folder}");
    let attrs = [("git.fullurl".to_owned(), remote.to_owned())].into();
    llb::Op::Source { identifier, attrs }
}

/// Entries with the folders that they stand in, each before what is in it.
fn with_parents(entries: &[Entry]) -> Vec<Entry> {
    let named: BTreeSet<&str> = entries.iter().map(|e| e.path.as_str()).collect();
    let mut parents = BTreeSet::new();
    for entry in entries {
        let mut path = entry.path.as_str();
        while let Some((parent, _)) = path.rsplit_once('/').filter(|(p, _)| !p.is_empty()) {
            if !named.contains(parent) {
                parents.insert(parent);
            }
            path = parent;
        }
    }
    let folder = |path: &str| {
        let (path, content) = (path.to_owned(), Content::Folder);
        Entry { path, content, mode: 0o755, owner: (0, 0) }
    };
    let mut all: Vec<Entry> = parents.into_iter().map(folder).collect();
    all.extend(entries.iter().cloned());
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn files(entries: &[Entry], timestamp: i64) -> Vec<FileAction> {
    let action = |entry: Entry| {
        let Entry { path, content, mode, owner } = entry;
        match content {
            Content::File(data) => FileAction::MkFile { path, mode, data, owner, timestamp },
            Content::Folder | Content::Link(_) => {
                FileAction::MkDir { path, mode, owner, timestamp }
            }
        }
    };
    with_parents(entries).into_iter().map(action).collect()
}
