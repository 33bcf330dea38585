//! The tool's own configuration file: one an attempt, mode 0600, outside the checkout, always set, even if it is empty.

use super::{hcl, private_file, registry::Access};
use std::io;
use std::path::Path;

/// Writes it: first the operator's own text, then the private registry.
pub(super) fn write(path: &Path, operator: Option<&Path>, access: Option<&Access>) -> io::Result<()> {
    let mut text = operator.map(std::fs::read_to_string).transpose()?.unwrap_or_default();
    if let Some(access) = access {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&registry(access));
    }
    private_file::write(path, text.as_bytes())
}

fn registry(access: &Access) -> String {
    let Access { host, url, token } = access;
    let host = hcl::quoted(host);
    let token = hcl::quoted(token.expose());
    let modules = hcl::quoted(&format!("{url}/v1/modules/"));
    let providers = hcl::quoted(&format!("{url}/v1/providers/"));
    format!(
        "credentials {host} {{\n  token = {token}\n}}\n\nhost {host} {{\n  services = {{\n    \"modules.v1\"   = {modules}\n    \"providers.v1\" = {providers}\n  }}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Secret;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_file_is_private_and_holds_what_was_given() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, operator) = (dir.path().join("cli.tfrc"), dir.path().join("operator.tfrc"));
        std::fs::write(&operator, "disable_checkpoint = true\n").expect("written");
        let access = Access { host: "r.example:8443".to_owned(), url: "https://r.example:8443".to_owned(), token: Secret::new("a\"b") };
        write(&path, Some(&operator), Some(&access)).expect("written");
        let expected = r#"disable_checkpoint = true

credentials "r.example:8443" {
  token = "a\"b"
}

host "r.example:8443" {
  services = {
    "modules.v1"   = "https://r.example:8443/v1/modules/"
    "providers.v1" = "https://r.example:8443/v1/providers/"
  }
}
"#;
        assert_eq!(std::fs::read_to_string(&path).expect("read"), expected);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(write(&path, None, None).is_err(), "an existing file is not trusted");
        write(&dir.path().join("empty"), None, None).expect("written");
        assert_eq!(std::fs::read(dir.path().join("empty")).expect("read"), b"");
    }
}
