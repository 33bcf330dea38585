//! Messages of annotated tags: what a release says about itself.
//!
//! The first lines are those of the replaced service, so that its tags are understood here and ours there. The last line names
//! the run, so that a run that is tried again knows the tag that it made itself.

use super::version::Version;
use proto::{RunId, sync::ReleaseKind};

const RUN: &str = "Navvy-Run: ";

/// The message of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Never a rollback: that makes no tag.
    pub kind: ReleaseKind,
    pub version: Version,
    /// The release it was made from.
    pub from: Option<Version>,
    pub run: Option<RunId>,
}

impl Message {
    /// The text. `None` for a rollback.
    pub fn text(&self) -> Option<String> {
        let title = title(self.kind)?;
        let from = self.from.map(|from| format!(" (from {from})")).unwrap_or_default();
        let run = self.run.map(|run| format!("\n{RUN}{run}\n")).unwrap_or_default();
        Some(format!("{title} release {}{from}\n{run}", self.version))
    }

    /// The message in a text, if it is one of ours about this version. Lines besides are somebody's notes.
    pub fn parse(text: &str, version: Version) -> Option<Self> {
        let mut lines = text.lines().map(str::trim_end);
        let first = lines.next()?;
        let (title_word, rest) = first.split_once(" release ")?;
        let kind = [ReleaseKind::Staging, ReleaseKind::Production, ReleaseKind::Hotfix]
            .into_iter()
            .find(|kind| title(*kind) == Some(title_word))?;
        let (name, from) = match rest.split_once(" (from ") {
            Some((name, from)) => (name, Some(Version::of_tag(from.strip_suffix(')')?)?)),
            None => (rest, None),
        };
        // A message that was copied from another tag says nothing about this one.
        if Version::of_tag(name) != Some(version) {
            return None;
        }
        let run = lines.filter_map(|line| line.strip_prefix(RUN)).next_back().and_then(|run| run.trim().parse().ok());
        Some(Self { kind, version, from, run })
    }
}

fn title(kind: ReleaseKind) -> Option<&'static str> {
    match kind {
        ReleaseKind::Staging => Some("Staging"),
        ReleaseKind::Production => Some("Production"),
        ReleaseKind::Hotfix => Some("Hotfix"),
        ReleaseKind::Rollback => None,
    }
}

/// What an existing release is: what its message says, else what its number says (a patch of 0 is production).
pub fn kind_of(version: Version, message: Option<&str>) -> ReleaseKind {
    match message.and_then(|text| Message::parse(text, version)) {
        Some(message) => message.kind,
        None if version.patch == 0 => ReleaseKind::Production,
        None => ReleaseKind::Staging,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::of_tag(text).unwrap()
    }

    #[test]
    fn messages_survive_text() {
        let run = RunId::fresh(proto::ShardNo(0));
        for (kind, from, expected) in [
            (ReleaseKind::Staging, None, Some("Staging release v1.3.0\n")),
            (ReleaseKind::Production, Some("v1.2.4"), Some("Production release v1.3.0 (from v1.2.4)\n")),
            (ReleaseKind::Hotfix, Some("v1.2.0"), Some("Hotfix release v1.3.0 (from v1.2.0)\n")),
            (ReleaseKind::Rollback, None, None),
        ] {
            let mut message = Message { kind, version: version("v1.3.0"), from: from.map(version), run: None };
            assert_eq!(message.text().as_deref(), expected);
            message.run = Some(run);
            if let Some(text) = message.text() {
                assert_eq!(text, format!("{}\nNavvy-Run: {run}\n", expected.unwrap()));
                assert_eq!(Message::parse(&text, message.version), Some(message));
            }
        }
    }

    #[test]
    fn the_kind_is_told_by_the_message_else_by_the_number() {
        use ReleaseKind::{Hotfix, Production, Staging};
        for (name, message, expected) in [
            ("v1.0.0", None, Production),
            ("v1.0.0", Some("Staging release v1.0.0"), Staging),
            ("v1.0.0", Some("Staging release v1.0.0\n\nby hand\n"), Staging),
            ("v1.0.1", Some("Staging release v1.0.0"), Staging),
            ("v1.3.0", Some("Staging release v1.2.0"), Production),
            ("v1.3.1", None, Staging),
            ("v1.3.1", Some("Hotfix release v1.3.1 (from v1.3.0)"), Hotfix),
            ("v1.3.1", Some("Hotfix release v1.3.1 (from nowhere)"), Staging),
            ("v1.3.1", Some("Production release v1.3.1 (from v1.2.9)\nNavvy-Run: rubbish"), Production),
            ("v1.3.1", Some("Rollback release v1.3.1"), Staging),
            ("v1.3.1", Some(""), Staging),
            ("v1.3.1", Some("wonderful"), Staging),
        ] {
            assert_eq!(kind_of(version(name), message), expected, "{name} {message:?}");
        }
    }
}
