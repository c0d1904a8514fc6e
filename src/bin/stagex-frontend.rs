//! The BuildKit frontend, started by BuildKit itself for `# syntax=stagex/frontend`.

use std::io::Write as _;
use std::process::ExitCode;

use stagex::frontend::{Environment, run};

const HELP: &str = "\
stagex-frontend is started by BuildKit. Put this line at the top of a spec:

    # syntax=stagex/frontend

and build it: docker buildx build -f packages/core/zlib/package.yaml .
";

fn main() -> ExitCode {
    let environment = Environment::new(std::env::vars());
    if environment.session.is_none() {
        let _ = std::io::stderr().write_all(HELP.as_bytes());
    }
    run(&environment)
}
