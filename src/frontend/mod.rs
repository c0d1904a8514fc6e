//! The BuildKit frontend: a program that BuildKit starts for `# syntax=stagex/frontend`, and that
//! speaks its gateway protocol (`frontend/gateway/pb/gateway.proto`) over standard input and output.

mod bridge;
mod calls;
mod contexts;
mod detect;
mod reply;
mod request;
mod serve;
mod tree;

use std::collections::BTreeMap;
use std::process::ExitCode;

pub use request::{Call, ContextValue, Request};

/// What BuildKit sets in a frontend's environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `BUILDKIT_SESSION_ID`; without it nobody speaks the protocol.
    pub session: Option<String>,
    /// `BUILDKIT_FRONTEND_OPT_<n>`, each `key=value`, in any order.
    pub options: Vec<String>,
    /// The folder of the catalog that the image carries.
    pub catalog: std::path::PathBuf,
}

impl Environment {
    /// Sorts out the variables of a process.
    pub fn new(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut environment = Self { catalog: "/catalog".into(), ..Self::default() };
        for (name, value) in vars {
            match name.as_str() {
                "BUILDKIT_SESSION_ID" => environment.session = Some(value),
                _ if name.starts_with("BUILDKIT_FRONTEND_OPT_") => environment.options.push(value),
                _ => {}
            }
        }
        environment.options.sort();
        environment
    }

    /// The options by key; each is split at its first `=`.
    pub fn map(&self) -> BTreeMap<String, String> {
        let pairs = self.options.iter().filter_map(|o| o.split_once('='));
        pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }
}

/// Serves one build, and returns when BuildKit has its answer. Exit code 2 when nobody asked.
pub fn run(environment: &Environment) -> ExitCode {
    let Some(session) = environment.session.clone() else {
        return ExitCode::from(2);
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::from(1),
    };
    match runtime.block_on(serve::serve(environment, &session)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(serve::Lost) => ExitCode::from(1),
    }
}
