//! What goes back to BuildKit: an image for each platform, an answer, or an error with its lines.

use std::collections::BTreeMap;

use bollard_buildkit_proto::google;
use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use serde::Serialize;

use crate::diag::{Diagnostic, Diagnostics, Files, render};
use crate::package::Platform;

use super::bridge::Ref;

/// How many findings carry their lines to the client; all are in the message.
const SHOWN: usize = 20;

/// gRPC's `Unknown`: every layer of BuildKit puts the name of any other code before the message.
const UNKNOWN: i32 = 2;

/// One image.
pub(super) struct Image {
    pub(super) platform: Platform,
    pub(super) tree: Option<Ref>,
    pub(super) config: Vec<u8>,
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Platforms {
    #[serde(rename = "Platforms")]
    platforms: Vec<ExportPlatform>,
}

#[derive(Serialize)]
struct ExportPlatform {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Platform")]
    platform: OciPlatform,
}

#[derive(Serialize)]
struct OciPlatform {
    architecture: String,
    os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

/// The images of a build; an index where several are asked for. Keys are those of
/// `exporter/containerimage/exptypes/types.go`.
pub(super) fn images(images: Vec<Image>, index: bool, epoch: i64) -> gateway::ReturnRequest {
    let mut metadata = BTreeMap::new();
    let platforms = images.iter().map(|i| ExportPlatform {
        id: i.platform.to_string(),
        platform: OciPlatform {
            architecture: i.platform.architecture().to_owned(),
            os: i.platform.os().to_owned(),
            variant: i.platform.variant().map(str::to_owned),
        },
    });
    let platforms = Platforms { platforms: platforms.collect() };
    let json = serde_json::to_vec(&platforms).expect("strings become JSON");
    metadata.insert("refs.platforms".to_owned(), json);
    metadata.insert("source.date.epoch".to_owned(), epoch.to_string().into_bytes());
    for image in &images {
        let id = image.platform.to_string();
        let key = if index {
            metadata.insert(format!("source.date.epoch/{id}"), epoch.to_string().into_bytes());
            format!("containerimage.config/{id}")
        } else {
            "containerimage.config".to_owned()
        };
        metadata.insert(key, image.config.clone());
        for (name, value) in &image.annotations {
            let place = if index { format!("[{id}]") } else { String::new() };
            let key = format!("annotation-manifest{place}.{name}");
            metadata.insert(key, value.clone().into_bytes());
        }
    }
    let reference = |tree: &Option<Ref>| gateway::Ref {
        id: tree.as_ref().map(|t| t.0.clone()).unwrap_or_default(),
        def: None,
    };
    let result = match images.as_slice() {
        [only] if !index => gateway::result::Result::Ref(reference(&only.tree)),
        all => {
            let refs = all.iter().map(|i| (i.platform.to_string(), reference(&i.tree)));
            gateway::result::Result::Refs(gateway::RefMap { refs: refs.collect() })
        }
    };
    answer(metadata, Some(result))
}

/// An answer to `--call`: JSON for programs, text for people.
pub(super) fn call(
    version: &str,
    json: String,
    text: String,
    status: Option<u8>,
) -> gateway::ReturnRequest {
    let mut metadata: BTreeMap<String, Vec<u8>> = [
        ("result.json".to_owned(), json.into_bytes()),
        ("result.txt".to_owned(), text.into_bytes()),
        ("version".to_owned(), version.as_bytes().to_vec()),
    ]
    .into();
    if let Some(status) = status {
        metadata.insert("result.statuscode".to_owned(), status.to_string().into_bytes());
    }
    answer(metadata, Some(gateway::result::Result::Ref(gateway::Ref::default())))
}

fn answer(
    metadata: BTreeMap<String, Vec<u8>>,
    result: Option<gateway::result::Result>,
) -> gateway::ReturnRequest {
    let metadata = metadata.into_iter().collect();
    let result = gateway::Result { metadata, result, ..gateway::Result::default() };
    gateway::ReturnRequest { result: Some(result), error: None }
}

/// An error of the engine's, passed on as it is.
pub(super) fn status(e: &tonic::Status) -> gateway::ReturnRequest {
    use prost::Message as _;
    // The details carry the engine's own lines and stack; they are a `google.rpc.Status`.
    let details = google::rpc::Status::decode(e.details()).map(|s| s.details).unwrap_or_default();
    let message = e.message().to_owned();
    let error = google::rpc::Status { code: e.code().into(), message, details };
    gateway::ReturnRequest { result: None, error: Some(error) }
}

/// Findings: all of them in the message, and the lines of the first ones as BuildKit's clients
/// print them (`errdefs.Source`, JSON behind a type URL, as containerd's typeurl writes it).
pub(super) fn findings(found: &Diagnostics, files: &Files) -> gateway::ReturnRequest {
    let sorted = found.clone().sorted(files);
    let mut details = Vec::new();
    for diagnostic in sorted.iter().take(SHOWN) {
        details.extend(source(diagnostic, files));
    }
    let message = match sorted.as_slice() {
        [only] => sentence(only, files),
        all => {
            let lines: Vec<String> =
                all.iter().take(render::SHOWN).map(|d| sentence(d, files)).collect();
            format!("{} errors\n{}", all.len(), lines.join("\n"))
        }
    };
    let error = google::rpc::Status { code: UNKNOWN, message, details };
    gateway::ReturnRequest { result: None, error: Some(error) }
}

pub(super) fn sentence(diagnostic: &Diagnostic, files: &Files) -> String {
    let place = diagnostic.span.map_or_else(String::new, |span| {
        let at = render::line_column(files.text(span.file), span.start);
        format!("{}:{}:{}: ", files.path(span.file), at.line, at.column)
    });
    let hint = diagnostic.hint.as_ref().map_or_else(String::new, |h| format!(" ({h})"));
    let code = diagnostic.code.name();
    let label = diagnostic.label.as_ref().map_or_else(String::new, |l| format!(": {l}"));
    render::visible(&format!("{place}{}{label}{hint} [{code}]", diagnostic.message))
}

#[derive(Serialize)]
struct Source {
    info: SourceInfo,
    ranges: [Range; 1],
}

#[derive(Serialize)]
struct SourceInfo {
    filename: String,
    data: String,
    language: &'static str,
}

#[derive(Serialize)]
struct Range {
    start: Position,
    end: Position,
}

#[derive(Serialize)]
struct Position {
    line: usize,
}

fn source(diagnostic: &Diagnostic, files: &Files) -> Option<google::protobuf::Any> {
    let span = diagnostic.span?;
    let text = files.text(span.file);
    let line = |at: u32| Position { line: render::line_column(text, at).line };
    let info = SourceInfo {
        filename: files.path(span.file).to_owned(),
        data: base64(text.as_bytes()),
        language: "YAML",
    };
    let first = text.get(span.start as usize..span.end as usize).unwrap_or("");
    let end = span.start + first.find('\n').map_or(first.len(), |n| n) as u32;
    let ranges = [Range { start: line(span.start), end: line(end) }];
    let value = serde_json::to_vec(&Source { info, ranges }).ok()?;
    let type_url = "github.com/moby/buildkit/errdefs.Source+json".to_owned();
    Some(google::protobuf::Any { type_url, value })
}

/// RFC 4648, section 4: how Go's JSON writes bytes.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (text, encoded) in cases {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
