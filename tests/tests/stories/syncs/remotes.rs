//! Repositories that not everybody may read, over HTTP and over SSH: the login lies with the gateway, travels sealed, and is
//! seen nowhere.

use super::{Wanted, World, pairs, private, with_example};
use system_tests::{
    git::GitServer,
    ssh::{self, SshServer},
};
use tempfile::TempDir;

const REDIS: (&str, &str) = ("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:8'}}\n");

#[tokio::test]
async fn a_private_repository_over_http() -> anyhow::Result<()> {
    let password = "canary-password-51ab77";
    let git = GitServer::private("robot", password)?;
    let repo = with_example(&[], |files| git.repo("acme/infra", files))?;
    let outside = TempDir::new()?;
    let token = outside.path().join("token");
    private(&token, &format!("{password}\n"))?;
    let source = format!("username = \"robot\"\ntoken_file = {token:?}");
    let world = World::of(outside, repo, git.server.host(), Wanted { source: &source, ..Wanted::default() }).await?;
    let run = world.push(&[REDIS]).await?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/redis", "created")]));
    let shown = [world.ended(&run).await?.to_string(), world.fleet.client.log(&run).await?.join("\n")];
    assert!(!shown.iter().any(|text| text.contains(password)), "{shown:?}");
    // The password was changed at the server and not here: a failed run that says so, and quotes nothing.
    private(&token, "wrong-canary-0192\n")?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:9'}}\n")]).await?;
    let view = world.ended(&run).await?;
    assert_eq!((view["status"].as_str(), view["failure"]["kind"].as_str()), (Some("failed"), Some("git_clone")), "{view:#}");
    assert!(!view.to_string().contains("wrong-canary-0192"), "{view:#}");
    Ok(())
}

#[tokio::test]
async fn a_repository_over_ssh_whose_host_key_is_pinned() -> anyhow::Result<()> {
    let server = SshServer::start()?;
    let repo = with_example(&[], |files| server.repo("infra", files))?;
    let outside = TempDir::new()?;
    let (key, hosts) = (outside.path().join("key"), outside.path().join("known_hosts"));
    private(&key, &server.private_key()?)?;
    private(&hosts, &server.known_hosts(true)?)?;
    let source = format!("username = {:?}\nssh_key_file = {key:?}\nknown_hosts_file = {hosts:?}", ssh::user()?);
    let world = World::of(outside, repo, &server.host(), Wanted { source: &source, ..Wanted::default() }).await?;
    let run = world.push(&[REDIS]).await?;
    assert_eq!(world.synced(&run).await?, pairs(&[("platform/redis", "created")]));
    private(&hosts, &server.known_hosts(false)?)?;
    let run = world.push(&[("platform/02.redis/compose.yaml", "services: {redis: {image: 'redis:9'}}\n")]).await?;
    let view = world.ended(&run).await?;
    assert_eq!((view["status"].as_str(), view["failure"]["kind"].as_str()), (Some("failed"), Some("git_clone")), "{view:#}");
    assert_eq!(world.deployed("staging", "redis").map(|commit| commit == world.head().unwrap_or_default()), Some(false));
    Ok(())
}
