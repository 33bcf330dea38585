//! The name that a forge's webhooks give a repository, told from its git address.

use proto::git::GitUrl;
use service::settings::ForgeKind;

/// Such as `acme/infra`.
pub(super) fn full_name(kind: ForgeKind, url: &GitUrl) -> String {
    let path = url.path().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    match kind {
        ForgeKind::Github | ForgeKind::Gitlab | ForgeKind::Gitea | ForgeKind::BitbucketCloud => path.to_owned(),
        // https://host/scm/PROJ/repo.git, ssh://git@host:7999/PROJ/repo.git
        ForgeKind::BitbucketServer => path.strip_prefix("scm/").unwrap_or(path).to_owned(),
        ForgeKind::AzureDevops => azure(path),
    }
}

/// `project/repository` of `org/project/_git/repository`, `project/_git/repository`, `_git/repository` (which names both) and,
/// over ssh, `v3/org/project/repository`.
fn azure(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != "DefaultCollection").collect();
    let (project, name) = match parts.as_slice() {
        ["v3", _, project, name] => (*project, *name),
        [.., project, "_git", name] => (*project, *name),
        ["_git", name] => (*name, *name),
        _ => return path.to_owned(),
    };
    format!("{project}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_addresses() {
        for (kind, url, name) in [
            (ForgeKind::Github, "https://github.com/acme/infra.git", "acme/infra"),
            (ForgeKind::Github, "git@github.com:acme/infra.git", "acme/infra"),
            (ForgeKind::Gitlab, "https://gitlab.example/group/sub/infra", "group/sub/infra"),
            (ForgeKind::Gitea, "https://git.example/acme/infra/", "acme/infra"),
            (ForgeKind::BitbucketCloud, "https://bitbucket.org/acme/infra.git", "acme/infra"),
            (ForgeKind::BitbucketServer, "https://bb.example/scm/PROJ/infra.git", "PROJ/infra"),
            (ForgeKind::BitbucketServer, "ssh://git@bb.example:7999/PROJ/infra.git", "PROJ/infra"),
            (ForgeKind::AzureDevops, "https://dev.azure.com/org/Proj/_git/infra", "Proj/infra"),
            (ForgeKind::AzureDevops, "https://org.visualstudio.com/DefaultCollection/Proj/_git/infra", "Proj/infra"),
            (ForgeKind::AzureDevops, "https://org.visualstudio.com/_git/infra", "infra/infra"),
            (ForgeKind::AzureDevops, "git@ssh.dev.azure.com:v3/org/Proj/infra", "Proj/infra"),
        ] {
            assert_eq!(full_name(kind, &url.parse().unwrap()), name, "{url}");
        }
    }
}
