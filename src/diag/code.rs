//! The kinds of findings. Each has a case under `tests/cases/`.

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What kind of finding a diagnostic is. Names are stable: scripts match on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name that is printed: `unknown-key`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it means, as in the reference.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

codes! {
    /// The text is not YAML.
    YamlSyntax = "yaml-syntax",
    /// Anchors, aliases, merge keys, tags and several documents in a file are refused.
    YamlFeature = "yaml-feature",
    /// Nested more deeply than 32 levels.
    TooDeep = "too-deep",
    /// A file is larger than a tree may hold.
    TooLarge = "too-large",
    /// The file is not UTF-8, or it has a control character in it.
    BadText = "bad-text",
    /// A file can't be read, or a link leads out of the tree.
    Unreadable = "unreadable",
    /// A key is not one that may stand there.
    UnknownKey = "unknown-key",
    /// A key stands twice in one mapping.
    DuplicateKey = "duplicate-key",
    /// A key that has to be there is not.
    MissingKey = "missing-key",
    /// A list where text must be, text where a mapping must be, and so on.
    WrongType = "wrong-type",
    /// Keys that exclude each other stand together.
    Conflict = "conflict",
    /// A name has a form that its kind does not allow.
    BadName = "bad-name",
    /// The name in the spec is not the one of its path.
    NameMismatch = "name-mismatch",
    /// A value is not one of those allowed.
    BadValue = "bad-value",
    /// A path is relative where it must be absolute (or the reverse), or has `..` or odd characters.
    BadPath = "bad-path",
    /// Not an address of a form that the key takes.
    BadUrl = "bad-url",
    /// Not a digest of the algorithm that the key names.
    BadDigest = "bad-digest",
    /// Not a platform such as `linux/arm64`.
    BadPlatform = "bad-platform",
    /// Not an SPDX licence expression.
    BadLicense = "bad-license",
    /// A source says none of `url`, `git`, `path`, `text`, `hex` and `image`, or several.
    SourceKind = "source-kind",
    /// A source that comes from elsewhere has no digest or commit.
    Unpinned = "unpinned",
    /// A binary source does not say why it is trusted (`seed:`).
    SeedReason = "seed-reason",
    /// A `${{ }}` does not parse.
    TemplateSyntax = "template-syntax",
    /// A `${{ }}` parses, but has no value: a filter failed or the result is too large.
    TemplateValue = "template-value",
    /// A name in `${{ }}` or `when` is not known there.
    UnknownVariable = "unknown-variable",
    /// No package of that name exists.
    UnknownPackage = "unknown-package",
    /// A name without its group fits several packages.
    AmbiguousPackage = "ambiguous-package",
    /// The package has no such output.
    UnknownOutput = "unknown-output",
    /// The package has no such stage.
    UnknownStage = "unknown-stage",
    /// The package has no such source.
    UnknownSource = "unknown-source",
    /// No template of that name under `templates/build/`.
    UnknownStyle = "unknown-style",
    /// A build style does not have such a parameter, misses one, or it has another type.
    BadParameter = "bad-parameter",
    /// The package declares no such variable.
    UnknownArgument = "unknown-argument",
    /// A user or group that the image names has no account.
    UnknownAccount = "unknown-account",
    /// Two accounts share a name or a number.
    AccountConflict = "account-conflict",
    /// Nothing uses the stage.
    UnusedStage = "unused-stage",
    /// Nothing uses the source.
    UnusedSource = "unused-source",
    /// Packages or stages need themselves.
    Cycle = "cycle",
    /// A package is asked for on a platform where it does not exist.
    MissingPlatform = "missing-platform",
    /// Two layers of an image say different things.
    ImageConflict = "image-conflict",
    /// A test says what only a shell script can find out.
    BadTest = "bad-test",
    /// The engine lacks something that the build needs.
    MissingCapability = "missing-capability",
    /// No engine answers, or it died.
    Engine = "engine",
    /// A request of the client can't be served.
    BadRequest = "bad-request",
}
