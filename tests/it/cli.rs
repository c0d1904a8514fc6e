//! The command as a person or a script uses it.

use std::path::Path;
use std::process::{Command, Output};

fn stagex(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stagex"));
    command.arg("-C").arg(folder).args(args).env_remove("STAGEX_FRONTEND").output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cases() -> std::path::PathBuf {
    root().join("tests/cases/shared")
}

fn write(folder: &Path, path: &str, text: &str) {
    let full = folder.join(path);
    std::fs::create_dir_all(full.parent().unwrap()).unwrap();
    std::fs::write(full, text).unwrap();
}

#[test]
fn usage_is_2_findings_are_1_and_all_is_well_is_0() {
    assert_eq!(stagex(root(), &["chekc"]).status.code(), Some(2));
    assert_eq!(stagex(root(), &["show"]).status.code(), Some(2));
    assert_eq!(stagex(root(), &["show", "core/nothing"]).status.code(), Some(1));
    assert_eq!(stagex(root(), &["check"]).status.code(), Some(0));
    assert_eq!(stagex(root(), &["--help"]).status.code(), Some(0));
}

#[test]
fn a_name_without_a_group_is_found_and_a_misspelt_one_is_explained() {
    assert!(out(&stagex(&cases(), &["graph", "zlib"])).contains("core/zlib linux/"));
    let wrong = stagex(&cases(), &["graph", "zilb"]);
    assert!(err(&wrong).contains("did you mean `zlib`?"), "{}", err(&wrong));
}

#[test]
fn a_name_in_two_groups_is_ambiguous() {
    let folder = tempfile::tempdir().unwrap();
    for group in ["core", "user"] {
        let text = format!("name: {group}/curl\nversion: 1.0\nfiles: {{ /x: {{ text: x }} }}\n");
        write(folder.path(), &format!("packages/{group}/curl/package.yaml"), &text);
    }
    let said = stagex(folder.path(), &["show", "curl"]);
    let text = err(&said);
    assert!(text.contains("error[ambiguous-package]"), "{text}");
    assert!(text.contains("`core/curl`, `user/curl`"), "{text}");
}

#[test]
fn findings_are_json_for_scripts() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "packages/core/a/package.yaml", "name: core/a\nverison: é\n");
    let said = stagex(folder.path(), &["--json", "check"]);
    assert_eq!(said.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let codes: Vec<&str> =
        found.as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"unknown-key"), "{codes:?}");
    let unknown = found.as_array().unwrap().iter().find(|f| f["code"] == "unknown-key").unwrap();
    assert_eq!(unknown["place"]["start"]["line"], 2);
    assert_eq!(unknown["place"]["file"], "packages/core/a/package.yaml");
    assert!(said.stderr.is_empty());
}

#[test]
fn a_graph_comes_in_every_form_and_backwards() {
    let dot = out(&stagex(&cases(), &["graph", "core/zlib", "--format", "dot"]));
    assert!(dot.starts_with("digraph") && dot.trim_end().ends_with('}'), "{dot}");
    let json = out(&stagex(&cases(), &["--json", "graph", "core/zlib"]));
    let nodes: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(nodes[1]["name"], "core/zlib");
    let users = out(&stagex(&cases(), &["graph", "core/musl", "--reverse"]));
    assert!(users.contains("core/busybox") && users.contains("core/zlib"), "{users}");
    assert!(!users.contains("bootstrap/stage3 "), "{users}");
}

#[test]
fn a_definition_is_the_same_bytes_every_time_and_not_for_a_terminal_of_several_platforms() {
    let first = stagex(&cases(), &["llb", "core/zlib"]);
    assert!(first.status.success(), "{}", err(&first));
    assert_eq!(first.stdout, stagex(&cases(), &["llb", "core/zlib"]).stdout);
    let several = stagex(&cases(), &["llb", "core/zlib", "--platform", "linux/amd64,linux/arm64"]);
    assert_eq!(several.status.code(), Some(1));
    assert!(err(&several).contains("error[bad-request]"), "{}", err(&several));
}

#[test]
fn a_new_spec_is_in_order_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let said = stagex(folder.path(), &["new", "core/thing"]);
    assert_eq!(out(&said), "packages/core/thing/package.yaml\n");
    // It stands on packages that the tree does not have yet, and nothing else is wrong with it.
    let check = err(&stagex(folder.path(), &["check"]));
    let codes: Vec<&str> = check.lines().filter(|l| l.starts_with("error[")).collect();
    assert!(!codes.is_empty());
    assert!(codes.iter().all(|c| c.starts_with("error[unknown-package]")), "{check}");
    let again = stagex(folder.path(), &["new", "core/thing"]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(stagex(folder.path(), &["new", "thing"]).status.code(), Some(1));
}

#[test]
fn what_a_change_makes_stale_is_what_is_built_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let who =
            ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
        let done = Command::new("git").arg("-C").arg(folder.path()).args(who).args(args).output();
        assert!(done.as_ref().unwrap().status.success(), "{}", err(&done.unwrap()));
    };
    let tool = |text: &str| {
        format!("name: core/tool\nversion: 1.0\nfiles: {{ /t: {{ text: {text} }} }}\n")
    };
    let user = "name: core/user\nversion: 1.0\nbuild: { tools: [core/tool], run: \"true\" }\n";
    write(folder.path(), "packages/core/tool/package.yaml", &tool("one"));
    write(folder.path(), "packages/core/user/package.yaml", user);
    write(folder.path(), "packages/core/other/package.yaml", &tool("x").replace("tool", "other"));
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    write(
        folder.path(),
        "packages/core/other/package.yaml",
        &("# a word\n".to_owned() + &tool("x").replace("tool", "other")),
    );
    assert_eq!(out(&stagex(folder.path(), &["affected", "--since", "HEAD"])), "", "a comment");
    write(folder.path(), "packages/core/tool/package.yaml", &tool("two"));
    let stale = out(&stagex(folder.path(), &["affected", "--since", "HEAD"]));
    let names: Vec<&str> = stale.lines().map(|l| l.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["core/tool", "core/user"]);
    let wrong = stagex(folder.path(), &["affected", "--since", "nowhere"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(err(&wrong).contains("help:"), "{}", err(&wrong));
}

#[test]
fn without_an_engine_a_build_says_what_to_do() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stagex"));
    let said = command.arg("-C").arg(cases()).args(["build", "core/zlib"]).env("PATH", "/nowhere");
    let said = said.output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(err(&said).contains("error[engine]"), "{}", err(&said));
    assert!(err(&said).contains("stagex doctor"), "{}", err(&said));
    let mut command = Command::new(env!("CARGO_BIN_EXE_stagex"));
    let said = command.arg("doctor").env("PATH", "/nowhere").output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(out(&said).contains("mend it: apt-get install docker"), "{}", out(&said));
}

#[test]
fn a_list_shows_why_binaries_are_trusted_and_steps_have_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name: core/a\nversion: 1.10\nsources:\n  s: { hex: \"00\", seed: one byte }\nbuild:\n  tools: []\n  network: it can't be helped\n  run: \"true\"\n";
    write(folder.path(), "packages/core/a/package.yaml", text);
    let said = out(&stagex(folder.path(), &["list"]));
    for text in ["core/a  1.10", "network: it can't be helped", "seed: s: one byte"] {
        assert!(said.contains(text), "{said}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&out(&stagex(folder.path(), &["--json", "list"]))).unwrap();
    assert_eq!(json[0]["version"], "1.10");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let script =
        format!("{} -C {} show core/zlib | true", env!("CARGO_BIN_EXE_stagex"), cases().display());
    let said = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(!err(&said).contains("panicked"), "{}", err(&said));
}

#[test]
fn a_full_disk_leaves_no_half_written_spec() {
    // /dev/full takes nothing; a definition that can't be written is a failure and no success.
    let script = format!(
        "{} -C {} llb core/zlib >/dev/full",
        env!("CARGO_BIN_EXE_stagex"),
        cases().display()
    );
    let said = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(err(&said).contains("No space left"), "{}", err(&said));
}
