//! Bytes → [`Package`]: the whole of a spec, and what can be checked without other packages.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic, Diagnostics, FileId, Files, Span, Spanned, suggest};
use crate::tree::{ReadError, Tree};

use super::load_check;
use super::raw::{self, Kind, Node};
use super::reader::{Fields, Reader};
use super::style::Styles;
use super::template::{Evaluator, Names};
use super::{
    Output, OutputName, Package, PackageName, PlacedSource, SourceName, StageName, Take, TakeFiles,
    Variable, VariableName, Version,
};

const KEYS: [&str; 19] = [
    "name",
    "version",
    "description",
    "license",
    "homepage",
    "platforms",
    "vars",
    "sources",
    "build",
    "stages",
    "outputs",
    "requires",
    "layers",
    "files",
    "accounts",
    "image",
    "owners",
    "tests",
    "exclude",
];

/// Where a spec was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path that people are shown and that `name:` is checked against.
    pub path: String,
    /// The folder that its own files are relative to; empty for the tree's root.
    pub folder: String,
    /// The name that the path demands, when it demands one.
    pub expected: Option<PackageName>,
}

impl Place {
    /// Where a package of this name stands in a tree.
    pub fn of(name: &PackageName) -> Self {
        Self { path: name.spec_path(), folder: name.folder(), expected: Some(name.clone()) }
    }

    /// Any path of a tree. Only `packages/<group>/<name>/package.yaml` demands a name and has its
    /// own files beside it; elsewhere paths are relative to the tree, which is the build context,
    /// as in a Containerfile.
    pub fn at(path: &str) -> Self {
        let folder = path.strip_prefix("packages/").and_then(|p| p.strip_suffix("/package.yaml"));
        match folder.and_then(PackageName::parse) {
            Some(name) => Self::of(&name),
            None => Self { path: path.to_owned(), folder: String::new(), expected: None },
        }
    }
}

/// The name that a spec gives itself, if that much of it can be read.
pub fn name_in(bytes: &[u8]) -> Option<PackageName> {
    match top_level(bytes)?.into_iter().find(|(key, _)| key.value == "name")?.1.kind {
        Kind::Text(text) => PackageName::parse(&text),
        Kind::Empty | Kind::List(_) | Kind::Map(_) => None,
    }
}

/// The names of the outputs that a spec declares, or the one that it has without declaring any.
pub fn outputs_in(bytes: &[u8]) -> Vec<String> {
    let Some(entries) = top_level(bytes) else { return Vec::new() };
    let declared = entries.into_iter().find(|(key, _)| key.value == "outputs");
    match declared.map(|(_, node)| node.kind) {
        Some(Kind::Map(outputs)) => outputs.into_iter().map(|(key, _)| key.value).collect(),
        Some(_) | None => name_in(bytes).iter().map(|n| n.name().to_owned()).collect(),
    }
}

fn top_level(bytes: &[u8]) -> Option<Vec<(Spanned<String>, Node)>> {
    let (_, node) = raw::parse("spec", bytes.to_vec(), &mut Files::new()).ok()?;
    match node.kind {
        Kind::Map(entries) => Some(entries),
        Kind::Text(_) | Kind::Empty | Kind::List(_) => None,
    }
}

/// Reads specs out of a tree.
pub struct Loader<'t> {
    tree: &'t dyn Tree,
    evaluator: &'t Evaluator,
    styles: Styles,
}

impl<'t> Loader<'t> {
    /// A loader for one tree; each build style is read once.
    pub fn new(tree: &'t dyn Tree, evaluator: &'t Evaluator) -> Self {
        Self { tree, evaluator, styles: Styles::default() }
    }

    /// Reads one spec, and the patches and build styles that it names; fails with everything that
    /// is wrong with it.
    pub fn load(
        &mut self,
        place: &Place,
        bytes: Vec<u8>,
        files: &mut Files,
    ) -> Result<Package, Diagnostics> {
        match self.load_part(place, bytes, files) {
            (Some(package), found) if found.is_empty() => Ok(package),
            (_, found) => Err(found),
        }
    }

    /// The same, with as much of the package as could be read beside what is wrong with it: what a
    /// broken spec names can still be looked for.
    pub(crate) fn load_part(
        &mut self,
        place: &Place,
        bytes: Vec<u8>,
        files: &mut Files,
    ) -> (Option<Package>, Diagnostics) {
        let (file, node) = match raw::parse(&place.path, bytes, files) {
            Ok(parsed) => parsed,
            Err(found) => return (None, found),
        };
        let mut found = Diagnostics::new();
        self.styles.read(&node, (self.tree, files), self.evaluator, &mut found);
        let mut reader = Reader::new(files.text(file), (self.evaluator, &self.styles));
        let package = Spec { place, file, tree: self.tree }.read(&mut reader, &node);
        found.extend(reader.found);
        (package, found)
    }
}

/// The names that every template may use, but for those of the package itself.
pub(super) fn fact_names() -> Names {
    let mut names: Names = ["name", "version"].map(str::to_owned).into();
    for side in ["target", "build"] {
        for fact in ["platform", "os", "arch", "variant", "machine", "triple"] {
            names.insert(format!("{side}.{fact}"));
        }
    }
    names
}

struct Spec<'s> {
    place: &'s Place,
    file: FileId,
    tree: &'s dyn Tree,
}

impl Spec<'_> {
    fn read(&self, reader: &mut Reader<'_>, node: &Node) -> Option<Package> {
        let fields = reader.fields(node, "a mapping with `name`, `version`, …", &KEYS)?;
        let name = self.name(reader, fields);
        let version = reader.required(fields, "version").and_then(|n| reader.version(n));
        let description = fields.get("description").and_then(|n| reader.line(n));
        let license = fields.get("license").and_then(|n| license(reader, n));
        let homepage = fields.get("homepage").and_then(|n| reader.line(n));
        let is_web = |p: &str| p.starts_with("https://") || p.starts_with("http://");
        if let Some(page) = homepage.as_ref().filter(|p| !is_web(&p.value)) {
            reader.say(Code::BadUrl, page.span, "a homepage starts with `https://`");
        }
        let platforms = match fields.get("platforms") {
            Some(node) => {
                reader.list(node, "platforms").iter().filter_map(|n| reader.platform(n)).collect()
            }
            None => Vec::new(),
        };
        let vars = variables(reader, fields);
        reader.names = names_of(&vars, fields.get("sources"));
        let sources = self.sources(reader, fields);
        let stages = stages(reader, fields);
        let layers = reader.requirements(fields.get("layers"));
        let files = reader.file_entries(fields.get("files"));
        let accounts = reader.accounts(fields.get("accounts"));
        // Without a name or a version the rest is read all the same, and found wanting or not;
        // the spec itself has failed already.
        let whole = Span { end: node.span.start, ..node.span };
        let unnamed = || self.place.expected.clone().or_else(|| PackageName::parse("group/name"));
        let name = name.or_else(|| unnamed().map(|n| Spanned::new(n, whole)))?;
        let version = version.or_else(|| Version::parse("0").map(|v| Spanned::new(v, whole)))?;
        let default = OutputName::parse(name.value.name())?;
        let outputs = outputs(reader, fields, (&stages, &default, name.span));
        let mut tests = BTreeMap::new();
        if let Some(node) = fields.get("tests") {
            for (key, value) in reader.entries(node, "tests") {
                let test = reader.test(key, value, &default);
                tests.extend(test.map(|t| (t.name.value.clone(), t)));
            }
        }
        let (file, folder) = (self.file, self.place.folder.clone());
        let mut package = Package {
            name,
            file,
            folder,
            version,
            description,
            license,
            homepage,
            platforms,
            vars,
            sources,
            stages,
            outputs,
            layers,
            files,
            accounts,
            tests,
        };
        place_sources(&mut package);
        load_check::check(reader, &package, &declared(fields));
        Some(package)
    }

    fn name(&self, reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<Spanned<PackageName>> {
        let node = reader.required(fields, "name")?;
        let form = (Code::BadName, "a package");
        let name = reader.parsed(node, form, PackageName::parse)?;
        if let Some(expected) = self.place.expected.as_ref().filter(|e| **e != name.value) {
            let said = format!("`{}` stands in the place of `{expected}`", name.value);
            let hint =
                format!("write `name: {expected}`, or move it to {}", name.value.spec_path());
            reader.say_hint(Code::NameMismatch, name.span, said, hint);
        }
        Some(name)
    }

    fn sources(
        &self,
        reader: &mut Reader<'_>,
        fields: Fields<'_>,
    ) -> BTreeMap<SourceName, super::Source> {
        let mut sources = BTreeMap::new();
        let Some(node) = fields.get("sources") else { return sources };
        let beside = |path: &Spanned<String>| self.beside(path);
        for (key, value) in reader.entries(node, "sources") {
            let source = reader.source(key, value, &beside);
            sources.extend(source.map(|s| (s.name.value.clone(), s)));
        }
        sources
    }

    fn beside(&self, path: &Spanned<String>) -> Result<Vec<u8>, Diagnostic> {
        let full = join(&self.place.folder, &path.value);
        match self.tree.read(&full) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => {
                let folder = full.rsplit_once('/').map_or("", |(f, _)| f);
                let known = self.tree.list(folder).unwrap_or_default();
                let said = format!("no file {full}");
                let mut found = Diagnostic::new(Code::Unreadable, path.span, said);
                let name = path.value.rsplit('/').next().unwrap_or_default();
                found.hint = suggest(name, known.iter().map(String::as_str), "files there");
                Err(found)
            }
            Err(e) => Err(Diagnostic::new(code_of(&e), path.span, format!("{full}: {e}"))),
        }
    }
}

/// The code of a finding about a file that can't be read.
pub(crate) fn code_of(error: &ReadError) -> Code {
    match error {
        ReadError::TooLarge(_) => Code::TooLarge,
        ReadError::Escapes | ReadError::NotAFile | ReadError::Io(_) => Code::Unreadable,
    }
}

/// A path below a folder that may be the tree itself.
pub(crate) fn join(folder: &str, path: &str) -> String {
    match (folder, path) {
        ("", path) => path.to_owned(),
        (folder, ".") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

/// The names that stand in the spec, those of stages and sources with faults too.
fn declared(fields: Fields<'_>) -> load_check::Declared {
    let keys = |key: &str| match fields.get(key).map(|n| &n.kind) {
        Some(Kind::Map(entries)) => entries.iter().map(|(key, _)| key.value.clone()).collect(),
        Some(Kind::Text(_) | Kind::Empty | Kind::List(_)) | None => Vec::new(),
    };
    let mut stages = keys("stages");
    stages.extend(fields.entry("build").map(|(key, _)| key.value.clone()));
    load_check::Declared { stages, sources: keys("sources"), outputs: keys("outputs") }
}

fn license(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<String>> {
    let line = reader.line(node)?;
    if let Err(e) = spdx::Expression::parse(&line.value) {
        let said = format!("not an SPDX expression: {}", e.reason);
        let hint = "identifiers stand at https://spdx.org/licenses; `LicenseRef-…` names others";
        reader.say_hint(Code::BadLicense, line.span, said, hint);
    }
    Some(line)
}

fn variables(reader: &mut Reader<'_>, fields: Fields<'_>) -> BTreeMap<VariableName, Variable> {
    let mut vars = BTreeMap::new();
    let Some(node) = fields.get("vars") else { return vars };
    for (key, value) in reader.entries(node, "variables") {
        let name = reader.name(key, "a variable", VariableName::parse);
        let (default, values, description) = match &value.kind {
            Kind::Map(_) => {
                let keys = ["default", "values", "description"];
                let Some(fields) = reader.fields(value, "text or a mapping", &keys) else {
                    continue;
                };
                let default = reader.required(fields, "default").and_then(|n| reader.literal(n));
                let values = match fields.get("values") {
                    Some(n) => {
                        reader.list(n, "texts").iter().filter_map(|n| reader.literal(n)).collect()
                    }
                    None => Vec::new(),
                };
                (default, values, fields.get("description").and_then(|n| reader.line(n)))
            }
            Kind::Text(_) | Kind::Empty | Kind::List(_) => {
                (reader.literal(value), Vec::new(), None)
            }
        };
        let (Some(name), Some(default)) = (name, default) else { continue };
        if !values.is_empty() && !values.contains(&default) {
            let said = "the default is none of the values";
            reader.say(Code::BadValue, default.span, said);
        }
        let name = Spanned::new(name, key.span);
        vars.insert(name.value.clone(), Variable { name, default, values, description });
    }
    vars
}

/// Every name that a template of the package may use.
fn names_of(vars: &BTreeMap<VariableName, Variable>, sources: Option<&Node>) -> Names {
    let mut names = fact_names();
    names.extend(vars.keys().map(|v| format!("vars.{v}")));
    if let Some(Kind::Map(entries)) = sources.map(|n| &n.kind) {
        names.extend(entries.iter().map(|(key, _)| format!("sources.{}.version", key.value)));
    }
    names
}

fn stages(reader: &mut Reader<'_>, fields: Fields<'_>) -> BTreeMap<StageName, super::Stage> {
    let mut stages = BTreeMap::new();
    if let [_, (_, second)] = fields.present(&["build", "stages"]).as_slice() {
        let hint = "name the stage of `build:` in `stages:`, beside the others";
        reader.say_hint(Code::Conflict, *second, "`build` is the short form of `stages`", hint);
    }
    let mut add = |reader: &mut Reader<'_>, key: &Spanned<String>, node: &Node| {
        let stage = reader.stage(key, node);
        stages.extend(stage.map(|s| (s.name.value.clone(), s)));
    };
    if let Some((key, node)) = fields.entry("build") {
        add(reader, key, node);
    }
    if let Some(node) = fields.get("stages") {
        for (key, value) in reader.entries(node, "stages") {
            add(reader, key, value);
        }
    }
    stages
}

type Context<'c> = (&'c BTreeMap<StageName, super::Stage>, &'c OutputName, Span);

fn outputs(
    reader: &mut Reader<'_>,
    fields: Fields<'_>,
    (stages, default, name_span): Context<'_>,
) -> BTreeMap<OutputName, Output> {
    let top_level = ["requires", "image", "owners", "exclude"];
    let mut outputs = BTreeMap::new();
    if let Some(node) = fields.get("outputs") {
        for (key, value) in reader.entries(node, "outputs") {
            let output = output(reader, key, value, stages);
            outputs.extend(output.map(|o| (o.name.value.clone(), o)));
        }
        for (key, at) in fields.present(&top_level) {
            let said = format!("with `outputs:`, `{key}` belongs to one of them");
            let hint = format!("move it below `outputs: {{ {default}: … }}`");
            reader.say_hint(Code::Conflict, at, said, hint);
        }
        return outputs;
    }
    let stage = match StageName::parse("build").filter(|b| stages.contains_key(b)) {
        Some(build) => Some(build),
        None if stages.len() > 1 => {
            let at = fields.entry("stages").map_or(name_span, |(key, _)| key.span);
            let hint = format!(
                "add `outputs: {{ {default}: {{ stage: … }} }}`, or name the last stage `build`"
            );
            reader.say_hint(Code::MissingKey, at, "which stage makes the output?", hint);
            return outputs;
        }
        None => stages.keys().next().cloned(),
    };
    let exclude = reader.templates(fields.get("exclude"), "patterns");
    let take = stage.map(|stage| {
        let span = stages[&stage].name.span;
        Take { stage: Spanned::new(stage, span), files: TakeFiles::All { exclude } }
    });
    let output = Output {
        name: Spanned::new(default.clone(), name_span),
        take,
        requires: reader.requirements(fields.get("requires")),
        image: reader.image(fields.get("image")),
        description: None,
        owners: owners(reader, fields.get("owners")),
        when: None,
    };
    outputs.insert(default.clone(), output);
    outputs
}

fn output(
    reader: &mut Reader<'_>,
    key: &Spanned<String>,
    node: &Node,
    stages: &BTreeMap<StageName, super::Stage>,
) -> Option<Output> {
    let keys = ["stage", "files", "exclude", "requires", "image", "description", "owners", "when"];
    let name = reader.name(key, "an output", OutputName::parse);
    let fields = reader.fields(node, "a mapping", &keys)?;
    let stage = match fields.get("stage") {
        Some(node) => reader.stage_name(node),
        None => {
            let build = StageName::parse("build").filter(|b| stages.contains_key(b));
            let only = || stages.keys().next().filter(|_| stages.len() == 1).cloned();
            let stage = build.or_else(only);
            let some_failed = stages.is_empty() && !reader.found.is_empty();
            if stage.is_none() && !some_failed {
                reader.say(Code::MissingKey, key.span, "`stage` is missing: which one makes it?");
            }
            stage.map(|s| Spanned::new(s, key.span))
        }
    };
    let exclude = reader.templates(fields.get("exclude"), "patterns");
    let files = match fields.get("files") {
        None => TakeFiles::All { exclude },
        Some(list @ Node { kind: Kind::List(_), .. }) => {
            let include = reader.list(list, "patterns").iter();
            let include = include.filter_map(|n| reader.absolute(n)).collect();
            TakeFiles::Matching { include, exclude }
        }
        Some(map) => {
            if let Some((key, _)) = fields.entry("exclude") {
                let said = "`exclude` does not go with a mapping of `files`";
                reader.say(Code::Conflict, key.span, said);
            }
            let entries = reader.entries(map, "a list of patterns or a mapping of paths");
            let mut pairs = Vec::new();
            for (from, to) in entries {
                let text = Kind::Text(from.value.clone());
                let from = reader.absolute(&Node { span: from.span, kind: text });
                if let (Some(from), Some(to)) = (from, reader.absolute(to)) {
                    pairs.push((from, to));
                }
            }
            TakeFiles::Map(pairs)
        }
    };
    let requires = reader.requirements(fields.get("requires"));
    let image = reader.image(fields.get("image"));
    let description = fields.get("description").and_then(|n| reader.line(n));
    let owners = owners(reader, fields.get("owners"));
    let when = reader.condition(fields.get("when"));
    let name = Spanned::new(name?, key.span);
    let take = Some(Take { stage: stage?, files });
    Some(Output { name, take, requires, image, description, owners, when })
}

fn owners(reader: &mut Reader<'_>, node: Option<&Node>) -> Vec<(super::Template, (u32, u32))> {
    let mut owners = Vec::new();
    let Some(node) = node else { return owners };
    for (path, owner) in reader.entries(node, "paths and their owners") {
        let text = Kind::Text(path.value.clone());
        let path = reader.absolute(&Node { span: path.span, kind: text });
        if let (Some(path), Some(owner)) = (path, reader.owner(owner)) {
            owners.push((path, owner));
        }
    }
    owners
}

/// The only stage of a package has all sources that stand nowhere else, unless it lists its own.
fn place_sources(package: &mut Package) {
    let used: Vec<SourceName> = load_check::used_names(package).1.into_iter().cloned().collect();
    let mut stages: Vec<_> = package.stages.values_mut().collect();
    let [stage] = stages.as_mut_slice() else { return };
    if stage.sources.is_empty() {
        let left = package.sources.values().filter(|s| !used.contains(&s.name.value));
        stage.sources = left.map(|s| PlacedSource { name: s.name.clone(), to: None }).collect();
    }
}
