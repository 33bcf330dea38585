//! Which version a release gets. Tags in, one version or a refusal out; making the tag, and losing the race for it, is the
//! worker's part: it asks again with the tags that are there then.

mod allocate;
mod message;
mod version;

pub use allocate::{Allocation, ReleaseRefusal, Tag, allocate};
pub use message::{Message, kind_of};
pub use version::Version;
