//! `navvy source add`: a repository is set up to be followed. The secret of its webhook is made, its lines of the configuration
//! are printed or added, and the webhook is described or registered. All of it may be done again.

mod block;
mod hook;
mod register;
mod secret;

use std::path::{Path, PathBuf};

use proto::git::GitUrl;
use serde_json::json;
use service::settings::{Followed, ForgeKind, Layers, Settings};

use crate::args::{Forge, SourceAddArgs, SourceArgs, SourceVerb};
use crate::exit::Exit;
use crate::output::Out;
use crate::problem::CliError;
use crate::{environment, files};

/// `navvy source`.
pub(crate) async fn source(out: &Out, args: &SourceArgs) -> Result<Exit, CliError> {
    match &args.verb {
        SourceVerb::Add(args) => add(out, args).await,
    }
}

async fn add(out: &Out, args: &SourceAddArgs) -> Result<Exit, CliError> {
    let url = checked(args)?;
    let settings = settings(args)?;
    let path = secrets_file(args)?;
    let block = block::text(args, &path);
    // Before anything is made: a source that would be refused leaves nothing behind.
    let plan = args.config.as_deref().map(|config| block::plan(config, args, &block)).transpose()?;
    let public_url = args.public_url.clone().or_else(|| settings.gateway.public_url.clone());
    let hook = hook::Hook::new(args.forge, &args.id, public_url.as_deref());
    let hub = if args.register { Some(looked_at(args, &settings, &url, &hook).await?) } else { None };
    let made = secret::make(&path, args.forge, args.rotate)?;
    usable(args, &url, &path)?;
    let added = plan.map(block::Plan::perform).transpose()?;
    let registered = match hub {
        None => None,
        Some((hub, there)) => Some(hub.register(&hook, there, &made.secret).await?),
    };
    if out.is_json() {
        let secret = args.show_secret.then(|| made.secret.expose());
        out.json(&json!({
            "id": args.id, "secrets_file": path, "secret_file": made.what.word(), "block": block,
            "config": added.map(block::Added::word), "registered": registered.as_ref().map(register::Registered::word),
            "webhook_problems": registered.as_ref().map(register::Registered::problems),
            "webhook": { "url": hook.url, "content_type": hook.content_type, "events": hook.events, "secret": secret },
        }))?;
        return Ok(Exit::Ok);
    }
    match (added, &args.config) {
        (Some(added), Some(config)) => out.hint(&format!("{}: {}", config.display(), added.words())),
        (_, _) => out.line(block.trim_end())?,
    }
    out.hint(&format!("{}: {}", path.display(), made.what.words()));
    if let Some(mode) = made.open_to_others {
        out.warn(&format!(
            "{} has mode {mode:04o}: others may read the secret; chmod 600 it, if the gateway can still read it then",
            path.display()
        ));
    }
    if let Some(registered) = registered {
        out.hint(registered.words());
        for problem in registered.problems() {
            out.warn(&format!("the webhook that is there {problem}"));
        }
    } else {
        out.line(&format!("\n{}", hook.text(&path, args.show_secret.then_some(&made.secret))))?;
    }
    if !hosts_allow(&settings, &url) {
        out.warn(&format!("{} is not among git.allowed_hosts: add it, or no gateway starts with this source", url.host()));
    }
    Ok(Exit::Ok)
}

/// GitHub, once it was asked for the webhooks of the repository: whoever may not see them can make none.
async fn looked_at(
    args: &SourceAddArgs,
    settings: &Settings,
    url: &GitUrl,
    hook: &hook::Hook,
) -> Result<(register::Hub, Option<register::There>), CliError> {
    let token = files::secret_line(args.forge_token_file.as_deref().unwrap_or(Path::new("")))?;
    let api = args.api_url.clone().unwrap_or_else(|| settings.gateway.github.api_url.clone());
    let hub = register::Hub::new(&api, &token, url, hook)?;
    let there = hub.find(&hook.url).await?;
    Ok((hub, there))
}

/// A file that was there already may hold what no gateway starts with.
fn usable(args: &SourceAddArgs, url: &GitUrl, path: &Path) -> Result<(), CliError> {
    let kind = args.forge.kind();
    let of = Followed {
        id: args.id.clone(),
        kind,
        repository: args.repository.clone(),
        branch: args.branch.clone(),
        secrets_file: Some(path.to_owned()),
        ..Followed::default()
    };
    let mut settings = Settings::default();
    settings.git.allowed_hosts = vec![format!("{}:{}", url.host(), url.port_or_default())];
    gateway::secrets_in_force(&of, &settings).map(|_| ()).map_err(|fault| {
        let next = "correct the file, or remove it to have one made";
        CliError::usage(format!("no gateway starts with this source: {}", crate::problem::causes(&fault)), next)
    })
}

fn checked(args: &SourceAddArgs) -> Result<GitUrl, CliError> {
    let id = args.id.as_str();
    let good = (1..=63).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    if !good {
        return Err(CliError::usage(format!("--id {id:?} is no name"), "use 1 to 63 lower-case letters, digits, - and _"));
    }
    if args.register && args.forge != Forge::Github {
        let what = "--register knows GitHub only";
        return Err(CliError::usage(what, "leave it out, and enter what is printed at the forge: that is manual for the others"));
    }
    let bad = |error: proto::git::BadGit| CliError::usage(error.to_string(), "write --repository https://host/path, without credentials");
    let url: GitUrl = args.repository.parse().map_err(bad)?;
    format!("refs/heads/{}", args.branch).parse::<proto::git::GitRef>().map_err(bad)?;
    Ok(url)
}

/// The configuration as it is, for what is not said on the command line.
fn settings(args: &SourceAddArgs) -> Result<Settings, CliError> {
    let file = args.config.clone().filter(|file| file.exists());
    Ok(Layers { file, env: environment::all(), flags: Vec::new() }.load()?.settings)
}

/// Absolute: roles are started elsewhere.
fn secrets_file(args: &SourceAddArgs) -> Result<PathBuf, CliError> {
    let beside = args.config.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let path = args.secrets_file.clone().unwrap_or_else(|| beside.join(format!("webhook-{}.secret", args.id)));
    std::path::absolute(&path).map_err(|source| CliError::File { operation: "find", path, source })
}

fn hosts_allow(settings: &Settings, url: &GitUrl) -> bool {
    proto::git::AllowedHosts::parse(&settings.git.allowed_hosts).is_ok_and(|hosts| hosts.permits(url).is_ok())
}

impl Forge {
    /// The word of the configuration.
    fn as_str(self) -> &'static str {
        self.kind().as_str()
    }

    fn kind(self) -> ForgeKind {
        match self {
            Self::Github => ForgeKind::Github,
            Self::Gitlab => ForgeKind::Gitlab,
            Self::Gitea => ForgeKind::Gitea,
            Self::BitbucketCloud => ForgeKind::BitbucketCloud,
            Self::BitbucketServer => ForgeKind::BitbucketServer,
            Self::AzureDevops => ForgeKind::AzureDevops,
        }
    }
}

#[cfg(test)]
mod tests;
