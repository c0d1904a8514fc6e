//! What tests build with: commands that have to succeed, and a tree with a shell in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The folder of this checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// A setting that `tests/engine/up` made.
pub(crate) fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run tests/run"))
}

/// What a command said, and how it ended.
pub(crate) struct Said {
    /// Whether it ended with 0.
    pub(crate) ok: bool,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a program to its end, whatever that is.
pub(crate) fn ask(program: &str, args: &[&str]) -> Said {
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).env("BUILDKIT_PROGRESS", "plain");
    command.output().unwrap_or_else(|e| panic!("{program}: {e}")).into()
}

/// Runs a program that has to succeed.
pub(crate) fn run(program: &str, args: &[&str]) -> Said {
    let said = ask(program, args);
    assert!(said.ok, "{program} {}\n{}\n{}", args.join(" "), said.out, said.err);
    said
}

/// `docker buildx build` on dockerd's own BuildKit.
pub(crate) fn build(args: &[&str]) -> Said {
    run("docker", &[&["buildx", "build"], args].concat())
}

/// The same, which may fail.
pub(crate) fn try_build(args: &[&str]) -> Said {
    ask("docker", &[&["buildx", "build"], args].concat())
}

/// An engine: how `docker buildx build` reaches it, and where it finds the frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// dockerd's own BuildKit; the frontend is in its image store.
    Dockerd,
    /// buildkitd 0.34; the frontend is in a registry.
    Buildkitd,
}

impl Engine {
    /// Both of them.
    pub(crate) const ALL: [Self; 2] = [Self::Dockerd, Self::Buildkitd];

    /// Builds with arguments; the frontend is the one of this checkout.
    pub(crate) fn try_build(self, args: &[&str]) -> Said {
        let (builder, registry) = (setting("STAGEX_BUILDER"), setting("STAGEX_REGISTRY"));
        let syntax = format!("BUILDKIT_SYNTAX={registry}/stagex/frontend");
        match self {
            Self::Dockerd => try_build(args),
            Self::Buildkitd => {
                let own = ["--builder", &builder, "--build-arg", &syntax];
                try_build(&[&own, args].concat())
            }
        }
    }

    /// The same, which has to succeed.
    pub(crate) fn build(self, args: &[&str]) -> Said {
        let said = self.try_build(args);
        assert!(said.ok, "{self:?} {}\n{}", args.join(" "), said.err);
        said
    }
}

/// The `stagex` command of this checkout.
pub(crate) fn stagex(args: &[&str]) -> Said {
    ask(env!("CARGO_BIN_EXE_stagex"), args)
}

/// A tree on disk that vanishes with the test.
pub(crate) struct Tree(pub(crate) tempfile::TempDir);

impl Tree {
    /// A tree in which `test/tools` is a root with busybox (Debian's static one, a stand-in).
    pub(crate) fn with_tools() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.write(
            "packages/test/tools/package.yaml",
            "# syntax=stagex/frontend\n\
             name: test/tools\n\
             version: 1.0.0\n\
             sources:\n  busybox: { path: busybox, mode: 0755, seed: \"Debian's, a stand-in\" }\n\
             stages:\n  install:\n    sources: { busybox: /bin/busybox }\n    \
             steps: [{ exec: [/bin/busybox, --install, -s, /bin] }]\n\
             outputs:\n  tools: { stage: install, files: { /bin: /bin } }\n",
        );
        let busybox = tree.path("packages/test/tools/busybox");
        std::fs::copy("/bin/busybox", busybox).expect("busybox-static is installed");
        tree
    }

    /// A path in the tree.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// The same as text.
    pub(crate) fn text(&self, path: &str) -> String {
        self.path(path).to_str().unwrap().to_owned()
    }

    /// Writes a file, and the folders that it is in.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let full = self.path(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, text).unwrap();
    }

    /// Writes a spec `test/NAME`; the syntax line, name, version and the tools are there already.
    pub(crate) fn spec(&self, name: &str, rest: &str) -> String {
        let path = format!("packages/test/{name}/package.yaml");
        let head = format!("# syntax=stagex/frontend\nname: test/{name}\nversion: 1.0.0\n");
        self.write(&path, &(head + rest));
        self.text(&path)
    }
}

/// An image in an OCI layout, as `--output type=oci,tar=false` leaves it.
pub(crate) struct Layout(pub(crate) PathBuf);

impl Layout {
    fn blob(&self, digest: &str) -> Value {
        let path = self.0.join("blobs").join(digest.replace(':', "/"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The manifests of all platforms, attestations left out, as digest and content.
    pub(crate) fn manifests(&self) -> Vec<(String, Value)> {
        let index: Value =
            serde_json::from_slice(&std::fs::read(self.0.join("index.json")).unwrap()).unwrap();
        let mut open: Vec<Value> = index["manifests"].as_array().unwrap().clone();
        let mut found = Vec::new();
        while let Some(entry) = open.pop() {
            let digest = entry["digest"].as_str().unwrap().to_owned();
            let content = self.blob(&digest);
            if let Some(nested) = content["manifests"].as_array() {
                open.extend(nested.iter().cloned());
            } else if entry["platform"]["os"] != "unknown" {
                found.push((digest, content));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// The configuration of each platform's image.
    pub(crate) fn configs(&self) -> Vec<Value> {
        let digest = |m: &Value| m["config"]["digest"].as_str().unwrap().to_owned();
        let mut configs: Vec<Value> =
            self.manifests().iter().map(|(_, m)| self.blob(&digest(m))).collect();
        configs.sort_by_key(|c| c["architecture"].as_str().unwrap_or("").to_owned());
        configs
    }
}
