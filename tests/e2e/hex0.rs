//! The main example.

use crate::world::{Engine, Layout, build, run};

const PLATFORMS: [&str; 3] = ["linux/amd64", "linux/arm64", "linux/riscv64"];

#[test]
fn the_plain_command_builds_it_and_it_runs_on_three_platforms() {
    let all = PLATFORMS.join(",");
    let args = ["--platform", &all, "--tag", "stagex-e2e/hex0", "--load"];
    build(&[&args[..], &["-f", "examples/hex0/package.yaml", "examples/hex0"]].concat());
    for platform in PLATFORMS {
        let container = ["run", "--rm", "--network", "none", "--platform", platform];
        let said = run("docker", &[&container[..], &["stagex-e2e/hex0"]].concat());
        let architecture = platform.strip_prefix("linux/").unwrap();
        assert_eq!(said.out, format!("hello from hex0 on {architecture}\n"));
    }
}

#[test]
fn two_engines_make_one_image_without_their_caches() {
    let mut layouts = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    for engine in Engine::ALL {
        let dest = folder.path().join(format!("{engine:?}"));
        let output = format!("type=oci,tar=false,dest={}", dest.display());
        let all = PLATFORMS.join(",");
        let args = ["--no-cache", "--platform", &all, "--output", &output, "--provenance=false"];
        engine.build(&[&args[..], &["-f", "examples/hex0/package.yaml", "examples/hex0"]].concat());
        layouts.push(Layout(dest));
    }
    let configs: Vec<_> = layouts.iter().map(Layout::configs).collect();
    assert_eq!(configs[0].len(), 3);
    assert_eq!(configs[0], configs[1], "one config, and with it one list of diff IDs");
    let manifests: Vec<_> = layouts.iter().map(Layout::manifests).collect();
    assert_eq!(
        manifests[0], manifests[1],
        "both use the gzip of Go's library at its default level"
    );
}
