//! One mechanism a file, each under the fault it is there for.

mod commands;
