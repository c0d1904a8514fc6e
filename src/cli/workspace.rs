//! The tree that a command works on, and how its arguments name packages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Diagnostics, Files, listed, suggest};
use crate::graph::{Goal, Library};
use crate::package::{OutputName, PackageName, Place, Platform, Reference, StageName, outputs_in};
use crate::plan::Options;
use crate::tree::{Folder, Tree as _};
use crate::{Compiled, Query, Subject, compile};

use super::args::Compile;

/// A tree on disk, and the files that were read of it.
pub(super) struct Workspace {
    pub(super) tree: Folder,
    pub(super) files: Files,
}

/// A package as an argument names it.
pub(super) struct Named {
    pub(super) subject: Subject,
    /// The path of its spec, from the folder of the tree.
    pub(super) path: String,
    pub(super) output: Option<OutputName>,
}

impl Workspace {
    pub(super) fn new(directory: &Path) -> Self {
        Self { tree: Folder::new(directory), files: Files::new() }
    }

    pub(super) fn root(&self) -> &Path {
        self.tree.root()
    }

    /// The package that an argument means: a path, `group/name[/output]`, or a name that only one
    /// group has.
    pub(super) fn named(&self, text: &str) -> Result<Named, Diagnostics> {
        if text.ends_with(".yaml") || text.ends_with(".yml") || text.starts_with('.') {
            return self.spec_at(text);
        }
        if let Some(reference) = Reference::parse(text) {
            return Ok(Named {
                path: reference.package.spec_path(),
                subject: Subject::Package(reference.package),
                output: reference.output,
            });
        }
        let names = Library::names(&self.tree)?;
        let fits: Vec<&PackageName> = names.iter().filter(|n| n.name() == text).collect();
        match fits.as_slice() {
            [only] => {
                let path = only.spec_path();
                Ok(Named { subject: Subject::Package((*only).clone()), path, output: None })
            }
            [] => {
                let mut found =
                    Diagnostic::bare(Code::UnknownPackage, format!("no package `{text}`"));
                let known: Vec<String> = names.iter().map(ToString::to_string).collect();
                let short = names.iter().map(PackageName::name);
                found.hint =
                    suggest(text, known.iter().map(String::as_str).chain(short), "packages")
                        .or_else(|| {
                            Some("`-C DIR` names the folder that has `packages/` in it".to_owned())
                        });
                Err(found.into())
            }
            several => {
                let all: Vec<String> = several.iter().map(ToString::to_string).collect();
                let all: Vec<&str> = all.iter().map(String::as_str).collect();
                let said = format!("several groups have a `{text}`");
                let hint = format!("write one of {}", listed(&all));
                Err(Diagnostic::bare(Code::AmbiguousPackage, said).hint(hint).into())
            }
        }
    }

    fn spec_at(&self, text: &str) -> Result<Named, Diagnostics> {
        let path = text.trim_start_matches("./").to_owned();
        let failed = |said: String| Diagnostics::from(Diagnostic::bare(Code::Unreadable, said));
        match self.tree.read(&path) {
            Ok(Some(bytes)) => {
                let subject = Subject::Spec(Place::at(&path), bytes);
                Ok(Named { subject, path, output: None })
            }
            Ok(None) => Err(failed(format!("no file {path} in {}", self.root().display()))),
            Err(e) => Err(failed(format!("{path}: {e}"))),
        }
    }

    /// Compiles what the arguments ask for.
    pub(super) fn compile(
        &mut self,
        args: &Compile,
        options: Options,
    ) -> Result<Compiled, Diagnostics> {
        let named = self.named(&args.package)?;
        let (vars, platforms) = (variables(&args.set)?, platforms(&args.platform)?);
        let build = host();
        let goal = self.goal(&named, args.target.as_deref())?;
        let replaced = BTreeSet::new();
        let subject = named.subject;
        let query = Query { subject, goal, platforms, build, vars, replaced, options };
        compile(&self.tree, &query, &mut self.files)
    }

    fn goal(&self, named: &Named, target: Option<&str>) -> Result<Goal, Diagnostics> {
        match (target, &named.output) {
            (None, output) => Ok(Goal::Output(output.clone())),
            (Some("test"), _) => Ok(Goal::Tests),
            (Some(name), _) => target_goal(&self.tree, &named.subject, name),
        }
    }

    /// A path from the folder where the command was called.
    pub(super) fn full(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }
}

/// `--target NAME`: an output of that name, otherwise a stage.
fn target_goal(tree: &Folder, subject: &Subject, name: &str) -> Result<Goal, Diagnostics> {
    let wrong = || {
        let said = format!("`{name}` is no name of an output or a stage");
        Diagnostics::from(Diagnostic::bare(Code::BadName, said))
    };
    let (output, stage) = (OutputName::parse(name), StageName::parse(name));
    let (Some(output), Some(stage)) = (output, stage) else { return Err(wrong()) };
    let bytes = match subject {
        Subject::Package(package) => tree.read(&package.spec_path()).ok().flatten(),
        Subject::Spec(_, bytes) => Some(bytes.clone()),
    };
    // What is wrong with the spec is said when it is compiled.
    let has_output = bytes.is_some_and(|b| outputs_in(&b).iter().any(|o| o == name));
    Ok(if has_output { Goal::Output(Some(output)) } else { Goal::Stage(stage) })
}

pub(super) fn variables(set: &[String]) -> Result<BTreeMap<String, String>, Diagnostics> {
    let mut vars = BTreeMap::new();
    for text in set {
        let Some((name, value)) = text.split_once('=') else {
            let said = format!("`--set {text}` has no value");
            let found = Diagnostic::bare(Code::UnknownArgument, said);
            return Err(found.hint("write `--set NAME=VALUE`").into());
        };
        vars.insert(name.to_owned(), value.to_owned());
    }
    Ok(vars)
}

pub(super) fn platforms(texts: &[String]) -> Result<Vec<Platform>, Diagnostics> {
    let mut found = Diagnostics::new();
    let mut platforms = Vec::new();
    for text in texts {
        match Platform::parse(text) {
            Some(platform) if platforms.contains(&platform) => {}
            Some(platform) => platforms.push(platform),
            None => found.push(
                Diagnostic::bare(Code::BadPlatform, format!("`{text}` is no platform"))
                    .hint("platforms are `linux/amd64`, `linux/arm64`, `linux/riscv64`, …"),
            ),
        }
    }
    found.or(platforms)
}

/// The platform of this machine, which is that of an engine on it.
pub(super) fn host() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "loongarch64" => "loong64",
        "powerpc64" => "ppc64le",
        other => other,
    };
    let name = format!("linux/{architecture}");
    Platform::parse(&name).or_else(|| Platform::parse("linux/amd64")).expect("a known platform")
}
