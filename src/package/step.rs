//! Stages and their steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diag::{Span, Spanned};

use super::template::{Condition, Template};
use super::{Platform, Reference, SourceName, StageName, VariableName};

/// A root file system and what is done in it.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name; the short form `build:` is the stage `build`.
    pub name: Spanned<StageName>,
    /// Where it runs.
    pub platform: StagePlatform,
    /// What its root is the union of, in the order of the spec.
    pub rootfs: Vec<RootEntry>,
    /// Which sources stand where.
    pub sources: Vec<PlacedSource>,
    /// The folder in which steps start; by default the one unpacked source.
    pub workdir: Option<Template>,
    /// Environment of each step.
    pub env: BTreeMap<VariableName, Template>,
    /// What is done, in order; build styles are already in place.
    pub steps: Vec<Step>,
}

/// Where a stage runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StagePlatform {
    /// On what is built for (the default).
    Target,
    /// On the engine's own platform.
    Build,
    /// On this one, whatever is built.
    Fixed(Spanned<Platform>),
}

/// One entry of `rootfs:` or `tools:`.
#[derive(Clone, Debug)]
pub struct RootEntry {
    /// Where the entry stands.
    pub span: Span,
    /// What it brings.
    pub from: RootFrom,
    /// Only this path of it (and nothing that it requires).
    pub path: Option<Template>,
    /// Where it goes; `/` by default.
    pub to: Option<Template>,
    /// Only what matches these patterns, as in `.dockerignore`, relative to `path`.
    pub files: Vec<Template>,
    /// Only where this holds.
    pub when: Option<Condition>,
}

/// What an entry of a root brings.
#[derive(Clone, Debug)]
pub enum RootFrom {
    /// A package and what it requires.
    Package {
        /// Which.
        reference: Spanned<Reference>,
        /// `for: target`: the files of the target's platform instead of the stage's.
        for_target: bool,
    },
    /// What another stage of the package left in its root.
    Stage(Spanned<StageName>),
    /// Sources of the package, side by side, never unpacked.
    Sources(Vec<Spanned<SourceName>>),
}

/// A source in a stage.
#[derive(Clone, Debug)]
pub struct PlacedSource {
    /// Which.
    pub name: Spanned<SourceName>,
    /// Where; `/src/<name>` by default. A file that is not unpacked stands there under its own
    /// name when the path ends in `/`, or is the path itself otherwise.
    pub to: Option<Template>,
}

/// One thing that is done.
#[derive(Clone, Debug)]
pub struct Step {
    /// The step in its file.
    pub span: Span,
    /// What progress shows instead of the first line.
    pub name: Option<Template>,
    /// What runs.
    pub command: Command,
    /// Where it starts, when not in the stage's `workdir`.
    pub workdir: Option<Template>,
    /// Environment of this step, over the stage's.
    pub env: BTreeMap<VariableName, Template>,
    /// Why the network is on; off without a reason.
    pub network: Option<Spanned<String>>,
    /// Only where all of these hold: the step's own and that of the use of its build style.
    pub when: Vec<Condition>,
    /// What `${{ params.x }}` means, for steps of a build style.
    pub params: Option<Arc<Params>>,
}

/// What a step runs.
#[derive(Clone, Debug)]
pub enum Command {
    /// A script.
    Run {
        /// Its text.
        script: Template,
        /// The program and arguments that get the script's path; `/bin/sh -eu` by default.
        shell: Option<Vec<Template>>,
    },
    /// A program and its arguments, no shell.
    Exec(Vec<Template>),
}

/// The parameters of one use of a build style, all of them, defaults included.
#[derive(Clone, Debug, Default)]
pub struct Params(pub BTreeMap<String, ParamValue>);

/// The value of a parameter.
#[derive(Clone, Debug)]
pub enum ParamValue {
    /// `type: text` and `type: choice`.
    Text(Template),
    /// `type: list`.
    List(Vec<Template>),
    /// `type: bool`.
    Bool(bool),
}
