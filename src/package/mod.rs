//! Package specs: read from bytes, checked, and from then on without wrong forms.

mod config;
mod filter;
mod image;
mod load;
mod load_check;
mod name;
mod raw;
mod read_image;
mod read_source;
mod read_stage;
mod reader;
mod source;
mod step;
mod style;
mod template;

use std::collections::BTreeMap;
use std::fmt;

pub use config::{CONFIG_PATH, TreeConfig};
pub use filter::shell_quote;
pub use image::{Accounts, FileContent, FileEntry, Group, ImageSpec, Requirement, User};
pub use load::{Loader, Place, name_in, outputs_in};
pub(crate) use load::{code_of, join};
pub use name::{
    OutputName, PackageName, Platform, Reference, SourceName, StageName, StyleName, TestName,
    VariableName,
};
pub use read_source::{HexError, parse_hex};
pub(crate) use reader::{is_clean_absolute, is_clean_relative};
pub use source::{Archive, Hex, ImageReference, Origin, Patch, Source, Unpack};
pub use step::{
    Command, ParamValue, Params, PlacedSource, RootEntry, RootFrom, Stage, StagePlatform, Step,
};
pub use template::{Condition, Evaluator, Expression, Names, Part, Scope, Template, Value};

use crate::diag::{FileId, Spanned};

/// A version, always text: `1.10` is not `1.1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(String);

impl Version {
    /// Parses a version: printable ASCII without blanks and without `/`, at most 128 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_graphic() && !b"/\\\"'`$".contains(&b);
        let fits = !text.is_empty() && text.len() <= 128 && text.bytes().all(plain);
        fits.then(|| Self(text.to_owned()))
    }

    /// The version as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A spec whose every value has the right form, whose names inside the package all exist, and
/// which has no unused stage or source. What lies outside (other packages) is not looked at yet.
#[derive(Clone, Debug)]
pub struct Package {
    /// `group/name`.
    pub name: Spanned<PackageName>,
    /// The file it was read from.
    pub file: FileId,
    /// Its folder in the tree, without a slash at the end; empty for a spec beside its own code.
    pub folder: String,
    /// Its version.
    pub version: Spanned<Version>,
    /// A sentence for listings and labels.
    pub description: Option<Spanned<String>>,
    /// An SPDX expression.
    pub license: Option<Spanned<String>>,
    /// Upstream's page.
    pub homepage: Option<Spanned<String>>,
    /// Where it exists; everywhere when empty.
    pub platforms: Vec<Spanned<Platform>>,
    /// What `--set` and `--build-arg` may change.
    pub vars: BTreeMap<VariableName, Variable>,
    /// By name.
    pub sources: BTreeMap<SourceName, Source>,
    /// By name; the short form `build:` is one stage of that name.
    pub stages: BTreeMap<StageName, Stage>,
    /// By name; never empty. The one named like the package stands for it.
    pub outputs: BTreeMap<OutputName, Output>,
    /// `layers:` of a pallet or an application, in the order of the spec.
    pub layers: Vec<Requirement>,
    /// The last layer's files.
    pub files: Vec<FileEntry>,
    /// The last layer's accounts.
    pub accounts: Accounts,
    /// By name.
    pub tests: BTreeMap<TestName, Test>,
}

/// A variable that the one who builds may set.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Where it is declared.
    pub name: Spanned<VariableName>,
    /// Its value unless it is set.
    pub default: Spanned<String>,
    /// The values it may have; any text when empty.
    pub values: Vec<Spanned<String>>,
    /// For listings.
    pub description: Option<Spanned<String>>,
}

/// What a package gives to others.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name.
    pub name: Spanned<OutputName>,
    /// Its files come from here; `None` for a pallet, which has only layers and `files:`.
    pub take: Option<Take>,
    /// What it needs when it runs.
    pub requires: Vec<Requirement>,
    /// What its image says.
    pub image: ImageSpec,
    /// A sentence of its own; otherwise the package's.
    pub description: Option<Spanned<String>>,
    /// Files of these paths keep the owner and group given here: path to `uid:gid`.
    pub owners: Vec<(Template, (u32, u32))>,
    /// Only where this holds.
    pub when: Option<Condition>,
}

/// Which files of a stage an output takes.
#[derive(Clone, Debug)]
pub struct Take {
    /// The stage.
    pub stage: Spanned<StageName>,
    /// What of it.
    pub files: TakeFiles,
}

/// The files of an output.
#[derive(Clone, Debug)]
pub enum TakeFiles {
    /// Everything in `$OUT`, but for these patterns.
    All {
        /// Patterns as in `.dockerignore`, relative to `$OUT`.
        exclude: Vec<Template>,
    },
    /// What matches in `$OUT`, under the same path.
    Matching {
        /// Patterns as in `.dockerignore`, absolute in `$OUT`.
        include: Vec<Template>,
        /// What is left out of that.
        exclude: Vec<Template>,
    },
    /// From a path of the stage's file system to a path of the output. A destination that ends
    /// in `/` is a folder that the file is put into.
    Map(Vec<(Template, Template)>),
}

/// `tests:`.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name.
    pub name: Spanned<TestName>,
    /// Which output is tested; the one named like the package by default.
    pub output: Spanned<OutputName>,
    /// Packages in the root besides the output and what it requires.
    pub tools: Vec<RootEntry>,
    /// What is done.
    pub steps: Vec<Step>,
    /// The expected exit code of the last step; 0 by default.
    pub exit: u8,
    /// The expected standard output of the last step, when given.
    pub stdout: Option<Template>,
    /// Paths that have to exist afterwards.
    pub files: Vec<Template>,
}
