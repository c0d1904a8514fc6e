//! `stagex.yaml`, at the root of a tree: what holds for all of its packages.

use crate::diag::{Code, Diagnostic, Diagnostics, Files, Spanned};
use crate::tree::Tree;

use super::load::code_of;
use super::style::Styles;
use super::template::Evaluator;
use super::{Platform, raw, reader::Reader};

/// Where the settings of a tree stand.
pub const CONFIG_PATH: &str = "stagex.yaml";

/// The settings of a tree; the defaults where it has no `stagex.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeConfig {
    /// What image names start with: `stagex` in `stagex/core-zlib`.
    pub image_prefix: String,
    /// The platforms that `check` looks at; those of each package when empty.
    pub platforms: Vec<Platform>,
}

impl Default for TreeConfig {
    fn default() -> Self {
        Self { image_prefix: "stagex".to_owned(), platforms: Vec::new() }
    }
}

impl TreeConfig {
    /// Reads the settings of a tree; fails with everything that is wrong with them.
    pub fn read(tree: &dyn Tree, files: &mut Files) -> Result<Self, Diagnostics> {
        let bytes = match tree.read(CONFIG_PATH) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Self::default()),
            Err(e) => {
                let said = format!("{CONFIG_PATH}: {e}");
                return Err(Diagnostic::bare(code_of(&e), said).into());
            }
        };
        let (file, node) = raw::parse(CONFIG_PATH, bytes, files)?;
        let (evaluator, styles) = (Evaluator::new(), Styles::default());
        let mut reader = Reader::new(files.text(file), (&evaluator, &styles));
        let mut config = Self::default();
        if let Some(fields) = reader.fields(&node, "a mapping", &["image-prefix", "platforms"]) {
            if let Some(node) = fields.get("image-prefix") {
                let form = (Code::BadName, "the first part of an image name");
                let prefix = reader.parsed(node, form, prefix_of);
                config.image_prefix = prefix.map_or(config.image_prefix, |p: Spanned<_>| p.value);
            }
            if let Some(node) = fields.get("platforms") {
                let items = reader.list(node, "platforms");
                config.platforms =
                    items.iter().filter_map(|n| reader.platform(n)).map(|p| p.value).collect();
            }
        }
        reader.found.or(config)
    }
}

fn prefix_of(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/:".contains(&b);
    let fits = !text.is_empty() && text.bytes().all(plain) && !text.ends_with('/');
    fits.then(|| text.to_owned())
}
