//! Tags of a repository: reading them all, and making one. A tag is only ever made, never moved: the server refuses a second
//! one of the same name, and that is what decides between two who want it.

use super::command::{Invocation, git};
use super::entry::Exchange;
use super::private_dir::PrivateDir;
use super::redact::Redactor;
use super::store::Store;
use super::{Cache, GitError, Sink, Source};
use crate::file_lock::Hold;
use proto::git::CommitId;
use std::ffi::OsString;

/// Characters of a tag's message that are kept.
const MESSAGE_CHARACTERS: usize = 4096;

/// A tag of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFound {
    /// Without `refs/tags/`.
    pub name: String,
    /// What it is about, peeled.
    pub commit: CommitId,
    /// Of an annotated tag: the beginning of its message.
    pub message: Option<String>,
}

/// A tag to make.
#[derive(Debug, Clone, Copy)]
pub struct NewTag<'a> {
    /// Without `refs/tags/`.
    pub name: &'a str,
    pub commit: &'a CommitId,
    pub message: &'a str,
    /// `Name <mail>`, no line breaks.
    pub tagger: &'a str,
    /// Seconds since 1970, UTC.
    pub at: i64,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    Made,
    /// There is one of this name already, whatever it is about.
    Exists,
    /// The server does not want it: a rule about tags, say.
    Declined {
        why: String,
    },
}

impl Cache {
    /// All tags as the server has them now.
    pub async fn tags(&self, source: Source<'_>, sink: &mut Sink<'_>) -> Result<Vec<TagFound>, GitError> {
        let (entry, remote) = (self.entry(source), self.remote(source).await?);
        entry.bring_everything(Exchange { remote: &remote, sink }, None).await?;
        let _lock = entry.hold(Hold::Read, self.settings()).await?;
        let (full, _) = entry.stores();
        let mut command = self.in_store(&full);
        command.arg("for-each-ref");
        // The object, what it is about where it is a tag object, and the message.
        command.arg("--format=%(refname)%00%(objecttype)%00%(objectname)%00%(*objectname)%00%(contents)%00").arg("refs/navvy/tags");
        let invocation = Invocation { command, operation: "reading the tags of", limit: self.settings().limits.timeout, watch: None };
        let ended = invocation.run(&Redactor::default(), &mut |_| {}).await?;
        if !ended.success {
            let detail = super::classify::detail(&ended.last);
            return Err(GitError::Failed { operation: "reading the tags of", url: source.url.to_string(), detail });
        }
        Ok(parse(&ended.stdout))
    }

    /// Makes an annotated tag and pushes it, if the server has none of this name.
    pub async fn push_tag(&self, source: Source<'_>, tag: NewTag<'_>, sink: &mut Sink<'_>) -> Result<Pushed, GitError> {
        let (entry, remote) = (self.entry(source), self.remote(source).await?);
        if !entry.stores().0.exists() {
            entry.bring_everything(Exchange { remote: &remote, sink }, None).await?;
        }
        let lock = entry.hold(Hold::Change, self.settings()).await?;
        let (full, tip) = entry.stores();
        let object = self.make_object(&full, &tip, tag, source).await?;
        failpoint::failpoint!("worker.tag.made");
        let pushed = remote.push(&full, &format!("{object}:refs/tags/{}", tag.name), &lock, sink).await;
        failpoint::failpoint!("worker.tag.pushed");
        pushed
    }

    async fn make_object(&self, full: &Store, tip: &Store, tag: NewTag<'_>, source: Source<'_>) -> Result<String, GitError> {
        let text = format!(
            "object {}\ntype commit\ntag {}\ntagger {} {} +0000\n\n{}\n",
            tag.commit,
            tag.name,
            tag.tagger,
            tag.at,
            tag.message.trim_end()
        );
        let dir = PrivateDir::create(&self.settings().dir.join("private"))?;
        let path = dir.write("tag", text.as_bytes())?;
        let input = std::fs::File::open(&path).map_err(GitError::storage("read", &path))?;
        let mut command = self.in_store(full);
        // A commit that no branch leads to lies in the other store.
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", tip.path().join("objects"));
        command.arg("mktag").stdin(input);
        let invocation = Invocation { command, operation: "making a tag in", limit: self.settings().limits.timeout, watch: None };
        let ended = invocation.run(&Redactor::default(), &mut |_| {}).await?;
        let object = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
        if ended.success && object.parse::<CommitId>().is_ok() {
            return Ok(object);
        }
        let detail = super::classify::detail(&ended.last);
        Err(GitError::Failed { operation: "making a tag in", url: source.url.to_string(), detail })
    }

    fn in_store(&self, store: &Store) -> tokio::process::Command {
        let mut directory = OsString::from("--git-dir=");
        directory.push(store.path());
        let mut command = git(self.settings(), None);
        command.arg(directory);
        command
    }
}

fn parse(output: &[u8]) -> Vec<TagFound> {
    let text = String::from_utf8_lossy(output);
    let fields: Vec<&str> = text.split('\0').collect();
    let record = |fields: &[&str]| {
        let [name, kind, object, about, message] = fields else { return None };
        let annotated = *kind == "tag";
        // A tag of something that is no commit, or of another tag, is none of ours.
        let commit = if annotated { about } else { object }.parse().ok()?;
        let name = name.trim_start_matches('\n').strip_prefix("refs/navvy/tags/")?.to_owned();
        Some(TagFound { name, commit, message: annotated.then(|| message.chars().take(MESSAGE_CHARACTERS).collect()) })
    };
    fields.chunks(5).filter_map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_with_what_they_are_about() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let text = format!(
            "refs/navvy/tags/v1.0.0\0tag\0{b}\0{a}\0Production release v1.0.0\n\nNavvy-Run: x\n\0\n\
             refs/navvy/tags/light\0commit\0{b}\0\0the commit's own message\n\0\n"
        );
        let found = parse(text.as_bytes());
        let message = "Production release v1.0.0\n\nNavvy-Run: x\n".to_owned();
        assert_eq!(
            found,
            [
                TagFound { name: "v1.0.0".into(), commit: a.parse().unwrap(), message: Some(message) },
                TagFound { name: "light".into(), commit: b.parse().unwrap(), message: None },
            ]
        );
        assert_eq!(parse(b""), []);
    }
}
