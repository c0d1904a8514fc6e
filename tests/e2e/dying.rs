//! Builds that are interrupted: by the engine's end, and by the person who waits.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{Tree, run, setting};

/// A buildkitd that is there to be killed, and a builder of buildx that reaches it.
struct Victim {
    daemon: Child,
    folder: tempfile::TempDir,
    name: String,
}

impl Victim {
    fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = setting("STAGEX_REGISTRY");
        let config = folder.path().join("buildkitd.toml");
        std::fs::write(&config, format!("[registry.\"{registry}\"]\n  http = true\n")).unwrap();
        let socket = format!("unix://{}/socket", folder.path().display());
        let binary = PathBuf::from(setting("STAGEX_ENGINES")).join("bin/buildkitd");
        let daemon = Command::new(binary)
            .args(["--oci-worker-binary", "runc", "--containerd-worker=false", "--addr", &socket])
            .arg("--config")
            .arg(&config)
            .arg("--root")
            .arg(folder.path().join("root"))
            .arg("--otel-socket-path")
            .arg(folder.path().join("otel"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(|| {
            let mut ask = Command::new("buildctl");
            let ask = ask.args(["--addr", &socket, "debug", "workers"]).output();
            ask.is_ok_and(|o| o.status.success())
        });
        let name = format!("stagex-{name}-{}", daemon.id());
        run("docker", &["buildx", "create", "--name", &name, "--driver", "remote", &socket]);
        Self { daemon, folder, name }
    }

    /// `stagex build` on it, in a process group of its own.
    fn build(&self, tree: &Tree, dest: &Path) -> Child {
        use std::os::unix::process::CommandExt as _;
        let registry = setting("STAGEX_REGISTRY");
        let output = format!("type=tar,dest={}", dest.display());
        // A runner that works in the background ignores SIGINT, and so would everything below it.
        Command::new("env")
            .args(["--default-signal=INT", env!("CARGO_BIN_EXE_stagex")])
            .args(["-C", &tree.text(""), "build", "test/slow", "--output", &output])
            .args(["--frontend", &format!("{registry}/stagex/frontend")])
            .args(["--", "--builder", &self.name, "--progress", "plain"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.log()).unwrap())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = Command::new("docker").args(["buildx", "rm", "--keep-daemon", &self.name]).output();
        let executor = self.folder.path().join("root/runc-overlayfs/executor");
        for entry in std::fs::read_dir(executor).into_iter().flatten().flatten() {
            let id = entry.file_name();
            let _ = Command::new("runc").args(["delete", "--force"]).arg(id).output();
        }
        let below = self.folder.path().display();
        let script = format!(
            "cut -d' ' -f5 /proc/self/mountinfo | grep ^{below} | sort -r | xargs -r umount -l"
        );
        let _ = Command::new("sh").args(["-c", &script]).output();
    }
}

fn wait_for(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn slow() -> Tree {
    let tree = Tree::with_tools();
    tree.spec("slow", "build:\n  tools: [test/tools]\n  run: |\n    echo it runs\n    sleep 120\n");
    tree
}

/// Starts the slow build, does something to it, and returns how it ended and what it said.
fn interrupted(name: &str, interrupt: impl FnOnce(&mut Victim, &Child)) -> (i32, String, bool) {
    let tree = slow();
    let mut victim = Victim::start(name);
    let dest = tree.path("out.tar");
    let mut build = victim.build(&tree, &dest);
    wait_for(|| victim.said().contains(" it runs"));
    interrupt(&mut victim, &build);
    let status = build.wait().unwrap();
    let whole =
        Command::new("tar").arg("-tf").arg(&dest).output().is_ok_and(|o| o.status.success());
    let left = dest.exists() && std::fs::metadata(&dest).unwrap().len() > 0 && !whole;
    (status.code().unwrap_or(-1), victim.said(), left)
}

#[test]
fn an_engine_that_dies_in_the_middle_is_a_failure_that_leaves_nothing_half_written() {
    let (code, said, half) = interrupted("dies", |victim, _| {
        victim.daemon.kill().unwrap();
        victim.daemon.wait().unwrap();
    });
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("ERROR"), "{said}");
    assert!(!half);
}

#[test]
fn ctrl_c_ends_the_build_and_leaves_nothing_half_written() {
    let (code, said, half) = interrupted("interrupted", |_, build| {
        // As a terminal does: to the whole group. The shell's own `kill`, because that of procps
        // 4.0 takes `-1234` for `-1` and signals every process of the machine.
        run("bash", &["-c", &format!("kill -INT -- -{}", build.id())]);
    });
    assert_ne!(code, 0, "{said}");
    assert!(!half);
}
