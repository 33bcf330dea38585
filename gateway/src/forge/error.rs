//! Why a forge did not do what was asked, in the classes that call for different answers.

use std::time::Duration;

/// What stopped a call. The texts are for the log and for people; none holds a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// No such repository, issue or comment, or the token may not see it, which a forge does not tell apart.
    #[error("{0} is not there, or the token may not see it: check the repository, the number, and what the token may reach")]
    NotThere(String),
    /// The token is wrong, or may not do this.
    #[error(
        "the forge does not let us: {0}; check gateway.github.token, that it may write comments, and that the conversation is not locked"
    )]
    Denied(String),
    /// Too many calls. Nothing was done.
    #[error("the forge takes no more calls for {} s", retry_after.as_secs())]
    Limited { retry_after: Duration },
    /// No answer, or none that says anything. What was asked may have been done all the same.
    #[error("the forge cannot be reached or is out of order: {0}; it is tried again")]
    Unavailable(String),
    /// The forge understood and will not do it; asking again in the same way is in vain.
    #[error("the forge refuses: {0}")]
    Refused(String),
}
