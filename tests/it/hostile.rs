//! Bad input: each of these ends in findings with a place, never in a panic, a wait or a full memory.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use stagex::diag::{Code, Diagnostic, Files, render};
use stagex::emit::llb::{Inputs, emit};
use stagex::llb::{self, Graph};
use stagex::package::{PackageName, Place, Platform};
use stagex::tree::{Folder, Memory, ReadError, Tree};
use stagex::{Compiled, Query, Subject, check, compile};

fn amd64() -> Platform {
    Platform::parse("linux/amd64").unwrap()
}

/// A finding with its place as people count.
struct Seen {
    code: Code,
    at: Option<(usize, usize)>,
    hint: String,
    message: String,
}

fn seen(diagnostic: Diagnostic, files: &Files) -> Seen {
    let at = diagnostic.span.map(|s| render::line_column(files.text(s.file), s.start));
    let hint = diagnostic.hint.unwrap_or_default();
    Seen {
        code: diagnostic.code,
        at: at.map(|p| (p.line, p.column)),
        hint,
        message: diagnostic.message,
    }
}

fn try_spec(tree: &dyn Tree, bytes: impl Into<Vec<u8>>) -> Result<Compiled, Vec<Seen>> {
    try_with(tree, bytes, &mut Files::new())
}

fn try_with(
    tree: &dyn Tree,
    bytes: impl Into<Vec<u8>>,
    files: &mut Files,
) -> Result<Compiled, Vec<Seen>> {
    let subject = Subject::Spec(Place::at("package.yaml"), bytes.into());
    compile(tree, &Query::new(subject, amd64()), files).map_err(|found| {
        render::text(&found, files, true);
        render::json(&found, files);
        found.sorted(files).into_iter().map(|d| seen(d, files)).collect()
    })
}

fn findings(bytes: impl Into<Vec<u8>>) -> Vec<Seen> {
    try_spec(&Memory::default(), bytes).err().unwrap()
}

fn only(bytes: impl Into<Vec<u8>>) -> Seen {
    let mut found = findings(bytes);
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|f| &f.message).collect::<Vec<_>>());
    found.remove(0)
}

fn with_value(expression: &str) -> Seen {
    only(format!(
        "name: a/a\nversion: '1'\nbuild:\n  env: {{ A: \"${{{{ {expression} }}}}\" }}\n  run: make\n"
    ))
}

#[test]
fn what_other_tools_take_for_numbers_and_truth_stays_text() {
    for version in ["1.10", "2026-03-19", "no", "1e3", "0x10", "007", "~", "null", ".5", "1_000"] {
        let spec = format!(
            "name: a/a\nversion: {version}\nvars: {{ v: {version} }}\nbuild:\n  env: {{ V: {version} }}\n  run: make ${{{{ vars.v }}}}\n"
        );
        let compiled = try_spec(&Memory::default(), spec).ok().expect(version);
        assert_eq!(compiled.package.version.value.as_str(), version);
        let plan = stagex::plan::dump(&compiled.plan, None);
        assert!(
            plan.contains(&format!("export VERSION={version}\n").replace('~', "'~'")),
            "{plan}"
        );
        assert!(plan.contains(&format!("make {version}\n")), "{plan}");
    }
}

#[test]
fn text_that_an_editor_would_not_show_is_marked_where_it_stands() {
    let cases: [(&[u8], Code, (usize, usize)); 10] = [
        (b"name: a/a\nbuild:\n\trun: make\n", Code::YamlSyntax, (3, 2)),
        (b"name: a/a\r\nversion: 1\r\n", Code::BadText, (1, 10)),
        (b"\xef\xbb\xbfname: a/a\n", Code::BadText, (1, 1)),
        (b"name: a/a\ndescription: caf\xe9\n", Code::BadText, (2, 17)),
        (b"name: a/a\nversion: 1\x000\n", Code::BadText, (2, 11)),
        ("# é\nname: é\u{202e}\n".as_bytes(), Code::BadText, (2, 8)),
        (b"name: &n a/a\n", Code::YamlFeature, (1, 7)),
        (b"name: *n\n", Code::YamlFeature, (1, 7)),
        (b"name: !!int 1\n", Code::YamlFeature, (1, 7)),
        (b"build:\n  <<: {}\n", Code::YamlFeature, (2, 3)),
    ];
    for (bytes, code, at) in cases {
        let found = only(bytes);
        assert_eq!((found.code, found.at), (code, Some(at)), "{}", found.message);
        assert!(!found.hint.is_empty(), "{}", found.message);
    }
}

#[test]
fn a_billion_laughs_end_at_the_first_anchor() {
    let mut text = "a0: &a0 [lol, lol]\n".to_owned();
    for n in 1..30 {
        let _ = writeln!(text, "a{n}: &a{n} [*a{m}, *a{m}]", m = n - 1);
    }
    let found = only(text);
    assert_eq!((found.code, found.at), (Code::YamlFeature, Some((1, 5))));
}

#[test]
fn ten_thousand_levels_are_too_deep_and_no_stack_overflow() {
    let flow = format!("a: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let maps = format!("{}1{}\n", "{a: ".repeat(10_000), "}".repeat(10_000));
    let block = format!("{}x\n", "- ".repeat(10_000));
    let open = "[".repeat(10_000);
    for (text, column) in [(flow, 259), (maps, 1021), (block, 65), (open, 256)] {
        let found = only(text);
        assert_eq!((found.code, found.at), (Code::TooDeep, Some((1, column))));
        assert!(!found.hint.is_empty());
    }
}

fn sparse(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path).unwrap().set_len(100 << 20).unwrap();
}

#[test]
fn a_file_of_100_megabytes_is_refused_by_its_size() {
    let dir = tempfile::tempdir().unwrap();
    sparse(&dir.path().join("packages/a/big/package.yaml"));
    sparse(&dir.path().join("big.patch"));
    let tree = Folder::new(dir.path());
    assert_eq!(tree.read("big.patch"), Err(ReadError::TooLarge(100 << 20)));
    let mut files = Files::new();
    let big = Subject::Package(PackageName::parse("a/big").unwrap());
    let found = compile(&tree, &Query::new(big, amd64()), &mut files).unwrap_err();
    assert_eq!(found.into_iter().map(|d| d.code).collect::<Vec<_>>(), [Code::TooLarge]);
    let digest = "0".repeat(64);
    let spec = format!(
        "name: a/a\nversion: 1\nsources:\n  s: {{ url: 'https://e.org/a.tar', sha256: {digest}, patches: [big.patch] }}\nbuild: {{ run: make }}\n"
    );
    let found = try_spec(&tree, spec).err().unwrap();
    assert_eq!((found[0].code, found[0].at.unwrap().0), (Code::TooLarge, 4));
}

#[test]
fn expressions_that_would_fill_the_memory_have_no_value() {
    let mut replaced = "'x'".to_owned();
    for _ in 0..12 {
        replaced.push_str(" | replace('x', 'xxxxxxxxxx')");
    }
    let huge = [
        "'x' * 1000000000",
        "'x' * 1048577",
        "('x' * 1000000) * 1000000",
        "[1] * 1000000000",
        "[1] * 10001",
        "([1] * 1000000000) | join(',')",
        "['x' * 100000] * 10000",
        &replaced,
    ];
    for expression in huge {
        let found = with_value(expression);
        assert_eq!((found.code, found.at.unwrap().0), (Code::TemplateValue, 4), "{expression}");
    }
}

#[test]
fn loops_and_statements_are_no_expressions() {
    for text in ["for x in y", "range(10 ** 9)", "x for x in [1]", "{% for %}", "lipsum()", ""] {
        let found = with_value(text);
        let expected = [Code::TemplateSyntax, Code::UnknownVariable];
        assert!(expected.contains(&found.code), "{text}: {}", found.message);
        assert_eq!(found.at.unwrap().0, 4);
        assert!(!found.hint.is_empty(), "{text}: {}", found.message);
    }
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(with_value(&deep).code, Code::TemplateSyntax);
}

#[test]
fn a_thousand_errors_are_all_counted_and_a_hundred_shown() {
    let mut text = "name: a/a\nversion: 1\nbuild: { run: make }\n".to_owned();
    for n in 0..1000 {
        let _ = writeln!(text, "unknown{n}: 1");
    }
    let mut files = Files::new();
    let subject = Subject::Spec(Place::at("package.yaml"), text.into_bytes());
    let found = compile(&Memory::default(), &Query::new(subject, amd64()), &mut files).unwrap_err();
    assert_eq!(found.len(), 1000);
    let shown = render::text(&found, &files, false);
    assert_eq!(shown.matches("error[unknown-key]").count(), render::SHOWN);
    assert!(shown.ends_with("1000 errors, of which 100 are shown\n"));
    assert_eq!(render::json(&found, &files).matches("\"unknown-key\"").count(), 1000);
}

#[test]
fn paths_that_leave_the_folder_or_move_the_cursor_are_refused() {
    for (path, code) in [
        ("../x", Code::BadPath),
        ("a/../../x", Code::BadPath),
        ("/etc/passwd", Code::BadPath),
        ("\"a\\nb\"", Code::BadPath),
        ("\"a\\e[2Jb\"", Code::BadText),
        ("''", Code::BadPath),
        ("${{ '..' }}/x", Code::BadPath),
        ("\"${{ 'a\\\\nb' }}\"", Code::BadPath),
    ] {
        let spec = format!(
            "name: a/a\nversion: 1\nsources:\n  s:\n    path: {path}\nbuild: {{ run: make }}\n"
        );
        let found = only(spec);
        assert_eq!((found.code, found.at), (code, Some((5, 11))), "{path}: {}", found.message);
    }
}

#[test]
fn links_out_of_the_tree_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir_all(tree.join("packages/a/b")).unwrap();
    std::fs::write(dir.path().join("secret"), "name: a/b\nversion: 1\n").unwrap();
    symlink("../../../../secret", tree.join("packages/a/b/package.yaml")).unwrap();
    symlink("../secret", tree.join("file")).unwrap();
    symlink("loop", tree.join("loop")).unwrap();
    std::fs::create_dir_all(tree.join("packages/a/new\nline")).unwrap();
    let tree = Folder::new(&tree);
    let found = check(&tree, &amd64(), &mut Files::new()).unwrap_err();
    assert_eq!(found.into_iter().map(|d| d.code).collect::<Vec<_>>(), [Code::Unreadable]);
    for path in ["file", "loop"] {
        let spec = format!(
            "name: a/a\nversion: 1\nsources:\n  s: {{ path: {path} }}\nbuild: {{ run: make }}\n"
        );
        let found = try_spec(&tree, spec).err().unwrap();
        assert_eq!((found[0].code, found[0].at), (Code::Unreadable, Some((4, 14))), "{path}");
    }
}

fn chain(spec: impl Fn(usize) -> String) -> Seen {
    let mut tree = Memory::default();
    for n in 0..10_000 {
        let path = format!("packages/a/p{n}/package.yaml");
        tree = tree.with(&path, format!("name: a/p{n}\nversion: 1\n{}", spec(n + 1)));
    }
    tree = tree.with(
        "packages/a/p10000/package.yaml",
        "name: a/p10000\nversion: 1\nfiles: { /a: { text: a } }\n",
    );
    let mut files = Files::new();
    let first = Subject::Package(PackageName::parse("a/p0").unwrap());
    let found = compile(&tree, &Query::new(first, amd64()), &mut files).unwrap_err();
    let mut found = found.sorted(&files);
    assert_eq!(found.len(), 1);
    seen(found.remove(0), &files)
}

#[test]
fn a_chain_of_ten_thousand_packages_is_too_deep_and_no_stack_overflow() {
    let requires = chain(|next| format!("requires: [a/p{next}]\n"));
    assert_eq!((requires.code, requires.at), (Code::TooDeep, Some((3, 12))));
    assert!(!requires.hint.is_empty());
    let tools = chain(|next| format!("build: {{ tools: [a/p{next}], run: make }}\n"));
    assert_eq!((tools.code, tools.at.unwrap().0), (Code::TooDeep, 3));
}

#[test]
fn a_chain_of_ten_thousand_stages_is_too_deep_too() {
    let mut text = "name: a/a\nversion: 1\nstages:\n  build: { rootfs: [{ stage: s0 }], run: make }\n  s10000: { run: make }\n".to_owned();
    for n in 0..10_000 {
        let _ = writeln!(text, "  s{n}: {{ rootfs: [{{ stage: s{} }}], run: make }}", n + 1);
    }
    assert_eq!(only(text).code, Code::TooDeep);
}

/// Xorshift: the same numbers on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// What a spec is likely to break at.
const TOKENS: [&str; 24] = [
    "${{",
    "}}",
    "'",
    "\"",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "&a ",
    "*a",
    "!!x ",
    "|",
    "#",
    "é",
    "\u{0}",
    "\t",
    "..",
    "/",
    "<<: ",
    "99999999999999999999",
];

fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + numbers.below(40)).min(bytes.len());
        match numbers.below(4) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let token = TOKENS[numbers.below(TOKENS.len())];
                bytes.splice(at..at, token.bytes());
            }
            2 => {
                let copy = bytes[at..end].to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                let byte = numbers.below(256) as u8;
                bytes.splice(at..end.min(at + 1), [byte]);
            }
        }
    }
}

#[test]
fn mutated_specs_and_random_bytes_never_panic() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = std::fs::read_dir(&cases)
        .unwrap()
        .map(|e| e.unwrap().path().join("package.yaml"))
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().filter_map(|p| std::fs::read(p).ok()).collect();
    let shared = Folder::new(cases.join("shared"));
    let mut numbers = Numbers(0x5eed_0f57_a6e0_0001);
    let mut codes = BTreeSet::new();
    for round in 0..4000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        if round % 20 == 0 {
            bytes = (0..numbers.below(400)).map(|_| numbers.below(256) as u8).collect();
        }
        mutate(&mut bytes, &mut numbers);
        let shown = bytes.clone();
        let tried = std::panic::catch_unwind(|| {
            let mut files = Files::new();
            (try_with(&shared, shown, &mut files), files)
        });
        match tried {
            Ok((Ok(compiled), files)) => {
                let mut graph = Graph::new();
                let results = emit(&compiled.plan, &files, &Inputs::default(), &mut graph);
                results.into_iter().for_each(|r| llb::verify(&graph.definition(r)).unwrap());
            }
            Ok((Err(found), _)) => codes.extend(found.iter().map(|f| f.code)),
            Err(_) => panic!("round {round}:\n{}", String::from_utf8_lossy(&bytes)),
        }
    }
    assert!(codes.len() > 25, "the mutations reach little: {codes:?}");
}
