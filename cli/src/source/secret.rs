//! The file with a webhook's secret: made once, with mode 0600; a new secret goes in front of the old one.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
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
}

/// Makes the file, or keeps the one that is there.
pub(super) fn make(path: &Path, forge: Forge, rotate: bool) -> Result<Made, CliError> {
    let fresh = fresh(forge);
    match create(path) {
        Ok(file) => {
            write(file, path, &[&fresh])?;
            return Ok(Made { what: What::Made, secret: fresh });
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(CliError::File { operation: "create", path: path.to_owned(), source }),
    }
    let text = files::text(path)?;
    let first = text.expose().lines().next().unwrap_or_default();
    if first.is_empty() {
        let next = "write the webhook's secret into it, or remove it to have one made";
        return Err(CliError::usage(format!("{} is there and has no secret", path.display()), next));
    }
    let first = Secret::new(first);
    if !rotate {
        return Ok(Made { what: What::Kept, secret: first });
    }
    // Beside it, then in its place: a gateway that reads meanwhile sees the old one or the new one.
    let beside = path.with_added_extension("new");
    let created = create(&beside).map_err(|source| CliError::File { operation: "create", path: beside.clone(), source })?;
    let done = write(created, &beside, &[&fresh, &first]).and_then(|()| {
        std::fs::rename(&beside, path).map_err(|source| CliError::File { operation: "replace", path: path.to_owned(), source })
    });
    if let Err(error) = done {
        // What is left of a try would stand in the way of the next.
        let _ = std::fs::remove_file(&beside);
        return Err(error);
    }
    Ok(Made { what: What::Rotated, secret: fresh })
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
