//! What has to fit together inside one spec: names that exist, and nothing that is unused.

use std::collections::BTreeSet;

use crate::diag::{Code, Diagnostic, nearest};

use super::reader::Reader;
use super::{FileContent, Package, RootEntry, RootFrom, SourceName, StageName};

/// The names of a spec as written: what is declared with faults is declared all the same.
pub(super) struct Declared {
    pub(super) stages: Vec<String>,
    pub(super) sources: Vec<String>,
    pub(super) outputs: Vec<String>,
}

/// Adds a finding for each name that nothing in the package has, and for each stage and source
/// that nothing uses.
pub(super) fn check(reader: &mut Reader<'_>, package: &Package, declared: &Declared) {
    let meant = names(reader, package, declared);
    let (stages, sources) = used_names(package);
    // Something that could not be read may have used them, and a name with a slip in it did.
    let stages_known = !package.outputs.is_empty()
        && package.stages.len() == declared.stages.len()
        && (declared.outputs.is_empty() || package.outputs.len() == declared.outputs.len());
    let unused = |known: bool, used: bool, name: &str| known && !used && !meant.contains(name);
    for stage in package.stages.values() {
        let name = &stage.name.value;
        if !unused(stages_known, stages.contains(name), name.as_str()) {
            continue;
        }
        let said = format!("nothing uses the stage `{}`", stage.name.value);
        let hint = "take an output from it, put it into the root of another stage, or remove it";
        reader.say_hint(Code::UnusedStage, stage.name.span, said, hint);
    }
    for source in package.sources.values() {
        let name = &source.name.value;
        if !unused(stages_known, sources.contains(name), name.as_str()) {
            continue;
        }
        let said = format!("nothing uses the source `{name}`");
        let hint = format!("name it in a stage's `sources: [{name}]`, or remove it");
        reader.say_hint(Code::UnusedSource, source.name.span, said, hint);
    }
    let has_layer = !package.files.is_empty()
        || !package.accounts.users.is_empty()
        || !package.accounts.groups.is_empty();
    let main = package.name.value.name();
    if has_layer || !package.layers.is_empty() {
        let at = package.files.first().map(|f| f.path.span);
        let at = at.or(package.layers.first().map(|l| l.reference.span));
        let has_main = declared.outputs.is_empty() || declared.outputs.iter().any(|o| o == main);
        if !has_main {
            let said = format!("`layers`, `files` and `accounts` belong to the output `{main}`");
            let hint = format!("add it: `outputs: {{ {main}: … }}`");
            reader.say_hint(Code::Conflict, at.unwrap_or(package.name.span), said, hint);
        }
    }
    let has_requires = package.outputs.values().any(|o| !o.requires.is_empty());
    let broken = !reader.found.is_empty();
    if package.stages.is_empty()
        && package.layers.is_empty()
        && !has_layer
        && !has_requires
        && !broken
    {
        let hint = "add `build:`, `layers:` or `files:`";
        let said = "the package has nothing in it";
        reader.say_hint(Code::MissingKey, package.name.span, said, hint);
    }
}

/// Says which names nothing has; returns those that were probably meant.
fn names(reader: &mut Reader<'_>, package: &Package, declared: &Declared) -> BTreeSet<String> {
    let stages: Vec<&str> = declared.stages.iter().map(String::as_str).collect();
    let sources: Vec<&str> = declared.sources.iter().map(String::as_str).collect();
    let mut meant = BTreeSet::new();
    let mut stage_refs = Vec::new();
    let mut source_refs = Vec::new();
    let tools = package.tests.values().flat_map(|t| &t.tools);
    for entry in package.stages.values().flat_map(|s| &s.rootfs).chain(tools) {
        match &entry.from {
            RootFrom::Package { .. } => {}
            RootFrom::Stage(name) => stage_refs.push(name),
            RootFrom::Sources(names) => source_refs.extend(names),
        }
    }
    stage_refs.extend(package.outputs.values().filter_map(|o| o.take.as_ref()).map(|t| &t.stage));
    source_refs.extend(package.stages.values().flat_map(|s| &s.sources).map(|s| &s.name));
    source_refs.extend(package.files.iter().filter_map(|f| match &f.content {
        FileContent::Source(name) => Some(name),
        FileContent::Text(_) | FileContent::Link(_) | FileContent::Directory => None,
    }));
    for name in stage_refs.iter().filter(|n| !stages.contains(&n.value.as_str())) {
        let name = crate::diag::Spanned::new(name.value.to_string(), name.span);
        meant.extend(nearest(&name.value, &stages).map(str::to_owned));
        reader.unknown(Code::UnknownStage, &name, ("stage", "stages"), stages.iter().copied());
    }
    for name in source_refs.iter().filter(|n| !sources.contains(&n.value.as_str())) {
        let name = crate::diag::Spanned::new(name.value.to_string(), name.span);
        meant.extend(nearest(&name.value, &sources).map(str::to_owned));
        reader.unknown(Code::UnknownSource, &name, ("source", "sources"), sources.iter().copied());
    }
    for test in package.tests.values() {
        // Where no output is declared, the one that is implied was missed already.
        let written = declared.outputs.is_empty() && test.output.span == test.name.span
            || declared.outputs.iter().any(|o| o == test.output.value.as_str());
        if !package.outputs.contains_key(&test.output.value) && !written {
            let known = package.outputs.keys().map(super::OutputName::as_str);
            let name = crate::diag::Spanned::new(test.output.value.to_string(), test.output.span);
            reader.unknown(Code::UnknownOutput, &name, ("output", "outputs"), known);
        }
    }
    for stage in package.stages.values() {
        duplicates(reader, &stage.rootfs);
    }
    meant
}

/// The same package twice in one root, without a path or a condition, says nothing twice.
fn duplicates(reader: &mut Reader<'_>, root: &[RootEntry]) {
    let mut seen = std::collections::BTreeMap::new();
    for entry in root {
        let whole = entry.path.is_none() && entry.to.is_none() && entry.when.is_none();
        let RootFrom::Package { reference, for_target } = &entry.from else { continue };
        if !whole || !entry.files.is_empty() {
            continue;
        }
        if let Some(first) = seen.insert((&reference.value, for_target), entry.span) {
            let said = format!("`{}` stands here twice", reference.value);
            let found = Diagnostic::new(Code::DuplicateKey, entry.span, said);
            reader.found.push(found.note(first, "first here"));
        }
    }
}

/// The stages and sources that something uses.
pub(super) fn used_names(package: &Package) -> (BTreeSet<&StageName>, BTreeSet<&SourceName>) {
    let (mut stages, mut sources) = (BTreeSet::new(), BTreeSet::new());
    for (name, stage) in &package.stages {
        for entry in &stage.rootfs {
            match &entry.from {
                RootFrom::Package { .. } => {}
                // A stage that only uses itself is a cycle, and the graph says so.
                RootFrom::Stage(used) if used.value == *name => {}
                RootFrom::Stage(used) => {
                    stages.insert(&used.value);
                }
                RootFrom::Sources(names) => sources.extend(names.iter().map(|n| &n.value)),
            }
        }
        sources.extend(stage.sources.iter().map(|s| &s.name.value));
    }
    for entry in package.tests.values().flat_map(|t| &t.tools) {
        match &entry.from {
            RootFrom::Package { .. } => {}
            RootFrom::Stage(used) => {
                stages.insert(&used.value);
            }
            RootFrom::Sources(names) => sources.extend(names.iter().map(|n| &n.value)),
        }
    }
    stages.extend(package.outputs.values().filter_map(|o| o.take.as_ref()).map(|t| &t.stage.value));
    sources.extend(package.files.iter().filter_map(|f| match &f.content {
        FileContent::Source(name) => Some(&name.value),
        FileContent::Text(_) | FileContent::Link(_) | FileContent::Directory => None,
    }));
    (stages, sources)
}
