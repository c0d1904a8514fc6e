//! Where bytes come from, and what pins them.

use crate::diag::Spanned;
use crate::digest::Digest;

use super::template::{Condition, Template};
use super::{SourceName, Version};

/// A source of a package, as checked.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name in the spec.
    pub name: Spanned<SourceName>,
    /// Exactly one way to get it.
    pub origin: Origin,
    /// A version of its own (`${{ sources.x.version }}`); otherwise the package's.
    pub version: Option<Spanned<Version>>,
    /// Whether and how it is unpacked.
    pub unpack: Unpack,
    /// How many leading folders of an archive are dropped; 1 unless the spec says otherwise.
    pub strip: u32,
    /// Permission bits of a single file, when the spec gives them; otherwise 0644.
    pub mode: Option<u32>,
    /// Why a binary is trusted: it enters as it is and no package here made it.
    pub seed: Option<Spanned<String>>,
    /// Patches in order, files beside the spec, applied with `patch -p1` after unpacking.
    pub patches: Vec<Patch>,
    /// Only where this holds; its name is known to the spec all the same.
    pub when: Option<Condition>,
}

/// A patch of a source.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Relative to the folder of the spec, without `..`.
    pub path: Spanned<String>,
    /// Its bytes, read with the spec: a patch is part of the definition.
    pub bytes: Vec<u8>,
    /// How many leading folders its file names lose (`patch -p`).
    pub strip: u32,
    /// Only where this holds.
    pub when: Option<Condition>,
}

/// Exactly one way to get a source.
#[derive(Clone, Debug)]
pub enum Origin {
    /// `url:`, fetched over http or https and pinned by a digest.
    Url {
        /// The address.
        url: Template,
        /// Other addresses of the same bytes, tried in order.
        mirrors: Vec<Template>,
        /// What the bytes hash to.
        digest: Spanned<Digest>,
    },
    /// `git:`, pinned by a full commit.
    Git {
        /// The remote.
        remote: Template,
        /// Forty hexadecimal digits (or sixty-four).
        commit: Spanned<String>,
        /// Only this folder of the repository.
        subdir: Option<Template>,
    },
    /// `path:`, a file or folder beside the spec.
    Path {
        /// Relative to the folder of the spec, without `..`.
        path: Template,
        /// Patterns that are left out.
        exclude: Vec<Template>,
    },
    /// `text:`, written out in the spec.
    Text(Template),
    /// `hex:`, bytes written out as commented hexadecimal, in the spec or in a file beside it.
    Hex(Hex),
    /// `image:`, pinned by digest; always a seed.
    Image(Spanned<ImageReference>),
}

/// Commented hexadecimal.
#[derive(Clone, Debug)]
pub enum Hex {
    /// In the spec.
    Inline(Vec<u8>),
    /// In files beside the spec: the template names one for each target, all of which are read
    /// when the graph is resolved.
    File(Template),
}

/// An image by digest: `docker.io/library/alpine@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    /// The name without its digest, with its registry.
    pub name: String,
    /// The digest of its index or manifest.
    pub digest: Digest,
}

/// Whether and how a source is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpack {
    /// As the archive's name says, and not at all when it is no archive's name.
    Auto,
    /// Never.
    No,
    /// As this format.
    As(Archive),
}

/// Formats of archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Archive {
    /// `.tar`
    Tar,
    /// `.tar.gz`, `.tgz`
    TarGz,
    /// `.tar.bz2`, `.tbz2`
    TarBz2,
    /// `.tar.xz`, `.txz`
    TarXz,
    /// `.tar.zst`
    TarZst,
    /// `.zip`
    Zip,
}

impl Archive {
    /// Every format with the name that `unpack:` takes.
    pub const ALL: [(Self, &str); 6] = [
        (Self::Tar, "tar"),
        (Self::TarGz, "tar.gz"),
        (Self::TarBz2, "tar.bz2"),
        (Self::TarXz, "tar.xz"),
        (Self::TarZst, "tar.zst"),
        (Self::Zip, "zip"),
    ];

    /// The format that a file name's ending says; `None` when it is no archive's.
    pub fn of_name(name: &str) -> Option<Self> {
        let ends = |endings: &[&str]| endings.iter().any(|e| name.ends_with(e));
        match () {
            () if ends(&[".tar"]) => Some(Self::Tar),
            () if ends(&[".tar.gz", ".tgz"]) => Some(Self::TarGz),
            () if ends(&[".tar.bz2", ".tbz2", ".tbz"]) => Some(Self::TarBz2),
            () if ends(&[".tar.xz", ".txz"]) => Some(Self::TarXz),
            () if ends(&[".tar.zst", ".tzst"]) => Some(Self::TarZst),
            () if ends(&[".zip"]) => Some(Self::Zip),
            () => None,
        }
    }
}
