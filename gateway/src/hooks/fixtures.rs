//! Payloads for the tests of this room: see `tests/fixtures/webhooks/README.md`.

use serde_json::{Value, json};

pub(super) const GITHUB_PING: &[u8] = include_bytes!("../../tests/fixtures/webhooks/github-ping.json");
pub(super) const GITHUB_CREATE_TAG: &[u8] = include_bytes!("../../tests/fixtures/webhooks/github-create-tag.json");
pub(super) const GITHUB_DELETE_TAG: &[u8] = include_bytes!("../../tests/fixtures/webhooks/github-delete-tag.json");
pub(super) const GITHUB_PUSH_NEW_BRANCH: &[u8] = include_bytes!("../../tests/fixtures/webhooks/github-push-new-branch.json");
pub(super) const GITHUB_PUSH_NEW_TAG: &[u8] = include_bytes!("../../tests/fixtures/webhooks/github-push-new-tag.json");
pub(super) const GITHUB_PUSH_TAG_GONE: &[u8] = include_bytes!("../../tests/fixtures/webhooks/github-push-tag-gone.json");
pub(super) const GITLAB_PUSH: &[u8] = include_bytes!("../../tests/fixtures/webhooks/gitlab-push.json");
pub(super) const GITEA_PUSH: &[u8] = include_bytes!("../../tests/fixtures/webhooks/gitea-push.json");
pub(super) const BITBUCKET_CLOUD_PUSH: &[u8] = include_bytes!("../../tests/fixtures/webhooks/bitbucket-cloud-push.json");
pub(super) const BITBUCKET_SERVER_PUSH: &[u8] = include_bytes!("../../tests/fixtures/webhooks/bitbucket-server-push.json");
pub(super) const AZURE_PUSH: &[u8] = include_bytes!("../../tests/fixtures/webhooks/azure-push.json");

/// A push of GitHub to `main` of `acme/infra`, whose one commit changed these files.
pub(super) fn github_push(before: &str, after: &str, files: &[&str]) -> Value {
    json!({
        "ref": "refs/heads/main", "before": before, "after": after, "forced": false,
        "commits": [{"id": after, "added": [], "modified": files, "removed": []}],
        "repository": {"id": 42, "full_name": "acme/infra", "clone_url": "https://github.com/acme/infra.git"},
        "sender": {"login": "ann"},
    })
}
