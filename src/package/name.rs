//! Names as newtypes: a value of these types has the right form.

use std::fmt;

/// `linux/amd64`, `linux/arm64`, `linux/arm/v7`: an OCI platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// What specs may be built for: OCI image-spec names as Go prints them.
    const ARCHITECTURES: [&str; 10] = [
        "386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x",
        "wasm",
    ];

    /// Parses `os/arch[/variant]`; `None` unless the system is `linux` and the architecture known.
    /// `arm64/v8` is `arm64` and `amd64/v1` is `amd64`, as containerd normalises them.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (os, architecture) = (parts.next()?, parts.next()?);
        let variant = parts.next();
        let known = os == "linux" && Self::ARCHITECTURES.contains(&architecture);
        let plain = |v: &str| !v.is_empty() && v.bytes().all(|b| b.is_ascii_alphanumeric());
        if !known || parts.next().is_some() || variant.is_some_and(|v| !plain(v)) {
            return None;
        }
        let variant = match (architecture, variant) {
            ("arm64", Some("v8")) | ("amd64", Some("v1")) => None,
            ("arm", None) => Some("v7"),
            (_, other) => other,
        };
        Some(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        })
    }

    /// The operating system: `linux`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The architecture under Go's name: `arm64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant, where the architecture has one: `v7`.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// The machine as compilers and `uname -m` call it: `x86_64`, `aarch64`, `riscv64`, `i386`.
    pub fn machine(&self) -> &str {
        match self.architecture.as_str() {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            "386" => "i386",
            "arm" if self.variant() == Some("v6") => "armv6",
            "arm" => "armv7",
            "loong64" => "loongarch64",
            "mips64le" => "mips64el",
            "ppc64le" => "powerpc64le",
            other => other,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |v| write!(f, "/{v}"))
    }
}

/// Whether a text is a segment of a name: `a-z0-9`, then also `._+-`, at most 128 bytes.
fn is_segment(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._+-".contains(&b);
    let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= 128 && text.bytes().next().is_some_and(first) && text.bytes().all(inner)
}

/// `core/zlib`: a group and a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName {
    group: String,
    name: String,
}

impl PackageName {
    /// Parses `group/name`; `None` for any other form.
    pub fn parse(text: &str) -> Option<Self> {
        let (group, name) = text.split_once('/')?;
        (is_segment(group) && is_segment(name))
            .then(|| Self { group: group.to_owned(), name: name.to_owned() })
    }

    /// The group: `core`.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The name without its group: `zlib`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder of the package in a tree: `packages/core/zlib`.
    pub fn folder(&self) -> String {
        format!("packages/{}/{}", self.group, self.name)
    }

    /// Where the spec stands in a tree: `packages/core/zlib/package.yaml`.
    pub fn spec_path(&self) -> String {
        format!("packages/{}/{}/package.yaml", self.group, self.name)
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.name)
    }
}

/// `core/zlib` or `core/llvm/libgcc`: what one spec asks of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The package.
    pub package: PackageName,
    /// The output, where one is named; otherwise the one that is named like the package.
    pub output: Option<OutputName>,
}

impl Reference {
    /// Parses `group/name[/output]`; `None` for any other form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut slashes = text.match_indices('/').map(|(at, _)| at);
        let (_, second) = (slashes.next()?, slashes.next());
        let (package, output) = match second {
            Some(at) => (&text[..at], Some(OutputName::parse(&text[at + 1..])?)),
            None => (text, None),
        };
        Some(Self { package: PackageName::parse(package)?, output })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.package)?;
        self.output.as_ref().map_or(Ok(()), |o| write!(f, "/{o}"))
    }
}

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Parses a name: `a-z0-9`, then also `._+-`, at most 128 bytes; `None` otherwise.
            pub fn parse(text: &str) -> Option<Self> {
                is_segment(text).then(|| Self(text.to_owned()))
            }

            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// The name of a stage of a package: `build`.
    StageName,
    /// The name of a source of a package: `zlib`.
    SourceName,
    /// The name of an output of a package: `libgcc`.
    OutputName,
    /// The name of a test of a package: `prints-version`.
    TestName,
    /// The name of a build style: `autotools`.
    StyleName,
}

/// The name of a variable, of a package or of the environment: `[A-Za-z_][A-Za-z0-9_]*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableName(String);

impl VariableName {
    /// Parses a name; `None` for any other form or more than 128 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fits = text.len() <= 128 && text.bytes().next().is_some_and(first);
        (fits && text.bytes().all(inner)).then(|| Self(text.to_owned()))
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
