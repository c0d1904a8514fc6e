//! One build, from the client's options to BuildKit's answer.

use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::pb;
use tokio::runtime::Handle;

use crate::diag::{Code, Diagnostic, Diagnostics, Files};
use crate::emit::llb::{Inputs, TreeInput, emit};
use crate::graph::{Goal, Kind};
use crate::llb::{Graph, Metadata, Vertex, verify};
use crate::package::{OutputName, Place, Platform, StageName, name_in};
use crate::plan::{BuildPlan, Fetch, Op, Options};
use crate::tree::{Folder, MAX_FILE, Overlay};
use crate::{Compiled, Query, Subject, compile};

use super::Environment;
use super::bridge::{Bridge, Ref};
use super::detect::{Remote, is_archive};
use super::reply::{self, Image};
use super::request::{Call, Request};
use super::tree::{Context, GatewayTree, local};
use super::{calls, contexts};

/// BuildKit is gone: nobody is left to answer.
#[derive(Debug)]
pub(super) struct Lost;

/// Why there is no image.
enum Refusal {
    /// Findings, with the files that they are in.
    Found(Diagnostics, Box<Files>),
    /// The engine said no.
    Engine(tonic::Status),
}

impl From<tonic::Status> for Refusal {
    fn from(e: tonic::Status) -> Self {
        Self::Engine(e)
    }
}

impl Refusal {
    fn bare(found: Diagnostic) -> Self {
        Self::Found(found.into(), Box::default())
    }
}

/// Serves the one build that this process was started for.
pub(super) async fn serve(environment: &Environment, session: &str) -> Result<(), Lost> {
    let bridge = Bridge::connect(session).await.map_err(|_| Lost)?;
    let answer = match build(&bridge, environment).await {
        Ok(answer) => answer,
        Err(Refusal::Found(found, files)) => reply::findings(&found, &files),
        Err(Refusal::Engine(e)) => reply::status(&e),
    };
    bridge.give(answer).await.map_err(|_| Lost)
}

async fn build(
    bridge: &Bridge,
    environment: &Environment,
) -> Result<gateway::ReturnRequest, Refusal> {
    let request = Request::parse(&environment.map())
        .map_err(|found| Refusal::Found(found, Box::default()))?;
    match &request.call {
        Some(Call::Describe) => {
            let (json, text) = calls::describe();
            return Ok(reply::call(calls::VERSION, json, text, None));
        }
        Some(Call::Other(id)) => return Err(Refusal::bare(Call::refusal(id))),
        Some(Call::Outline | Call::Targets | Call::Check) | None => {}
    }
    let mut graph = Graph::new();
    let place = context(bridge, &request, &mut graph).await?;
    let spec = spec(bridge, &request, &place).await?;
    let job = Job {
        bridge: bridge.clone(),
        request: request.clone(),
        spec,
        context: place.context.clone(),
        catalog: Folder::new(&environment.catalog),
    };
    let handle = Handle::current();
    // Compiling asks the tree for files and waits for them; it has a thread of its own, so that
    // this one can go on talking to BuildKit.
    let (result, files) = tokio::task::spawn_blocking(move || job.compile(handle))
        .await
        .map_err(|e| Refusal::bare(Diagnostic::bare(Code::BadRequest, e.to_string())))?;
    if let (Some(Call::Check), result) = (&request.call, &result) {
        let found = result.as_ref().err().cloned().unwrap_or_default();
        let (json, text, status) = calls::check(&found, &files);
        return Ok(reply::call(calls::VERSION, json, text, Some(status)));
    }
    let compiled = match result {
        Ok(compiled) => compiled,
        Err(found) => return Err(Refusal::Found(found, Box::new(files))),
    };
    let answer = match &request.call {
        Some(Call::Outline) => {
            Some(calls::outline(&compiled.package, request.target.as_deref(), &files))
        }
        Some(Call::Targets) => Some(calls::targets(&compiled.package, &files)),
        Some(_) | None => None,
    };
    if let Some((json, text)) = answer {
        return Ok(reply::call(calls::VERSION, json, text, None));
    }
    let used = compiled.graph.nodes.iter().filter_map(|n| match &n.kind {
        Kind::Context(reference) => Some(reference),
        Kind::Stage(_) | Kind::Output(_) | Kind::Test(_) => None,
    });
    let unused = request.unused(used);
    if !unused.is_empty() {
        return Err(Refusal::Found(unused, Box::new(files)));
    }
    let inputs = Inputs {
        tree: place.tree,
        contexts: contexts::load(bridge, &request, &compiled.graph, &mut graph)
            .await
            .map_err(Refusal::bare)?,
        mirrors: mirrors(bridge, &compiled.plan).await?,
        no_cache: request.no_cache.clone(),
        session: Some(bridge.session.clone()),
    };
    solve(bridge, &request, Output { compiled, files, inputs, graph }).await
}

struct Output {
    compiled: Compiled,
    files: Files,
    inputs: Inputs,
    graph: Graph,
}

async fn solve(
    bridge: &Bridge,
    request: &Request,
    output: Output,
) -> Result<gateway::ReturnRequest, Refusal> {
    let Output { compiled, files, inputs, mut graph } = output;
    let results = emit(&compiled.plan, &files, &inputs, &mut graph);
    let imports: Vec<gateway::CacheOptionsEntry> = request
        .cache_imports
        .iter()
        .map(|(kind, attrs)| gateway::CacheOptionsEntry {
            r#type: kind.clone(),
            attrs: attrs.clone().into_iter().collect(),
        })
        .collect();
    let mut images = Vec::new();
    for (tree, result) in results.into_iter().zip(&compiled.plan.results) {
        let definition = graph.definition(tree);
        if let Err(fault) = verify(&definition) {
            let said = format!("the graph is not in order, which is a mistake of stagex: {fault}");
            return Err(Refusal::bare(Diagnostic::bare(Code::BadRequest, said)));
        }
        let tree = bridge.solve(definition, false, imports.clone()).await?;
        let mut config = result.config.clone();
        config.labels.extend(request.labels.clone());
        images.push(Image {
            platform: result.target.platform.clone(),
            tree,
            config: config.to_json(&result.target.platform, &result.layers),
            annotations: result.annotations.clone(),
        });
    }
    let index = request.multi_platform || images.len() != 1;
    Ok(reply::images(images, index, request.epoch))
}

/// The build context: where specs are read from, and what `path:` sources are taken from.
struct Located {
    context: Context,
    tree: Option<TreeInput>,
}

async fn context(
    bridge: &Bridge,
    request: &Request,
    graph: &mut Graph,
) -> Result<Located, Refusal> {
    let folder = request.subdir.as_deref().unwrap_or("").trim_matches('/').to_owned();
    let Some(remote) = &request.remote else {
        let name = request.context.clone();
        let session = request.sessions.get(&name).unwrap_or(&bridge.session).clone();
        return Ok(Located { context: Context::Local { name, session }, tree: None });
    };
    let metadata = Metadata::named("[internal] load the build context");
    let fetched = Vertex { op: remote.op(), platform: None, metadata: metadata.clone() };
    let mut output = graph.add_as_engine(fetched);
    let solved = |tree: Option<Ref>| {
        let said = "the build context is empty";
        tree.ok_or_else(|| Refusal::bare(Diagnostic::bare(Code::BadRequest, said)))
    };
    let mut tree = solved(bridge.solve(graph.definition(Some(output)), true, Vec::new()).await?)?;
    if let Remote::Http(url) = remote {
        if is_archive(&bridge.read(&tree, "context", 512).await?) {
            let op = contexts::unpacked(output);
            output = graph.add(Vertex { op, platform: None, metadata });
            tree = solved(bridge.solve(graph.definition(Some(output)), true, Vec::new()).await?)?;
        } else if !request.is_local_file {
            let said = format!("{url} is no archive");
            let hint = "a context is a folder, a repository or an archive";
            return Err(Refusal::bare(Diagnostic::bare(Code::BadRequest, said).hint(hint)));
        }
    }
    let input = TreeInput { output, folder: format!("/{folder}") };
    Ok(Located { context: Context::Solved(tree, folder), tree: Some(input) })
}

/// The bytes of the spec.
async fn spec(bridge: &Bridge, request: &Request, place: &Located) -> Result<Vec<u8>, Refusal> {
    let missing = || {
        let said = format!("no file `{}`", request.filename);
        let hint = "`-f` names the spec: `-f packages/core/zlib/package.yaml`";
        Refusal::bare(Diagnostic::bare(Code::Unreadable, said).hint(hint))
    };
    let (tree, path) = match &place.context {
        Context::Solved(tree, folder) if !request.is_local_file => {
            (tree.clone(), crate::package::join(folder, &request.filename))
        }
        Context::Solved(..) | Context::Local { .. } => {
            let session = request.sessions.get(&request.dockerfile).unwrap_or(&bridge.session);
            let wanted = [request.filename.clone()];
            let definition: pb::Definition = local(&request.dockerfile, session, &wanted);
            let tree = bridge.solve(definition, true, Vec::new()).await?;
            (tree.ok_or_else(missing)?, request.filename.clone())
        }
    };
    match bridge.read(&tree, &path, MAX_FILE + 1).await {
        Ok(bytes) if bytes.len() as u64 > MAX_FILE => {
            let said = format!("`{}` is larger than {MAX_FILE} bytes", request.filename);
            Err(Refusal::bare(Diagnostic::bare(Code::TooLarge, said)))
        }
        Ok(bytes) => Ok(bytes),
        Err(e) if e.message().contains("no such file") => Err(missing()),
        Err(e) => Err(e.into()),
    }
}

/// A compilation, away from the thread that talks to BuildKit.
struct Job {
    bridge: Bridge,
    request: Request,
    spec: Vec<u8>,
    context: Context,
    catalog: Folder,
}

impl Job {
    fn compile(self, handle: Handle) -> (Result<Compiled, Diagnostics>, Files) {
        let mut files = Files::new();
        let build = self
            .bridge
            .platform
            .clone()
            .or_else(|| Platform::parse("linux/amd64"))
            .expect("a known platform");
        let merge = self.bridge.caps.contains("mergeop");
        let gateway = GatewayTree::new(self.bridge, handle, self.context);
        let tree = Overlay { top: gateway, bottom: self.catalog };
        let place = place(&self.request.filename, &self.spec, &tree);
        let mut query = Query::new(Subject::Spec(place, self.spec.clone()), build);
        query.platforms = self.request.platforms.clone();
        query.vars = self.request.args.clone();
        query.replaced = self.request.replaced();
        query.options = Options { epoch: self.request.epoch, merge };
        let result = match self.request.target.as_deref() {
            None => compile(&tree, &query, &mut files),
            Some("test") => {
                query.goal = Goal::Tests;
                compile(&tree, &query, &mut files)
            }
            Some(name) => {
                // An output of that name, otherwise a stage.
                let output = OutputName::parse(name);
                let has = crate::package::outputs_in(&self.spec);
                match (output, StageName::parse(name)) {
                    (Some(output), _) if has.iter().any(|o| *o == name) => {
                        query.goal = Goal::Output(Some(output));
                        compile(&tree, &query, &mut files)
                    }
                    (_, Some(stage)) => {
                        query.goal = Goal::Stage(stage);
                        compile(&tree, &query, &mut files)
                    }
                    (_, None) => {
                        let said = format!("`{name}` is no name of a target");
                        Err(Diagnostic::bare(Code::BadName, said).into())
                    }
                }
            }
        };
        (result, files)
    }
}

/// Where a spec stands: a client sends its folder and its base name only, and so it says its full
/// name itself. A spec of the tree (or the catalog) has its own files beside it there; any other
/// has them in the build context.
fn place(filename: &str, bytes: &[u8], tree: &dyn crate::tree::Tree) -> Place {
    let other = Place { path: filename.to_owned(), folder: String::new(), expected: None };
    let Some(name) = name_in(bytes) else { return other };
    match tree.read(&name.spec_path()) {
        Ok(Some(_)) => Place::of(&name),
        Ok(None) | Err(_) => other,
    }
}

/// Which address of each source with mirrors answers; BuildKit knows one address a source. The
/// digest is left to the build itself: BuildKit takes sources of one digest for one, and would give
/// the failure of the first address for all of them.
async fn mirrors(
    bridge: &Bridge,
    plan: &BuildPlan,
) -> Result<std::collections::BTreeMap<crate::digest::Digest, usize>, Refusal> {
    let mut tasks = Vec::new();
    for node in &plan.nodes {
        let Op::Fetch(Fetch::Http { urls, digest, file_name }) = &node.op else { continue };
        if urls.len() < 2 {
            continue;
        }
        let (urls, digest, file_name) = (urls.clone(), digest.clone(), file_name.clone());
        let (bridge, group) = (bridge.clone(), node.group.clone());
        tasks.push(tokio::spawn(async move {
            for (number, url) in urls.iter().enumerate() {
                let attrs = [("http.filename".to_owned(), file_name.clone())];
                let mut vertex = Vertex::source(url.clone(), attrs.into());
                let host = url.split('/').nth(2).unwrap_or(url);
                vertex.metadata =
                    Metadata::named(format!("[{group}] look for {file_name} at {host}"));
                let mut graph = Graph::new();
                let output = graph.add(vertex);
                let definition = graph.definition(Some(output));
                if bridge.solve(definition, true, Vec::new()).await.is_ok() {
                    return (digest, number);
                }
            }
            // The build itself says what is wrong with the first address, with the spec's lines.
            (digest, 0)
        }));
    }
    let mut chosen = std::collections::BTreeMap::new();
    for task in tasks {
        let lost = |e: tokio::task::JoinError| {
            Refusal::bare(Diagnostic::bare(Code::Engine, e.to_string()))
        };
        let (digest, number) = task.await.map_err(lost)?;
        chosen.insert(digest, number);
    }
    Ok(chosen)
}
