//! What is done, step by step, for no engine in particular. All policy has been decided.

mod config;
mod dump;
mod lower;
mod script;
mod stage;

use std::collections::BTreeMap;

pub use config::ImageConfig;
pub use dump::dump;
pub use lower::{Options, lower};

use crate::diag::Span;
use crate::digest::Digest;
use crate::graph::Target;
use crate::package::{Platform, Reference};

/// Nodes in topological order, and what comes out.
#[derive(Clone, Debug, Default)]
pub struct BuildPlan {
    /// Each after those that it needs.
    pub nodes: Vec<Node>,
    /// One for each target, in the order of the request.
    pub results: Vec<PlanResult>,
    /// The time stamp of everything that is written, seconds since 1970.
    pub epoch: i64,
}

impl BuildPlan {
    /// The node of an id of this plan.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

/// A node of a [`BuildPlan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

/// A tree that a node makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeRef {
    /// The node.
    pub node: NodeId,
    /// Which of its trees.
    pub port: Port,
}

/// Which tree of a node: a process leaves two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// The tree, or the root file system of a process.
    Root,
    /// What a process put into its output folder.
    Out,
}

/// One operation, and how it is shown.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it belongs to: `core/zlib`.
    pub group: String,
    /// What it does: `unpack zlib-1.3.1.tar.gz`.
    pub label: String,
    /// Where it was written.
    pub origin: Vec<Span>,
    /// Where it runs, or which platform's image is meant.
    pub platform: Platform,
    /// The operation.
    pub op: Op,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Bytes from outside.
    Fetch(Fetch),
    /// A new tree with these entries.
    Write(Vec<Entry>),
    /// Copies onto a base, in order.
    Copy {
        /// An empty tree when `None`.
        base: Option<TreeRef>,
        /// At least one.
        copies: Vec<Copy>,
    },
    /// Several trees as one; a later one wins.
    Union(Vec<TreeRef>),
    /// A process.
    Run(Run),
}

impl Op {
    /// The trees that it needs, in order.
    pub fn inputs(&self) -> Vec<TreeRef> {
        match self {
            Self::Fetch(_) | Self::Write(_) => Vec::new(),
            Self::Copy { base, copies } => {
                base.iter().copied().chain(copies.iter().map(|c| c.from)).collect()
            }
            Self::Union(trees) => trees.clone(),
            Self::Run(run) => {
                let out = run.out.as_ref().and_then(|o| o.before);
                let trees = run.root.into_iter().chain(out);
                trees.chain(run.mounts.iter().map(|m| m.from)).collect()
            }
        }
    }
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fetch {
    /// One file, from the first address that has it.
    Http {
        /// At least one.
        urls: Vec<String>,
        /// What the bytes must hash to.
        digest: Digest,
        /// The name that the file gets.
        file_name: String,
    },
    /// A commit of a repository.
    Git {
        /// The remote.
        remote: String,
        /// The full commit.
        commit: String,
        /// Only this folder.
        subdir: Option<String>,
    },
    /// An image.
    Image {
        /// Its name with the registry.
        name: String,
        /// What it must be.
        digest: Digest,
    },
    /// A path of the tree that the spec is in.
    Local {
        /// Relative to the tree; `.` is all of it.
        path: String,
        /// Patterns that are left out.
        exclude: Vec<String>,
    },
    /// A tree that the caller hands in under the name of a package.
    Context(Reference),
}

/// An entry of a tree that is written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Absolute; parents are folders of mode 0755.
    pub path: String,
    /// What it is.
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link.
    Link(String),
    /// A folder.
    Folder,
}

/// A copy between trees. Folders are copied as their contents; a file to a destination that ends
/// in `/` goes into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Out of this tree.
    pub from: TreeRef,
    /// Absolute; with `*` for each folder that `strip` drops.
    pub src: String,
    /// Absolute.
    pub dest: String,
    /// Whether `src` has `*` in it.
    pub wildcard: bool,
    /// Unpack the archive that `src` is.
    pub unpack: bool,
    /// Only what matches.
    pub include: Vec<String>,
    /// Not what matches.
    pub exclude: Vec<String>,
    /// Owner and group; kept when `None`.
    pub owner: Option<(u32, u32)>,
    /// Permission bits of a file; kept when `None`.
    pub mode: Option<u32>,
    /// Seconds since 1970; kept when `None`.
    pub timestamp: Option<i64>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its root; an empty tree when `None`.
    pub root: Option<TreeRef>,
    /// Its output folder, when it has one.
    pub out: Option<Out>,
    /// Files and trees that it may only read.
    pub mounts: Vec<Mount>,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Its environment, in order.
    pub env: Vec<(String, String)>,
    /// Where it starts.
    pub cwd: String,
    /// Why it may use the network; it may not when `None`.
    pub network: Option<String>,
}

/// The output folder of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    /// Where it is mounted.
    pub dest: String,
    /// What an earlier step left in it; empty when `None`.
    pub before: Option<TreeRef>,
}

/// A tree, or a file of it, that a process may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Out of this tree.
    pub from: TreeRef,
    /// This path of it.
    pub src: String,
    /// Where it is mounted.
    pub dest: String,
}

/// What comes out for one target.
#[derive(Clone, Debug)]
pub struct PlanResult {
    /// What was asked for.
    pub target: Target,
    /// The files; none at all when `None`.
    pub tree: Option<TreeRef>,
    /// The layers from the bottom, each named after what it holds; the union of them is the tree.
    pub layers: Vec<String>,
    /// What the image says.
    pub config: ImageConfig,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}
