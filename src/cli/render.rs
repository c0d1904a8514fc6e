//! The only printer of the command.

use std::io::{self, IsTerminal as _, Write as _};

use crate::diag::{Diagnostics, Files, render};

use super::args::Color;

/// Standard output and standard error, and whether they take colours.
#[derive(Debug)]
pub struct Screen {
    color: bool,
}

impl Screen {
    pub(super) fn new(color: Color) -> Self {
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
                io::stderr().is_terminal() && !refused
            }
        };
        Self { color }
    }

    /// Whether a person is watching.
    pub(super) fn is_watched(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Bytes on standard output.
    pub(super) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Text on standard output.
    pub(super) fn text(&self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// A word to the person who watches, on standard error.
    pub(super) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", render::visible(text));
    }

    /// Findings: text on standard error, JSON on standard output.
    pub(super) fn findings(&self, found: &Diagnostics, files: &Files, json: bool) {
        if json {
            let _ = self.text(&render::json(found, files));
        } else {
            let text = render::text(found, files, self.color);
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
    }
}
