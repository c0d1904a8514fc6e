//! Contexts that are no local folder, told apart as the Dockerfile frontend does
//! (`frontend/dockerui/context.go`, `frontend/dockerfile/dfgitutil`).

use std::collections::BTreeMap;

use crate::llb;

/// A context that the engine fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A repository: its address, what to check out, a folder of it.
    Git {
        /// The address with its scheme.
        url: String,
        /// A branch, tag or commit; empty for the default branch.
        reference: String,
        /// Empty for all of it.
        subdir: String,
    },
    /// A file, which is unpacked when it is an archive.
    Http(String),
}

/// The remote that a context value means; `None` for a local folder's.
pub(super) fn remote(value: &str) -> Option<Remote> {
    if value.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    let (address, fragment) = value.split_once('#').unwrap_or((value, ""));
    let is_http = address.starts_with("https://") || address.starts_with("http://");
    let path = address.split('?').next().unwrap_or(address);
    let is_git = ["git://", "ssh://", "git@"].iter().any(|p| address.starts_with(p))
        || (is_http && path.ends_with(".git"));
    let (url, is_git) = match address.strip_prefix("github.com/") {
        Some(rest) => (format!("https://github.com/{rest}"), true),
        None => (address.to_owned(), is_git),
    };
    if is_git {
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        let clean =
            subdir.is_empty() || crate::package::is_clean_relative(subdir.trim_matches('/'));
        let (reference, subdir) = (reference.to_owned(), subdir.trim_matches('/').to_owned());
        return clean.then_some(Remote::Git { url, reference, subdir });
    }
    is_http.then(|| Remote::Http(value.to_owned()))
}

impl Remote {
    /// The source op that fetches it.
    pub(super) fn op(&self) -> llb::Op {
        match self {
            Self::Git { url, reference, subdir } => {
                let mut op = crate::emit::llb::git(url, reference, Some(subdir.as_str()));
                if let llb::Op::Source { attrs, .. } = &mut op {
                    // The client may hold these for a repository of its own.
                    attrs.insert("git.authtokensecret".to_owned(), "GIT_AUTH_TOKEN".to_owned());
                    attrs.insert("git.authheadersecret".to_owned(), "GIT_AUTH_HEADER".to_owned());
                }
                op
            }
            Self::Http(url) => {
                let attrs: BTreeMap<String, String> =
                    [("http.filename".to_owned(), "context".to_owned())].into();
                llb::Op::Source { identifier: url.clone(), attrs }
            }
        }
    }
}

/// Whether bytes begin an archive, as `isArchive` tells.
pub(super) fn is_archive(head: &[u8]) -> bool {
    let compressed: [&[u8]; 4] = [
        b"BZh",
        &[0x1f, 0x8b, 0x08],
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
        &[0x28, 0xb5, 0x2f, 0xfd],
    ];
    compressed.iter().any(|magic| head.starts_with(magic))
        || head.get(257..262).is_some_and(|magic| magic == b"ustar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_told_apart() {
        let git = |url: &str, reference: &str, subdir: &str| Remote::Git {
            url: url.to_owned(),
            reference: reference.to_owned(),
            subdir: subdir.to_owned(),
        };
        assert_eq!(
            remote("https://example.org/a.git#v1:sub/dir"),
            Some(git("https://example.org/a.git", "v1", "sub/dir"))
        );
        assert_eq!(remote("github.com/a/b"), Some(git("https://github.com/a/b", "", "")));
        assert_eq!(remote("https://example.org/a.git#v1:../.."), None);
        let archive = "https://example.org/a.tar.gz";
        assert_eq!(remote(archive), Some(Remote::Http(archive.to_owned())));
        assert_eq!(remote("."), None);
    }
}
