//! Laws over generated trees of packages.

use std::fmt::Write as _;

use bollard_buildkit_proto::pb;
use proptest::prelude::*;

use stagex::diag::{Code, Files};
use stagex::emit::llb::{Inputs, emit};
use stagex::llb::{self, Graph};
use stagex::package::{PackageName, Platform};
use stagex::tree::Memory;
use stagex::{Query, Subject, check, compile};

/// A package; numbers are those of other packages, smaller than its own unless a cycle is planted.
#[derive(Clone, Debug)]
struct Spec {
    requires: Vec<usize>,
    tools: Vec<usize>,
    second: bool,
    earlier: bool,
    /// Sorts the keys.
    order: Vec<u8>,
}

fn spec() -> impl Strategy<Value = Spec> {
    let needs = || proptest::collection::btree_set(0usize..8, 0..3);
    let order = proptest::collection::vec(any::<u8>(), 8);
    (needs(), needs(), any::<bool>(), any::<bool>(), order).prop_map(
        |(requires, tools, second, earlier, order)| Spec {
            requires: requires.into_iter().collect(),
            tools: tools.into_iter().collect(),
            second,
            earlier,
            order,
        },
    )
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    proptest::collection::vec(spec(), 1..8).prop_map(|mut specs| {
        for (number, spec) in specs.iter_mut().enumerate() {
            spec.requires.retain(|n| *n < number);
            spec.tools.retain(|n| *n < number);
        }
        specs
    })
}

fn list(numbers: &[usize]) -> String {
    let names: Vec<String> = numbers.iter().map(|n| format!("g/p{n}")).collect();
    format!("[{}]", names.join(", "))
}

/// Lines, or blocks of lines, in the order that the bytes give.
fn ordered(mut parts: Vec<String>, order: &[u8]) -> String {
    let mut keys = order.iter().copied().cycle();
    parts.sort_by_cached_key(|p| (keys.next(), p.clone()));
    parts.concat()
}

fn yaml(number: usize, spec: &Spec, shuffled: bool) -> String {
    let same = vec![0; 8];
    let order = if shuffled { &spec.order } else { &same };
    let mut build = vec![
        format!("    tools: {}\n", list(&spec.tools)),
        "    run: make\n".to_owned(),
        "    env: { B: b, A: a }\n".to_owned(),
    ];
    let mut stages = String::new();
    if spec.earlier {
        build.push("    rootfs: [{ stage: earlier, from: /a, to: /b }]\n".to_owned());
        stages.push_str("  earlier:\n    run: prepare\n");
    }
    let _ = write!(stages, "  build:\n{}", ordered(build, order));
    let mut outputs = vec![format!("  p{number}: {{ requires: {} }}\n", list(&spec.requires))];
    if spec.second {
        outputs.push("  lib: { files: [/lib], requires: [] }\n".to_owned());
    }
    let parts = vec![
        format!("name: g/p{number}\n"),
        format!("version: 1.{number}\n"),
        "description: generated\n".to_owned(),
        format!("stages:\n{stages}"),
        format!("outputs:\n{}", ordered(outputs, order)),
    ];
    ordered(parts, order)
}

fn tree(specs: &[Spec], shuffled: bool) -> Memory {
    let files = specs.iter().enumerate();
    files.fold(Memory::default(), |tree, (number, spec)| {
        tree.with(&format!("packages/g/p{number}/package.yaml"), yaml(number, spec, shuffled))
    })
}

fn amd64() -> Platform {
    Platform::parse("linux/amd64").unwrap()
}

fn definition(tree: &Memory, number: usize) -> pb::Definition {
    let mut files = Files::new();
    let name = PackageName::parse(&format!("g/p{number}")).unwrap();
    let compiled = compile(tree, &Query::new(Subject::Package(name), amd64()), &mut files).unwrap();
    let mut graph = Graph::new();
    let results = emit(&compiled.plan, &files, &Inputs::default(), &mut graph);
    graph.definition(results[0])
}

/// The codes that a check of the whole tree finds.
fn codes(tree: &Memory) -> Vec<Code> {
    let found = check(tree, &amd64(), &mut Files::new()).err().unwrap_or_default();
    found.into_iter().map(|d| d.code).collect()
}

/// Whether one package leads to another over requires and tools.
fn leads(specs: &[Spec], from: usize, to: usize) -> bool {
    let next = specs[from].requires.iter().chain(&specs[from].tools);
    from == to || next.into_iter().any(|n| leads(specs, *n, to))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_definition_of_a_tree_without_cycles_is_in_order(specs in specs()) {
        let tree = tree(&specs, false);
        prop_assert_eq!(codes(&tree), []);
        for number in 0..specs.len() {
            prop_assert_eq!(llb::verify(&definition(&tree, number)), Ok(()));
        }
    }

    #[test]
    fn a_cycle_is_reported_exactly_when_one_was_planted(
        specs in specs(), at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), tools in any::<bool>(),
    ) {
        let (at, to) = (at.index(specs.len()), to.index(specs.len()));
        let closes = leads(&specs, to, at);
        let mut planted = specs.clone();
        let needs = if tools { &mut planted[at].tools } else { &mut planted[at].requires };
        if !needs.contains(&to) {
            needs.push(to);
        }
        let found = codes(&tree(&planted, false));
        prop_assert_eq!(found.contains(&Code::Cycle), closes);
        prop_assert!(found.iter().all(|c| *c == Code::Cycle), "{:?}", found);
    }

    #[test]
    fn the_order_of_keys_changes_no_byte(specs in specs()) {
        let (plain, shuffled) = (tree(&specs, false), tree(&specs, true));
        for number in 0..specs.len() {
            prop_assert_eq!(definition(&plain, number).def, definition(&shuffled, number).def);
        }
    }

    #[test]
    fn the_order_of_files_changes_no_byte(specs in specs()) {
        let tree = tree(&specs, false);
        let backwards = tree.0.iter().rev().fold(Memory::default(), |t, (path, bytes)| t.with(path, bytes.clone()));
        for number in 0..specs.len() {
            prop_assert_eq!(definition(&tree, number), definition(&backwards, number));
        }
    }
}
