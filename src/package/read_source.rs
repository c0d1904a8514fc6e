//! `sources:` as written → [`Source`].

use crate::diag::{Code, Diagnostic, Spanned};
use crate::digest::{Algorithm, Digest};

use super::raw::{Kind, Node};
use super::reader::{Fields, Reader, is_clean_relative};
use super::{
    Archive, Hex, ImageReference, Origin, Patch, Source, SourceName, Template, Unpack, Version,
};

const KINDS: [&str; 6] = ["url", "git", "path", "text", "hex", "image"];

const KEYS: [&str; 20] = [
    "url", "git", "path", "text", "hex", "image", "mirrors", "sha256", "sha384", "sha512",
    "commit", "subdir", "exclude", "version", "unpack", "strip", "mode", "seed", "patches", "when",
];

/// Reads the bytes of a file beside the spec.
pub(super) type Beside<'b> = &'b dyn Fn(&Spanned<String>) -> Result<Vec<u8>, Diagnostic>;

impl Reader<'_> {
    /// One entry of `sources:`; every source that exists has a pin and one kind.
    pub(super) fn source(
        &mut self,
        key: &Spanned<String>,
        node: &Node,
        beside: Beside<'_>,
    ) -> Option<Source> {
        let name = self.name(key, "a source", SourceName::parse);
        let fields = self.fields(node, "a mapping with `url`, `git`, …", &KEYS)?;
        let kinds = fields.present(&KINDS);
        let origin = match kinds.as_slice() {
            [(kind, _)] => self.origin(kind, fields),
            [] => {
                let said =
                    format!("the source `{}` says nothing of where it comes from", key.value);
                self.say_hint(Code::SourceKind, key.span, said, one_of());
                None
            }
            [(first, at), (second, span), ..] => {
                let said = format!("a source is either `{first}` or `{second}`");
                self.found.push(
                    Diagnostic::new(Code::SourceKind, *span, said)
                        .note(*at, "the other")
                        .hint(one_of()),
                );
                None
            }
        };
        let version = fields.get("version").and_then(|n| self.version(n));
        let unpack = self.unpack(fields);
        let strip = fields.get("strip").and_then(|n| self.number(n, 16)).unwrap_or(1);
        let mode = fields.get("mode").and_then(|n| self.mode(n));
        let seed = fields.get("seed").and_then(|n| self.reason(n));
        let patches = match fields.get("patches") {
            Some(node) => {
                self.list(node, "patches").iter().filter_map(|n| self.patch(n, beside)).collect()
            }
            None => Vec::new(),
        };
        let when = self.condition(fields.get("when"));
        if let (Some((kind @ ("hex" | "image"), at)), None) = (kinds.first(), fields.get("seed")) {
            let said = format!("`{kind}` enters as a binary that no package here made");
            let hint = "say why it is trusted: `seed: \"181 bytes, read by hand\"`";
            self.say_hint(Code::SeedReason, *at, said, hint);
        }
        let name = Spanned::new(name?, key.span);
        Some(Source { name, origin: origin?, version, unpack, strip, mode, seed, patches, when })
    }

    fn origin(&mut self, kind: &str, fields: Fields<'_>) -> Option<Origin> {
        let only: &[&str] = match kind {
            "url" => &["mirrors", "sha256", "sha384", "sha512"],
            "git" => &["commit", "subdir"],
            "path" => &["exclude"],
            _ => &[],
        };
        for key in ["mirrors", "sha256", "sha384", "sha512", "commit", "subdir", "exclude"] {
            if let (false, Some((at, _))) = (only.contains(&key), fields.entry(key)) {
                let said = format!("`{key}` means nothing beside `{kind}`");
                self.say(Code::Conflict, at.span, said);
            }
        }
        let node = fields.get(kind)?;
        match kind {
            "url" => {
                let url = self.url(node, &["https://", "http://"]);
                let mirrors = match fields.get("mirrors") {
                    Some(list) => self
                        .list(list, "addresses")
                        .iter()
                        .filter_map(|n| self.url(n, &["https://", "http://"]))
                        .collect(),
                    None => Vec::new(),
                };
                let digest = self.digest(node, fields);
                Some(Origin::Url { url: url?, mirrors, digest: digest? })
            }
            "git" => {
                let remote = self.url(node, &["https://", "ssh://", "git@"]);
                let commit = match fields.get("commit") {
                    Some(commit) => self.parsed(
                        commit,
                        (Code::Unpinned, "a full commit of 40 hexadecimal digits"),
                        commit_of,
                    ),
                    None => {
                        let hint = "add `commit:` with all of its 40 digits; a branch or tag moves";
                        self.say_hint(
                            Code::Unpinned,
                            node.span,
                            "a git source without a commit",
                            hint,
                        );
                        None
                    }
                };
                let subdir = fields.get("subdir").and_then(|n| self.relative(n));
                Some(Origin::Git { remote: remote?, commit: commit?, subdir })
            }
            "path" => {
                let path = self.relative(node)?;
                let exclude = self.templates(fields.get("exclude"), "patterns");
                Some(Origin::Path { path, exclude })
            }
            "text" => Some(Origin::Text(self.template(node)?)),
            "hex" => self.hex(node).map(Origin::Hex),
            _ => {
                let form = (Code::Unpinned, "an image with its digest");
                self.parsed(node, form, image_reference).map(Origin::Image)
            }
        }
    }

    fn digest(&mut self, url: &Node, fields: Fields<'_>) -> Option<Spanned<Digest>> {
        let present = fields.present(&["sha256", "sha384", "sha512"]);
        match present.as_slice() {
            [] => {
                let hint =
                    "add `sha256:` with what `sha256sum` prints for the file that you checked";
                self.say_hint(Code::Unpinned, url.span, "a source without a digest", hint);
                None
            }
            [(name, _)] => {
                let algorithm = Algorithm::ALL.into_iter().find(|a| a.name() == *name)?;
                let text = self.literal(fields.get(name)?)?;
                match Digest::from_hex(algorithm, &text.value) {
                    Ok(digest) => Some(Spanned::new(digest, text.span)),
                    Err(e) => {
                        let said = format!("not a {name} digest: {e}");
                        let mut found = Diagnostic::new(Code::BadDigest, text.span, said);
                        if text.value.starts_with(&format!("{name}:")) {
                            found.hint = Some(format!("the key says it: leave `{name}:` out"));
                        }
                        self.found.push(found);
                        None
                    }
                }
            }
            [_, (name, at), ..] => {
                let said = format!("one digest is enough: `{name}` stands beside another");
                self.say(Code::Conflict, *at, said);
                None
            }
        }
    }

    fn hex(&mut self, node: &Node) -> Option<Hex> {
        if let Kind::Map(_) = node.kind {
            let fields = self.fields(node, "hexadecimal or `{ path: … }`", &["path"])?;
            let path = self.required(fields, "path")?;
            return self.relative(path).map(Hex::File);
        }
        let text = self.literal(node)?;
        match parse_hex(&text.value) {
            Ok(bytes) => Some(Hex::Inline(bytes)),
            Err(e) => {
                self.say(Code::BadValue, text.span, e.to_string());
                None
            }
        }
    }

    fn unpack(&mut self, fields: Fields<'_>) -> Unpack {
        let Some(node) = fields.get("unpack") else { return Unpack::Auto };
        let of = |t: &str| match t {
            "true" => Some(Unpack::Auto),
            "false" => Some(Unpack::No),
            name => Archive::ALL.iter().find(|(_, n)| *n == name).map(|(a, _)| Unpack::As(*a)),
        };
        let form = (
            Code::BadValue,
            "`true`, `false` or one of tar, tar.gz, tar.bz2, tar.xz, tar.zst, zip",
        );
        self.parsed(node, form, of).map_or(Unpack::Auto, |u| u.value)
    }

    fn patch(&mut self, node: &Node, beside: Beside<'_>) -> Option<Patch> {
        let (path, strip, when) = match &node.kind {
            Kind::Map(_) => {
                let fields = self.fields(node, "a file name", &["path", "strip", "when"])?;
                let path = self.required(fields, "path")?;
                let strip = fields.get("strip").and_then(|n| self.number(n, 16)).unwrap_or(1);
                (self.literal(path)?, strip, self.condition(fields.get("when")))
            }
            Kind::Text(_) | Kind::Empty | Kind::List(_) => (self.literal(node)?, 1, None),
        };
        if !is_clean_relative(&path.value) {
            self.say(Code::BadPath, path.span, relative_rule(&path.value));
            return None;
        }
        match beside(&path) {
            Ok(bytes) => Some(Patch { path, bytes, strip, when }),
            Err(found) => {
                self.found.push(found);
                None
            }
        }
    }

    /// An address with one of these beginnings; what follows them may have templates.
    fn url(&mut self, node: &Node, schemes: &[&str]) -> Option<Template> {
        let template = self.template(node)?;
        let text = self.text(node)?.value;
        let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'\\<>`".contains(c);
        let outside: String = template
            .parts
            .iter()
            .filter_map(|p| match p {
                super::Part::Text(text) => Some(&**text),
                super::Part::Expression(_) => None,
            })
            .collect();
        if !schemes.iter().any(|s| text.starts_with(s) && text.len() > s.len()) {
            let known: Vec<String> = schemes.iter().map(|s| format!("`{s}`")).collect();
            let said = format!("an address starts with {}", known.join(" or "));
            self.say(Code::BadUrl, node.span, said);
            return None;
        }
        if outside.contains(odd) || outside.contains('#') {
            let said = "blanks, quotes, backslashes and `#` can't stand in an address";
            self.say(Code::BadUrl, node.span, said);
            return None;
        }
        Some(template)
    }

    /// A path below the folder of the spec.
    pub(super) fn relative(&mut self, node: &Node) -> Option<Template> {
        let template = self.template(node)?;
        let fits = template.as_literal().is_none_or(|p| p == "." || is_clean_relative(p));
        if !fits {
            let text = template.as_literal().unwrap_or_default();
            self.say(Code::BadPath, node.span, relative_rule(text));
            return None;
        }
        Some(template)
    }

    /// A sentence that says why something is trusted.
    pub(super) fn reason(&mut self, node: &Node) -> Option<Spanned<String>> {
        let text = self.line(node)?;
        if text.value.trim().len() < 3 || matches!(text.value.as_str(), "true" | "false" | "yes") {
            let said = "a reason is a sentence that a reviewer can weigh";
            self.say(Code::BadValue, node.span, said);
            return None;
        }
        Some(text)
    }

    pub(super) fn version(&mut self, node: &Node) -> Option<Spanned<Version>> {
        self.parsed(
            node,
            (Code::BadValue, "a version (printable, no blanks, no `/`)"),
            Version::parse,
        )
    }
}

fn one_of() -> String {
    format!("a source has exactly one of {}", crate::diag::listed(&KINDS))
}

pub(super) fn relative_rule(path: &str) -> String {
    format!("`{path}` must be a path below the folder of the spec, without `..`")
}

fn commit_of(text: &str) -> Option<String> {
    let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (digits && matches!(text.len(), 40 | 64)).then(|| text.to_owned())
}

/// `registry/name[:tag]@sha256:…`; the tag says nothing beside a digest and is dropped, and a
/// name without a registry is Docker Hub's, as everywhere in Docker.
fn image_reference(text: &str) -> Option<ImageReference> {
    let (name, digest) = text.split_once('@')?;
    let digest = Digest::parse(digest).ok()?;
    let slash = name.rfind('/').map_or(0, |n| n + 1);
    let name = match name[slash..].find(':') {
        Some(colon) => &name[..slash + colon],
        None => name,
    };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/:".contains(&b);
    if name.is_empty() || !name.bytes().all(plain) {
        return None;
    }
    let host = name.split('/').next().unwrap_or("");
    let has_host = name.contains('/') && (host.contains(['.', ':']) || host == "localhost");
    let name = match (has_host, name.contains('/')) {
        (true, _) => name.to_owned(),
        (false, true) => format!("docker.io/{name}"),
        (false, false) => format!("docker.io/library/{name}"),
    };
    Some(ImageReference { name, digest })
}

/// Why a text is not commented hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HexError {
    /// This character, on this line (from 1), is no digit, blank or comment.
    Character(char, usize),
    /// The number of digits is odd.
    Odd,
}

impl std::fmt::Display for HexError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Character(c, line) => {
                write!(
                    f,
                    "{c:?} on line {line} is no hexadecimal digit; comments start with `#` or `;`"
                )
            }
            Self::Odd => f.write_str("the number of hexadecimal digits is odd"),
        }
    }
}

/// The bytes of commented hexadecimal: pairs of digits, blanks anywhere, `#` and `;` to the end of
/// the line are comments (the form of stage0-posix's hex0).
pub fn parse_hex(text: &str) -> Result<Vec<u8>, HexError> {
    let mut bytes = Vec::new();
    let mut high = None;
    for (number, line) in text.lines().enumerate() {
        let code = line.split(['#', ';']).next().unwrap_or("");
        for c in code.chars().filter(|c| !c.is_ascii_whitespace()) {
            let digit = c.to_digit(16).ok_or(HexError::Character(c, number + 1))? as u8;
            match high.take() {
                Some(first) => bytes.push(first << 4 | digit),
                None => high = Some(digit),
            }
        }
    }
    if high.is_some() { Err(HexError::Odd) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_has_comments_and_whole_bytes() {
        assert_eq!(parse_hex("7F 45 # ELF\n; more\n4c46"), Ok(vec![0x7f, 0x45, 0x4c, 0x46]));
        assert_eq!(parse_hex("7F 4"), Err(HexError::Odd));
        assert_eq!(parse_hex("00\nzz"), Err(HexError::Character('z', 2)));
    }

    #[test]
    fn an_image_needs_its_digest() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let full = image_reference(&format!("alpine:3.20@{digest}")).unwrap();
        assert_eq!(full.name, "docker.io/library/alpine");
        assert!(image_reference("alpine:3.20").is_none());
    }
}
