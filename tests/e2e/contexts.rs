//! Build contexts and named contexts of every kind.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::world::{Engine, Tree, run, setting};

/// A package on a tool that is replaced, and what it then says.
const SPEC: &str = "build:\n  tools: [test/tools, test/word]\n  run: cp /word $OUT/word\n";

fn tree() -> Tree {
    let tree = Tree::with_tools();
    tree.spec("word", "files: { /word: { text: \"from the tree\" } }\n");
    tree.spec("says", SPEC);
    tree
}

fn word(tar: &str) -> String {
    run("tar", &["-xOf", tar, "word"]).out
}

fn says(engine: Engine, tree: &Tree, more: &[&str]) -> String {
    let tar = tree.text("out.tar");
    let output = format!("type=tar,dest={tar}");
    let spec = tree.text("packages/test/says/package.yaml");
    let context = tree.text("");
    engine.build(&[more, &["--output", &output, "-f", &spec, &context]].concat());
    word(&tar)
}

#[test]
fn named_contexts_of_every_kind_replace_a_package() {
    for engine in Engine::ALL {
        let tree = tree();
        assert_eq!(says(engine, &tree, &[]), "from the tree");
        tree.write("folder/word", "from a folder");
        let local = format!("test/word={}", tree.text("folder"));
        assert_eq!(says(engine, &tree, &["--build-context", &local]), "from a folder");

        tree.write("Containerfile", "FROM scratch\nCOPY folder/word /word\n");
        let image = format!("{}/test/word-{engine:?}", setting("STAGEX_REGISTRY")).to_lowercase();
        tree.write("folder/word", "from an image");
        let file = tree.text("Containerfile");
        let args = ["buildx", "build", "--tag", &image, "--push", "-f", &file, &tree.text("")];
        run("docker", &args);
        let context = format!("test/word=docker-image://{image}");
        assert_eq!(says(engine, &tree, &["--build-context", &context]), "from an image");

        tree.write("folder/word", "from a layout");
        let layout = tree.text("layout");
        let output = format!("type=oci,tar=false,dest={layout}");
        let args = ["buildx", "build", "--output", &output, "-f", &file, &tree.text("")];
        run("docker", &args);
        let context = format!("test/word=oci-layout://{layout}");
        assert_eq!(says(engine, &tree, &["--build-context", &context]), "from a layout");
    }
}

#[test]
fn another_target_replaces_a_package() {
    let tree = tree();
    tree.write("Word", "FROM scratch\nCOPY folder/word /word\n");
    tree.write("folder/word", "from a target");
    let tar = tree.text("out.tar");
    let bake = format!(
        "target \"word\" {{\n  context = \"{0}\"\n  dockerfile = \"Word\"\n}}\n\
         target \"says\" {{\n  context = \"{0}\"\n  dockerfile = \"packages/test/says/package.yaml\"\n  \
         contexts = {{ \"test/word\" = \"target:word\" }}\n  output = [\"type=tar,dest={tar}\"]\n}}\n",
        tree.text("")
    );
    tree.write("bake.hcl", &bake);
    run("docker", &["buildx", "bake", "-f", &tree.text("bake.hcl"), "says"]);
    assert_eq!(word(&tar), "from a target");
}

/// Serves one folder over http on a port of its own, until the test ends.
fn serve(folder: std::path::PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let Ok(read) = stream.read(&mut request) else { continue };
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
            let path = path.split('?').next().unwrap_or("").to_owned();
            let body = std::fs::read(folder.join(path));
            let status = if body.is_ok() { "200 OK" } else { "404 Not Found" };
            let body = body.unwrap_or_default();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            if !text.starts_with("HEAD") {
                let _ = stream.write_all(&body);
            }
        }
    });
    address
}

#[test]
fn the_context_may_be_an_archive_a_repository_or_standard_input() {
    let tree = tree();
    let served = tempfile::tempdir().unwrap();
    let archive = served.path().join("context.tar.gz");
    run("tar", &["-C", &tree.text(""), "-czf", archive.to_str().unwrap(), "packages"]);
    let git = |args: &[&str]| run("git", args);
    let repository = tree.text("");
    git(&["-C", &repository, "init", "-q", "-b", "main"]);
    git(&["-C", &repository, "add", "."]);
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
    git(&[&["-C", &repository][..], &who, &["commit", "-qm", "first"]].concat());
    let bare = served.path().join("tree.git");
    git(&["clone", "-q", "--bare", &repository, bare.to_str().unwrap()]);
    git(&["-C", bare.to_str().unwrap(), "update-server-info"]);
    let address = serve(served.path().to_owned());
    let spec = "packages/test/says/package.yaml";
    for (number, context) in
        [format!("{address}/context.tar.gz"), format!("{address}/tree.git#main")].iter().enumerate()
    {
        let tar = tree.text(&format!("{number}.tar"));
        let output = format!("type=tar,dest={tar}");
        Engine::Dockerd.build(&["--output", &output, "-f", spec, context]);
        assert_eq!(word(&tar), "from the tree");
    }
    let tar = tree.text("stdin.tar");
    let output = format!("type=tar,dest={tar}");
    let mut child = Command::new("docker")
        .args(["buildx", "build", "--output", &output, "-f", spec, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(&archive).unwrap()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(word(&tar), "from the tree");
}

#[test]
fn a_mirror_is_asked_where_the_first_address_fails() {
    let served = tempfile::tempdir().unwrap();
    std::fs::write(served.path().join("word-1.0.txt"), "from a mirror").unwrap();
    let address = serve(served.path().to_owned());
    let digest = "3d1f0d22a4fd9d09aca68e16bd0b1f9a05e4d6bcf2ccd92f6e6a1a9f5f2b0a1d";
    let digest = run("sha256sum", &[served.path().join("word-1.0.txt").to_str().unwrap()])
        .out
        .split(' ')
        .next()
        .map_or(digest.to_owned(), str::to_owned);
    let tree = Tree::with_tools();
    let spec = tree.spec(
        "mirrored",
        &format!("sources:\n  word:\n    url: http://127.0.0.1:9/word-1.0.txt\n    mirrors: [\"{address}/gone/word-1.0.txt\", \"{address}/word-1.0.txt\"]\n    sha256: {digest}\nbuild:\n  tools: [test/tools]\n  run: cp word-1.0.txt $OUT/word\n"),
    );
    for engine in Engine::ALL {
        let tar = tree.text("out.tar");
        let output = format!("type=tar,dest={tar}");
        engine.build(&["--output", &output, "-f", &spec, &tree.text("")]);
        assert_eq!(word(&tar), "from a mirror");
    }
}
