//! Who sends a job to `/webhook`: a caller with an API key, or a forge that signs with the webhook's secret.
//!
//! Pure. The same address will take the events of forges, which have no key: a signed body that is no job belongs to them.
//! Checking a signature is the forge's part, not this one's.

use crate::{
    answers::Refusal,
    auth::{Access, Principal, Scope, authorize},
};

/// The name under which what was signed is recorded.
pub(crate) const SIGNED_BY: &str = "signed webhook";

/// What became of a request's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    /// There is none, or there is no secret to check it with.
    Absent,
    Good,
    Bad,
}

/// The name of whoever may send a job. A bad signature is never made good by a key: the body may not be what was signed.
pub(crate) fn sender(caller: Option<&Principal>, signature: Signature, loopback: bool) -> Result<String, Refusal> {
    match (signature, caller) {
        (Signature::Bad, _) => Err(Refusal::BadSignature),
        (Signature::Absent | Signature::Good, Some(caller)) => {
            authorize(Some(caller), Access::Needs(Scope::Deploy), loopback)?;
            Ok(caller.name().to_owned())
        }
        (Signature::Good, None) => Ok(SIGNED_BY.to_owned()),
        (Signature::Absent, None) => Err(Refusal::NoKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_or_a_signature_and_never_a_bad_one() {
        let key = |scope| Some(Principal::key("k", "ci", &[scope]));
        let named = |name: &str| Ok(name.to_owned());
        for (caller, signature, expected) in [
            (None, Signature::Absent, Err(Refusal::NoKey)),
            (None, Signature::Good, named(SIGNED_BY)),
            (None, Signature::Bad, Err(Refusal::BadSignature)),
            (key(Scope::Deploy), Signature::Absent, named("ci")),
            (key(Scope::Deploy), Signature::Good, named("ci")),
            (key(Scope::Deploy), Signature::Bad, Err(Refusal::BadSignature)),
            (key(Scope::Admin), Signature::Absent, named("ci")),
            (key(Scope::Read), Signature::Absent, Err(Refusal::MissingScope(Scope::Deploy))),
            (key(Scope::Read), Signature::Good, Err(Refusal::MissingScope(Scope::Deploy))),
        ] {
            assert_eq!(sender(caller.as_ref(), signature, true), expected, "{caller:?} {signature:?}");
        }
    }
}
