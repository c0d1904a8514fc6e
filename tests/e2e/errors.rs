//! What a person sees when a build goes wrong.

use crate::world::{Engine, Tree};

#[test]
fn a_failing_step_shows_the_lines_of_the_spec() {
    for engine in Engine::ALL {
        let tree = Tree::with_tools();
        let spec = tree.spec(
            "fails",
            "build:\n  tools: [test/tools]\n  steps:\n    - run: |\n        echo fine\n    - name: the one that fails\n      run: |\n        echo about to fail\n        exit 7\n",
        );
        let said = engine.try_build(&["-f", &spec, &tree.text("")]);
        assert!(!said.ok);
        assert!(said.err.contains("[test/fails] the one that fails"), "{}", said.err);
        assert!(said.err.contains("about to fail"), "{}", said.err);
        assert!(said.err.contains("exit code: 7"), "{}", said.err);
        assert!(said.err.contains(">>>         exit 7"), "{}", said.err);
    }
}

#[test]
fn a_failing_source_shows_the_lines_of_the_spec() {
    let tree = Tree::with_tools();
    let url = "http://127.0.0.1:9/nothing-1.0.tar.gz";
    let digest = "0".repeat(64);
    let spec = tree.spec(
        "fails",
        &format!("sources:\n  nothing:\n    url: {url}\n    sha256: {digest}\nbuild:\n  tools: [test/tools]\n  run: echo never\n"),
    );
    let said = Engine::Dockerd.try_build(&["-f", &spec, &tree.text("")]);
    assert!(!said.ok);
    assert!(said.err.contains(">>>   nothing:"), "{}", said.err);
}

#[test]
fn all_findings_of_a_spec_reach_the_client_with_their_lines() {
    for engine in Engine::ALL {
        let tree = Tree::with_tools();
        let spec = tree
            .spec("wrong", "verison: 2\nbuild:\n  tools: [test/tolls]\n  run: true\n  wrkdir: /\n");
        let said = engine.try_build(&["-f", &spec, &tree.text("")]);
        assert!(!said.ok);
        for text in ["2 errors", "did you mean `version`?", ">>> verison: 2", ">>>   wrkdir: /"] {
            assert!(said.err.contains(text), "no {text:?} in {}", said.err);
        }
    }
}

#[test]
fn a_step_has_no_network() {
    let tree = Tree::with_tools();
    let spec = tree.spec(
        "network",
        "build:\n  tools: [test/tools]\n  run: |\n    cat /proc/net/dev | grep -v lo: >&2\n    if ip route get 192.0.2.1; then exit 1; fi\n    echo no network >$OUT/said\n",
    );
    let said = Engine::Dockerd.build(&["--output", "type=cacheonly", "-f", &spec, &tree.text("")]);
    assert!(!said.err.contains("eth0"), "{}", said.err);
}
