//! What an image says besides its files: OCI image-spec `config.md`.

use std::collections::BTreeMap;

use crate::diag::{Span, Spanned};

use super::template::{Condition, Template};
use super::{Reference, SourceName, VariableName};

/// `image:`. Nothing is set unless the spec sets it; maps are by key, in order.
#[derive(Clone, Debug, Default)]
pub struct ImageSpec {
    /// The name it is published under, when it is not that of its path: `core-clang`.
    pub name: Option<Spanned<String>>,
    /// `entrypoint:`
    pub entrypoint: Option<Vec<Template>>,
    /// `cmd:`
    pub cmd: Option<Vec<Template>>,
    /// `env:`
    pub env: BTreeMap<VariableName, Template>,
    /// `path:` folders that are put in front of `PATH`.
    pub path: Vec<Template>,
    /// `user:`, a number or the name of an account (`user` or `user:group`).
    pub user: Option<Template>,
    /// `workdir:`
    pub workdir: Option<Template>,
    /// `labels:`
    pub labels: BTreeMap<String, Template>,
    /// `annotations:` of the manifest.
    pub annotations: BTreeMap<String, Template>,
    /// `expose:`, such as `8080/tcp`.
    pub expose: Vec<Spanned<String>>,
    /// `volumes:`
    pub volumes: Vec<Template>,
    /// `stop-signal:`, such as `SIGTERM`.
    pub stop_signal: Option<Spanned<String>>,
}

/// One path of `files:`.
#[derive(Clone, Debug)]
pub struct FileEntry {
    /// Where it goes, absolute.
    pub path: Template,
    /// What it is.
    pub content: FileContent,
    /// Permission bits; 0644 for files and 0755 for folders by default.
    pub mode: Option<u32>,
    /// Owner and group as numbers; 0:0 by default.
    pub owner: Option<(u32, u32)>,
    /// Only where this holds.
    pub when: Option<Condition>,
}

/// What a path of `files:` is.
#[derive(Clone, Debug)]
pub enum FileContent {
    /// A file with this text.
    Text(Template),
    /// A symbolic link to this.
    Link(Template),
    /// A folder.
    Directory,
    /// A source of the package, as it is.
    Source(Spanned<SourceName>),
}

/// `accounts:`, lines of `/etc/passwd` and `/etc/group`.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// By name.
    pub users: BTreeMap<String, User>,
    /// By name.
    pub groups: BTreeMap<String, Group>,
}

/// A line of `/etc/passwd`.
#[derive(Clone, Debug)]
pub struct User {
    /// Where it is declared.
    pub span: Span,
    /// The user's number.
    pub uid: u32,
    /// The number of the primary group; that of the user by default, and then a group of the
    /// user's name is made where none has the number.
    pub gid: u32,
    /// `/` by default.
    pub home: String,
    /// `/sbin/nologin` by default.
    pub shell: String,
    /// The comment field.
    pub comment: String,
}

/// A line of `/etc/group`.
#[derive(Clone, Debug)]
pub struct Group {
    /// Where it is declared.
    pub span: Span,
    /// The group's number.
    pub gid: u32,
    /// Names of further members.
    pub members: Vec<Spanned<String>>,
}

/// A package that another needs: an entry of `requires:` or `layers:`.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// Which.
    pub reference: Spanned<Reference>,
    /// Only where this holds.
    pub when: Option<Condition>,
}
