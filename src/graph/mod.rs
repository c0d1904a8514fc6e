//! Packages resolved for targets: values instead of templates, node ids instead of names, and no
//! cycles any more.

mod dump;
mod expand;
mod image;
mod library;
mod resolve;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use dump::{dot, json, text};
pub(crate) use expand::triple;
pub use image::{Accounts, Group, Image, User};
pub use library::Library;
pub use resolve::resolve;

use crate::diag::{Span, Spanned};
use crate::digest::Digest;
use crate::package::{Archive, OutputName, Package, PackageName, Platform, Reference, StageName};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// In order; the graph's roots are in the same order.
    pub targets: Vec<Target>,
    /// The engine's own platform.
    pub build: Platform,
    /// Values of declared variables, for the packages that are targets.
    pub vars: BTreeMap<String, String>,
}

/// One thing that is asked for, for one platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Of which package.
    pub package: PackageName,
    /// What of it.
    pub goal: Goal,
    /// For which platform.
    pub platform: Platform,
}

/// What of a package is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Goal {
    /// An output, the one named like the package when it has no name here.
    Output(Option<OutputName>),
    /// Every output that exists for the platform; each becomes a root of its own.
    Outputs,
    /// The root that a stage leaves, for debugging.
    Stage(StageName),
    /// All tests.
    Tests,
}

/// A node of a [`PackageGraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

/// Everything that the targets need, each node after those that it needs.
#[derive(Clone, Debug)]
pub struct PackageGraph {
    /// In topological order.
    pub nodes: Vec<Node>,
    /// For each target its nodes: one, but as many as there are tests for [`Goal::Tests`].
    pub roots: Vec<(Target, Vec<NodeId>)>,
}

impl PackageGraph {
    /// The node of an id of this graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

/// A stage, an output, a test or something from outside, for one target platform.
#[derive(Clone, Debug)]
pub struct Node {
    /// The package as people write it: `core/zlib`.
    pub name: PackageName,
    /// The package; `None` for what a named context replaces.
    pub package: Option<Arc<Package>>,
    /// What is built for.
    pub platform: Platform,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A root file system and steps in it.
    Stage(Stage),
    /// What others use.
    Output(Box<Output>),
    /// A stage that checks an output.
    Test(Test),
    /// The tree of a named context, in the place of an output.
    Context(Reference),
}

/// A stage with all values in place.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub name: Spanned<StageName>,
    /// Where its steps run.
    pub runs_on: Platform,
    /// Whether it runs wherever the engine runs, and may know that platform.
    pub on_build: bool,
    /// The root, in the order of the spec.
    pub root: Vec<RootEntry>,
    /// Accounts of all packages in the root, when several have some.
    pub accounts: Option<Accounts>,
    /// Sources and where they stand, when the spec says where.
    pub sources: Vec<(Source, Option<String>)>,
    /// Where steps start.
    pub workdir: Option<String>,
    /// Environment of all steps: what the tools say, and the stage's own over it.
    pub env: Vec<(String, String)>,
    /// Folders of the tools that come first in `PATH`.
    pub path: Vec<String>,
    /// What is done.
    pub steps: Vec<Step>,
}

/// An entry of a root.
#[derive(Clone, Debug)]
pub struct RootEntry {
    /// Where it is written.
    pub span: Span,
    /// What it brings.
    pub from: RootFrom,
    /// Only this path of it.
    pub path: Option<String>,
    /// Where it goes.
    pub to: Option<String>,
    /// Only what matches these patterns.
    pub files: Vec<String>,
}

/// What an entry of a root brings.
#[derive(Clone, Debug)]
pub enum RootFrom {
    /// An output; with what it requires (in order, it last) unless a part of it is taken.
    Package(NodeId),
    /// The root of another stage.
    Stage(NodeId),
    /// Sources as they are.
    Sources(Vec<Source>),
}

/// A source with all values in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Where its bytes come from.
    pub origin: Origin,
    /// The name of the file, when it is one: the last part of its address.
    pub file_name: String,
    /// Whether it is a folder before anything is unpacked.
    pub is_folder: bool,
    /// The format to unpack it from, when it is unpacked.
    pub unpack: Option<Archive>,
    /// How many leading folders of the archive are dropped.
    pub strip: u32,
    /// Permission bits of a file.
    pub mode: u32,
    /// Applied after unpacking.
    pub patches: Vec<Patch>,
}

/// A patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// As the spec names it.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// `patch -p`.
    pub strip: u32,
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// http or https; mirrors follow the first address.
    Url(Vec<String>, Digest),
    /// A commit of a repository, or a folder of it.
    Git {
        /// The remote.
        remote: String,
        /// All of its digits.
        commit: String,
        /// The folder.
        subdir: Option<String>,
    },
    /// From the tree that the spec is in, relative to its root.
    Path {
        /// The file or folder.
        path: String,
        /// Patterns that are left out.
        exclude: Vec<String>,
    },
    /// Written out in the spec.
    Bytes(Vec<u8>),
    /// An image, by digest.
    Image(String, Digest),
}

/// A step with all values in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it is written.
    pub span: Span,
    /// What progress shows.
    pub name: Option<String>,
    /// What runs.
    pub command: Command,
    /// Where it starts.
    pub workdir: Option<String>,
    /// Environment over that of the stage.
    pub env: Vec<(String, String)>,
    /// Why the network is on.
    pub network: Option<String>,
}

/// What a step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A script, and the program that reads it.
    Run(String, Vec<String>),
    /// A program and its arguments.
    Exec(Vec<String>),
}

/// An output with all values in place.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name.
    pub name: Spanned<OutputName>,
    /// What it takes of which stage.
    pub take: Option<(NodeId, TakeFiles)>,
    /// Paths with owners of their own.
    pub owners: Vec<(String, (u32, u32))>,
    /// All outputs that it needs when it runs, each after what it needs itself, without itself.
    pub closure: Vec<NodeId>,
    /// Files of its own layer.
    pub files: Vec<FileEntry>,
    /// Accounts that stand in its own layer: its own, merged with those of the closure.
    pub accounts: Option<Accounts>,
    /// What its image says, with what it inherits.
    pub image: Image,
}

/// What an output takes of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeFiles {
    /// Of `$OUT`: these patterns (everything when empty), without those.
    Out(Vec<String>, Vec<String>),
    /// Of the root: paths and where they go.
    Root(Vec<(String, String)>),
}

/// A path of `files:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Where.
    pub path: String,
    /// What.
    pub content: FileContent,
    /// Permission bits, when given.
    pub mode: Option<u32>,
    /// Owner and group.
    pub owner: (u32, u32),
}

/// What a path of `files:` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A symbolic link.
    Link(String),
    /// A folder.
    Folder,
    /// A source as it is.
    Source(Source),
}

/// A test with all values in place.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// Where it runs; the tested output is in its root.
    pub stage: Stage,
    /// The expected exit code.
    pub exit: u8,
    /// The expected standard output.
    pub stdout: Option<String>,
    /// Paths that have to exist.
    pub files: Vec<String>,
}
