//! The graph: vertices interned by digest, and the definition that an engine gets.

use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;
use prost::Message as _;

use crate::digest::Digest;
use crate::package::Platform;

use super::encode::{self, Order};
use super::{Op, Vertex};

/// A result of a vertex: a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Output {
    vertex: u32,
    index: u32,
}

impl Output {
    /// Which result of the vertex; 0 but for execs with several writable mounts.
    pub fn index(self) -> u32 {
        self.index
    }

    /// The result of the same vertex with this number.
    #[must_use]
    pub fn at(self, index: u32) -> Self {
        Self { index, ..self }
    }
}

/// What is said about a vertex; changes neither what it does nor whether it is cached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The line of the progress: `[core/zlib] make`.
    pub name: String,
    /// Lines of one group are shown together.
    pub group: Option<String>,
    /// Where it comes from.
    pub locations: Vec<Location>,
    /// Run it even if a result is known (`--no-cache`).
    pub ignore_cache: bool,
}

/// Lines of a source file, from 1, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The index that [`Graph::add_file`] gave.
    pub file: u32,
    /// The first line.
    pub first: u32,
    /// The last line.
    pub last: u32,
}

/// A file that locations point into, carried along so that a client can print its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// As people know it.
    pub path: String,
    /// Its bytes.
    pub data: Vec<u8>,
    /// What it is written in: `YAML`, `Dockerfile`.
    pub language: String,
}

#[derive(Clone, Debug)]
struct Interned {
    bytes: Vec<u8>,
    digest: String,
    inputs: Vec<Output>,
    metadata: Metadata,
    caps: Vec<&'static str>,
}

/// Vertices, each once.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    vertices: Vec<Interned>,
    by_digest: BTreeMap<String, u32>,
    files: Vec<SourceFile>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vertex, or finds the one with the same bytes; its first result is returned, others
    /// are [`Output::at`]. Inputs must be outputs of this graph.
    pub fn add(&mut self, vertex: Vertex) -> Output {
        self.add_in(Order::OneofLast, vertex)
    }

    /// The same, in the bytes that old engines (BuildKit before 0.17) write themselves: an upload of
    /// the client can be read once, and when a frontend starts, its engine has read it, as an op
    /// of these very bytes. New engines write every op anew.
    pub fn add_as_engine(&mut self, vertex: Vertex) -> Output {
        self.add_in(Order::Tags, vertex)
    }

    fn add_in(&mut self, order: Order, vertex: Vertex) -> Output {
        let digest = |o: Output| self.vertices[o.vertex as usize].digest.clone();
        let bytes = encode::bytes(&vertex.op, (vertex.platform.as_ref(), order), &digest);
        let caps = match vertex.op {
            Op::Merge(_) => vec!["mergeop"],
            Op::Source { .. } | Op::Exec(_) | Op::File(_) => Vec::new(),
        };
        self.intern(bytes, vertex.op.inputs(), vertex.metadata, caps)
    }

    fn intern(
        &mut self,
        bytes: Vec<u8>,
        inputs: Vec<Output>,
        metadata: Metadata,
        caps: Vec<&'static str>,
    ) -> Output {
        let digest = Digest::of(&bytes).to_string();
        if let Some(known) = self.by_digest.get(&digest) {
            return Output { vertex: *known, index: 0 };
        }
        let vertex = u32::try_from(self.vertices.len()).expect("fewer than four billion vertices");
        self.by_digest.insert(digest.clone(), vertex);
        self.vertices.push(Interned { bytes, digest, inputs, metadata, caps });
        Output { vertex, index: 0 }
    }

    /// Takes in a definition that someone else made (a named context); `None` when it has no
    /// terminal op or an op before its inputs.
    pub fn import(&mut self, definition: &pb::Definition) -> Option<Output> {
        let mut last = None;
        for bytes in &definition.def {
            let op = pb::Op::decode(bytes.as_slice()).ok()?;
            let mut inputs = Vec::new();
            for input in &op.inputs {
                let vertex = *self.by_digest.get(&input.digest)?;
                inputs.push(Output { vertex, index: u32::try_from(input.index).ok()? });
            }
            if op.op.is_none() {
                return inputs.first().copied();
            }
            let digest = Digest::of(bytes).to_string();
            let name =
                definition.metadata.get(&digest).and_then(|m| m.description.get("llb.customname"));
            let metadata =
                Metadata { name: name.cloned().unwrap_or_default(), ..Metadata::default() };
            last = Some(self.intern(bytes.clone(), inputs, metadata, Vec::new()));
        }
        last
    }

    /// Adds a file that locations may point into; the same file has one number.
    pub fn add_file(&mut self, file: SourceFile) -> u32 {
        let at = self.files.iter().position(|f| *f == file).unwrap_or_else(|| {
            self.files.push(file);
            self.files.len() - 1
        });
        u32::try_from(at).expect("fewer than four billion files")
    }

    /// The digest of the vertex that an output is of, as the engine computes it.
    pub fn digest(&self, output: Output) -> &str {
        &self.vertices[output.vertex as usize].digest
    }

    /// How many vertices there are.
    pub fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    /// The definition of one result: what it needs, inputs first, and the terminal op. `None` is
    /// the empty tree, which BuildKit writes as an empty definition.
    pub fn definition(&self, result: Option<Output>) -> pb::Definition {
        let Some(result) = result else { return pb::Definition::default() };
        let mut needed = vec![false; self.vertices.len()];
        let mut open = vec![result.vertex];
        while let Some(vertex) = open.pop() {
            if !std::mem::replace(&mut needed[vertex as usize], true) {
                open.extend(self.vertices[vertex as usize].inputs.iter().map(|i| i.vertex));
            }
        }
        let mut definition = pb::Definition::default();
        let mut source = pb::Source::default();
        let mut numbers: BTreeMap<u32, i32> = BTreeMap::new();
        for (vertex, _) in self.vertices.iter().zip(&needed).filter(|(_, n)| **n) {
            definition.def.push(vertex.bytes.clone());
            let metadata = encode::metadata(&vertex.metadata, &vertex.caps);
            definition.metadata.insert(vertex.digest.clone(), metadata);
            if vertex.metadata.locations.is_empty() {
                continue;
            }
            let locations = vertex.metadata.locations.iter().map(|l| {
                let next = i32::try_from(numbers.len()).expect("fewer files than memory");
                let number = *numbers.entry(l.file).or_insert_with(|| {
                    source.infos.push(info(&self.files[l.file as usize]));
                    next
                });
                location(*l, number)
            });
            let locations = pb::Locations { locations: locations.collect() };
            source.locations.insert(vertex.digest.clone(), locations);
        }
        let last = &self.vertices[result.vertex as usize];
        definition.def.push(encode::terminal(last.digest.clone(), result.index));
        let terminal = Digest::of(definition.def.last().expect("just pushed")).to_string();
        let caps = [("constraints".to_owned(), true), ("platform".to_owned(), true)].into();
        let metadata = pb::OpMetadata { caps, ..pb::OpMetadata::default() };
        definition.metadata.insert(terminal, metadata);
        definition.source = (!source.infos.is_empty()).then_some(source);
        definition
    }
}

fn info(file: &SourceFile) -> pb::SourceInfo {
    pb::SourceInfo {
        filename: file.path.clone(),
        data: file.data.clone(),
        language: file.language.clone(),
        ..pb::SourceInfo::default()
    }
}

fn location(location: Location, source_index: i32) -> pb::Location {
    let at =
        |line: u32| pb::Position { line: i32::try_from(line).unwrap_or(i32::MAX), character: 0 };
    let range = pb::Range { start: Some(at(location.first)), end: Some(at(location.last)) };
    pb::Location { source_index, ranges: vec![range] }
}

impl Metadata {
    /// Metadata with a name only.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

impl Vertex {
    /// A source that the platform does not change.
    pub fn source(identifier: String, attrs: BTreeMap<String, String>) -> Self {
        let op = Op::Source { identifier, attrs };
        Self { op, platform: None, metadata: Metadata::default() }
    }

    /// The same for this platform.
    #[must_use]
    pub fn on(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }
}
