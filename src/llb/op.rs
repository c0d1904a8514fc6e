//! The ops that this project uses, without the defaults that nobody asked for.

use std::collections::BTreeMap;

use crate::package::Platform;

use super::{Metadata, Output};

/// An op with its platform and what is said about it.
#[derive(Clone, Debug)]
pub struct Vertex {
    /// What it does.
    pub op: Op,
    /// Where it runs; `None` for ops that no platform changes.
    pub platform: Option<Platform>,
    /// What progress and errors show; no part of its identity.
    pub metadata: Metadata,
}

/// What a vertex does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Bytes from outside: `docker-image://…`, `https://…`, `git://…`, `local://…`.
    Source {
        /// The identifier with its scheme.
        identifier: String,
        /// Attributes as in `solver/pb/attr.go`.
        attrs: BTreeMap<String, String>,
    },
    /// A process.
    Exec(Exec),
    /// Copies, files, folders and links on top of a tree.
    File(FileOp),
    /// The union of trees; a later one wins.
    Merge(Vec<Output>),
}

/// A process in a root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME=value`, in order.
    pub env: Vec<String>,
    /// The working directory.
    pub cwd: String,
    /// The first is the root (`/`).
    pub mounts: Vec<Mount>,
    /// Whether it may use the network.
    pub network: bool,
}

/// A tree in the file system of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted; an empty tree when `None`.
    pub input: Option<Output>,
    /// Where.
    pub dest: String,
    /// Only this path of the input; all of it when empty.
    pub selector: String,
    /// Whether it can be written, and what becomes of it then.
    pub kind: MountKind,
}

/// What a process may do to a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// Nothing.
    ReadOnly,
    /// Everything; the result is an output of the op, numbered in the order of the mounts.
    Result,
}

/// Actions one upon another, on a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOp {
    /// An empty tree when `None`.
    pub base: Option<Output>,
    /// At least one.
    pub actions: Vec<FileAction>,
}

/// One action of a [`FileOp`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileAction {
    /// From another tree.
    Copy(Box<Copy>),
    /// A file with these bytes.
    MkFile {
        /// Absolute.
        path: String,
        /// Permission bits, at most 0777: BuildKit drops the others.
        mode: u32,
        /// The content.
        data: Vec<u8>,
        /// Owner and group.
        owner: (u32, u32),
        /// Seconds since 1970.
        timestamp: i64,
    },
    /// A folder and its parents.
    MkDir {
        /// Absolute.
        path: String,
        /// Permission bits, at most 0777.
        mode: u32,
        /// Owner and group.
        owner: (u32, u32),
        /// Seconds since 1970.
        timestamp: i64,
    },
}

/// A copy; see `FileActionCopy` in `ops.proto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The tree that it is taken from; the op's own result so far when `None`.
    pub from: Option<Output>,
    /// Absolute, with wildcards where `wildcard` says so.
    pub src: String,
    /// Absolute; parents are made.
    pub dest: String,
    /// Of a folder, its contents and not itself.
    pub contents: bool,
    /// Whether `src` has wildcards, and may then match nothing.
    pub wildcard: bool,
    /// Unpack an archive, as `ADD` does.
    pub unpack: bool,
    /// Only these paths, as in `.dockerignore`.
    pub include: Vec<String>,
    /// Not these paths.
    pub exclude: Vec<String>,
    /// Owner and group of everything copied; kept when `None`.
    pub owner: Option<(u32, u32)>,
    /// Permission bits of everything copied; kept when `None`.
    pub mode: Option<u32>,
    /// Seconds since 1970 of everything copied, folders included; kept when `None`.
    pub timestamp: Option<i64>,
}

impl Op {
    /// The trees that it needs, in the order in which they become the op's inputs.
    pub fn inputs(&self) -> Vec<Output> {
        let mut inputs: Vec<Output> = Vec::new();
        let mut add = |output: Option<Output>| {
            let Some(output) = output else { return };
            if !inputs.contains(&output) {
                inputs.push(output);
            }
        };
        match self {
            Self::Source { .. } => {}
            Self::Exec(exec) => exec.mounts.iter().for_each(|m| add(m.input)),
            Self::File(file) => {
                add(file.base);
                for action in &file.actions {
                    if let FileAction::Copy(copy) = action {
                        add(copy.from);
                    }
                }
            }
            Self::Merge(trees) => return trees.clone(),
        }
        inputs
    }
}
