//! The release page of a forge for a release that was deployed: made once, and left alone where there is one.

use super::{
    deliver::Delivery,
    follow::{Next, Telling},
};
use crate::{
    forge::{
        ForgeError,
        github::{GitHub, Published},
    },
    sources::Source,
};
use bus::BusError;
use proto::{
    subject,
    sync::{Release, ReleaseKind, SyncSpec},
    view::{RunStatus, RunView},
};
use service::settings::ForgeKind;
use std::sync::Arc;

/// Where releases are published.
#[derive(Debug)]
pub(crate) struct Publishing {
    github: Arc<GitHub>,
}

impl Publishing {
    pub(crate) fn new(github: Arc<GitHub>) -> Self {
        Self { github }
    }

    /// Whether the runs of this request may have something to publish.
    pub(super) fn concerns(spec: &SyncSpec) -> bool {
        spec.release.as_ref().is_some_and(|order| is_published(order.kind))
    }

    /// Publishes the release of a run that succeeded.
    pub(super) async fn tell(&self, telling: &Telling, view: &RunView, spec: &SyncSpec) -> Result<Next, BusError> {
        let release = view.syncs.as_ref().and_then(|syncs| syncs.release.as_ref());
        let source = telling.app.sources.get(spec.source.as_str()).filter(|source| self.has(source));
        match (release, source) {
            (Some(release), Some(source)) if view.status == RunStatus::Success && is_published(release.kind) => {
                let link = (!telling.public_url.is_empty()).then(|| format!("{}/v1/runs/{}", telling.public_url, view.id));
                let published = published(source, release, &spec.triggered_by, link.as_deref());
                telling.once(view, &subject::published_key(view.id), "github_release", self.publish(&published)).await
            }
            (_, _) => Ok(Next::Settled),
        }
    }

    /// A source of this very GitHub: another forge may have a repository of the same name.
    fn has(&self, source: &Source) -> bool {
        source.kind == ForgeKind::Github && self.github.hosts(source.git_url.host())
    }

    async fn publish(&self, published: &Published) -> Delivery {
        match self.publish_once(published).await {
            Ok(()) => Delivery::Done,
            Err(error @ ForgeError::Refused(_)) => Delivery::Never(error.to_string()),
            Err(error @ (ForgeError::NotThere(_) | ForgeError::Denied(_) | ForgeError::Limited { .. } | ForgeError::Unavailable(_))) => {
                Delivery::Later(error.to_string())
            }
        }
    }

    /// What a try that got no answer may have made is found before another is made.
    async fn publish_once(&self, published: &Published) -> Result<(), ForgeError> {
        if self.github.has_release(published).await? {
            return Ok(());
        }
        match self.github.publish(published).await {
            Err(ForgeError::Refused(_)) if self.github.has_release(published).await? => Ok(()),
            other => other,
        }
    }
}

/// Iterations of staging are many, and a rollback releases nothing new.
fn is_published(kind: ReleaseKind) -> bool {
    match kind {
        ReleaseKind::Production | ReleaseKind::Hotfix => true,
        ReleaseKind::Staging | ReleaseKind::Rollback => false,
    }
}

fn published(source: &Source, release: &Release, triggered_by: &str, link: Option<&str>) -> Published {
    let from = release.from.as_ref().map(|from| from.as_str().trim_start_matches("refs/tags/")).unwrap_or_default();
    let made = match release.kind {
        ReleaseKind::Hotfix => format!("Hotfix of release: {from}"),
        ReleaseKind::Production | ReleaseKind::Staging | ReleaseKind::Rollback => {
            format!("Production release promoted from staging tag: {from}")
        }
    };
    let by = crate::forge::comment::name(triggered_by);
    let run = link.map(|link| format!("\n\nRun: {link}")).unwrap_or_default();
    Published {
        repo: source.full_name.clone(),
        tag: release.tag.clone(),
        commit: release.commit.clone(),
        name: format!("Platform {}", release.tag),
        body: format!("{made}\n\nDeployed by: {by}{run}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::source;

    #[test]
    fn a_page_says_where_the_release_comes_from_and_who_deployed_it() {
        let release = |kind, tag: &str, from: &str| Release {
            kind,
            tag: tag.to_owned(),
            commit: "a".repeat(40).parse().unwrap(),
            from: Some(from.parse().unwrap()),
            existed: false,
            why: String::new(),
        };
        let source = source(|_| {});
        let made = published(&source, &release(ReleaseKind::Production, "v1.3.0", "v1.2.4"), "ann", None);
        assert_eq!((made.repo.as_str(), made.tag.as_str(), made.name.as_str()), ("acme/infra", "v1.3.0", "Platform v1.3.0"));
        assert_eq!(made.body, "Production release promoted from staging tag: v1.2.4\n\nDeployed by: ann\n");
        let made =
            published(&source, &release(ReleaseKind::Hotfix, "v1.3.1", "refs/tags/v1.3.0"), "@all\n# x", Some("https://n.example/1"));
        assert_eq!(made.body, "Hotfix of release: v1.3.0\n\nDeployed by: `@all # x`\n\nRun: https://n.example/1\n");
    }
}
