//! The file with a webhook's secret: made once, with mode 0600; a new secret goes in front of the old one, and the file keeps its owner
//! and mode.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use proto::Secret;

use crate::args::Forge;
use crate::files;
use crate::problem::CliError;

/// The user name that goes with the password of Azure DevOps' webhooks.
const USER: &str = "navvy";

/// What became of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Made,
    Kept,
    Rotated,
}

impl What {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Kept => "kept",
            Self::Rotated => "rotated",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Made => "made, with a secret of 32 random bytes",
            Self::Kept => "is there already, and was kept",
            Self::Rotated => "has a new secret in its first line; take the second line out once the forge uses the first",
        }
    }
}

/// The first secret of the file, and what became of it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) what: What,
    pub(super) secret: Secret,
    /// The mode of a file that was there, where others than its owner may read or write it.
    pub(super) open_to_others: Option<u32>,
}

/// Makes the file, or keeps the one that is there.
pub(super) fn make(path: &Path, forge: Forge, rotate: bool) -> Result<Made, CliError> {
    let fresh = fresh(forge);
    match create(path) {
        Ok(file) => {
            write(file, path, &[&fresh])?;
            return Ok(Made { what: What::Made, secret: fresh, open_to_others: None });
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(CliError::File { operation: "create", path: path.to_owned(), source }),
    }
    // What a link points to is replaced, not the link.
    let path = &std::fs::canonicalize(path).map_err(|source| CliError::File { operation: "find", path: path.to_owned(), source })?;
    let text = files::text(path)?;
    let about = std::fs::metadata(path).map_err(|source| CliError::File { operation: "read", path: path.clone(), source })?;
    let mode = about.mode() & 0o777;
    let open_to_others = (mode & 0o077 != 0).then_some(mode);
    let first = text.expose().lines().next().unwrap_or_default();
    if first.is_empty() {
        let next = "write the webhook's secret into it, or remove it to have one made";
        return Err(CliError::usage(format!("{} is there and has no secret", path.display()), next));
    }
    let first = Secret::new(first);
    if !rotate {
        return Ok(Made { what: What::Kept, secret: first, open_to_others });
    }
    // Beside it, then in its place: a gateway that reads meanwhile sees the old one or the new one.
    let beside = path.with_added_extension("new");
    let created = create(&beside).map_err(|source| CliError::File { operation: "create", path: beside.clone(), source })?;
    // Whoever could read it still can: a gateway of another user would not get the new secret.
    let as_before = created
        .metadata()
        .and_then(|now| {
            if (now.uid(), now.gid()) == (about.uid(), about.gid()) {
                Ok(())
            } else {
                fchown(&created, Some(about.uid()), Some(about.gid()))
            }
        })
        .and_then(|()| created.set_permissions(Permissions::from_mode(mode)));
    let done = as_before
        .map_err(|source| CliError::File { operation: "give the owner and mode of the old one to", path: beside.clone(), source })
        .and_then(|()| write(created, &beside, &[&fresh, &first]))
        .and_then(|()| {
            std::fs::rename(&beside, path).map_err(|source| CliError::File { operation: "replace", path: path.clone(), source })
        });
    if let Err(error) = done {
        // What is left of a try would stand in the way of the next.
        let _ = std::fs::remove_file(&beside);
        return Err(error);
    }
    Ok(Made { what: What::Rotated, secret: fresh, open_to_others })
}

fn fresh(forge: Forge) -> Secret {
    let random = bus::BlobKey::random_hex();
    match forge {
        // It logs in with a user and a password.
        Forge::AzureDevops => Secret::new(format!("{USER}:{}", random.expose())),
        Forge::Github | Forge::Gitlab | Forge::Gitea | Forge::BitbucketCloud | Forge::BitbucketServer => random,
    }
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn write(mut file: File, path: &Path, lines: &[&Secret]) -> Result<(), CliError> {
    let text: String = lines.iter().flat_map(|line| [line.expose(), "\n"]).collect();
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|source| CliError::File { operation: "write", path: path.to_owned(), source })
}
