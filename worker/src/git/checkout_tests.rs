//! Trees that git itself would refuse to send, and limits. Made with libgit2, because a server would not take them.

use super::*;
use git2::{Oid, Signature};

/// A bare repository in a temporary directory.
struct Fixture {
    dir: tempfile::TempDir,
    repository: Repository,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let repository = Repository::init_bare(dir.path().join("store.git")).expect("a repository");
        Self { dir, repository }
    }

    fn blob(&self, content: &[u8]) -> Oid {
        self.repository.blob(content).expect("a blob")
    }

    /// A tree from raw entries: nothing checks the names.
    fn tree(&self, entries: &[(&str, &str, Oid)]) -> Oid {
        let mut raw = Vec::new();
        for (mode, name, id) in entries {
            raw.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            raw.extend_from_slice(id.as_bytes());
        }
        let objects = self.repository.odb().expect("objects");
        objects.write(ObjectType::Tree, &raw).expect("a tree")
    }

    fn check_out(&self, tree: Oid, limits: &Limits) -> Result<Checkout, GitError> {
        let who = Signature::now("t", "t@example.com").expect("a signature");
        let tree = self.repository.find_tree(tree).expect("the tree");
        let commit = self.repository.commit(None, &who, &who, "m", &tree, &[]).expect("a commit");
        let store = Store::new(self.dir.path().join("store.git"), "https://git.example/x");
        let commit = commit.to_string().parse().expect("an id");
        let result = write(&store, &commit, &self.root(), limits, &AtomicBool::new(false));
        assert_eq!(result.is_ok(), self.root().exists(), "a failed checkout leaves nothing behind");
        result
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("checkout")
    }
}

#[test]
fn files_links_modes_and_findings_are_as_committed() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new();
    let (text, link, out) = (fixture.blob(b"x"), fixture.blob(b"sub/file"), fixture.blob(b"../../etc/passwd"));
    let plugins = fixture.tree(&[("100755", "provider", text)]);
    let attributes = fixture.blob(b"* filter=evil text eol=crlf\n");
    let sub = fixture.tree(&[("40000", ".terraform", plugins), ("100644", "file", text), ("100644", "terraform.tfstate", text)]);
    let tree = fixture.tree(&[
        ("100644", ".gitattributes", attributes),
        ("120000", "link", link),
        ("160000", "module", text),
        ("120000", "out", out),
        ("100755", "run.sh", text),
        ("40000", "sub", sub),
    ]);
    let done = fixture.check_out(tree, &Limits::default()).expect("a checkout");
    assert_eq!(std::fs::read_to_string(done.root.join("link")).expect("read"), "x");
    let mode = |name: &str| std::fs::metadata(done.root.join(name)).expect("stat").permissions().mode() & 0o111;
    assert!(mode("run.sh") != 0 && mode("sub/file") == 0);
    assert_eq!(done.links_out, ["out"]);
    assert_eq!(done.submodules, ["module"]);
    assert_eq!(done.state_files, ["sub/.terraform", "sub/terraform.tfstate"]);
    assert_eq!(done.state_files_in("sub").count(), 2);
    assert_eq!(done.state_files_in(".").count(), 0);
    assert_eq!(done.files, 7);
    assert!(std::fs::read_dir(done.root.join("module")).expect("a directory").next().is_none());
}

#[test]
fn names_that_are_not_plain_names_are_refused() {
    for name in ["..", ".", ".git", ".GIT", "git~1", "a/b", "../x"] {
        let fixture = Fixture::new();
        let tree = fixture.tree(&[("100644", name, fixture.blob(b"x"))]);
        let result = fixture.check_out(tree, &Limits::default());
        assert!(matches!(result, Err(GitError::UnsafeTree { .. } | GitError::Damaged { .. })), "{name}: {result:?}");
    }
}

#[test]
fn a_name_that_is_both_a_link_and_a_directory_writes_nowhere() {
    let fixture = Fixture::new();
    let outside = fixture.dir.path().join("outside");
    std::fs::create_dir(&outside).expect("made");
    let link = fixture.blob(outside.to_str().expect("text").as_bytes());
    let inside = fixture.tree(&[("100644", "file", fixture.blob(b"x"))]);
    let tree = fixture.tree(&[("120000", "a", link), ("40000", "a", inside)]);
    let result = fixture.check_out(tree, &Limits::default());
    assert!(matches!(result, Err(GitError::Storage { .. })), "{result:?}");
    assert_eq!(std::fs::read_dir(&outside).expect("read").count(), 0);
}

#[test]
fn limits_end_a_bomb_of_nested_trees_and_large_files() {
    let fixture = Fixture::new();
    let mut tree = fixture.tree(&[("100644", "f", fixture.blob(b"12345678"))]);
    for _ in 0..10 {
        let entries: Vec<(String, Oid)> = (0..10).map(|n| (format!("d{n}"), tree)).collect();
        let entries: Vec<(&str, &str, Oid)> = entries.iter().map(|(name, id)| ("40000", name.as_str(), *id)).collect();
        tree = fixture.tree(&entries);
    }
    let limits = Limits { max_files: 500, ..Limits::default() };
    assert!(matches!(fixture.check_out(tree, &limits), Err(GitError::TooLarge { .. })));
    let two = fixture.blob(b"12345678");
    let tree = fixture.tree(&[("100644", "a", two), ("100644", "b", two)]);
    let limits = Limits { max_file_bytes: 7, ..Limits::default() };
    assert!(matches!(fixture.check_out(tree, &limits), Err(GitError::TooLarge { .. })));
    let limits = Limits { max_checkout_bytes: 15, ..Limits::default() };
    assert!(matches!(fixture.check_out(tree, &limits), Err(GitError::TooLarge { .. })));
    let limits = Limits { max_checkout_bytes: 16, ..Limits::default() };
    assert_eq!(fixture.check_out(tree, &limits).expect("within the limits").bytes, 16);
}
