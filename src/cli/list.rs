//! `stagex list`

use std::collections::BTreeSet;

use serde::Serialize;

use crate::graph::Library;
use crate::package::{Evaluator, Package, TreeConfig};

use super::{Done, Screen, Workspace};

#[derive(Serialize)]
struct Entry {
    name: String,
    version: String,
    outputs: Vec<String>,
    platforms: Vec<String>,
    /// Why steps use the network, for those that do.
    network: Vec<String>,
    /// Why binaries are trusted.
    seeds: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

pub(super) fn run(workspace: &mut Workspace, screen: &Screen, json: bool) -> Done {
    TreeConfig::read(&workspace.tree, &mut workspace.files)?;
    let names = Library::names(&workspace.tree)?;
    let evaluator = Evaluator::new();
    let mut library = Library::new(&workspace.tree, &evaluator, BTreeSet::new());
    library.read(names, false, &mut workspace.files).or(())?;
    let entries: Vec<Entry> = library.packages.values().map(|p| entry(p)).collect();
    if json {
        let text = serde_json::to_string_pretty(&entries).expect("strings become JSON");
        screen.text(&(text + "\n"))?;
        return Ok(());
    }
    let width = entries.iter().map(|e| e.name.len()).max().unwrap_or(0);
    let versions = entries.iter().map(|e| e.version.len()).max().unwrap_or(0);
    for e in &entries {
        let description = e.description.as_deref().unwrap_or("");
        let line = format!("{:width$}  {:versions$}  {description}", e.name, e.version);
        screen.text(&format!("{}\n", line.trim_end()))?;
        for reason in &e.network {
            screen.text(&format!("{:width$}  network: {reason}\n", ""))?;
        }
        for reason in &e.seeds {
            screen.text(&format!("{:width$}  seed: {reason}\n", ""))?;
        }
    }
    Ok(())
}

fn entry(package: &Package) -> Entry {
    let steps = package.stages.values().flat_map(|s| &s.steps);
    let reasons: BTreeSet<String> =
        steps.filter_map(|s| s.network.as_ref().map(|n| n.value.clone())).collect();
    let seeds = package.sources.values();
    Entry {
        name: package.name.value.to_string(),
        version: package.version.value.to_string(),
        outputs: package.outputs.keys().map(ToString::to_string).collect(),
        platforms: package.platforms.iter().map(|p| p.value.to_string()).collect(),
        network: reasons.into_iter().collect(),
        seeds: seeds
            .filter_map(|s| Some(format!("{}: {}", s.name.value, s.seed.as_ref()?.value)))
            .collect(),
        description: package.description.as_ref().map(|d| d.value.clone()),
    }
}
