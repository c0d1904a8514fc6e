//! The documentation, held against the code: its examples load, every key and name stands in it,
//! `docs/errors.md` is what the codes say, and links lead somewhere.
//!
//! Fences say what a block is: `yaml` is a spec when it has a top-level `name:` and is in order;
//! `yaml bad` is a spec with a finding; `yaml style` is a build style; `yaml tree` is `stagex.yaml`.
//! A spec whose first line is a comment with a path, such as `# packages/core/zlib/package.yaml`,
//! stands there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use stagex::diag::{Code, Diagnostics, Files, render};
use stagex::package::{Evaluator, Loader, Place, Platform, TreeConfig};
use stagex::tree::Memory;
use stagex::{Query, Subject, compile};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every page, relative to the root.
fn pages() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("docs")).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> =
        names.filter(|n| n.ends_with(".md")).map(|n| format!("docs/{n}")).collect();
    if root().join("README.md").exists() {
        pages.push("README.md".to_owned());
    }
    pages.sort();
    pages
}

/// A fenced block.
struct Block {
    page: String,
    line: usize,
    fence: String,
    text: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }

    fn is_spec(&self) -> bool {
        self.text.lines().any(|l| l.starts_with("name:"))
    }
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for page in pages() {
        let mut open: Option<Block> = None;
        for (number, line) in read(&page).lines().enumerate() {
            match (open.take(), line.strip_prefix("```")) {
                (None, Some(fence)) => {
                    let (page, fence) = (page.clone(), fence.trim().to_owned());
                    open = Some(Block { page, line: number + 1, fence, text: String::new() });
                }
                (Some(block), Some(_)) => blocks.push(block),
                (Some(mut block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{page}: a fence without an end");
    }
    blocks
}

/// Files that examples name, and the few packages that those with a finding need.
fn tree() -> Memory {
    let package = |name: &str, rest: &str| {
        (format!("packages/{name}/package.yaml"), format!("name: {name}\nversion: 1.0.0\n{rest}"))
    };
    let packages = [
        package("bootstrap/stage3", "files: { /bin/sh: { text: shell, mode: 0755 } }\n"),
        package("core/musl", "files: { /lib/libc.so: { text: library } }\n"),
        package("core/one", "files: { /1: { text: x } }\nimage: { env: { MODE: one } }\n"),
        package("core/two", "files: { /2: { text: x } }\nimage: { env: { MODE: two } }\n"),
    ];
    let patch = "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-one\n+two\n";
    let mut tree = Memory::default()
        .with("templates/build/waf.yaml", styles().join("\n"))
        .with("hello.amd64.hex0", "7F 45 4C 46 # the magic number\n")
        .with("patches/fix.patch", patch)
        .with("src/main.c", "int main(void) { return 0; }\n")
        .with("packages/core/zlib/patches/fix.patch", patch)
        .with("packages/core/zlib/patches/musl.patch", patch);
    for (path, text) in packages {
        tree = tree.with(&path, text);
    }
    tree
}

/// The build styles that the pages show.
fn styles() -> Vec<String> {
    blocks().into_iter().filter(|b| b.fence == "yaml style").map(|b| b.text).collect()
}

fn place(text: &str) -> Place {
    let first = text.lines().next().and_then(|l| l.strip_prefix("# "));
    Place::at(first.filter(|p| p.ends_with("/package.yaml")).unwrap_or("package.yaml"))
}

/// Loads a spec without the packages that it refers to.
fn load(text: &str, files: &mut Files) -> Result<(), Diagnostics> {
    let (tree, evaluator) = (tree(), Evaluator::new());
    let mut loader = Loader::new(&tree, &evaluator);
    loader.load(&place(text), text.as_bytes().to_vec(), files).map(|_| ())
}

/// Everything that is wrong with a spec, and that in words.
fn findings(text: &str) -> (Vec<Code>, String) {
    let mut files = Files::new();
    let amd64 = Platform::parse("linux/amd64").unwrap();
    let subject = Subject::Spec(place(text), text.as_bytes().to_vec());
    match compile(&tree(), &Query::new(subject, amd64), &mut files) {
        Ok(_) => (Vec::new(), String::new()),
        Err(found) => {
            let said = render::text(&found, &files, false);
            (found.into_iter().map(|d| d.code).collect(), said)
        }
    }
}

#[test]
fn examples_are_what_they_say() {
    let mut wrong = String::new();
    let mut count = 0;
    for block in blocks() {
        let mut files = Files::new();
        let loaded = match block.fence.as_str() {
            "yaml" if block.is_spec() => load(&block.text, &mut files),
            "yaml style" => {
                let spec =
                    "name: app/a\nversion: 1.0.0\nbuild: { use: waf, with: { flags: [] } }\n";
                let evaluator = Evaluator::new();
                let tree = Memory::default().with("templates/build/waf.yaml", block.text.as_str());
                let mut loader = Loader::new(&tree, &evaluator);
                let place = Place::at("package.yaml");
                loader.load(&place, spec.as_bytes().to_vec(), &mut files).map(|_| ())
            }
            "yaml tree" => {
                let tree = Memory::default().with("stagex.yaml", block.text.as_str());
                TreeConfig::read(&tree, &mut files).map(|_| ())
            }
            "yaml bad" => {
                if findings(&block.text).0.is_empty() {
                    let _ = writeln!(wrong, "{}: nothing is wrong with it", block.place());
                }
                continue;
            }
            _ => continue,
        };
        count += 1;
        if let Err(found) = loaded {
            let said = render::text(&found, &files, false);
            let _ = writeln!(wrong, "{}:\n{said}", block.place());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 20, "the examples are gone");
}

/// The string literals of a piece of source text.
fn literals(code: &str) -> Vec<&str> {
    code.split('"').skip(1).step_by(2).collect()
}

/// Every key that a spec, a build style or `stagex.yaml` may have: the arrays that are named
/// `…KEYS`, bound to `keys`, or written where `fields(` is called.
fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("src/package")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for before in ["KEYS: [&str; ", "let keys = [", ".fields("] {
            for (at, _) in code.match_indices(before) {
                let rest = &code[at + before.len()..];
                let list = match before {
                    "let keys = [" => Some(rest),
                    ".fields(" => rest.split(';').next().and_then(|call| call.split("&[").nth(1)),
                    _ => rest.split("= [").nth(1),
                };
                let list = list.and_then(|l| l.split(']').next()).unwrap_or("");
                keys.extend(literals(list).into_iter().map(str::to_owned));
            }
        }
    }
    keys
}

#[test]
fn the_reference_has_every_key_and_every_name() {
    let spec = read("docs/spec.md");
    let keys = keys();
    for known in ["name", "exclude", "stop-signal", "subdir", "stdout", "image-prefix", "members"] {
        assert!(keys.contains(known), "`{known}` was not found in the source: {keys:?}");
    }
    let mut names: BTreeSet<String> = keys;
    let filters = read("src/package/filter.rs");
    let filters = filters.split("NAMES: [&str;").nth(1).unwrap();
    let filters = filters.split("= [").nth(1).unwrap().split(']').next().unwrap();
    names.extend(literals(filters).into_iter().map(str::to_owned));
    for side in ["target", "build"] {
        for fact in ["platform", "os", "arch", "variant", "machine", "triple"] {
            names.insert(format!("{side}.{fact}"));
        }
    }
    for style in std::fs::read_dir(root().join("templates/build")).unwrap() {
        let path = style.unwrap().path();
        names.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        let text = std::fs::read_to_string(&path).unwrap();
        let params = text.lines().skip_while(|l| *l != "params:").skip(1);
        let params = params.take_while(|l| l.starts_with("  "));
        names.extend(params.map(|l| l.trim().split(':').next().unwrap().to_owned()));
    }
    let missing: Vec<&String> =
        names.iter().filter(|name| !spec.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/spec.md says nothing of {missing:?}");
}

/// What stands beside the meaning of a code.
enum Example {
    /// A spec that has this finding and no other.
    Spec(&'static str),
    /// A spec that the page can't show as it is, in words.
    Words(&'static str),
}

use Example::{Spec, Words};

/// An example for every code; a new code without one fails to compile.
fn example(code: Code) -> Example {
    match code {
        Code::YamlSyntax => Spec("name: [core/zlib\n"),
        Code::YamlFeature => {
            Spec("name: core/zlib\nversion: &v 1.3.1\nfiles: { /v: { text: *v } }\n")
        }
        Code::TooDeep => Words(
            "Lists and mappings in each other more than 32 deep; or packages that need each other \
             over more than 200 steps.",
        ),
        Code::TooLarge => Words("A spec, patch or hexadecimal file of more than 4 MiB."),
        Code::BadText => Spec("name: core/zlib\nversion: 1.3.1\ndescription: \"bell \\a\"\n"),
        Code::Unreadable => Spec(
            "name: app/hello\nversion: 1.0.0\nsources: { code: { path: no-such-folder } }\n\
             build: { tools: [bootstrap/stage3], run: make }\n",
        ),
        Code::UnknownKey => {
            Spec("name: core/zlib\nverison: 1\nversion: 1.3.1\nlayers: [core/musl]\n")
        }
        Code::DuplicateKey => {
            Spec("name: core/zlib\nversion: 1.3.1\nlayers: [core/musl, core/musl]\n")
        }
        Code::MissingKey => Spec("name: core/zlib\nlayers: [core/musl]\n"),
        Code::WrongType => Spec("name: core/zlib\nversion: 1.3.1\nlayers: core/musl\n"),
        Code::Conflict => Spec(
            "name: core/zlib\nversion: 1.3.1\nbuild:\n  tools: [bootstrap/stage3]\n  run: make\n  \
             steps: [make install]\n",
        ),
        Code::BadName => Spec("name: Zlib\nversion: 1.3.1\nlayers: [core/musl]\n"),
        Code::NameMismatch => Spec(
            "# packages/core/zlib/package.yaml\nname: core/libz\nversion: 1.3.1\nlayers: [core/musl]\n",
        ),
        Code::BadValue => {
            Spec("name: core/zlib\nversion: 1.3.1\nfiles: { /etc/rc: { text: \"\", mode: 888 } }\n")
        }
        Code::BadPath => Spec("name: core/zlib\nversion: 1.3.1\nfiles: { etc/rc: { text: x } }\n"),
        Code::BadUrl => {
            Spec("name: core/zlib\nversion: 1.3.1\nhomepage: zlib.net\nlayers: [core/musl]\n")
        }
        Code::BadDigest => Spec(
            "name: core/zlib\nversion: 1.3.1\nsources:\n  zlib:\n    \
             url: https://www.zlib.net/fossils/zlib-1.3.1.tar.gz\n    sha256: 9a93\n\
             build: { tools: [bootstrap/stage3], run: make }\n",
        ),
        Code::BadPlatform => {
            Spec("name: core/zlib\nversion: 1.3.1\nplatforms: [amd64]\nlayers: [core/musl]\n")
        }
        Code::BadLicense => {
            Spec("name: core/zlib\nversion: 1.3.1\nlicense: zlib license\nlayers: [core/musl]\n")
        }
        Code::SourceKind => Spec(
            "name: core/zlib\nversion: 1.3.1\nsources: { zlib: { unpack: tar.gz } }\n\
             build: { tools: [bootstrap/stage3], run: make }\n",
        ),
        Code::Unpinned => Spec(
            "name: core/zlib\nversion: 1.3.1\nsources:\n  zlib:\n    \
             url: https://www.zlib.net/fossils/zlib-1.3.1.tar.gz\n\
             build: { tools: [bootstrap/stage3], run: make }\n",
        ),
        Code::SeedReason => Spec(
            "name: core/hello\nversion: 1.0.0\nsources: { hello: { hex: 7F 45 4C 46 } }\n\
             build: { tools: [bootstrap/stage3], run: cp hello $OUT }\n",
        ),
        Code::TemplateSyntax => {
            Spec("name: core/zlib\nversion: 1.3.1\nfiles: { /etc/v: { text: \"${{ version\" } }\n")
        }
        Code::TemplateValue => Spec(
            "name: core/zlib\nversion: 1.3.1\nfiles: { /etc/v: { text: '${{ [\"a\", \"b\"] }}' } }\n",
        ),
        Code::UnknownVariable => Spec(
            "name: core/zlib\nversion: 1.3.1\nfiles: { /etc/v: { text: \"${{ verison }}\" } }\n",
        ),
        Code::UnknownPackage => Spec("name: core/zlib\nversion: 1.3.1\nlayers: [core/mussl]\n"),
        Code::AmbiguousPackage => {
            Words("`stagex build zlib` in a tree that has `core/zlib` and `user/zlib`.")
        }
        Code::UnknownOutput => Spec("name: core/zlib\nversion: 1.3.1\nlayers: [core/musl/dev]\n"),
        Code::UnknownStage => Spec(
            "name: core/zlib\nversion: 1.3.1\nbuild: { tools: [bootstrap/stage3], run: make }\n\
             outputs: { zlib: { stage: biuld } , all: { stage: build } }\n",
        ),
        Code::UnknownSource => {
            Spec("name: core/zlib\nversion: 1.3.1\nfiles: { /etc/rc: { source: rc } }\n")
        }
        Code::UnknownStyle => Spec(
            "name: core/zlib\nversion: 1.3.1\nbuild: { tools: [bootstrap/stage3], use: autotool }\n",
        ),
        Code::BadParameter => Spec(
            "name: core/zlib\nversion: 1.3.1\nbuild:\n  tools: [bootstrap/stage3]\n  use: autotools\n  \
             with: { flags: --disable-static }\n",
        ),
        Code::UnknownArgument => Words(
            "`--set LEVEL=2` or `--build-arg LEVEL=2` for a package without `vars: { LEVEL: … }`, \
             or with a value that is none of its `values`.",
        ),
        Code::UnknownAccount => {
            Spec("name: app/hello\nversion: 1.0.0\nlayers: [core/musl]\nimage: { user: hello }\n")
        }
        Code::AccountConflict => Spec(
            "name: app/hello\nversion: 1.0.0\naccounts:\n  users: { a: { uid: 1000 }, b: { uid: 1000 } }\n",
        ),
        Code::UnusedStage => Spec(
            "name: core/zlib\nversion: 1.3.1\nstages:\n  early: { tools: [bootstrap/stage3], run: make }\n  \
             build: { tools: [bootstrap/stage3], run: make }\n",
        ),
        Code::UnusedSource => Spec(
            "name: core/zlib\nversion: 1.3.1\nsources: { a: { text: a }, b: { text: b } }\n\
             build: { tools: [bootstrap/stage3], sources: [a], run: make }\n",
        ),
        Code::Cycle => Spec(
            "name: core/make\nversion: 4.4.1\nbuild: { tools: [bootstrap/stage3, core/make], run: make }\n",
        ),
        Code::MissingPlatform => Spec(
            "name: core/grub\nversion: 2.12.0\nplatforms: [linux/arm64, linux/riscv64]\nlayers: [core/musl]\n",
        ),
        Code::ImageConflict => {
            Spec("name: app/hello\nversion: 1.0.0\nlayers: [core/one, core/two]\n")
        }
        Code::BadTest => Spec(
            "name: app/hello\nversion: 1.0.0\nlayers: [core/musl]\ntests:\n  runs:\n    \
             steps: [exec: [/bin/hello]]\n    stdout: hello\n",
        ),
        Code::MissingCapability => Words("Kept for engines; nothing in this version says it."),
        Code::Engine => Words(
            "`stagex build` where neither `docker buildx` nor `buildctl` works, or a named context \
             that the engine can't get.",
        ),
        Code::BadRequest => Words(
            "`docker buildx build --network host`: the network is a matter of the spec; \
             `--target test` for a package without tests.",
        ),
    }
}

#[test]
fn the_page_of_errors_is_what_the_codes_say() {
    let mut page = String::from(
        "# Errors\n\n\
         Every error has a code. Its name stands in brackets before the message and in the JSON of \
         `--json`; it is stable, so that\nscripts can match on it. All errors of a run come at once. \
         There are no warnings.\n\n\
         This page is made by a test from the code (`BLESS=1 cargo test --test it docs::`); the \
         examples are compiled for\n`linux/amd64`, and what stands below each is what it prints.\n\n\
         | code | meaning |\n| --- | --- |\n",
    );
    for code in Code::ALL {
        let _ = writeln!(page, "| [`{0}`](#{0}) | {1} |", code.name(), code.meaning());
    }
    let mut wrong = String::new();
    for code in Code::ALL {
        let _ = write!(page, "\n## {}\n\n{}\n", code.name(), code.meaning());
        match example(*code) {
            Words(text) => {
                let _ = write!(page, "\n{text}\n");
            }
            Spec(text) => {
                let (codes, said) = findings(text);
                if codes.is_empty() || codes.iter().any(|c| c != code) {
                    let _ = writeln!(wrong, "the example of {} has\n{said}", code.name());
                }
                let _ =
                    write!(page, "\n```yaml bad\n{text}```\n\n```text\n{}\n```\n", said.trim_end());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(root().join("docs/errors.md"), &page).unwrap();
    }
    assert_eq!(read("docs/errors.md"), page, "BLESS=1 accepts");
}

/// How a heading is linked to: lower case, dashes for blanks, nothing but letters and digits.
fn anchor(heading: &str) -> String {
    let plain = |c: char| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || "-_".contains(c) => Some(c.to_ascii_lowercase()),
        _ => None,
    };
    heading.trim_start_matches('#').trim().chars().filter_map(plain).collect()
}

/// A page without its fenced blocks.
fn prose(page: &str) -> String {
    let text = read(page);
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = String::new();
    for page in pages() {
        let text = prose(&page);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&page).parent().unwrap();
            let file = if path.is_empty() { PathBuf::from(&page) } else { folder.join(path) };
            if !root().join(&file).exists() {
                let _ = writeln!(wrong, "{page}: no {target}");
                continue;
            }
            let found = || {
                let text = prose(file.to_str().unwrap());
                text.lines().filter(|l| l.starts_with('#')).any(|l| anchor(l) == heading)
            };
            if !heading.is_empty() && !found() {
                let _ = writeln!(wrong, "{page}: no heading {target}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
