//! What a lane follows: its repositories, the host, the stand-in for Dokploy, and what can be seen there from outside.

use super::dokploy::{Dokploy, KEY};
use crate::lane::Ground;
use anyhow::Context as _;
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use system_tests::{
    forge::{Forge, SECRET},
    git::Repo,
    ssh::{self, SshServer},
};
use tempfile::TempDir;

/// What syncs a service of the first repository: it writes down what it does before it does it.
const SYNC: &str = r#"set -e
echo "$1 $2 $3 begin" >> "$CRASH_DIR/effects"
if [ -e "$CRASH_DIR/hold.$2" ]; then
  echo held > "$CRASH_DIR/holding"
  n=0
  while [ -e "$CRASH_DIR/hold.$2" ] && [ $n -lt 900 ]; do sleep 0.1; n=$((n + 1)); done
fi
echo "$1 $2 $3 end" >> "$CRASH_DIR/effects"
echo '{"action": "updated", "details": "written down"}'
"#;

/// In place of `docker`: it is started in the service's folder, three below ours.
const DOCKER: &str = r#"#!/bin/sh
commit=$(sed -n 's/^IAC_DEPLOY_REF=//p' env | tr -d "'\"")
{ echo "staging stack $commit begin"; echo "staging stack $commit end"; } >> ../../../effects
"#;

/// Written down by the bare repository itself, whoever changes a reference.
const UPDATE: &str = "#!/bin/sh\necho \"$1 $2 $3\" >> updates\n";

const COMMANDS: &str = "version: 1\nservices:\n  platform/beta:\n    after: [platform/alpha]\n";
const HOSTS: &str =
    "version: 1\nservices:\n  platform/stack:\n    executor: {compose: {}}\n  platform/dock:\n    executor: {dokploy: {}}\n";

/// A repository that is followed.
#[derive(Debug)]
pub struct Followed {
    /// Id of the source.
    pub(crate) source: &'static str,
    pub(crate) repo: Repo,
    /// Its services, each with its folder.
    services: &'static [(&'static str, &'static str)],
}

/// Everything outside of a lane's fleet that its syncs are about.
#[derive(Debug)]
pub struct World {
    outside: TempDir,
    pub(crate) commands: Followed,
    pub(crate) hosts: Followed,
    /// Runs of what was played before.
    pub(crate) known: BTreeSet<String>,
    /// Whether the first pushes were told: only from then on is it known what nobody told of.
    pub(crate) begun: bool,
    dokploy: Dokploy,
    ssh: SshServer,
}

/// One line of what syncs wrote down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub environment: String,
    pub service: String,
    pub commit: String,
    /// `begin` or `end`.
    pub what: String,
}

/// A reference that was changed in the bare repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub reference: String,
    pub old: String,
    pub new: String,
}

impl World {
    /// Repositories and hosts of one lane. `name` tells its repositories from those of others.
    pub(crate) async fn open(ground: &Ground, name: &str) -> anyhow::Result<Self> {
        let outside = TempDir::new()?;
        let programs = outside.path().join("programs");
        fs::create_dir(&programs)?;
        executable(&programs.join("docker"), DOCKER)?;
        let ssh = SshServer::finding(&programs)?;
        let dokploy = Dokploy::start(outside.path()).await?;
        let commands =
            Followed::make(ground, name, "commands", COMMANDS, &[("alpha", "01.alpha"), ("beta", "02.beta"), ("gamma", "03.gamma")])?;
        let hosts = Followed::make(ground, name, "hosts", HOSTS, &[("stack", "01.stack"), ("dock", "02.dock")])?;
        let world = Self { outside, commands, hosts, known: BTreeSet::new(), begun: false, dokploy, ssh };
        world.configure()?;
        Ok(world)
    }

    /// The configuration of the lane's fleet.
    pub(crate) fn config(&self) -> PathBuf {
        self.outside.path().join("navvy.toml")
    }

    /// Where effects go, and where syncs are held.
    pub(crate) fn dir(&self) -> &Path {
        self.outside.path()
    }

    fn configure(&self) -> anyhow::Result<()> {
        let path = |name: &str| self.outside.path().join(name);
        private(&path("webhook-secret"), &format!("{SECRET}\n"))?;
        private(&path("sync.env"), &format!("DOKPLOY_API_KEY={KEY}\n"))?;
        private(&path("key"), &self.ssh.private_key()?)?;
        private(&path("known_hosts"), &self.ssh.known_hosts(true)?)?;
        let here = self.outside.path().display();
        let mut text = format!(
            "[sync]\nenvironment = \"staging\"\ncommand = [\"sh\", \"sync.sh\", \"{{env}}\", \"{{service}}\", \"{{ref}}\"]\n\n\
             [worker.sync]\npass_env = [\"CRASH_DIR\"]\nsecrets_file = \"{here}/sync.env\"\ninternal_domain = \"example.com\"\n\
             dokploy_url = \"{}\"\nverify_interval = \"200ms\"\nssh_hosts = [\"{}\"]\nssh_user = \"{}\"\nssh_key_file = \"{here}/key\"\n\
             ssh_known_hosts_file = \"{here}/known_hosts\"\ncompose_dir = \"{here}/host\"\n",
            self.dokploy.base,
            self.ssh.host(),
            ssh::user()?
        );
        for followed in [&self.commands, &self.hosts] {
            let _ = write!(
                text,
                "\n[[sources]]\nid = \"{}\"\nkind = \"github\"\nrepository = \"{}\"\nfull_name = \"acme/{}\"\nbranch = \"main\"\n\
                 secrets_file = \"{here}/webhook-secret\"\n",
                followed.source, followed.repo.url, followed.source
            );
        }
        Ok(fs::write(self.config(), text)?)
    }

    /// A service is held in the middle of its sync.
    pub(crate) fn hold(&self, service: &str) -> io::Result<()> {
        fs::write(self.dir().join(format!("hold.{service}")), "")
    }

    /// Whether one is.
    pub(crate) fn is_holding(&self) -> bool {
        self.dir().join("holding").exists()
    }

    /// What is held goes on.
    pub(crate) fn let_go(&self) -> io::Result<()> {
        for file in fs::read_dir(self.dir())? {
            let file = file?;
            if file.file_name().to_str().is_some_and(|name| name.starts_with("hold.") || name == "holding") {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }

    /// Everything that was done, in order.
    pub(crate) fn effects(&self) -> io::Result<Vec<Effect>> {
        let words = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let mut next = || words.next().unwrap_or_default();
            Effect { environment: next(), service: next(), commit: next(), what: next() }
        };
        Ok(lines(&self.dir().join("effects"))?.iter().map(|line| words(line)).collect())
    }
}

impl Followed {
    fn make(
        ground: &Ground,
        lane: &str,
        source: &'static str,
        mapping: &str,
        services: &'static [(&'static str, &'static str)],
    ) -> anyhow::Result<Self> {
        let mut files = vec![("navvy.yaml".to_owned(), mapping.to_owned()), ("sync.sh".to_owned(), SYNC.to_owned())];
        for (service, folder) in services {
            files.push((format!("platform/{folder}/compose.yaml"), compose(service, "first")));
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let repo = ground.git.repo(&format!("{source}-{lane}"), &files)?;
        executable(&repo.bare()?.join("hooks/update"), UPDATE)?;
        Ok(Self { source, repo, services })
    }

    /// The forge that tells of it.
    pub(crate) fn forge(&self, gateway: &str) -> Forge {
        Forge::new(&format!("{gateway}/hooks/{}", self.source), &format!("acme/{}", self.source))
    }

    /// Commits a change of these services, which `how` tells from others; where the branch was, and where it is now.
    pub(crate) fn change(&self, services: &[&str], how: &str) -> anyhow::Result<(String, String)> {
        let files = services.iter().map(|service| Ok((format!("{}/compose.yaml", self.folder(service)?), compose(service, how))));
        self.commit(&files.collect::<anyhow::Result<Vec<_>>>()?)
    }

    /// The same of a file that belongs to the service and is no part of what is deployed.
    pub(crate) fn mention(&self, service: &str, how: &str) -> anyhow::Result<(String, String)> {
        self.commit(&[(format!("{}/README.md", self.folder(service)?), how.to_owned())])
    }

    fn commit(&self, files: &[(String, String)]) -> anyhow::Result<(String, String)> {
        let before = self.repo.git(&["rev-parse", "HEAD"])?;
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        Ok((before, self.repo.commit(&files)?))
    }

    fn folder(&self, service: &str) -> anyhow::Result<String> {
        let (_, folder) = self.services.iter().find(|(name, _)| *name == service).context("a service of the repository")?;
        Ok(format!("platform/{folder}"))
    }

    /// Every reference that was changed in the bare repository, in order.
    pub(crate) fn updates(&self) -> anyhow::Result<Vec<Update>> {
        let words = |line: &String| {
            let mut words = line.split(' ').map(str::to_owned);
            let mut next = || words.next().unwrap_or_default();
            Update { reference: next(), old: next(), new: next() }
        };
        Ok(lines(&self.repo.bare()?.join("updates"))?.iter().map(words).collect())
    }

    /// What a tag is in the bare repository, and the commit that it leads to.
    pub(crate) fn tag(&self, reference: &str) -> anyhow::Result<(String, String)> {
        self.repo.git(&["fetch", "-q", "origin", &format!("{reference}:{reference}")])?;
        let kind = self.repo.git(&["cat-file", "-t", reference])?;
        Ok((kind, self.repo.git(&["rev-parse", &format!("{reference}^{{commit}}")])?))
    }
}

fn compose(service: &str, how: &str) -> String {
    format!("services:\n  {service}:\n    image: {service}:1\n    labels: {{how: \"{how}\"}}\n")
}

fn lines(path: &Path) -> io::Result<Vec<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn executable(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::create_dir_all(path.parent().context("a folder")?)?;
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// A file that nobody else may read.
fn private(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}
