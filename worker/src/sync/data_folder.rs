//! The data folder of a service on its host: there before the service starts, with its owner and mode.

use super::{
    floor::{Floor, failed},
    ssh::{Host, Input, Ran, Remote, quoted},
};
use proto::{message::AttemptOutcome, sync::DataFolder};
use std::time::Duration;

/// How long making a folder may take.
const LIMIT: Duration = Duration::from_mins(1);

impl Host {
    /// Makes a folder with its owner and mode. May be done again and again.
    pub(super) async fn make_folder(&self, floor: &mut impl Floor, data: &DataFolder) -> Result<(), AttemptOutcome> {
        let (path, DataFolder { uid, gid, mode, .. }) = (quoted(&data.path), data);
        let octal = (3..=4).contains(&mode.len()) && mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
        if !octal {
            return Err(failed(
                floor,
                "service",
                "the mode of the data folder is no octal number; nothing was deployed",
                "Write one such as 755.",
            ));
        }
        // A link in its place would lead the owner and the mode to whatever it points at.
        let script = format!("mkdir -p -- {path} && test ! -L {path} && chown -h -- {uid}:{gid} {path} && chmod -- {mode} {path}");
        floor.narrate(&format!("Preparing the data folder {} on {}", data.path, self.name()));
        let ran = self.run(floor, Remote { script: &script, input: Input::Bytes(b""), limit: LIMIT, keep: false }).await;
        let why = match ran {
            Ok(Ran { code: 0, .. }) => return Ok(()),
            Ok(Ran { code, last, .. }) => format!("it ended with exit code {code}: {last}"),
            Err(error) => error.to_string(),
        };
        let message = format!("the data folder {} cannot be prepared on {}: {why}; nothing was deployed", data.path, self.name());
        Err(failed(floor, "data_folder", &message, "Check the host, its disk, and what the worker's key may do there."))
    }
}
