//! What has to fit together inside one spec: names that exist, and nothing that is unused.

use std::collections::BTreeSet;

use crate::diag::{Code, Diagnostic};

use super::reader::Reader;
use super::{FileContent, Package, RootEntry, RootFrom, SourceName, StageName};

/// Adds a finding for each name that nothing in the package has, and for each stage and source
/// that nothing uses.
pub(super) fn check(reader: &mut Reader<'_>, package: &Package) {
    names(reader, package);
    let (stages, sources) = used_names(package);
    for stage in package.stages.values().filter(|s| !stages.contains(&s.name.value)) {
        let said = format!("nothing uses the stage `{}`", stage.name.value);
        let hint = "take an output from it, put it into the root of another stage, or remove it";
        reader.say_hint(Code::UnusedStage, stage.name.span, said, hint);
    }
    for source in package.sources.values().filter(|s| !sources.contains(&s.name.value)) {
        let name = &source.name.value;
        let said = format!("nothing uses the source `{name}`");
        let hint = format!("name it in a stage's `sources: [{name}]`, or remove it");
        reader.say_hint(Code::UnusedSource, source.name.span, said, hint);
    }
    let has_layer = !package.files.is_empty()
        || !package.accounts.users.is_empty()
        || !package.accounts.groups.is_empty();
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

fn names(reader: &mut Reader<'_>, package: &Package) {
    let stages: Vec<&str> = package.stages.keys().map(StageName::as_str).collect();
    let sources: Vec<&str> = package.sources.keys().map(SourceName::as_str).collect();
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
        reader.unknown(Code::UnknownStage, &name, ("stage", "stages"), stages.iter().copied());
    }
    for name in source_refs.iter().filter(|n| !sources.contains(&n.value.as_str())) {
        let name = crate::diag::Spanned::new(name.value.to_string(), name.span);
        reader.unknown(Code::UnknownSource, &name, ("source", "sources"), sources.iter().copied());
    }
    for test in package.tests.values() {
        if !package.outputs.contains_key(&test.output.value) {
            let known = package.outputs.keys().map(super::OutputName::as_str);
            let name = crate::diag::Spanned::new(test.output.value.to_string(), test.output.span);
            reader.unknown(Code::UnknownOutput, &name, ("output", "outputs"), known);
        }
    }
    for stage in package.stages.values() {
        duplicates(reader, &stage.rootfs);
    }
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
