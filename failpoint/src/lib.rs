//! Named points at which a test can have a process die, as by `kill -9`.
//!
//! `failpoint!("scheduler.locks.won")` is nothing at all unless the feature `failpoints` is on, and only the package
//! `crash-tests` switches it on (`docs/adr/0011`). With it, the process whose environment says
//! `NAVVY_FAILPOINT=scheduler.locks.won:2` writes the name into the file of `NAVVY_FAILPOINT_HITS` and kills itself the
//! second time it comes by. No destructor runs, no buffer is flushed, no caller sees an error.
//!
//! Not here: what the points are called (each stands where it is), and what must be true afterwards (`tests/crash`).

/// A point at which the process may be made to die.
///
/// - `failpoint!("name")`;
/// - `failpoint!("name", value)`: the point is called `name.` and the first word of the value's `Debug`, so that one line
///   serves every phase or every variant;
/// - `failpoint!("name", each values)`: the same for each of them.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    ($($anything:tt)*) => {};
}

/// A point at which the process may be made to die: see above, in the build without the feature.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        $crate::reached($name)
    };
    ($name:literal, each $values:expr) => {
        for value in $values {
            $crate::reached(&$crate::named($name, value));
        }
    };
    ($name:literal, $value:expr) => {
        $crate::reached(&$crate::named($name, &$value))
    };
}

/// A reader whose every filled buffer is a point; the reader itself without the feature.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint_reader {
    ($name:literal, $reader:expr) => {
        $reader
    };
}

/// A reader whose every filled buffer is a point: see above.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint_reader {
    ($name:literal, $reader:expr) => {
        $crate::Watched::new($name, $reader)
    };
}

#[cfg(feature = "failpoints")]
mod armed;
#[cfg(feature = "failpoints")]
mod reader;

#[cfg(feature = "failpoints")]
pub use armed::{named, reached};
#[cfg(feature = "failpoints")]
pub use reader::Watched;
