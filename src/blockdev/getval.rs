//! What `dib-block-device getval` says of a configuration before anything is
//! created (`blockdevice.py`, `cmd_getval`), with upstream's ways to fail.

use super::config::{Config, Plugin};
use super::Error;
use crate::yaml::Value;

impl Config {
    /// `root-label`: the label as configured.
    ///
    /// # Errors
    /// No filesystem for `/`, or one without a label in the configuration.
    pub fn root_label(&self) -> Result<String, Error> {
        self.of_filesystem("/", "label")
    }

    /// `root-fstype`.
    ///
    /// # Errors
    /// No filesystem for `/`, or one without a type.
    pub fn root_fstype(&self) -> Result<String, Error> {
        self.of_filesystem("/", "type")
    }

    /// `boot-label`: empty without a filesystem for `/boot`; the node's name
    /// without a label.
    ///
    /// # Errors
    /// A mount without a mount point or base.
    pub fn boot_label(&self) -> Result<String, Error> {
        let found = match self.filesystem_at("/boot") {
            Err(Error::NoMount(_) | Error::NoMkfs(_)) => return Ok(String::new()),
            found => found?,
        };
        let label = found.iter().find(|(key, _)| key.as_str() == Some("label"));
        let label = label.or_else(|| found.iter().find(|(key, _)| key.as_str() == Some("name")));
        Ok(label
            .map(|(_, value)| value.to_string())
            .unwrap_or_default())
    }

    /// `mount-points`: in the order of the configuration, joined with `|`.
    ///
    /// # Errors
    /// A mount without a mount point, or one that is no string.
    pub fn mount_points(&self) -> Result<String, Error> {
        let mut all = Vec::new();
        for mount in self.entries.iter().filter(|e| e.plugin == Plugin::Mount) {
            let point = required(&mount.values, "mount", "mount_point")?;
            all.push(super::config::string(&mount.name(), "mount_point", point)?);
        }
        Ok(all.join("|"))
    }

    fn of_filesystem(&self, mount_point: &str, key: &'static str) -> Result<String, Error> {
        let filesystem = self.filesystem_at(mount_point)?;
        required(filesystem, "mkfs", key).map(Value::to_string)
    }

    /// The values of the first mkfs below the first mount at a place.
    fn filesystem_at(&self, mount_point: &str) -> Result<&[(Value, Value)], Error> {
        let mut base = None;
        for mount in self.entries.iter().filter(|e| e.plugin == Plugin::Mount) {
            let point = required(&mount.values, "mount", "mount_point")?;
            if point.as_str() == Some(mount_point) {
                base = Some(required(&mount.values, "mount", "base")?);
                break;
            }
        }
        let base = base.ok_or_else(|| Error::NoMount(mount_point.into()))?;
        for mkfs in self.entries.iter().filter(|e| e.plugin == Plugin::Mkfs) {
            if required(&mkfs.values, "mkfs", "name")? == base {
                return Ok(&mkfs.values);
            }
        }
        Err(Error::NoMkfs(base.to_string()))
    }
}

/// The value of a key that an entry, or a part of the state, must have.
pub(super) fn required<'v>(
    values: &'v [(Value, Value)],
    of: &str,
    key: &str,
) -> Result<&'v Value, Error> {
    crate::yaml::lookup(values, key).ok_or_else(|| Error::NoKey {
        of: match crate::yaml::lookup(values, "name") {
            Some(name) => format!("{of} '{name}'"),
            None => of.into(),
        },
        key: key.into(),
    })
}
