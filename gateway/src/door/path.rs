//! Which paths exist at all: plain ones.
//!
//! Every route here is letters, digits, dots and dashes. Anything that another program might read as a different path
//! (doubled slashes, percent escapes, dot segments, parameters) is no path, before anybody compares it with a rule.

/// Whether a request's path is spelt in the only way we know.
pub(crate) fn is_plain(path: &str) -> bool {
    let segment = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_plain_byte);
    path == "/" || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment))
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_paths() {
        for (path, plain) in [
            ("/", true),
            ("/deploy", true),
            ("/v1/runs/0192f0c1-7e3a-7abc-8def-0123456789ab/log.txt", true),
            ("//deploy", false),
            ("/deploy//x", false),
            ("/deploy/", false),
            ("/v1/%2e%2e/admin", false),
            ("/v1/../admin", false),
            ("/v1/./admin", false),
            ("/v1/keys;x", false),
            ("/v1\\keys", false),
            ("/é", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(is_plain(path), plain, "{path}");
        }
    }
}
