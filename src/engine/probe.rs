//! Which engines are here, and what they can do.

use std::process::{Command, Stdio};

use serde::Serialize;

/// An engine or client that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its name: `docker buildx`.
    pub name: String,
    /// Its version, as it says.
    pub version: String,
    /// The platforms that it builds for, where it says.
    pub platforms: Vec<String>,
    /// What of it this project can use, and what not.
    pub notes: Vec<String>,
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub what: String,
    /// The command that mends it.
    pub mend: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What answered.
    pub found: Vec<Found>,
    /// What is missing.
    pub problems: Vec<Problem>,
}

/// Asks every engine that this project knows; none is started.
pub fn probe() -> Report {
    let mut report = Report::default();
    let docker = text("docker", &["version", "--format", "{{.Server.Version}}"]);
    match &docker {
        Some(version) => report.found.push(dockerd(version)),
        None => report.problem(
            "no docker daemon answers",
            "start it (`systemctl start docker`), or install docker.io; in a checkout of stagex: eval \"$(tests/engine/up)\"",
        ),
    }
    match text("docker", &["buildx", "version"]) {
        Some(version) => {
            let (platforms, notes) = builder();
            report.found.push(Found {
                name: "docker buildx".to_owned(),
                version: version.split_whitespace().nth(1).unwrap_or(&version).to_owned(),
                platforms,
                notes,
            });
        }
        None => report.problem("docker has no buildx", "apt-get install docker-buildx"),
    }
    for (name, args) in [
        ("buildctl", ["--version"]),
        ("podman", ["--version"]),
        ("buildah", ["--version"]),
        ("skopeo", ["--version"]),
    ] {
        let Some(said) = text(name, &args) else { continue };
        let is_version =
            |w: &&str| w.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
        let version = said.split_whitespace().find(is_version).unwrap_or(&said).to_owned();
        let (name, platforms, notes) = (name.to_owned(), Vec::new(), Vec::new());
        report.found.push(Found { name, version, platforms, notes });
    }
    if report.found.iter().all(|f| f.name != "docker buildx" && f.name != "buildctl") {
        report.problem("nothing here can build a spec", "apt-get install docker.io docker-buildx");
    }
    let platforms: Vec<&String> = report.found.iter().flat_map(|f| &f.platforms).collect();
    let missing: Vec<&str> = ["linux/amd64", "linux/arm64", "linux/riscv64"]
        .into_iter()
        .filter(|p| !platforms.is_empty() && !platforms.iter().any(|have| have == p))
        .collect();
    if !missing.is_empty() {
        let what = format!("no emulation for {}", missing.join(", "));
        report.problem(&what, "apt-get install qemu-user-static binfmt-support");
    }
    report
}

impl Report {
    fn problem(&mut self, what: &str, mend: &str) {
        self.problems.push(Problem { what: what.to_owned(), mend: mend.to_owned() });
    }
}

fn dockerd(version: &str) -> Found {
    let driver = text("docker", &["info", "--format", "{{.DriverStatus}}"]).unwrap_or_default();
    let note = if driver.contains("io.containerd.snapshotter") {
        "stores images in containerd: several platforms in one image, local frontends, MergeOp"
    } else {
        "stores images without containerd: one platform at a time, and `# syntax=` only from a registry; \
         mend it with {\"features\":{\"containerd-snapshotter\":true}} in /etc/docker/daemon.json"
    };
    let (platforms, notes) = (Vec::new(), vec![note.to_owned()]);
    Found { name: "docker".to_owned(), version: version.to_owned(), platforms, notes }
}

/// The platforms and the version of the builder that buildx would use.
fn builder() -> (Vec<String>, Vec<String>) {
    let Some(said) = text("docker", &["buildx", "inspect"]) else {
        return (Vec::new(), vec!["its builder does not answer".to_owned()]);
    };
    let value = |key: &str| {
        said.lines().find_map(|l| l.trim().strip_prefix(key)).map(|v| v.trim().to_owned())
    };
    let platforms = value("Platforms:").unwrap_or_default();
    let platforms = platforms.split(',').map(|p| p.trim().trim_end_matches('*').to_owned());
    let notes = [("builder", "Name:"), ("driver", "Driver:"), ("BuildKit", "BuildKit version:")];
    let notes = notes.into_iter().filter_map(|(what, key)| Some(format!("{what} {}", value(key)?)));
    (platforms.filter(|p| !p.is_empty()).collect(), notes.collect())
}

/// What a program says on standard output; `None` when it is not there or fails.
fn text(program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}
