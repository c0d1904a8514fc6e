//! How long compiling takes: `cargo bench --bench compile`.

mod tree;

use std::time::{Duration, Instant};

use stagex::diag::Files;
use stagex::emit::llb::{Inputs, emit};
use stagex::graph::PackageGraph;
use stagex::llb::{Graph, encode, verify};
use stagex::package::{PackageName, Platform};
use stagex::tree::{Folder, Memory};
use stagex::{Compiled, Query, Subject, check, compile};

use tree::{Shape, tree};

/// The median and the fastest of some runs.
fn measure(runs: usize, mut run: impl FnMut()) -> (Duration, Duration) {
    run();
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    (times[times.len() / 2], times[0])
}

fn amd64() -> Platform {
    Platform::parse("linux/amd64").expect("a platform")
}

fn compiled(memory: &Memory, shape: Shape, files: &mut Files) -> Compiled {
    let name = PackageName::parse(&shape.deepest()).expect("a name");
    let query = Query::new(Subject::Package(name), amd64());
    compile(memory, &query, files)
        .unwrap_or_else(|e| panic!("{}", stagex::diag::render::text(&e, files, false)))
}

fn definition(memory: &Memory, shape: Shape) -> (Vec<u8>, usize, PackageGraph) {
    let mut files = Files::new();
    let compiled = compiled(memory, shape, &mut files);
    let mut graph = Graph::new();
    let results = emit(&compiled.plan, &files, &Inputs::default(), &mut graph);
    let definition = graph.definition(results[0]);
    verify(&definition).expect("in order");
    let ops = definition.def.len();
    (encode(&definition), ops, compiled.graph)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn report(what: &str, (median, fastest): (Duration, Duration), more: &str) {
    let line = format!(
        "{what:50} median {:>10}  fastest {:>10}  {more}\n",
        milliseconds(median),
        milliseconds(fastest)
    );
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(line.as_bytes());
}

fn main() {
    for (factor, runs) in [(1, 30), (4, 10)] {
        let shape = Shape::STAGEX.times(factor);
        let memory = tree(shape);
        let (bytes, ops, graph) = definition(&memory, shape);
        let edges: usize = graph.nodes.iter().map(|n| n.edges().len()).sum();
        let more = format!(
            "{ops} ops, {:.2} MB, {} nodes, {edges} edges",
            bytes.len() as f64 / 1e6,
            graph.nodes.len()
        );
        let times = measure(runs, || drop(definition(&memory, shape)));
        report(&format!("bytes to definition, tree of StageX's shape × {factor}"), times, &more);
        let times = measure(runs, || {
            drop(compiled(&memory, shape, &mut Files::new()));
        });
        report("  of which load, resolve and lower", times, "");
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in &memory.0 {
            let full = folder.path().join(path);
            std::fs::create_dir_all(full.parent().expect("a parent")).expect("a folder");
            std::fs::write(full, text).expect("a file");
        }
        let times = measure(runs, || {
            check(&Folder::new(folder.path()), &amd64(), &mut Files::new()).expect("in order");
        });
        report("check of the whole tree on disk, in process", times, "");
        // The path is for the comparison of whole processes, which `benches/run` makes.
        if std::env::args().nth(1).as_deref() == Some("--keep") {
            let _ = folder.keep();
        }
    }
}
