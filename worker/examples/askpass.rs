//! The askpass end alone, for tests: they cannot start the whole `navvy` binary, which another package builds.

fn main() -> std::process::ExitCode {
    worker::git::askpass::main()
}
