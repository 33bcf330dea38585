//! What is to be entered at a forge, for each forge in its own words.

use std::path::Path;

use proto::Secret;

use crate::args::Forge;

/// Where the gateway is, while nobody has said.
const UNKNOWN: &str = "https://YOUR-GATEWAY";

/// A webhook.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) url: String,
    /// Empty where the forge has no choice of it.
    pub(super) content_type: &'static str,
    pub(super) events: &'static str,
    place: &'static str,
    /// What the forge calls the secret.
    secret: &'static str,
}

impl Hook {
    pub(super) fn new(forge: Forge, id: &str, public_url: Option<&str>) -> Self {
        let url = format!("{}/hooks/{id}", public_url.unwrap_or(UNKNOWN).trim_end_matches('/'));
        let (place, content_type, events, secret) = match forge {
            Forge::Github => ("Settings → Webhooks → Add webhook", "application/json", "just the push event", "Secret"),
            Forge::Gitlab => ("Settings → Webhooks → Add new webhook", "", "Push events", "Secret token"),
            Forge::Gitea => ("Settings → Webhooks → Add webhook → Gitea or Forgejo", "application/json", "Push events", "Secret"),
            Forge::BitbucketCloud => ("Repository settings → Webhooks → Add webhook", "", "Repository push", "Secret"),
            Forge::BitbucketServer => ("Repository settings → Webhooks → Create webhook", "", "Repository: Push", "Secret"),
            Forge::AzureDevops => (
                "Project settings → Service hooks → Web Hooks",
                "",
                "Code pushed, of this repository",
                "Basic authentication username and password, before and after the colon",
            ),
        };
        Self { url, content_type, events, place, secret }
    }

    /// Whether nobody has said where the gateway is.
    pub(super) fn is_unknown(&self) -> bool {
        self.url.starts_with(UNKNOWN)
    }

    /// For people. `secret` only where it was asked for.
    pub(super) fn text(&self, file: &Path, secret: Option<&Secret>) -> String {
        let mut lines = vec![format!("at the forge: {}", self.place), format!("  URL           {}", self.url)];
        if !self.content_type.is_empty() {
            lines.push(format!("  content type  {}", self.content_type));
        }
        lines.push(format!("  events        {}", self.events));
        let from = match secret {
            Some(secret) => secret.expose().to_owned(),
            None => format!("the first line of {} (--show-secret prints it)", file.display()),
        };
        lines.push(format!("  {}: {from}", self.secret));
        if self.is_unknown() {
            lines.push("  the gateway's address is not known: set gateway.public_url, or give --public-url".to_owned());
        }
        lines.join("\n")
    }
}
