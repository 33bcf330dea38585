//! `navvy`, built with points to die at. Nothing else differs from the program that is released.

use std::process::ExitCode;

fn main() -> ExitCode {
    navvy::main()
}
