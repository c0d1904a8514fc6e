//! `stagex affected`: outputs whose graph is another than at a commit.
//!
//! Graphs are compared and not file names, so that a comment makes nothing stale and a change of a
//! tool makes everything stale that is built with it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::diag::{Code, Diagnostic, Diagnostics, Files};
use crate::emit::llb::{Inputs, emit};
use crate::graph::{Goal, Library, Request, Target, resolve};
use crate::llb::Graph;
use crate::package::{Evaluator, TreeConfig};
use crate::plan::{Fetch, Op, Options, lower};
use crate::tree::{Folder, MAX_FILE, Memory, Tree};

use super::args::Affected;
use super::workspace::host;
use super::{Done, Failure, Screen, Workspace};

#[derive(Serialize)]
struct Stale {
    package: String,
    output: String,
    platform: String,
    why: &'static str,
}

type Outputs = BTreeMap<(String, String, String), String>;

pub(super) fn run(
    workspace: &mut Workspace,
    screen: &Screen,
    (args, json): (&Affected, bool),
) -> Done {
    let before = at(workspace.root(), &args.since)?;
    let mut old_files = Files::new();
    // The old tree may have been broken; then everything that it could not say is new.
    let old = outputs(&before, &mut old_files).unwrap_or_default();
    let new = outputs(&workspace.tree, &mut workspace.files)?;
    let mut stale = Vec::new();
    for (key, digest) in &new {
        let why = match old.get(key) {
            None => "new",
            Some(other) if other != digest => "changed",
            Some(_) => continue,
        };
        let (package, output, platform) = key.clone();
        stale.push(Stale { package, output, platform, why });
    }
    for (package, output, platform) in old.keys().filter(|k| !new.contains_key(*k)) {
        let (package, output, platform) = (package.clone(), output.clone(), platform.clone());
        stale.push(Stale { package, output, platform, why: "removed" });
    }
    if json {
        let text = serde_json::to_string_pretty(&stale).expect("strings become JSON");
        screen.text(&(text + "\n"))?;
        return Ok(());
    }
    for s in &stale {
        let name = match s.package.rsplit('/').next() {
            Some(own) if own == s.output => s.package.clone(),
            Some(_) | None => format!("{}/{}", s.package, s.output),
        };
        screen.text(&format!("{name} {} {}\n", s.platform, s.why))?;
    }
    Ok(())
}

/// The digest of each output of a tree: of its vertex, and of the local files that it takes in.
fn outputs(tree: &dyn Tree, files: &mut Files) -> Result<Outputs, Diagnostics> {
    let config = TreeConfig::read(tree, files)?;
    let names = Library::names(tree)?;
    let evaluator = Evaluator::new();
    let mut library = Library::new(tree, &evaluator, BTreeSet::new());
    library.read(names.clone(), false, files).or(())?;
    let mut targets = Vec::new();
    for name in &names {
        let Some(package) = library.packages.get(name) else { continue };
        let platforms = match package.platforms.as_slice() {
            [] if config.platforms.is_empty() => vec![host()],
            [] => config.platforms.clone(),
            own => own.iter().map(|p| p.value.clone()).collect(),
        };
        for platform in platforms {
            targets.push(Target { package: name.clone(), goal: Goal::Outputs, platform });
        }
    }
    let request = Request { targets, build: host(), vars: BTreeMap::new() };
    let graph = resolve(&library, &request)?;
    let plan = lower(&graph, &Options::default())?;
    let mut llb = Graph::new();
    let results = emit(&plan, files, &Inputs::default(), &mut llb);
    // A graph names local files, not their bytes.
    let mut local: Vec<String> = Vec::new();
    for node in &plan.nodes {
        let mut own = String::new();
        if let Op::Fetch(Fetch::Local { path, .. }) = &node.op {
            own = contents(tree, path);
        }
        local.push(own);
    }
    for (at, node) in plan.nodes.iter().enumerate() {
        let needed: BTreeSet<usize> =
            node.op.inputs().into_iter().map(|t| t.node.0 as usize).collect();
        let texts: Vec<&str> = needed.iter().map(|n| local[*n].as_str()).collect();
        let all = texts.concat();
        if !all.is_empty() {
            local[at].push_str(&crate::digest::Digest::of(all.as_bytes()).to_string());
        }
    }
    let mut outputs = Outputs::new();
    for (result, plan) in results.iter().zip(&plan.results) {
        let digest = result.map_or("scratch", |r| llb.digest(r)).to_owned();
        let files = plan.tree.map_or("", |t| local[t.node.0 as usize].as_str());
        let config =
            String::from_utf8_lossy(&plan.config.to_json(&plan.target.platform, &[])).into_owned();
        let Goal::Output(Some(output)) = &plan.target.goal else { continue };
        let target = &plan.target;
        let key = (target.package.to_string(), output.to_string(), target.platform.to_string());
        outputs.insert(key, format!("{digest} {files} {config}"));
    }
    Ok(outputs)
}

/// A digest of everything below a path.
fn contents(tree: &dyn Tree, path: &str) -> String {
    let mut text = String::new();
    let mut open = vec![if path == "." { String::new() } else { path.to_owned() }];
    while let Some(path) = open.pop() {
        match tree.read(&path) {
            Ok(Some(bytes)) if !path.is_empty() => {
                text.push_str(&format!("{path} {}\n", crate::digest::Digest::of(&bytes)));
            }
            _ => {
                let names = tree.list(&path).unwrap_or_default();
                open.extend(
                    names
                        .iter()
                        .filter(|n| *n != ".git/")
                        .map(|n| crate::package::join(&path, n.trim_end_matches('/'))),
                );
            }
        }
    }
    crate::digest::Digest::of(text.as_bytes()).to_string()
}

fn failed(what: &str) -> Failure {
    let found = Diagnostic::bare(Code::BadRequest, what.to_owned());
    found.hint("`git rev-parse REF` has to know it; `-C DIR` names the folder of the tree").into()
}

/// The files of the tree at a commit.
fn at(root: &Path, reference: &str) -> Result<Memory, Failure> {
    if reference.starts_with('-') || reference.chars().any(char::is_control) {
        return Err(failed(&format!("`{reference}` is no commit")));
    }
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(Folder::new(root).root()).args(args).stdin(Stdio::null());
        command
    };
    let list = git(&["ls-tree", "-r", "-z", reference, "--", "."]).output()?;
    if !list.status.success() {
        let said = String::from_utf8_lossy(&list.stderr);
        return Err(failed(said.lines().next().unwrap_or("git failed")));
    }
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    let mut paths = Vec::new();
    for line in text.split('\0').filter(|l| !l.is_empty()) {
        let Some((head, path)) = line.split_once('\t') else { continue };
        let mut words = head.split(' ');
        if let (Some("100644" | "100755"), Some("blob"), Some(object)) =
            (words.next(), words.next(), words.next())
        {
            paths.push((object.to_owned(), path.to_owned()));
        }
    }
    let mut child =
        git(&["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed("git gave no pipes"));
    };
    let objects: String = paths.iter().map(|(object, _)| format!("{object}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(objects.as_bytes()));
    let mut output = BufReader::new(output);
    let mut memory = Memory::default();
    for (_, path) in &paths {
        let mut head = String::new();
        output.read_line(&mut head)?;
        let size: u64 = head.trim().rsplit(' ').next().and_then(|s| s.parse().ok()).unwrap_or(0);
        let mut bytes = Vec::new();
        (&mut output).take(size + 1).read_to_end(&mut bytes)?;
        bytes.pop();
        if size <= MAX_FILE {
            memory.0.insert(path.clone(), bytes);
        }
    }
    let _ = writer.join();
    child.wait()?;
    Ok(memory)
}
