//! Every folder of `tests/cases`: a tree in, dumps or findings out. `BLESS=1` rewrites them.
//!
//! A case is a folder with `package.yaml`, whose other packages come from its own `packages/` and
//! from those that all cases share (`tests/cases/shared`); its first lines may say
//! `# case: platform=linux/arm64 target=x set=A=1 context=core/musl merge=never`. A folder without
//! `package.yaml` is a tree that is checked as a whole.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use stagex::diag::{Code, Files, render};
use stagex::emit::llb::{Inputs, emit};
use stagex::graph::{self, Goal};
use stagex::llb::{self, Graph};
use stagex::package::{Place, Platform, Reference, StageName, outputs_in};
use stagex::plan;
use stagex::tree::{Folder, Overlay, Tree};
use stagex::{Query, Subject, check, compile};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

fn amd64() -> Platform {
    Platform::parse("linux/amd64").unwrap()
}

/// What a case makes: files of the case's folder with their texts, and the digest of what was
/// emitted.
struct Made {
    files: Vec<(&'static str, String)>,
    digest: Option<String>,
}

const OUTPUTS: [&str; 4] = ["graph.txt", "plan.txt", "llb.txt", "error.txt"];

fn query(bytes: Vec<u8>) -> Query {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let place = Place::at("package.yaml");
    let names = outputs_in(&bytes);
    let mut query = Query::new(Subject::Spec(place, bytes), amd64());
    let settings = text.lines().filter_map(|l| l.strip_prefix("# case:"));
    for setting in settings.flat_map(str::split_whitespace) {
        let (key, value) = setting.split_once('=').unwrap();
        match key {
            "platform" => {
                query.platforms = value.split(',').map(|p| Platform::parse(p).unwrap()).collect();
            }
            "target" if value == "test" => query.goal = Goal::Tests,
            "target" if names.iter().any(|n| n == value) => {
                query.goal = Goal::Output(stagex::package::OutputName::parse(value));
            }
            "target" => query.goal = Goal::Stage(StageName::parse(value).unwrap()),
            "set" => {
                let (name, value) = value.split_once('=').unwrap();
                query.vars.insert(name.to_owned(), value.to_owned());
            }
            "context" => {
                query.replaced.insert(Reference::parse(value).unwrap());
            }
            "merge" => query.options.merge = value != "never",
            "epoch" => query.options.epoch = value.parse().unwrap(),
            other => panic!("no setting {other}"),
        }
    }
    query
}

fn made(tree: &dyn Tree, spec: Option<Vec<u8>>) -> Made {
    let mut files = Files::new();
    let compiled = match spec {
        Some(bytes) => compile(tree, &query(bytes), &mut files).map(Some),
        None => check(tree, &amd64(), &mut files).map(|_| None),
    };
    match compiled {
        Err(found) => {
            Made { files: vec![("error.txt", render::text(&found, &files, false))], digest: None }
        }
        Ok(None) => Made { files: vec![("error.txt", "nothing\n".to_owned())], digest: None },
        Ok(Some(compiled)) => {
            let mut graph = Graph::new();
            let results = emit(&compiled.plan, &files, &Inputs::default(), &mut graph);
            let mut text = String::new();
            let mut digests = String::new();
            for (result, plan) in results.iter().zip(&compiled.plan.results) {
                let definition = graph.definition(*result);
                llb::verify(&definition).unwrap();
                let _ = write!(text, "# {}\n\n{}\n", plan.target.platform, llb::dump(&definition));
                digests
                    .push_str(&stagex::digest::Digest::of(&llb::encode(&definition)).to_string());
            }
            let files = vec![
                ("graph.txt", graph::text(&compiled.graph)),
                ("plan.txt", plan::dump(&compiled.plan, None)),
                ("llb.txt", text),
            ];
            let digest = stagex::digest::Digest::of(digests.as_bytes()).to_string();
            Made { files, digest: Some(digest) }
        }
    }
}

fn case(folder: &Path) -> Made {
    let shared = Folder::new(root().join("tests/cases/shared"));
    let tree = Overlay { top: Folder::new(folder), bottom: shared };
    let spec = std::fs::read(folder.join("package.yaml")).ok();
    match spec {
        Some(bytes) => made(&tree, Some(bytes)),
        None => made(&Folder::new(folder), None),
    }
}

fn folders(path: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root().join(path)) else { return Vec::new() };
    let mut folders: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

fn case_folders() -> Vec<PathBuf> {
    let mut all = folders("tests/cases");
    all.retain(|p| !p.ends_with("shared"));
    assert!(all.len() > 20, "the cases are gone");
    all
}

#[test]
fn every_case_gives_what_it_gave() {
    let mut wrong = Vec::new();
    for folder in case_folders() {
        let made = case(&folder);
        for name in OUTPUTS {
            let path = folder.join(name);
            let expected = std::fs::read_to_string(&path).ok();
            let actual = made.files.iter().find(|(n, _)| *n == name).map(|(_, text)| text.clone());
            if expected == actual {
                continue;
            }
            match actual {
                Some(text) if blessing() => std::fs::write(&path, text).unwrap(),
                None if blessing() => std::fs::remove_file(&path).unwrap(),
                Some(text) => wrong.push(format!("{} is now\n{text}", path.display())),
                None => wrong.push(format!("{} is no longer made", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}\nBLESS=1 accepts", wrong.join("\n"));
}

/// One line a definition: a change of any byte of any graph shows in a review.
#[test]
fn every_definition_has_the_bytes_that_it_had() {
    let mut lines = String::new();
    for folder in case_folders() {
        if let Some(digest) = case(&folder).digest {
            let _ = writeln!(lines, "{digest} case {}", folder.file_name().unwrap().display());
        }
    }
    for folder in folders("examples") {
        if let Ok(bytes) = std::fs::read(folder.join("package.yaml")) {
            let tree = Overlay { top: Folder::new(&folder), bottom: Folder::new(root()) };
            let digest = made(&tree, Some(bytes)).digest.expect("examples are in order");
            let _ = writeln!(lines, "{digest} example {}", folder.file_name().unwrap().display());
        }
    }
    for group in folders("packages") {
        for folder in folders(group.strip_prefix(root()).unwrap().to_str().unwrap()) {
            let Ok(bytes) = std::fs::read(folder.join("package.yaml")) else { continue };
            let name = stagex::package::name_in(&bytes).unwrap();
            let mut files = Files::new();
            let query = Query::new(Subject::Package(name.clone()), amd64());
            let compiled = compile(&Folder::new(root()), &query, &mut files);
            let compiled =
                compiled.unwrap_or_else(|e| panic!("{}", render::text(&e, &files, false)));
            let mut graph = Graph::new();
            let results = emit(&compiled.plan, &files, &Inputs::default(), &mut graph);
            let bytes = llb::encode(&graph.definition(results[0]));
            let _ = writeln!(lines, "{} package {name}", stagex::digest::Digest::of(&bytes));
        }
    }
    let path = root().join("tests/hashes.txt");
    if blessing() {
        std::fs::write(&path, &lines).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), lines, "BLESS=1 accepts");
}

/// Codes that no spec can cause; the tests that hold them stand beside.
const ELSEWHERE: [Code; 5] = [
    // tests/it/cli.rs
    Code::Engine,
    Code::BadRequest,
    Code::AmbiguousPackage,
    // tests/it/hostile.rs; a case would put megabytes into the repository
    Code::TooLarge,
    // src/frontend/request.rs; the graph is never built where the engine can't do it
    Code::MissingCapability,
];

#[test]
fn every_code_has_a_case() {
    let mut said = BTreeSet::new();
    for folder in case_folders() {
        let text = std::fs::read_to_string(folder.join("error.txt")).unwrap_or_default();
        for line in text.lines().filter_map(|l| l.strip_prefix("error[")) {
            said.insert(line.split(']').next().unwrap().to_owned());
        }
    }
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|c| !said.contains(c.name()) && !ELSEWHERE.contains(c))
        .map(|c| c.name())
        .collect();
    assert!(missing.is_empty(), "no case for {}", missing.join(", "));
}
