//! Content digests: parsed from specs, printed for engines, computed over readers.

use std::fmt;
use std::io::{self, Read};

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A hash function that a source may be pinned with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, the one that every engine checks.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order in which messages list them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name as OCI image-spec `descriptor.md` registers it: `sha256`, `sha384`, `sha512`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits a digest of this algorithm has.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

/// An algorithm and its lower-case hexadecimal value, as in `sha256:9a93…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestError {
    /// The part before the colon names no known algorithm, or there is no colon.
    Algorithm,
    /// The value has another length than the algorithm's, in digits.
    Length {
        /// What the algorithm has.
        expected: usize,
        /// What was written.
        found: usize,
    },
    /// A character is not one of `0-9a-f`.
    Digit(char),
}

impl fmt::Display for DigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm => {
                f.write_str("a digest starts with `sha256:`, `sha384:` or `sha512:`")
            }
            Self::Length { expected, found } => {
                write!(f, "expected {expected} hexadecimal digits, found {found}")
            }
            Self::Digit(c) => write!(f, "{c:?} is not a lower-case hexadecimal digit"),
        }
    }
}

impl std::error::Error for DigestError {}

impl Digest {
    /// Takes the value of a known algorithm; fails on another length and on anything but `0-9a-f`.
    pub fn from_hex(algorithm: Algorithm, hex: &str) -> Result<Self, DigestError> {
        if let Some(c) = hex.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(DigestError::Digit(c));
        }
        if hex.len() != algorithm.hex_len() {
            let (expected, found) = (algorithm.hex_len(), hex.len());
            return Err(DigestError::Length { expected, found });
        }
        let hex = hex.to_owned();
        Ok(Self { algorithm, hex })
    }

    /// Parses `algorithm:hex`; fails as [`DigestError`] says.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text.split_once(':').ok_or(DigestError::Algorithm)?;
        let algorithm =
            Algorithm::ALL.into_iter().find(|a| a.name() == name).ok_or(DigestError::Algorithm)?;
        Self::from_hex(algorithm, hex)
    }

    /// The SHA-256 digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hex = hex(&Sha256::digest(bytes));
        Self { algorithm: Algorithm::Sha256, hex }
    }

    /// Reads to the end and returns the digest and the number of bytes; fails as the reader fails.
    pub fn of_reader(algorithm: Algorithm, reader: &mut dyn Read) -> io::Result<(Self, u64)> {
        fn drain<D: sha2::Digest>(reader: &mut dyn Read) -> io::Result<(String, u64)> {
            let mut hasher = D::new();
            let mut buffer = vec![0; 64 * 1024];
            let mut total = 0;
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => return Ok((hex(&hasher.finalize()), total)),
                    Ok(n) => {
                        hasher.update(&buffer[..n]);
                        total += n as u64;
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
        }
        let (hex, total) = match algorithm {
            Algorithm::Sha256 => drain::<Sha256>(reader)?,
            Algorithm::Sha384 => drain::<Sha384>(reader)?,
            Algorithm::Sha512 => drain::<Sha512>(reader)?,
        };
        Ok((Self { algorithm, hex }, total))
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The value without its algorithm.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

/// Lower-case hexadecimal of some bytes.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        let (read, bytes) = Digest::of_reader(Algorithm::Sha256, &mut &b""[..]).unwrap();
        assert_eq!((read, bytes), (Digest::parse(empty).unwrap(), 0));
    }

    #[test]
    fn a_digest_of_another_form_is_refused() {
        assert_eq!(Digest::parse("md5:00"), Err(DigestError::Algorithm));
        assert_eq!(Digest::parse("00"), Err(DigestError::Algorithm));
        let short = DigestError::Length { expected: 64, found: 2 };
        assert_eq!(Digest::parse("sha256:00"), Err(short));
        assert_eq!(Digest::parse("sha256:0G"), Err(DigestError::Digit('G')));
    }
}
