//! Named contexts → trees of the graph.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic};
use crate::graph::{Kind, PackageGraph};
use crate::llb::{self, Copy, FileAction, FileOp, Graph, Metadata, Op, Vertex};
use crate::package::{Platform, Reference};

use super::bridge::Bridge;
use super::detect::Remote;
use super::request::{ContextValue, Request};

/// The trees of named contexts, by what they replace and for which platform.
pub(super) type Contexts = BTreeMap<(Reference, Platform), llb::Output>;

/// Adds the tree of every named context that a build uses to its graph; images are pinned to what
/// the registry has at this moment, which the provenance then records.
pub(super) async fn load(
    bridge: &Bridge,
    request: &Request,
    packages: &PackageGraph,
    graph: &mut Graph,
) -> Result<Contexts, Diagnostic> {
    let mut contexts = Contexts::new();
    for node in &packages.nodes {
        let Kind::Context(reference) = &node.kind else { continue };
        let platform = &node.platform;
        let Some(value) = request.context_for(reference, platform) else {
            let said = format!("no named context `{reference}` for {platform}");
            return Err(Diagnostic::bare(Code::MissingPlatform, said));
        };
        let metadata = Metadata::named(format!("[context {reference}] {platform}"));
        let wanted = Wanted { request, reference, platform, metadata };
        let output = wanted.tree(bridge, value, graph).await?;
        contexts.insert((reference.clone(), platform.clone()), output);
    }
    Ok(contexts)
}

struct Wanted<'w> {
    request: &'w Request,
    reference: &'w Reference,
    platform: &'w Platform,
    metadata: Metadata,
}

impl Wanted<'_> {
    async fn tree(
        &self,
        bridge: &Bridge,
        value: &ContextValue,
        graph: &mut Graph,
    ) -> Result<llb::Output, Diagnostic> {
        let failed = |e: &dyn std::fmt::Display| {
            let said = format!("the named context `{}` can't be had: {e}", self.reference);
            Diagnostic::bare(Code::Engine, said)
        };
        let metadata = self.metadata.clone();
        let source = |identifier: String, attrs: BTreeMap<String, String>| {
            let op = Op::Source { identifier, attrs };
            Vertex { op, platform: None, metadata: metadata.clone() }
        };
        match value {
            ContextValue::Image(name) => {
                let found = bridge.image(&tagged(name), self.platform, None).await;
                let digest = found.map_err(|e| failed(&e.message()))?.digest;
                let identifier = format!("docker-image://{}", pinned(name, &digest));
                let vertex = source(identifier, BTreeMap::new()).on(self.platform.clone());
                Ok(graph.add(vertex))
            }
            ContextValue::OciLayout { store, digest } => {
                // The name is for messages only; the client looks the digest up in its store.
                let identifier = format!("oci-layout://docker.io/library/{}@{digest}", "context");
                let attrs = [
                    ("oci.session".to_owned(), bridge.session.clone()),
                    ("oci.store".to_owned(), store.clone()),
                ];
                Ok(graph.add(source(identifier, attrs.into()).on(self.platform.clone())))
            }
            ContextValue::Local(name) => {
                let session = self.request.sessions.get(name).unwrap_or(&bridge.session);
                let attrs = [
                    ("local.session".to_owned(), session.clone()),
                    ("local.sharedkeyhint".to_owned(), format!("context:{}", self.reference)),
                ];
                Ok(graph.add(source(format!("local://{name}"), attrs.into())))
            }
            ContextValue::Input(name) => {
                let inputs = bridge.inputs().await.map_err(|e| failed(&e.message()))?;
                let definition = inputs.definitions.get(name);
                definition
                    .and_then(|d| graph.import(d))
                    .ok_or_else(|| failed(&"the client sent no such input"))
            }
            ContextValue::Remote(remote) => Ok(fetched(remote, metadata, graph)),
        }
    }
}

/// A repository, or an archive unpacked.
fn fetched(remote: &Remote, metadata: Metadata, graph: &mut Graph) -> llb::Output {
    let op = remote.op();
    let output = graph.add(Vertex { op, platform: None, metadata: metadata.clone() });
    match remote {
        Remote::Git { .. } => output,
        Remote::Http(_) => graph.add(Vertex { op: unpacked(output), platform: None, metadata }),
    }
}

/// The file `context` of a tree, unpacked.
pub(super) fn unpacked(from: llb::Output) -> Op {
    let copy = Copy {
        from: Some(from),
        src: "/context".to_owned(),
        dest: "/".to_owned(),
        contents: false,
        wildcard: false,
        unpack: true,
        include: Vec::new(),
        exclude: Vec::new(),
        owner: None,
        mode: None,
        timestamp: None,
    };
    Op::File(FileOp { base: None, actions: vec![FileAction::Copy(Box::new(copy))] })
}

/// A name without tag and digest means the tag `latest`.
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

/// An image by what it was found to be. Docker Hub's names are written out, as everywhere below
/// the client.
fn pinned(name: &str, digest: &str) -> String {
    let name = name.split('@').next().unwrap_or(name);
    let slash = name.rfind('/').map_or(0, |n| n + 1);
    let name = name[slash..].find(':').map_or(name, |colon| &name[..slash + colon]);
    let host = name.split('/').next().unwrap_or("");
    let full = match (name.contains('/'), host.contains(['.', ':']) || host == "localhost") {
        (true, true) => name.to_owned(),
        (true, false) => format!("docker.io/{name}"),
        (false, _) => format!("docker.io/library/{name}"),
    };
    format!("{full}@{digest}")
}
