//! What a plan leaves for its apply, in one piece: the plan file, the dependency lock file, and what they belong to.
//!
//! Sealing and storing it is the caller's part. Between a plan and its apply lie another worker, perhaps another build of
//! Navvy, and hours; so the layout is fixed here and does not depend on how some library encodes:
//!
//! ```text
//! "NVYPLAN1"   8 bytes
//! length       4 bytes, big endian: of the header
//! header       JSON
//! plan file    as many bytes as the header says
//! lock file    as many bytes as the header says, none when there is none
//! ```

use proto::git::CommitId;
use proto::terraform::{TerraformSpec, ToolUsed};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

const MAGIC: &[u8; 8] = b"NVYPLAN1";
const MAX_HEADER: usize = 64 * 1024;

/// What a plan was made of. An apply must find the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) commit: CommitId,
    pub(super) tool: ToolUsed,
    pub(super) path: String,
    pub(super) workspace: String,
    pub(super) destroy: bool,
}

impl Origin {
    pub(super) fn new(spec: &TerraformSpec, commit: &CommitId, tool: &ToolUsed) -> Self {
        let (path, workspace) = (spec.path.to_string(), spec.workspace.clone());
        Self { commit: commit.clone(), tool: tool.clone(), path, workspace, destroy: spec.destroy }
    }

    /// What differs, in words, the most telling first.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        let pairs = [
            ("commit", self.commit.to_string(), now.commit.to_string()),
            ("tool", self.tool.tool.to_string(), now.tool.tool.to_string()),
            ("version", self.tool.version.clone(), now.tool.version.clone()),
            ("path", self.path.clone(), now.path.clone()),
            ("workspace", self.workspace.clone(), now.workspace.clone()),
            ("destroy", self.destroy.to_string(), now.destroy.to_string()),
        ];
        let differs = pairs.into_iter().find(|(_, then, now)| then != now);
        differs.map(|(what, then, now)| format!("it was made with {what} {then}, and now it is {now}"))
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    origin: Origin,
    plan: Part,
    lock_file: Option<Part>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Part {
    bytes: usize,
    sha256: String,
}

impl Part {
    fn of(content: &[u8]) -> Self {
        Self { bytes: content.len(), sha256: digest(content) }
    }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn digest(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// A bundle that was read back: whole, and as it was written.
#[derive(PartialEq, Eq)]
pub(super) struct Bundle<'a> {
    pub(super) origin: Origin,
    pub(super) plan: &'a [u8],
    pub(super) plan_sha256: String,
    pub(super) lock_file: Option<&'a [u8]>,
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("origin", &self.origin).field("plan_sha256", &self.plan_sha256).finish_non_exhaustive()
    }
}

/// Why some bytes are not a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damaged {
    #[error("it does not begin as a stored plan does")]
    Beginning,
    #[error("its header cannot be read")]
    Header,
    #[error("it is shorter or longer than its header says")]
    Length,
    #[error("its content does not have the digest that its header gives")]
    Digest,
}

/// Writes a bundle.
pub(super) fn pack(origin: Origin, plan: &[u8], lock_file: Option<&[u8]>) -> Vec<u8> {
    let header = Header { origin, plan: Part::of(plan), lock_file: lock_file.map(Part::of) };
    let header = serde_json::to_vec(&header).expect("strings and numbers always encode");
    let length = u32::try_from(header.len()).expect("a path, a workspace and two digests are short");
    let mut bundle = Vec::with_capacity(MAGIC.len() + 4 + header.len() + plan.len() + lock_file.map_or(0, <[u8]>::len));
    bundle.extend_from_slice(MAGIC);
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(&header);
    bundle.extend_from_slice(plan);
    bundle.extend_from_slice(lock_file.unwrap_or_default());
    bundle
}

/// Reads a bundle, strictly.
pub(super) fn unpack(bytes: &[u8]) -> Result<Bundle<'_>, Damaged> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Damaged::Beginning)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(Damaged::Header)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Damaged::Header)?;
    let (header, content) = rest.split_at_checked(length).filter(|_| length <= MAX_HEADER).ok_or(Damaged::Header)?;
    let header: Header = serde_json::from_slice(header).map_err(|_| Damaged::Header)?;
    let (plan, lock) = content.split_at_checked(header.plan.bytes).ok_or(Damaged::Length)?;
    if lock.len() != header.lock_file.as_ref().map_or(0, |part| part.bytes) {
        return Err(Damaged::Length);
    }
    let lock_file = header.lock_file.as_ref().map(|_| lock);
    if Part::of(plan) != header.plan || lock_file.map(Part::of) != header.lock_file {
        return Err(Damaged::Digest);
    }
    Ok(Bundle { origin: header.origin, plan, plan_sha256: header.plan.sha256, lock_file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::terraform::Tool;

    fn origin() -> Origin {
        Origin {
            commit: "0123456789abcdef0123456789abcdef01234567".parse().expect("a commit"),
            tool: ToolUsed { tool: Tool::Terraform, version: "1.11.4".to_owned() },
            path: "envs/prod".to_owned(),
            workspace: "default".to_owned(),
            destroy: false,
        }
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        for lock_file in [None, Some(&b""[..]), Some(&b"lock"[..])] {
            let bytes = pack(origin(), b"plan", lock_file);
            let bundle = unpack(&bytes).expect("whole");
            assert_eq!((&bundle.origin, bundle.plan, bundle.lock_file), (&origin(), &b"plan"[..], lock_file));
            assert_eq!(bundle.plan_sha256, digest(b"plan"));
        }
    }

    #[test]
    fn a_bundle_that_was_touched_anywhere_is_refused_or_the_same() {
        let bytes = pack(origin(), b"plan", Some(b"lock"));
        for at in 0..bytes.len() {
            let mut touched = bytes.clone();
            touched[at] ^= 0x20;
            // A header byte may turn into another legal header: then the origin differs, and the apply refuses that.
            match unpack(&touched) {
                Err(_) => {}
                Ok(bundle) => assert!(bundle.origin != origin() || bundle.plan == b"plan", "byte {at}"),
            }
            assert!(unpack(&bytes[..at]).is_err(), "cut at {at}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(unpack(&longer), Err(Damaged::Length));
        assert_eq!(unpack(b"NVYPLAN1\xff\xff\xff\xff{}"), Err(Damaged::Header));
    }

    #[test]
    fn the_difference_is_named() {
        let mut other = origin();
        other.tool.version = "1.12.0".to_owned();
        assert_eq!(origin().difference(&other).as_deref(), Some("it was made with version 1.11.4, and now it is 1.12.0"));
        assert_eq!(origin().difference(&origin()), None);
    }
}
