//! The diagram of the crate, held against its imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom; what a module may not import, it can't decide.
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("digest", &[]),
    ("diag", &[]),
    ("tree", &[]),
    ("package", &["diag", "digest", "tree"]),
    ("graph", &["diag", "digest", "tree", "package"]),
    ("plan", &["diag", "digest", "package", "graph"]),
    ("llb", &["digest", "package"]),
    ("emit", &["diag", "digest", "package", "plan", "llb"]),
    ("compile", &["diag", "tree", "package", "graph", "plan"]),
    ("engine", &[]),
    ("frontend", &["compile", "diag", "digest", "tree", "package", "graph", "plan", "llb", "emit"]),
    (
        "cli",
        &["compile", "diag", "digest", "tree", "package", "graph", "plan", "llb", "emit", "engine"],
    ),
    ("lib", &["compile"]),
    ("main", &["cli"]),
    ("bin", &["frontend"]),
];

/// What only some modules may touch, and which.
const OUTSIDE: [(&str, &[&str]); 5] = [
    ("std::fs", &["tree", "cli"]),
    ("std::env", &["cli", "main", "bin"]),
    ("std::process", &["engine", "cli", "frontend", "main", "bin"]),
    ("tokio", &["frontend"]),
    ("tonic", &["frontend"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    files.sort();
    files
}

/// The module that a file belongs to, and its text without its own tests.
fn modules() -> BTreeMap<String, String> {
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in sources() {
        let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
        let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
        let name = first.strip_suffix(".rs").unwrap_or(first).to_owned();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: String = code
            .lines()
            .filter(|l| !l.trim_start().starts_with("//"))
            .map(|l| format!("{l}\n"))
            .collect();
        modules.entry(name).or_default().push_str(&code);
    }
    modules
}

/// Names after `crate::` (or `stagex::` in the binaries), also in braces.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "stagex::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap_or("").split(',').collect(),
                None => vec![rest],
            };
            for name in names {
                let name = name.trim();
                let end =
                    name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
                found.insert(name[..end].to_owned());
            }
        }
    }
    found
}

#[test]
fn imports_point_one_way() {
    let known: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let facade = ["Compiled", "Query", "Subject", "check", "compile"];
    let mut wrong = Vec::new();
    for (module, code) in modules() {
        let Some(may) = known.get(module.as_str()) else {
            wrong.push(format!("{module} is not in the diagram"));
            continue;
        };
        for import in imports(&code) {
            let import = if facade.contains(&import.as_str()) { "compile" } else { &import };
            if import != module && !may.contains(&import) {
                wrong.push(format!("{module} imports {import}"));
            }
        }
        for (outside, allowed) in OUTSIDE {
            let uses = code.contains(&format!("{outside}::"));
            if uses && !allowed.contains(&module.as_str()) {
                wrong.push(format!("{module} touches {outside}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_800_lines() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > 800)
        .map(|(path, text)| format!("{} {}", path.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = include_str!("../../Cargo.toml");
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies]");
        } else if inside && line.contains('=') {
            assert!(line.contains("# "), "no reason: {line}");
        }
    }
}
