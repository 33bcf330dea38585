//! YAML as somebody wrote it: a tree that knows line and column of everything in it, and a reader that gathers all that is
//! wrong with a file instead of stopping at the first thing. Bounded in size, depth, nodes and what aliases grow to.

mod problem;
mod reader;
mod tree;

pub use problem::{FileProblem, FileProblems};
pub(crate) use reader::{Fields, Problems};
pub(crate) use tree::{Key, Kind, Node, Place, parse};
