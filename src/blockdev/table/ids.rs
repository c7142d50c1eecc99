//! Where UUIDs, GUIDs and other identifiers of a disk come from.

use std::fs::File;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A source of identifiers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ids {
    /// The kernel's random numbers.
    #[default]
    Random,
    /// Derived from a text that names the image: the same text gives the same
    /// identifiers.
    Derived(String),
}

impl Ids {
    /// A UUID in lower case: version 4 (RFC 9562), or 8 for derived ones. `role`
    /// tells those of one image apart.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn uuid(&self, role: &str) -> io::Result<String> {
        let version = match self {
            Ids::Random => 4,
            Ids::Derived(_) => 8,
        };
        Ok(as_uuid(self.bytes(role)?, version))
    }

    /// Up to 32 bytes.
    ///
    /// # Errors
    /// As [`Ids::uuid`].
    pub fn bytes<const N: usize>(&self, role: &str) -> io::Result<[u8; N]> {
        let mut bytes = [0u8; N];
        match self {
            // Containers mask /proc/sys, where the kernel makes UUIDs.
            Ids::Random => File::open("/dev/urandom")?.read_exact(&mut bytes)?,
            Ids::Derived(text) => {
                // A NUL is in neither, so that no two pairs run together.
                let hash = Sha256::new()
                    .chain_update(text)
                    .chain_update([0])
                    .chain_update(role)
                    .finalize();
                for (byte, hashed) in bytes.iter_mut().zip(hash) {
                    *byte = hashed;
                }
            }
        }
        Ok(bytes)
    }
}

fn as_uuid(bytes: [u8; 16], version: u128) -> String {
    let bits = u128::from_be_bytes(bytes);
    let bits = bits & !(0xf << 76) | version << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let part = |low: u32, digits: u32| bits >> low & ((1 << (4 * digits)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 8),
        part(80, 4),
        part(64, 4),
        part(48, 4),
        part(0, 12)
    )
}
