//! The texts that run in a stage: what each script begins with, how sources get into place, how a
//! test is judged. Plain POSIX shell, with nothing but the shell's own commands where possible.

use std::fmt::Write as _;

use crate::graph::{Source, Test};
use crate::package::{Archive, shell_quote};

/// Where scripts are mounted. `/dev` is a file system of the engine's own in every container, so
/// that the mount leaves no folder behind in the root.
pub(super) const SCRIPTS: &str = "/dev/stagex";

/// Whether a program reads POSIX shell, so that scripts may begin with [`prelude`].
pub(super) fn is_posix_shell(shell: &[String]) -> bool {
    let name = shell.first().map_or("", |s| s.rsplit('/').next().unwrap_or(s));
    let applet = shell.get(1).map_or("", String::as_str);
    matches!(name, "sh" | "bash" | "dash" | "ash" | "ksh" | "mksh" | "zsh")
        || (name == "busybox" && matches!(applet, "sh" | "ash"))
}

/// What every shell script begins with: the environment, and the number of processors, which
/// differs from machine to machine and so is found out where the step runs.
pub(super) fn prelude(env: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in env {
        let _ = writeln!(text, "export {name}={}", shell_quote(value));
    }
    text.push_str(
        "umask 022\n\
         JOBS=0\n\
         while read -r line; do case $line in processor*) JOBS=$((JOBS + 1)) ;; esac; done </proc/cpuinfo\n\
         [ \"$JOBS\" -gt 0 ] || JOBS=1\n\
         export JOBS\n\
         unset line\n",
    );
    text
}

/// A script with the prelude before it, on one line, and the step's own environment.
pub(super) fn shell_script(script: &str, env: &[(String, String)]) -> String {
    let mut text = format!(". {SCRIPTS}/prelude");
    for (name, value) in env {
        // A line of its own would move the numbers in the shell's messages further away.
        let _ = write!(text, "; export {name}={}", shell_quote(value));
    }
    text.push('\n');
    text.push_str(script);
    if !script.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Unpacks, copies and patches the folders of a stage. Owners and odd modes of archives and
/// checkouts do not reach the result: files are the runner's, modes are 0644 or 0755.
pub(super) fn prepare(source: &Source, at: &str, to: &str, patches: &[String]) -> String {
    let folder = to.trim_end_matches('/');
    let target = shell_quote(if folder.is_empty() { "/." } else { folder });
    let file = shell_quote(&format!("{at}/{}", source.file_name));
    let mut text = format!("mkdir -p {target}\n");
    let tar = format!("tar -xof - -C {target} --strip-components={}", source.strip);
    let _ = match source.unpack {
        None => writeln!(text, "cp -R {}/. {target}/", shell_quote(at)),
        Some(Archive::Tar) => writeln!(text, "{tar} <{file}"),
        Some(Archive::TarGz) => writeln!(text, "gzip -dc {file} | {tar}"),
        Some(Archive::TarBz2) => writeln!(text, "bzip2 -dc {file} | {tar}"),
        Some(Archive::TarXz) => writeln!(text, "xz -dc {file} | {tar}"),
        Some(Archive::TarZst) => writeln!(text, "zstd -dc {file} | {tar}"),
        Some(Archive::Zip) if source.strip == 0 => writeln!(text, "unzip -q {file} -d {target}"),
        Some(Archive::Zip) => {
            let stars = vec!["*"; source.strip as usize].join("/");
            writeln!(
                text,
                "mkdir -p /tmp/unzip && unzip -q {file} -d /tmp/unzip\n\
                 for folder in /tmp/unzip/{stars}/; do cp -R \"$folder.\" {target}/; done\n\
                 rm -rf /tmp/unzip"
            )
        }
    };
    let _ = writeln!(text, "chmod -R u=rwX,go=rX {target}");
    for (patch, path) in source.patches.iter().zip(patches) {
        let path = shell_quote(path);
        let _ = writeln!(text, "(cd {target} && patch -p{} <{path})", patch.strip);
    }
    text
}

/// Runs the last step of a test and compares what it says with what the spec expects. Line ends
/// at the end of the output do not count.
pub(super) fn judge(test: &Test, shell: &[String], script: &str) -> String {
    let command: Vec<String> = shell.iter().map(|s| shell_quote(s)).collect();
    let mut text = format!(
        "code=0\nactual=$({} {script}) || code=$?\nprintf '%s\\n' \"$actual\"\n\
         if [ \"$code\" != {} ]; then echo \"expected exit code {}, found $code\" >&2; exit 1; fi\n",
        command.join(" "),
        test.exit,
        test.exit
    );
    if let Some(expected) = &test.stdout {
        let expected = shell_quote(expected.trim_end_matches('\n'));
        let _ = write!(
            text,
            "expected={expected}\nif [ \"$actual\" != \"$expected\" ]; then\n  \
             printf 'expected:\\n%s\\n' \"$expected\" >&2\n  exit 1\nfi\n"
        );
    }
    for path in &test.files {
        let path = shell_quote(path);
        let _ = writeln!(text, "if [ ! -e {path} ]; then echo \"no file \"{path} >&2; exit 1; fi");
    }
    text
}

/// What progress shows of a script: its first line that does something.
pub(super) fn first_line(script: &str) -> String {
    let line = script
        .lines()
        .map(str::trim)
        .find(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with("set -"))
        .unwrap_or("run");
    shortened(line.strip_suffix('\\').unwrap_or(line).trim_end())
}

/// At most sixty characters.
pub(super) fn shortened(line: &str) -> String {
    let clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match clean.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &clean[..at]),
        None => clean,
    }
}
