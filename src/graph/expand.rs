//! Templates → values, for one package and one target.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::package::{
    self, Archive, Condition, Evaluator, Hex, Package, ParamValue, Params, Platform, Scope,
    Template, Unpack, Value, VariableName, code_of, parse_hex,
};
use crate::tree::{self, Tree};

use super::{Command, FileContent, FileEntry, Origin, Patch, Source, Step, TakeFiles};

/// The default program of scripts: POSIX sh that stops at errors and unset variables.
const SHELL: [&str; 2] = ["/bin/sh", "-eu"];

/// Expands, and keeps what was found.
pub(super) struct Expander<'e> {
    pub(super) evaluator: &'e Evaluator,
    pub(super) tree: &'e dyn Tree,
    pub(super) found: Diagnostics,
}

/// Every name that templates of a package may use.
pub(super) fn scope(
    package: &Package,
    target: &Platform,
    build: &Platform,
    vars: &BTreeMap<String, String>,
) -> Scope {
    let mut scope = Scope::new();
    let mut set = |name: String, text: &str| scope.insert(name, Value::Text(text.to_owned()));
    set("name".to_owned(), package.name.value.name());
    set("version".to_owned(), package.version.value.as_str());
    for (side, platform) in [("target", target), ("build", build)] {
        set(format!("{side}.platform"), &platform.to_string());
        set(format!("{side}.os"), platform.os());
        set(format!("{side}.arch"), platform.architecture());
        set(format!("{side}.variant"), platform.variant().unwrap_or_default());
        set(format!("{side}.machine"), platform.machine());
        set(format!("{side}.triple"), &triple(platform));
    }
    for (name, var) in &package.vars {
        let value = vars.get(name.as_str()).unwrap_or(&var.default.value);
        set(format!("vars.{name}"), value);
    }
    for (name, source) in &package.sources {
        let version = source.version.as_ref().unwrap_or(&package.version);
        set(format!("sources.{name}.version"), version.value.as_str());
    }
    scope
}

/// The compiler's name of a platform: `x86_64-linux-musl`.
pub(crate) fn triple(platform: &Platform) -> String {
    format!("{}-linux-musl", platform.machine())
}

impl Expander<'_> {
    fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(found) => {
                self.found.push(found);
                None
            }
        }
    }

    pub(super) fn text(&mut self, template: &Template, scope: &Scope) -> Option<String> {
        let result = template.expand(self.evaluator, scope);
        self.keep(result)
    }

    /// An absolute path; what templates put into it is checked here.
    pub(super) fn path(&mut self, template: &Template, scope: &Scope) -> Option<String> {
        let path = self.text(template, scope)?;
        let clean = package::is_clean_absolute(&path);
        self.checked_path(path, clean, template.span)
    }

    fn relative(&mut self, template: &Template, scope: &Scope) -> Option<String> {
        let path = self.text(template, scope)?;
        let clean = path == "." || package::is_clean_relative(&path);
        self.checked_path(path, clean, template.span)
    }

    fn checked_path(&mut self, path: String, clean: bool, span: Span) -> Option<String> {
        if !clean {
            let said = format!(
                "`{path}` is not a clean path: no `..`, `.`, empty part or control character"
            );
            self.found.push(Diagnostic::new(Code::BadPath, span, said));
        }
        clean.then_some(path)
    }

    pub(super) fn texts(&mut self, list: &[Template], scope: &Scope) -> Vec<String> {
        list.iter().filter_map(|t| self.text(t, scope)).collect()
    }

    /// Whether something is there; what has no condition is.
    pub(super) fn holds<'c>(
        &mut self,
        conditions: impl IntoIterator<Item = &'c Condition>,
        scope: &Scope,
    ) -> bool {
        conditions.into_iter().all(|c| {
            let result = c.holds(self.evaluator, scope);
            self.keep(result).unwrap_or(false)
        })
    }

    pub(super) fn env(
        &mut self,
        env: &BTreeMap<VariableName, Template>,
        scope: &Scope,
    ) -> Vec<(String, String)> {
        let pairs = env.iter().filter_map(|(k, v)| Some((k.to_string(), self.text(v, scope)?)));
        pairs.collect()
    }

    pub(super) fn step(&mut self, step: &package::Step, scope: &Scope) -> Option<Step> {
        let with_params = step.params.as_ref().map(|p| self.with_params(p, scope));
        let scope = with_params.as_ref().unwrap_or(scope);
        if !self.holds(&step.when, scope) {
            return None;
        }
        let command = match &step.command {
            package::Command::Run { script, shell } => {
                let shell = match shell {
                    Some(shell) => self.texts(shell, scope),
                    None => SHELL.map(str::to_owned).to_vec(),
                };
                Command::Run(self.text(script, scope)?, shell)
            }
            package::Command::Exec(argv) => Command::Exec(self.texts(argv, scope)),
        };
        Some(Step {
            span: step.span,
            name: step.name.as_ref().and_then(|t| self.text(t, scope)),
            command,
            workdir: step.workdir.as_ref().and_then(|t| self.path(t, scope)),
            env: self.env(&step.env, scope),
            network: step.network.as_ref().map(|n| n.value.clone()),
        })
    }

    fn with_params(&mut self, params: &Params, scope: &Scope) -> Scope {
        let mut with = scope.clone();
        for (name, value) in &params.0 {
            let value = match value {
                ParamValue::Text(t) => self.text(t, scope).map(Value::Text),
                ParamValue::List(l) => Some(Value::List(self.texts(l, scope))),
                ParamValue::Bool(b) => Some(Value::Bool(*b)),
            };
            with.extend(value.map(|v| (format!("params.{name}"), v)));
        }
        with
    }

    /// A source for one target; `None` where its condition does not hold.
    pub(super) fn source(
        &mut self,
        package: &Package,
        source: &package::Source,
        scope: &Scope,
    ) -> Option<Source> {
        if !self.holds(&source.when, scope) {
            return None;
        }
        let name = source.name.value.to_string();
        let mut file_name = name.clone();
        let mut is_folder = false;
        let origin = match &source.origin {
            package::Origin::Url { url, mirrors, digest } => {
                let first = self.text(url, scope)?;
                file_name = self.last_part(&first, url.span)?;
                let mut urls = vec![first];
                urls.extend(self.texts(mirrors, scope));
                Origin::Url(urls, digest.value.clone())
            }
            package::Origin::Git { remote, commit, subdir } => {
                is_folder = true;
                let subdir = subdir.as_ref().and_then(|t| self.relative(t, scope));
                let commit = commit.value.clone();
                Origin::Git { remote: self.text(remote, scope)?, commit, subdir }
            }
            package::Origin::Path { path, exclude } => {
                let relative = self.relative(path, scope)?;
                let full = package::join(&package.folder, &relative);
                is_folder = self.kind(&full, path.span)? == tree::Kind::Folder;
                if !is_folder {
                    file_name = relative.rsplit('/').next().unwrap_or(&relative).to_owned();
                }
                let full = if full.is_empty() { ".".to_owned() } else { full };
                Origin::Path { path: full, exclude: self.texts(exclude, scope) }
            }
            package::Origin::Text(text) => Origin::Bytes(self.text(text, scope)?.into_bytes()),
            package::Origin::Hex(Hex::Inline(bytes)) => Origin::Bytes(bytes.clone()),
            package::Origin::Hex(Hex::File(path)) => {
                let full = self.relative(path, scope)?;
                let full = package::join(&package.folder, &full);
                Origin::Bytes(self.hex(&full, path.span)?)
            }
            package::Origin::Image(image) => {
                is_folder = true;
                Origin::Image(image.value.name.clone(), image.value.digest.clone())
            }
        };
        let unpack = match source.unpack {
            _ if is_folder => None,
            Unpack::No => None,
            Unpack::As(archive) => Some(archive),
            Unpack::Auto => Archive::of_name(&file_name),
        };
        let patches: Vec<Patch> = source
            .patches
            .iter()
            .filter(|p| self.holds(&p.when, scope))
            .map(|p| Patch { name: p.path.value.clone(), bytes: p.bytes.clone(), strip: p.strip })
            .collect();
        if let (None, false, [first, ..]) = (unpack, is_folder, patches.as_slice()) {
            let said = format!("`{}` can't be applied: the source is a single file", first.name);
            self.found.push(Diagnostic::new(Code::Conflict, source.name.span, said));
        }
        let (span, strip) = (source.name.span, source.strip);
        let mode = source.mode.unwrap_or(0o644);
        Some(Source { name, span, origin, file_name, is_folder, unpack, strip, mode, patches })
    }

    fn last_part(&mut self, url: &str, span: Span) -> Option<String> {
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let name = path.rsplit('/').next().unwrap_or("");
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-~%@,=".contains(c);
        let odd = url.chars().any(|c| c.is_control() || c.is_whitespace());
        if odd || name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
            let said = format!("`{url}` does not end with the name of a file");
            self.found.push(Diagnostic::new(Code::BadUrl, span, said));
            return None;
        }
        Some(name.to_owned())
    }

    fn kind(&mut self, path: &str, span: Span) -> Option<tree::Kind> {
        let said = match self.tree.kind(if path.is_empty() { "." } else { path }) {
            Ok(Some(kind)) => return Some(kind),
            Ok(None) => format!("no file or folder {path}"),
            Err(e) => format!("{path}: {e}"),
        };
        self.found.push(Diagnostic::new(Code::Unreadable, span, said));
        None
    }

    fn hex(&mut self, path: &str, span: Span) -> Option<Vec<u8>> {
        let (code, said) = match self.tree.read(path) {
            Ok(Some(bytes)) => match std::str::from_utf8(&bytes).map(parse_hex) {
                Ok(Ok(bytes)) => return Some(bytes),
                Ok(Err(e)) => (Code::BadValue, format!("{path}: {e}")),
                Err(_) => (Code::BadText, format!("{path} is not text")),
            },
            Ok(None) => (Code::Unreadable, format!("no file {path}")),
            Err(e) => (code_of(&e), format!("{path}: {e}")),
        };
        self.found.push(Diagnostic::new(code, span, said));
        None
    }

    pub(super) fn take(&mut self, files: &package::TakeFiles, scope: &Scope) -> TakeFiles {
        match files {
            package::TakeFiles::All { exclude } => {
                TakeFiles::Out(Vec::new(), self.texts(exclude, scope))
            }
            package::TakeFiles::Matching { include, exclude } => {
                TakeFiles::Out(self.texts(include, scope), self.texts(exclude, scope))
            }
            package::TakeFiles::Map(pairs) => {
                let pairs = pairs.iter().filter_map(|(from, to)| {
                    Some((self.path(from, scope)?, self.path(to, scope)?))
                });
                TakeFiles::Root(pairs.collect())
            }
        }
    }

    pub(super) fn files(&mut self, package: &Package, scope: &Scope) -> Vec<FileEntry> {
        let mut files = Vec::new();
        for entry in &package.files {
            if !self.holds(&entry.when, scope) {
                continue;
            }
            let content = match &entry.content {
                package::FileContent::Text(t) => {
                    self.text(t, scope).map(|t| FileContent::Bytes(t.into_bytes()))
                }
                package::FileContent::Link(t) => self.text(t, scope).map(FileContent::Link),
                package::FileContent::Directory => Some(FileContent::Folder),
                package::FileContent::Source(name) => package
                    .sources
                    .get(&name.value)
                    .and_then(|s| self.source(package, s, scope))
                    .map(FileContent::Source),
            };
            let (mode, owner) = (entry.mode, entry.owner.unwrap_or((0, 0)));
            if let (Some(path), Some(content)) = (self.path(&entry.path, scope), content) {
                files.push(FileEntry { path, content, mode, owner });
            }
        }
        files
    }
}
