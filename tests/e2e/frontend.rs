//! The flags of `docker buildx build`, as they reach a spec.

use serde_json::Value;

use crate::world::{Engine, Layout, Tree, ask, run, setting, stagex};

const SPEC: &str = "vars:
  GREETING: { default: hello, description: what it says }
sources:
  word: { text: \"${{ vars.GREETING }}\" }
stages:
  build:
    tools: [test/tools]
    run: |
      cp word $OUT/word
      echo $SOURCE_DATE_EPOCH >$OUT/epoch
      echo $TARGETARCH >$OUT/arch
outputs:
  says: { exclude: [/epoch] }
  epoch: { files: [/epoch] }
tests:
  has-a-word: { tools: [test/tools], run: test -s /word }
";

fn tree() -> (Tree, String) {
    let tree = Tree::with_tools();
    let spec = tree.spec("says", SPEC);
    (tree, spec)
}

fn files(engine: Engine, (tree, spec): &(Tree, String), more: &[&str]) -> Vec<(String, String)> {
    let dest = tree.text("out");
    let _ = std::fs::remove_dir_all(&dest);
    let output = format!("type=local,dest={dest}");
    engine.build(&[more, &["--output", &output, "-f", spec, &tree.text("")]].concat());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&dest).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_file() {
            files.push((name, std::fs::read_to_string(&path).unwrap().trim().to_owned()));
        }
    }
    files.sort();
    files
}

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[test]
fn targets_variables_and_the_epoch_are_what_flags_say() {
    for engine in Engine::ALL {
        let world = tree();
        let plain = files(engine, &world, &["--platform", "linux/amd64"]);
        assert_eq!(plain, [pair("arch", "amd64"), pair("word", "hello")]);
        let set = files(engine, &world, &["--build-arg", "GREETING=bye"]);
        assert!(set.contains(&pair("word", "bye")), "{set:?}");
        let epoch = ["--target", "epoch", "--build-arg", "SOURCE_DATE_EPOCH=1700000000"];
        assert_eq!(files(engine, &world, &epoch), [pair("epoch", "1700000000")]);
        let stage = files(engine, &world, &["--target", "build"]);
        assert_eq!(stage, [], "a stage is a root, with folders only at its top");
        let out = world.0.path("out/out/word");
        assert_eq!(std::fs::read_to_string(out).unwrap(), "hello", "and what is in $OUT");
        let wrong = ["--build-arg", "GRETING=x", "-f", &world.1, &world.0.text("")];
        let said = engine.try_build(&wrong);
        assert!(said.err.contains("did you mean `GREETING`?"), "{}", said.err);
        assert!(files(engine, &world, &["--target", "test"]).is_empty());
    }
}

#[test]
fn questions_are_answered_with_call() {
    let (tree, spec) = tree();
    let buildx = setting("STAGEX_BUILDX");
    let ask_for = |call: &str, spec: &str| {
        ask(&buildx, &["build", "--builder", "default", "--call", call, "-f", spec, &tree.text("")])
    };
    let outline = ask_for("outline", &spec);
    assert!(
        outline.out.contains("GREETING") && outline.out.contains("what it says"),
        "{} {}",
        outline.out,
        outline.err
    );
    let targets = ask_for("targets", &spec);
    for name in ["says (default)", "epoch", "build", "test"] {
        assert!(targets.out.contains(name), "{name}: {} {}", targets.out, targets.err);
    }
    assert!(ask_for("check", &spec).ok);
    let wrong = tree.spec("wrong", "verison: 1\nfiles: { /x: { text: x } }\n");
    let check = ask_for("check", &wrong);
    assert!(!check.ok);
    assert!(
        check.out.contains("unknown-key") && check.out.contains("verison"),
        "{} {}",
        check.out,
        check.err
    );
}

#[test]
fn images_of_several_platforms_are_an_index_with_provenance() {
    let tree = Tree::with_tools();
    let spec = tree.spec("word", "files: { /word: { text: \"${{ target.arch }}\" } }\nimage: { cmd: [/word], annotations: { org.example.a: b } }\n");
    for engine in Engine::ALL {
        let dest = tree.text(&format!("{engine:?}"));
        let output = format!("type=oci,tar=false,dest={dest}");
        let args =
            ["--platform", "linux/amd64,linux/riscv64", "--label", "a=b", "--output", &output];
        engine.build(&[&args[..], &["--provenance=true", "-f", &spec, &tree.text("")]].concat());
        let layout = Layout(dest.into());
        let configs = layout.configs();
        let platforms: Vec<&str> =
            configs.iter().map(|c| c["architecture"].as_str().unwrap()).collect();
        assert_eq!(platforms, ["amd64", "riscv64"]);
        assert_eq!(configs[0]["config"]["Cmd"], Value::from(vec!["/word"]));
        assert_eq!(configs[0]["config"]["Labels"]["a"], "b");
        assert_eq!(configs[0]["created"], "1970-01-01T00:00:00Z");
        let manifests = layout.manifests();
        assert_eq!(
            manifests[0].1["annotations"]["org.example.a"], "b",
            "{engine:?} {manifests:#?}"
        );
    }
}

#[test]
fn a_cache_is_exported_and_imported() {
    let (tree, spec) = tree();
    let cache = tree.text("cache");
    let (to, from) =
        (format!("type=local,dest={cache},mode=max"), format!("type=local,src={cache}"));
    let context = tree.text("");
    let base = ["--output", "type=cacheonly", "-f", &spec];
    Engine::Buildkitd.build(&[&["--no-cache", "--cache-to", &to], &base[..], &[&context]].concat());
    run("buildctl", &["prune", "--all"]);
    let said =
        Engine::Buildkitd.build(&[&["--cache-from", &from], &base[..], &[&context]].concat());
    let cached = said.err.contains("[test/says] cp word $OUT/word")
        && said.err.matches("CACHED").count() > 0;
    assert!(cached, "{}", said.err);
}

#[test]
fn nothing_is_rebuilt_for_nothing_and_everything_without_the_cache() {
    let (tree, spec) = tree();
    let context = tree.text("");
    let base = ["--output", "type=cacheonly", "-f", &spec, &context];
    let step = "[test/says] cp word $OUT/word";
    let ran = |err: &str| {
        let number = err.lines().find(|l| l.contains(step)).and_then(|l| l.split(' ').next());
        let number = number.unwrap_or_else(|| panic!("{err}")).to_owned();
        !err.lines().any(|l| l == format!("{number} CACHED"))
    };
    Engine::Dockerd.build(&base);
    assert!(!ran(&Engine::Dockerd.build(&base).err), "a second build");
    assert!(ran(&Engine::Dockerd.build(&[&["--no-cache"], &base[..]].concat()).err));
    let other = SPEC
        .replace("GREETING: {", "OTHER: x\n  GREETING: {")
        .replace("description: what", "description: just what");
    tree.spec("says", &other);
    assert!(!ran(&Engine::Dockerd.build(&base).err), "what no step sees changes no step");
}

#[test]
fn the_catalog_of_the_frontend_is_there_in_an_empty_folder() {
    let empty = tempfile::tempdir().unwrap();
    let context = empty.path().to_str().unwrap();
    let tar = tempfile::NamedTempFile::new().unwrap();
    let output = format!("type=tar,dest={}", tar.path().display());
    for engine in Engine::ALL {
        engine.build(&[
            "--output",
            &output,
            "-f",
            "packages/core/filesystem/package.yaml",
            context,
        ]);
        let list = run("tar", &["-tf", tar.path().to_str().unwrap()]).out;
        assert!(list.contains("etc/passwd"), "{list}");
    }
    // A spec of one's own, on packages of the catalog.
    let own = "# syntax=stagex/frontend\nname: my/app\nversion: 1.0\nlayers: [core/filesystem]\nfiles: { /app: { text: x } }\nimage: { user: nobody }\n";
    std::fs::write(empty.path().join("app.yaml"), own).unwrap();
    let spec = empty.path().join("app.yaml");
    Engine::Dockerd.build(&["--output", &output, "-f", spec.to_str().unwrap(), context]);
    let list = run("tar", &["-tf", tar.path().to_str().unwrap()]).out;
    assert!(list.contains("etc/passwd") && list.contains("app"), "{list}");
}

#[test]
fn the_command_builds_with_the_same_result() {
    let (tree, _) = tree();
    let dest = tree.text("out");
    let output = format!("type=local,dest={dest}");
    let said = stagex(&[
        "-C",
        &tree.text(""),
        "build",
        "test/says",
        "--set",
        "GREETING=x",
        "--output",
        &output,
    ]);
    assert!(said.ok, "{}", said.err);
    assert_eq!(std::fs::read_to_string(tree.path("out/word")).unwrap(), "x");
    let said = stagex(&["-C", &tree.text(""), "build", "test/says", "--load"]);
    assert!(said.ok, "{}", said.err);
    run("docker", &["image", "inspect", "stagex/test-says"]);
    let doctor = stagex(&["doctor"]);
    assert!(doctor.ok && doctor.out.contains("docker buildx"), "{}", doctor.out);
}

#[test]
fn a_file_that_is_no_spec_is_refused() {
    let tree = Tree::with_tools();
    tree.write("Containerfile", "# syntax=stagex/frontend\nFROM scratch\n");
    let said = Engine::Dockerd.try_build(&["-f", &tree.text("Containerfile"), &tree.text("")]);
    assert!(!said.ok);
    assert!(said.err.contains("wrong-type") || said.err.contains("yaml-syntax"), "{}", said.err);
}
