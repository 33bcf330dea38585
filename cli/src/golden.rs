//! Compares a text with a file of the repository. `UPDATE_GOLDEN=1` writes the file instead; look at the difference
//! before it is committed.

use std::path::Path;

/// Fails when `path` (relative to this crate) does not hold exactly `text`.
pub(crate) fn compare(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = format!("{}\n", text.trim_end());
    if crate::environment::is_set("UPDATE_GOLDEN") {
        std::fs::create_dir_all(file.parent().expect("a golden file has a folder")).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == text, "{path} is not what is made now; UPDATE_GOLDEN=1 rewrites it. Now:\n{text}");
}
