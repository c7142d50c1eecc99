//! What hooks must not be able to write to, whatever is shared.

use std::path::{Path, PathBuf};

use crate::plan::Plan;
use crate::request::BuildRequest;

use super::machine;
use super::Error;

/// Refuses a writable share that reaches safedib's own cache: the next build
/// starts the appliances that lie there, and removes what journals there name; layers
/// are begun with.
///
/// # Errors
/// [`Error::Exposed`].
pub(super) fn refuse(request: &BuildRequest, plan: &Plan) -> Result<(), Error> {
    let layers = request.layers.as_ref().map(|layers| &layers.directory);
    for cache in [Some(&machine::options(request).cache), layers]
        .into_iter()
        .flatten()
    {
        let real_cache = real(cache);
        let writable = plan.shares.iter().filter(|share| share.writable);
        for share in writable {
            let path = real(&share.path);
            if real_cache.starts_with(&path) || path.starts_with(&real_cache) {
                return Err(Error::Exposed {
                    share: share.path.clone(),
                    why: share.why.clone(),
                    cache: cache.clone(),
                });
            }
        }
    }
    Ok(())
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|part| {
        let real = part.canonicalize().ok()?;
        Some(real.join(path.strip_prefix(part).ok()?))
    });
    found.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_seen_through_as_far_as_there_are_any() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().canonicalize().unwrap();
        std::fs::create_dir(top.join("real")).unwrap();
        symlink("real", top.join("link")).unwrap();
        assert_eq!(real(&top.join("link/a/b")), top.join("real/a/b"));
        assert_eq!(real(&top.join("none/a")), top.join("none/a"));
    }
}
