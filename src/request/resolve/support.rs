//! What this version does not build yet, refused before work starts.

use crate::request::error::Error;
use crate::request::resolved::BuildRequest;

/// Refuses what is not built yet, by name.
pub(super) fn refuse_unbuilt(request: &BuildRequest) -> Result<(), Error> {
    let unsupported = |what: &str, why| {
        Err(Error::Unsupported {
            what: what.to_owned(),
            why,
        })
    };
    if request.ramdisk {
        return unsupported(&request.program, "this version does not build ramdisks");
    }
    Ok(())
}
