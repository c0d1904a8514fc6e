//! What reaches an image: nothing that differs from machine to machine, and nothing lost.

use std::collections::BTreeMap;

use crate::world::{Engine, Tree, run, setting, stagex};

/// Names with mode, owner, time and link target, as `tar -tv` lists them.
fn listing(tar: &str) -> Vec<String> {
    let args = ["-tvf", tar, "--full-time", "--numeric-owner"];
    run("tar", &args).out.lines().map(str::to_owned).collect()
}

const ODD: &str = "build:
  tools: [test/tools]
  run: |
    cd $OUT
    mkdir -p bin etc var
    cp /bin/busybox bin/su && chmod 4755 bin/su
    ln bin/su bin/su-too
    ln -s su bin/link
    mkfifo var/fifo
    mkdir var/tmp && chmod 1777 var/tmp
    echo x >etc/strange && chown 123:456 etc/strange
    echo y >etc/setgid && chown 7:7 etc/setgid && chmod 2755 etc/setgid
    touch -d '2020-02-02 02:02:02' etc/old
    setfattr=none
";

#[test]
fn owners_and_times_are_normal_and_special_files_survive() {
    let mut listings = BTreeMap::new();
    for engine in Engine::ALL {
        let tree = Tree::with_tools();
        let spec = tree.spec("odd", ODD);
        let tar = tree.text("odd.tar");
        let output = format!("type=tar,dest={tar}");
        engine.build(&["--no-cache", "--output", &output, "-f", &spec, &tree.text("")]);
        listings.insert(format!("{engine:?}"), listing(&tar));
    }
    let dockerd = &listings["Dockerd"];
    assert_eq!(dockerd, &listings["Buildkitd"]);
    for line in dockerd {
        assert!(line.contains(" 0/0 "), "owner: {line}");
        assert!(line.contains(" 1970-01-01 00:00:00 "), "time: {line}");
    }
    let has = |start: &str, end: &str| {
        let fits = |l: &&String| l.starts_with(start) && l.ends_with(end);
        assert!(dockerd.iter().any(|l| fits(&l)), "no {start} … {end} in {dockerd:#?}");
    };
    has("-rwsr-xr-x", " bin/su");
    has("hrwsr-xr-x", " bin/su-too link to bin/su");
    has("lrwxrwxrwx", " bin/link -> su");
    has("prw-r--r--", " var/fifo");
    has("drwxrwxrwt", " var/tmp/");
    has("-rwxr-sr-x", " etc/setgid");
}

#[test]
fn an_owner_that_the_spec_asks_for_is_kept() {
    let tree = Tree::with_tools();
    let rest = "build:\n  tools: [test/tools]\n  run: |\n    mkdir -p $OUT/var/lib/db $OUT/etc\n    echo x >$OUT/var/lib/db/file\n    echo y >$OUT/etc/other\nowners: { /var/lib/db: \"70:71\" }\n";
    let spec = tree.spec("owned", rest);
    let tar = tree.text("owned.tar");
    let output = format!("type=tar,dest={tar}");
    Engine::Dockerd.build(&["--output", &output, "-f", &spec, &tree.text("")]);
    let lines = listing(&tar);
    let owner = |path: &str| {
        let line = lines.iter().find(|l| l.ends_with(path)).unwrap_or_else(|| panic!("{lines:#?}"));
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        (owner(" var/lib/db/file"), owner(" var/lib/db/")),
        ("70/71".into(), "70/71".into())
    );
    assert_eq!((owner(" etc/other"), owner(" var/lib/")), ("0/0".into(), "0/0".into()));
}

#[test]
fn copies_and_unions_make_the_same_files() {
    let tree = Tree::with_tools();
    tree.spec("one", "files: { /etc/one: { text: one }, /etc/both: { text: one } }\n");
    tree.spec("two", "files: { /etc/two: { text: two }, /etc/both: { text: two }, /usr/lib: { link: ../lib } }\n");
    tree.spec("all", "layers: [test/one, test/two, test/tools]\n");
    let mut listings = Vec::new();
    for merge in ["auto", "never"] {
        let tar = tree.text(&format!("{merge}.tar"));
        let definition = tree.text(&format!("{merge}.pb"));
        let llb = std::process::Command::new(env!("CARGO_BIN_EXE_stagex"))
            .args(["-C", &tree.text(""), "llb", "test/all", "--merge", merge])
            .output()
            .unwrap();
        assert!(llb.status.success(), "{}", String::from_utf8_lossy(&llb.stderr));
        std::fs::write(&definition, llb.stdout).unwrap();
        let context = format!("context={}", tree.text(""));
        let output = format!("type=tar,dest={tar}");
        setting("BUILDKIT_HOST");
        let script = format!("buildctl build --local {context} --output {output} <{definition}");
        run("sh", &["-c", &script]);
        listings.push(listing(&tar));
    }
    assert_eq!(listings[0], listings[1]);
    assert!(listings[0].iter().any(|l| l.ends_with(" etc/two")), "{:#?}", listings[0]);
}

#[test]
fn archives_are_unpacked_without_their_owners_and_odd_modes() {
    let tree = Tree::with_tools();
    let folder = tree.path("thing-1.0");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("sub/file"), "text\n").unwrap();
    for (name, flag) in
        [("tar", "-cf"), ("tar.gz", "-czf"), ("tar.bz2", "-cjf"), ("tar.xz", "-cJf")]
    {
        let archive = tree.text(&format!("packages/test/unpack/thing-1.0.{name}"));
        std::fs::create_dir_all(tree.path("packages/test/unpack")).unwrap();
        let owned = ["--owner=1234", "--group=1234", "--mode=o+w,u+s"];
        run("tar", &[&owned[..], &["-C", &tree.text(""), flag, &archive, "thing-1.0"]].concat());
    }
    let names = ["tar", "tar.gz", "tar.bz2", "tar.xz"];
    let key = |n: &str| n.replace('.', "-");
    let sources: String =
        names.iter().map(|n| format!("  {}: {{ path: thing-1.0.{n} }}\n", key(n))).collect();
    let places: String = names.iter().map(|n| format!("{}: /in/{n}, ", key(n))).collect();
    let places = places.trim_end_matches(", ");
    // By the shell of the stage, and by the engine where there is none.
    let spec = tree.spec(
        "unpack",
        &format!(
            "sources:\n{sources}stages:\n  shell:\n    tools: [test/tools]\n    sources: {{ {places} }}\n    workdir: /\n    run: |\n      ls -lnR /in >$OUT/list\n  engine:\n    rootfs: [test/tools]\n    sources: {{ {places} }}\n    workdir: /\n    steps: [{{ exec: [/bin/cp, -a, /in, /copied] }}]\noutputs:\n  unpack: {{ stage: shell }}\n  engine: {{ stage: engine, files: {{ /copied: / }} }}\n"
        ),
    );
    let tar = tree.text("out.tar");
    let output = format!("type=tar,dest={tar}");
    Engine::Dockerd.build(&["--output", &output, "-f", &spec, &tree.text("")]);
    let list = run("tar", &["-xOf", &tar, "list"]).out;
    assert_eq!(list.matches(" file").count(), 4, "{list}");
    assert!(
        !list.contains("1234") && !list.contains("rws") && !list.contains("rw-rw-rw-"),
        "{list}"
    );
    Engine::Dockerd.build(&[
        "--target",
        "engine",
        "--output",
        &output,
        "-f",
        &spec,
        &tree.text(""),
    ]);
    let lines = listing(&tar);
    for name in names {
        let path = format!("{name}/sub/file");
        assert!(
            lines.iter().any(|l| l.ends_with(&path) && l.contains(" 0/0 ")),
            "{path} {lines:#?}"
        );
    }
}

#[test]
fn patches_are_applied_in_order() {
    let tree = Tree::with_tools();
    tree.write("packages/test/patched/thing/file", "one\n");
    let patch =
        |from: &str, to: &str| format!("--- a/file\n+++ b/file\n@@ -1 +1 @@\n-{from}\n+{to}\n");
    tree.write("packages/test/patched/patches/1.patch", &patch("one", "two"));
    tree.write("packages/test/patched/patches/2.patch", &patch("two", "three"));
    let spec = tree.spec(
        "patched",
        "sources:\n  thing: { path: thing, patches: [patches/1.patch, patches/2.patch] }\nbuild:\n  tools: [test/tools]\n  run: cp file $OUT/file\n",
    );
    let tar = tree.text("out.tar");
    let output = format!("type=tar,dest={tar}");
    Engine::Dockerd.build(&["--output", &output, "-f", &spec, &tree.text("")]);
    assert_eq!(run("tar", &["-xOf", &tar, "file"]).out, "three\n");
}

#[test]
fn tests_of_a_package_pass_and_fail() {
    let tree = Tree::with_tools();
    let rest = "build:\n  tools: [test/tools]\n  run: echo hello >$OUT/greeting\ntests:\n  greets:\n    tools: [test/tools]\n    run: cat /greeting\n    stdout: hello\n    files: [/greeting]\n  fails-as-it-should:\n    tools: [test/tools]\n    run: exit 3\n    exit: 3\n";
    tree.spec("tested", rest);
    let said = stagex(&["-C", &tree.text(""), "test", "test/tested"]);
    assert!(said.ok, "{}", said.err);
    tree.spec("tested", &rest.replace("stdout: hello", "stdout: bye"));
    let said = stagex(&["-C", &tree.text(""), "test", "test/tested"]);
    assert!(!said.ok);
    assert!(said.err.contains("expected:") && said.err.contains("bye"), "{}", said.err);
}
