//! Inputs of a repository or of a request that try to leave the checkout.

use super::*;
use std::os::unix::fs::symlink;

/// A checkout beside a file that nobody may reach.
fn checkout() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("outside.tfvars"), "secret = 1").expect("written");
    let top = dir.path().join("checkout");
    std::fs::create_dir_all(top.join("modules/a b/ü")).expect("made");
    std::fs::write(top.join("prod.tfvars"), "x = 1").expect("written");
    std::fs::write(top.join("modules/big.tfvars"), vec![b'#'; 100]).expect("written");
    symlink("modules", top.join("inside")).expect("linked");
    symlink("../prod.tfvars", top.join("modules/up.tfvars")).expect("linked");
    symlink("../outside.tfvars", top.join("out.tfvars")).expect("linked");
    symlink(dir.path().join("outside.tfvars"), top.join("absolute.tfvars")).expect("linked");
    symlink("/proc/self/environ", top.join("environ.tfvars")).expect("linked");
    symlink("/proc/self/root", top.join("magic")).expect("linked");
    symlink("..", top.join("parent")).expect("linked");
    symlink("inside/../..", top.join("sly")).expect("linked");
    symlink("loop", top.join("loop")).expect("linked");
    symlink("nowhere", top.join("dangling")).expect("linked");
    nix::unistd::mkfifo(&top.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let root = Root::new(&top).expect("a root");
    (dir, root)
}

#[test]
fn directories_inside_are_given_with_links_resolved() {
    let (_dir, root) = checkout();
    let top = root.path().to_owned();
    for (path, real) in [
        ("", top.clone()),
        (".", top.clone()),
        ("modules/", top.join("modules")),
        ("./modules//a b/ü", top.join("modules/a b/ü")),
        ("inside", top.join("modules")),
        ("inside/a b", top.join("modules/a b")),
    ] {
        assert_eq!(root.directory(path).expect(path), real, "{path}");
    }
}

#[test]
fn paths_that_leave_are_refused_by_text_or_by_link() {
    let (_dir, root) = checkout();
    for path in ["..", "../x", "modules/../..", "/etc", "~/x", "a\\..\\b", "a\0b", ".git", "x/.terraform"] {
        assert!(matches!(root.directory(path), Err(Refused::Spelling(_))), "{path:?}");
        assert!(matches!(root.regular_file(path, 1000), Err(Refused::Spelling(_))), "{path:?}");
    }
    for path in ["out.tfvars", "absolute.tfvars", "environ.tfvars", "parent/outside.tfvars", "magic/etc/passwd"] {
        assert!(matches!(root.regular_file(path, 1000), Err(Refused::LeadsOut(_))), "{path}");
    }
    for path in ["parent", "sly", "magic"] {
        assert!(matches!(root.directory(path), Err(Refused::LeadsOut(_))), "{path}");
        assert!(root.leads_out(Path::new(path)), "{path}");
    }
    assert!(!root.leads_out(Path::new("inside")) && !root.leads_out(Path::new("dangling")));
}

#[test]
fn what_is_not_there_or_not_of_the_kind_is_named() {
    let (_dir, root) = checkout();
    for path in ["absent", "dangling", "%2e%2e/x", "prod.tfvars/x"] {
        assert!(matches!(root.directory(path), Err(Refused::Missing(_))), "{path}");
    }
    assert!(matches!(root.directory("loop"), Err(Refused::Loop(_))));
    assert!(matches!(root.directory("prod.tfvars"), Err(Refused::WrongKind { found: "file", .. })));
    assert!(matches!(root.regular_file("modules", 1000), Err(Refused::WrongKind { found: "directory", .. })));
    // Must return at once: opening a pipe for reading waits for a writer.
    assert!(matches!(root.regular_file("pipe", 1000), Err(Refused::WrongKind { found: "named pipe", .. })));
    assert!(matches!(root.regular_file("modules/big.tfvars", 99), Err(Refused::TooLarge { bytes: 100, .. })));
}

#[test]
fn a_file_is_read_as_it_was_opened() {
    let (dir, root) = checkout();
    let file = root.regular_file("modules/up.tfvars", 1000).expect("inside");
    assert_eq!(file.path, root.path().join("prod.tfvars"));
    // Swapped after the check: the opened file counts.
    std::fs::remove_file(root.path().join("prod.tfvars")).expect("removed");
    symlink(dir.path().join("outside.tfvars"), root.path().join("prod.tfvars")).expect("linked");
    assert_eq!(file.read().expect("read"), b"x = 1");
    assert!(matches!(root.regular_file("prod.tfvars", 1000), Err(Refused::LeadsOut(_))));
    let grown = root.regular_file("modules/big.tfvars", 100).expect("inside");
    std::fs::write(root.path().join("modules/big.tfvars"), vec![b'#'; 101]).expect("written");
    assert!(matches!(grown.read(), Err(Refused::TooLarge { .. })));
}
