//! The program that is released has no points; the one that is killed here has.

use std::{fs, path::Path};

const MARK: &[u8] = b"navvy-failpoints-are-compiled-in";

fn holds_points(program: &Path) -> bool {
    fs::read(program).expect("the program is there").windows(MARK.len()).any(|window| window == MARK)
}

#[test]
fn only_the_crash_build_can_be_made_to_die() {
    assert!(holds_points(Path::new(env!("CARGO_BIN_EXE_navvy-crash"))));
    // Built by `cargo build --workspace`, which is what everybody runs and what a release is.
    assert!(!holds_points(&system_tests::program("navvy")));
}
