//! The commands that need block devices, in a machine of ours that has some.

use std::fs;
use std::path::Path;

use super::{io_error, log, parameter, Device, Failure, DEVICE};
use crate::agent::paths;
use crate::blockdev::devices::{self, Order, NODES_FILE, STATE_FILE};
use crate::blockdev::{size, Graph};

/// `DIB_BLOCK_SIZE` beats the configuration.
const BLOCK_SIZE: &str = "DIB_BLOCK_SIZE";

/// Only a machine of our own has devices for us, never the host: pid 1 of the
/// machine says that it is one.
fn need_machine(command: &'static str) -> Result<(), Failure> {
    match Path::new(paths::DEVICES).exists() {
        true => Ok(()),
        false => Err(Failure::NeedsAppliance(command)),
    }
}

fn info(line: &str) {
    log("INFO", DEVICE, line);
}

impl Device {
    pub(super) fn create(&self) -> Result<String, Failure> {
        info("create() called");
        let graph = Graph::new(&self.config()?)?;
        graph.layout()?;
        need_machine("create")?;
        let order = Order {
            graph: &graph,
            image0_medium: None,
            populated: false,
            image_bytes: self.image_bytes()?,
            image_dir: parameter(&self.params, "image-dir")?,
            mount_base: parameter(&self.params, "mount-base")?,
            block_size: block_size()?,
        };
        let (state, result) = devices::attempt(&order, &mut info);
        if let Err(error) = result {
            let path = self.file(STATE_FILE);
            fs::write(&path, state.to_json()).map_err(io_error("write", &path))?;
            return Err(error.into());
        }
        let saved = devices::save(&self.state_dir, &graph, &state);
        saved.map_err(io_error("write the state to", &self.state_dir))?;
        info("create() finished");
        Ok(String::new())
    }

    pub(super) fn umount(&self) -> Result<String, Failure> {
        match self.nodes("umount") {
            Err(Failure::NoNodes(_)) => {
                info("State already cleaned - no way to do anything here");
                return Ok(String::new());
            }
            result => result?,
        }
        need_machine("umount")?;
        devices::umount(&self.state()?, &mut info)?;
        Ok(String::new())
    }

    pub(super) fn cleanup(&self) -> Result<String, Failure> {
        self.nodes("cleanup")?;
        need_machine("cleanup")?;
        devices::cleanup(&self.state()?, &mut info);
        self.remove_state()
    }

    pub(super) fn delete(&self) -> Result<String, Failure> {
        self.nodes("delete")?;
        need_machine("delete")?;
        devices::delete(&self.state()?, &mut info)?;
        self.remove_state()
    }

    fn remove_state(&self) -> Result<String, Failure> {
        let path = &self.state_dir;
        info(&format!(
            "Removing temporary state dir [{}]",
            path.display()
        ));
        fs::remove_dir_all(path).map_err(io_error("remove", path))?;
        Ok(String::new())
    }

    /// Whether `create` left its nodes, and ours did.
    fn nodes(&self, command: &'static str) -> Result<(), Failure> {
        let pickle = self.file("nodes.pickle");
        let nodes = self.file(NODES_FILE);
        if nodes.exists() {
            Ok(())
        } else if pickle.exists() {
            Err(Failure::Foreign {
                command,
                path: pickle,
            })
        } else {
            Err(Failure::NoNodes(nodes))
        }
    }

    fn image_bytes(&self) -> Result<u64, Failure> {
        let key = "image-size";
        let text = parameter(&self.params, key)?;
        size::parse_absolute(text).map_err(|_| Failure::Parameter {
            key,
            value: text.into(),
        })
    }
}

fn block_size() -> Result<Option<u32>, Failure> {
    let Some(text) = std::env::var_os(BLOCK_SIZE) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let found = text.parse().ok();
    found
        .filter(|size| [512, 1024, 2048, 4096].contains(size))
        .map(Some)
        .ok_or_else(|| Failure::BlockSize(text.into_owned()))
}
