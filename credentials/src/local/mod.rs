//! What lies on the worker itself: variables of its environment, files in folders that its operator allows, and the
//! operator's own key files. Blocking, and short.

mod folder;
mod private;

pub(crate) use folder::read_allowed;
pub(crate) use private::read_private;

use crate::Access;
use crate::document::Node;
use crate::error::Cause;
use crate::sops;
use crate::variables::{Variables, of_object, shown};
use proto::Secret;

/// `env:::var:<NAME>`.
pub(crate) fn variable(access: &Access, name: &str) -> Result<Variables, Cause> {
    if !access.variables.contains(name) {
        return Err(Cause::denied(format!(
            "the operator of this worker does not give out the variable `{}`; they can allow it by name",
            shown(name)
        )));
    }
    match (access.environment)(name) {
        Some(value) => Ok(vec![(name.to_owned(), Secret::new(value))]),
        None => Err(Cause::NotFound("this worker runs without that variable, or it is no text".to_owned())),
    }
}

/// `file:::json:<path>` and `file:::sops:<path>`.
pub(crate) fn file(access: &Access, path: &str, encrypted: bool) -> Result<Variables, Cause> {
    let content = read_allowed(&access.folders, path)?;
    if !encrypted {
        return of_object(&Node::parse(&content).map_err(Cause::Malformed)?);
    }
    let Some(identities) = &access.age_identities else {
        return Err(Cause::denied("this worker has no age identity to open encrypted files with; its operator can name one"));
    };
    let identities = sops::Identities::parse(&read_private(identities)?).map_err(|error| Cause::denied(error.to_string()))?;
    match sops::decrypt_node(&content, &identities) {
        Ok(node) => of_object(&node),
        Err(error @ sops::SopsError::NotForUs) => Err(Cause::denied(error.to_string())),
        Err(error) => Err(Cause::malformed(error.to_string())),
    }
}
