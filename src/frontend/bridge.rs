//! The gateway's calls: one gRPC channel over the pipes that BuildKit gives a frontend.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Mutex;

use bollard_buildkit_proto::fsutil::types::Stat;
use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use bollard_buildkit_proto::pb;
use hyper_util::rt::TokioIo;
use tokio::net::unix::pipe;
use tonic::transport::{Channel, Endpoint};

use crate::package::Platform;

/// BuildKit's limit for a message; tonic's own is 4 MiB, less than a tree's definition.
const MAX_MESSAGE: usize = 16 << 20;

/// BuildKit, as a frontend sees it.
#[derive(Clone, Debug)]
pub(super) struct Bridge {
    client: LlbBridgeClient<Channel>,
    /// The session of the client who builds.
    pub(super) session: String,
    /// The capabilities of the engine that are on.
    pub(super) caps: BTreeSet<String>,
    /// The engine's own platform.
    pub(super) platform: Option<Platform>,
}

/// A solved tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ref(pub(super) String);

impl Bridge {
    /// Connects standard input and output, and asks what the engine can do.
    pub(super) async fn connect(session: &str) -> io::Result<Self> {
        // `tokio::io::stdin` reads on a thread that nothing ends; a pipe of its own is dropped.
        let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
        let output = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
        let stream = Mutex::new(Some(TokioIo::new(tokio::io::join(input, output))));
        let connector = tower::service_fn(move |_| {
            let stream = stream.lock().ok().and_then(|mut s| s.take());
            std::future::ready(stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
        });
        let endpoint = Endpoint::from_static("http://buildkit");
        let channel = endpoint.connect_with_connector(connector).await.map_err(io::Error::other)?;
        let client = LlbBridgeClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let (session, caps, platform) = (session.to_owned(), BTreeSet::new(), None);
        let mut bridge = Self { client, session, caps, platform };
        let pong = bridge.client.clone().ping(gateway::PingRequest {}).await;
        let pong = pong.map_err(io::Error::other)?.into_inner();
        let on = pong.llb_caps.iter().chain(&pong.frontend_api_caps).filter(|c| c.enabled);
        bridge.caps = on.map(|c| c.id.clone()).collect();
        let first = pong.workers.first().and_then(|w| w.platforms.first());
        bridge.platform = first.and_then(|p| {
            let variant =
                if p.variant.is_empty() { String::new() } else { format!("/{}", p.variant) };
            Platform::parse(&format!("{}/{}{variant}", p.os, p.architecture))
        });
        Ok(bridge)
    }

    /// Solves a definition; with `evaluate`, to the end.
    pub(super) async fn solve(
        &self,
        definition: pb::Definition,
        evaluate: bool,
        cache_imports: Vec<gateway::CacheOptionsEntry>,
    ) -> Result<Option<Ref>, tonic::Status> {
        let request = gateway::SolveRequest {
            definition: Some(definition),
            allow_result_return: true,
            allow_result_array_ref: true,
            evaluate,
            cache_imports,
            ..gateway::SolveRequest::default()
        };
        let response = self.client.clone().solve(request).await?.into_inner();
        let id = match response.result.and_then(|r| r.result) {
            Some(gateway::result::Result::Ref(r)) => r.id,
            Some(gateway::result::Result::RefDeprecated(id)) => id,
            Some(gateway::result::Result::Refs(_) | gateway::result::Result::RefsDeprecated(_))
            | None => response.r#ref,
        };
        Ok((!id.is_empty()).then_some(Ref(id)))
    }

    /// Reads a file, at most `limit` bytes of it.
    pub(super) async fn read(
        &self,
        tree: &Ref,
        path: &str,
        limit: u64,
    ) -> Result<Vec<u8>, tonic::Status> {
        let length = i64::try_from(limit).unwrap_or(i64::MAX);
        let request = gateway::ReadFileRequest {
            r#ref: tree.0.clone(),
            file_path: path.to_owned(),
            range: Some(gateway::FileRange { offset: 0, length }),
            ..gateway::ReadFileRequest::default()
        };
        Ok(self.client.clone().read_file(request).await?.into_inner().data)
    }

    /// What stands at a path.
    pub(super) async fn stat(&self, tree: &Ref, path: &str) -> Result<Option<Stat>, tonic::Status> {
        let request = gateway::StatFileRequest {
            r#ref: tree.0.clone(),
            path: path.to_owned(),
            ..gateway::StatFileRequest::default()
        };
        Ok(self.client.clone().stat_file(request).await?.into_inner().stat)
    }

    /// The entries of a folder.
    pub(super) async fn list(&self, tree: &Ref, path: &str) -> Result<Vec<Stat>, tonic::Status> {
        let request = gateway::ReadDirRequest {
            r#ref: tree.0.clone(),
            dir_path: path.to_owned(),
            ..gateway::ReadDirRequest::default()
        };
        Ok(self.client.clone().read_dir(request).await?.into_inner().entries)
    }

    /// The digest and the configuration of an image, for a platform.
    pub(super) async fn image(
        &self,
        reference: &str,
        platform: &Platform,
        store: Option<&str>,
    ) -> Result<gateway::ResolveImageConfigResponse, tonic::Status> {
        let request = gateway::ResolveImageConfigRequest {
            r#ref: reference.to_owned(),
            platform: Some(crate::llb::platform(platform)),
            resolve_mode: "default".to_owned(),
            log_name: format!("[context] load metadata for {reference}"),
            resolver_type: i32::from(store.is_some()),
            session_id: store.map(|_| self.session.clone()).unwrap_or_default(),
            store_id: store.unwrap_or_default().to_owned(),
            ..gateway::ResolveImageConfigRequest::default()
        };
        Ok(self.client.clone().resolve_image_config(request).await?.into_inner())
    }

    /// The definitions that the client hands in.
    pub(super) async fn inputs(&self) -> Result<gateway::InputsResponse, tonic::Status> {
        let request = gateway::InputsRequest {};
        Ok(self.client.clone().inputs(request).await?.into_inner())
    }

    /// Gives the result, or the error, of the build.
    pub(super) async fn give(&self, answer: gateway::ReturnRequest) -> Result<(), tonic::Status> {
        self.client.clone().r#return(answer).await.map(|_| ())
    }
}
