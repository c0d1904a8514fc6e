//! The programs that reach an engine, and how a build is run with them.

mod probe;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

pub use probe::{Found, Problem, Report, probe};

/// A program that can ask BuildKit for a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `docker buildx build`
    Buildx,
    /// `buildctl build`
    Buildctl,
}

/// A build as a client is asked for it.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// The tree: the build context.
    pub root: PathBuf,
    /// The spec, relative to the tree.
    pub spec: String,
    /// In the order asked.
    pub platforms: Vec<String>,
    /// An output, a stage or `test`.
    pub target: Option<String>,
    /// Variables.
    pub vars: Vec<(String, String)>,
    /// In the form of docker buildx.
    pub outputs: Vec<String>,
    /// Names of the image.
    pub tags: Vec<String>,
    /// Load the image into docker.
    pub load: bool,
    /// Push the image.
    pub push: bool,
    /// The frontend image instead of the spec's `# syntax=`.
    pub frontend: Option<String>,
    /// Further arguments.
    pub rest: Vec<String>,
}

/// The first client that works here, docker buildx before buildctl.
pub fn client() -> Option<Client> {
    let works = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        let quiet = command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
        quiet.stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    if works("docker", &["buildx", "version"]) {
        return Some(Client::Buildx);
    }
    works("buildctl", &["--version"]).then_some(Client::Buildctl)
}

impl Client {
    /// The command that runs a build.
    pub fn command(self, build: &Build) -> Command {
        match self {
            Self::Buildx => buildx(build),
            Self::Buildctl => buildctl(build),
        }
    }
}

fn buildx(build: &Build) -> Command {
    let mut command = Command::new("docker");
    command.args(["buildx", "build"]).arg("--file").arg(build.root.join(&build.spec));
    if !build.platforms.is_empty() {
        command.arg("--platform").arg(build.platforms.join(","));
    }
    if let Some(target) = &build.target {
        command.arg("--target").arg(target);
    }
    for (name, value) in &build.vars {
        command.arg("--build-arg").arg(format!("{name}={value}"));
    }
    if let Some(frontend) = &build.frontend {
        command.arg("--build-arg").arg(format!("BUILDKIT_SYNTAX={frontend}"));
    }
    for output in &build.outputs {
        command.arg("--output").arg(output);
    }
    for tag in &build.tags {
        command.arg("--tag").arg(tag);
    }
    for (set, flag) in [(build.load, "--load"), (build.push, "--push")] {
        if set {
            command.arg(flag);
        }
    }
    command.args(&build.rest).arg(or_here(&build.root));
    command
}

fn buildctl(build: &Build) -> Command {
    let mut command = Command::new("buildctl");
    let frontend = build.frontend.as_deref().unwrap_or("docker.io/stagex/frontend");
    let mut local = std::ffi::OsString::from("context=");
    local.push(or_here(&build.root));
    let mut folder = std::ffi::OsString::from("dockerfile=");
    let (dir, name) = build.spec.rsplit_once('/').unwrap_or((".", &build.spec));
    folder.push(build.root.join(dir));
    command.args(["build", "--frontend", "gateway.v0"]);
    command.arg("--opt").arg(format!("source={frontend}"));
    command.arg("--local").arg(local).arg("--local").arg(folder);
    command.arg("--opt").arg(format!("filename={name}"));
    if !build.platforms.is_empty() {
        command.arg("--opt").arg(format!("platform={}", build.platforms.join(",")));
    }
    if let Some(target) = &build.target {
        command.arg("--opt").arg(format!("target={target}"));
    }
    for (name, value) in &build.vars {
        command.arg("--opt").arg(format!("build-arg:{name}={value}"));
    }
    for output in &build.outputs {
        command.arg("--output").arg(output);
    }
    if build.push {
        let names = build.tags.join(",");
        command.arg("--output").arg(format!("type=image,\"name={names}\",push=true"));
    }
    command.args(&build.rest);
    command
}

fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Runs a command on the caller's terminal to its end.
pub fn run(command: &mut Command) -> io::Result<ExitStatus> {
    command.status()
}
