//! The options of a build as BuildKit passes them on, parsed; keys are those of the Dockerfile
//! frontend (`frontend/dockerui/config.go`), so that every client's flags mean what they always do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::diag::{Code, Diagnostic, Diagnostics, suggest};
use crate::package::{Platform, Reference};

use super::detect::{Remote, remote};

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The file's name in the folder that the client calls `dockerfile`.
    pub filename: String,
    /// The local folder that the file is in.
    pub dockerfile: String,
    /// Whether the file comes from the client although the context does not.
    pub is_local_file: bool,
    /// The local folder that is the context.
    pub context: String,
    /// A context that is no local folder.
    pub remote: Option<Remote>,
    /// The folder of the context that is used.
    pub subdir: Option<String>,
    /// `--platform`, each once, in order.
    pub platforms: Vec<Platform>,
    /// Whether an index is asked for even for one platform.
    pub multi_platform: bool,
    /// `--target`
    pub target: Option<String>,
    /// `--build-arg`, without those that are BuildKit's own.
    pub args: BTreeMap<String, String>,
    /// `--build-arg SOURCE_DATE_EPOCH`, seconds.
    pub epoch: i64,
    /// `--no-cache`; with names, only those packages.
    pub no_cache: Option<Vec<String>>,
    /// `--label`
    pub labels: BTreeMap<String, String>,
    /// `--build-context`, by package and, where the client says so, platform.
    pub contexts: BTreeMap<(Reference, Option<Platform>), ContextValue>,
    /// Sessions of local folders, where they are not the build's own.
    pub sessions: BTreeMap<String, String>,
    /// `--cache-from`
    pub cache_imports: Vec<(String, BTreeMap<String, String>)>,
    /// `--call`
    pub call: Option<Call>,
}

/// A question instead of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Which questions there are.
    Describe,
    /// Variables of a target.
    Outline,
    /// Targets.
    Targets,
    /// What is wrong with the spec.
    Check,
    /// One that this frontend does not know.
    Other(String),
}

/// Where a named context comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextValue {
    /// `docker-image://…`
    Image(String),
    /// `oci-layout://store@sha256:…`
    OciLayout {
        /// The client's store.
        store: String,
        /// With its algorithm.
        digest: String,
    },
    /// `local:name`
    Local(String),
    /// `input:name`, another target's result.
    Input(String),
    /// A repository or an archive.
    Remote(Remote),
}

#[derive(Deserialize)]
struct CacheImport {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Attrs", default)]
    attrs: Option<BTreeMap<String, String>>,
}

/// Build arguments that clients set on their own account.
const CLIENT_ARGS: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
];

impl Request {
    /// Parses the options; fails with everything in them that can't be served.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::new();
        let get = |key: &str| options.get(key).cloned();
        let context = get("contextkey").unwrap_or_else(|| "context".to_owned());
        let mut request = Self {
            filename: get("filename").unwrap_or_else(|| "Dockerfile".to_owned()),
            dockerfile: get("dockerfilekey").unwrap_or_else(|| "dockerfile".to_owned()),
            is_local_file: options.contains_key("dockerfilekey"),
            remote: get(&context).and_then(|value| remote(&value)),
            context,
            subdir: get("contextsubdir").filter(|s| !s.is_empty()),
            platforms: Vec::new(),
            multi_platform: false,
            target: get("target").filter(|t| !t.is_empty()),
            args: BTreeMap::new(),
            epoch: 0,
            no_cache: get("no-cache").map(|names| {
                names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect()
            }),
            labels: BTreeMap::new(),
            contexts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            cache_imports: Vec::new(),
            call: get("requestid").map(|id| Call::of(&id)),
        };
        request.read_platforms(options, &mut found);
        request.read_cache(options, &mut found);
        for (key, value) in options {
            if let Some(name) = key.strip_prefix("build-arg:") {
                request.read_arg(name, value, &mut found);
            } else if let Some(name) = key.strip_prefix("label:") {
                request.labels.insert(name.to_owned(), value.clone());
            } else if let Some(name) = key.strip_prefix("local-sessionid:") {
                request.sessions.insert(name.to_owned(), value.clone());
            } else if let Some(name) = key.strip_prefix("context:") {
                request.read_context(name, value, &mut found);
            }
        }
        let mode = options.get("force-network-mode").map_or("", String::as_str);
        if !matches!(mode, "" | "none" | "default" | "sandbox") {
            let said = format!("`--network {mode}`: the network is a matter of the spec");
            let hint = "a step that needs it says so: `network: \"why\"`";
            found.push(Diagnostic::bare(Code::BadRequest, said).hint(hint));
        }
        let clean = |p: &str| crate::package::is_clean_relative(p);
        if !clean(&request.filename) {
            let said = format!("`{}` is no name of a file", request.filename);
            found.push(Diagnostic::bare(Code::BadRequest, said));
        }
        if let Some(subdir) = request.subdir.as_deref().filter(|s| !clean(s.trim_matches('/'))) {
            let said = format!("`{subdir}` is no folder of a context");
            found.push(Diagnostic::bare(Code::BadRequest, said));
        }
        found.or(request)
    }

    fn read_platforms(&mut self, options: &BTreeMap<String, String>, found: &mut Diagnostics) {
        let asked = options.get("platform").map_or("", String::as_str);
        for text in asked.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            match Platform::parse(text) {
                Some(platform) if self.platforms.contains(&platform) => {}
                Some(platform) => self.platforms.push(platform),
                None => found.push(
                    Diagnostic::bare(Code::BadPlatform, format!("`{text}` is no platform"))
                        .hint("platforms are `linux/amd64`, `linux/arm64`, `linux/riscv64`, …"),
                ),
            }
        }
        let flag =
            options.get("multi-platform").or(options.get("build-arg:BUILDKIT_MULTI_PLATFORM"));
        self.multi_platform = self.platforms.len() > 1
            || flag
                .is_some_and(|f| matches!(f.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
    }

    fn read_cache(&mut self, options: &BTreeMap<String, String>, found: &mut Diagnostics) {
        if let Some(json) = options.get("cache-imports") {
            match serde_json::from_str::<Vec<CacheImport>>(json) {
                Ok(list) => {
                    let pairs = list.into_iter().map(|i| (i.kind, i.attrs.unwrap_or_default()));
                    self.cache_imports.extend(pairs);
                }
                Err(e) => {
                    let said = format!("`cache-imports` is not what clients send: {e}");
                    found.push(Diagnostic::bare(Code::BadRequest, said));
                }
            }
        } else if let Some(references) = options.get("cache-from") {
            for reference in references.split(',').filter(|r| !r.is_empty()) {
                let attrs = [("ref".to_owned(), reference.to_owned())].into();
                self.cache_imports.push(("registry".to_owned(), attrs));
            }
        }
    }

    fn read_arg(&mut self, name: &str, value: &str, found: &mut Diagnostics) {
        match name {
            "SOURCE_DATE_EPOCH" if value.is_empty() => {}
            "SOURCE_DATE_EPOCH" => match value.parse::<i64>().ok().filter(|s| *s >= 0) {
                Some(seconds) => self.epoch = seconds,
                None => {
                    let said =
                        format!("SOURCE_DATE_EPOCH is `{value}`, which is no number of seconds");
                    found.push(Diagnostic::bare(Code::BadRequest, said));
                }
            },
            name if name.starts_with("BUILDKIT_") || CLIENT_ARGS.contains(&name) => {}
            name => {
                self.args.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn read_context(&mut self, name: &str, value: &str, found: &mut Diagnostics) {
        let (package, platform) = match name.split_once("::") {
            Some((package, platform)) => (package, Some(platform)),
            None => (name, None),
        };
        // Clients write the tag that nobody wrote.
        let package = package.strip_suffix(":latest").unwrap_or(package);
        let platform = match platform.map(|p| (p, Platform::parse(p))) {
            None => None,
            Some((_, Some(platform))) => Some(platform),
            Some((text, None)) => {
                let said = format!("`{text}` is no platform");
                found.push(Diagnostic::bare(Code::BadPlatform, said));
                return;
            }
        };
        let Some(reference) = Reference::parse(package) else {
            let said = format!("the named context `{package}` replaces nothing");
            let hint = "name a package: `--build-context core/musl=docker-image://…`";
            found.push(Diagnostic::bare(Code::UnknownPackage, said).hint(hint));
            return;
        };
        match ContextValue::parse(value) {
            Some(value) => {
                self.contexts.insert((reference, platform), value);
            }
            None => {
                let said = format!(
                    "the named context `{package}` has a value of no known kind: `{value}`"
                );
                let hint = "kinds are docker-image://, oci-layout://NAME@DIGEST, a folder, target:, https:// and git";
                found.push(Diagnostic::bare(Code::BadRequest, said).hint(hint));
            }
        }
    }

    /// The packages that named contexts replace.
    pub fn replaced(&self) -> BTreeSet<Reference> {
        self.contexts.keys().map(|(reference, _)| reference.clone()).collect()
    }

    /// What replaces a package on a platform; a context for the platform comes first.
    pub fn context_for(&self, reference: &Reference, platform: &Platform) -> Option<&ContextValue> {
        let exact = self.contexts.get(&(reference.clone(), Some(platform.clone())));
        exact.or_else(|| self.contexts.get(&(reference.clone(), None)))
    }

    /// A finding for each named context that the build does not use: a replacement that replaces
    /// nothing is a misunderstanding.
    pub fn unused<'u>(&self, used: impl IntoIterator<Item = &'u Reference>) -> Diagnostics {
        let used: BTreeSet<&Reference> = used.into_iter().collect();
        let mut found = Diagnostics::new();
        for reference in self.replaced().iter().filter(|r| !used.contains(r)) {
            let said =
                format!("the named context `{reference}` replaces nothing that this build uses");
            found.push(Diagnostic::bare(Code::UnknownPackage, said));
        }
        found
    }
}

impl Call {
    fn of(id: &str) -> Self {
        match id {
            "frontend.subrequests.describe" => Self::Describe,
            "frontend.outline" => Self::Outline,
            "frontend.targets" => Self::Targets,
            "frontend.lint" => Self::Check,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The error for a question that nobody can answer.
    pub fn refusal(id: &str) -> Diagnostic {
        let known = ["outline", "targets", "check"];
        let mut found = Diagnostic::bare(Code::BadRequest, format!("no answer to `{id}`"));
        found.hint = suggest(id.trim_start_matches("frontend."), known, "questions");
        found
    }
}

impl ContextValue {
    /// Parses the value of a `context:` option; `None` for anything else.
    pub fn parse(value: &str) -> Option<Self> {
        if value.chars().any(|c| c.is_control() || c == ' ') {
            return None;
        }
        if let Some(reference) = value.strip_prefix("docker-image://") {
            return (!reference.is_empty()).then(|| Self::Image(reference.to_owned()));
        }
        if let Some(rest) = value.strip_prefix("oci-layout://") {
            let (store, digest) = rest.split_once('@')?;
            let store = store.split(':').next().unwrap_or(store);
            let known = crate::digest::Digest::parse(digest).is_ok() && !store.is_empty();
            return known
                .then(|| Self::OciLayout { store: store.to_owned(), digest: digest.to_owned() });
        }
        if let Some(name) = value.strip_prefix("local:") {
            return (!name.is_empty()).then(|| Self::Local(name.to_owned()));
        }
        if let Some(name) = value.strip_prefix("input:") {
            return (!name.is_empty()).then(|| Self::Input(name.to_owned()));
        }
        remote(value).map(Self::Remote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Request, Diagnostics> {
        let options = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Request::parse(&options)
    }

    #[test]
    fn a_plain_request_asks_for_the_clients_defaults() {
        let request = parse(&[("filename", "package.yaml"), ("build-arg:BUILDKIT_SYNTAX", "x")]);
        let request = request.unwrap();
        assert_eq!(
            (request.context.as_str(), request.dockerfile.as_str()),
            ("context", "dockerfile")
        );
        assert!(request.args.is_empty() && !request.multi_platform && request.epoch == 0);
    }

    #[test]
    fn whatever_is_wrong_is_said_at_once() {
        let found = parse(&[
            ("platform", "linux/amd64,plan9/mips"),
            ("context:core/musl", "ftp://x"),
            ("context:nothing", "local:x"),
            ("filename", "../package.yaml"),
            ("build-arg:SOURCE_DATE_EPOCH", "yesterday"),
            ("cache-imports", "{"),
            ("force-network-mode", "host"),
        ])
        .unwrap_err();
        assert_eq!(found.len(), 7, "{found:?}");
    }

    #[test]
    fn named_contexts_are_of_every_kind() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let request = parse(&[
            ("context:core/musl", "docker-image://alpine"),
            ("context:core/musl::linux/arm64", "local:musl"),
            ("context:core/zlib:latest", "input:base"),
            ("context:core/make", &format!("oci-layout://store:latest@{digest}")),
        ])
        .unwrap();
        let musl = Reference::parse("core/musl").unwrap();
        let arm = Platform::parse("linux/arm64").unwrap();
        let amd = Platform::parse("linux/amd64").unwrap();
        assert_eq!(request.context_for(&musl, &arm), Some(&ContextValue::Local("musl".to_owned())));
        assert_eq!(
            request.context_for(&musl, &amd),
            Some(&ContextValue::Image("alpine".to_owned()))
        );
        assert_eq!(request.replaced().len(), 3);
    }
}
