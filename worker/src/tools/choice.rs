//! From a wish to a program: which of the installed versions it is, and whether another one may be fetched.
//!
//! The rules that matter to people: nobody gets a version he did not ask for, every refusal says who asked for what and
//! what is there, and a program is what it says it is, not what its folder is called.

use super::asked::{self, Asked, Wanted};
use super::version::{self, Constraints};
use super::{ResolvedTool, Settings, ToolError, installed, release};
use proto::terraform::{Tool, ToolUsed};
use semver::Version;
use std::path::{Path, PathBuf};

/// Older ones are refused, wherever they come from, and why.
fn floor(tool: Tool) -> (&'static str, Version, &'static str) {
    match tool {
        Tool::Terraform => {
            ("1.5.7", Version::new(1, 5, 7), "older ones can be made to write anywhere by a module's archive (CVE-2023-4782)")
        }
        Tool::Tofu => ("1.6.0", Version::new(1, 6, 0), "it is the first release"),
    }
}

/// The tools of one worker, shared by its attempts.
#[derive(Debug)]
pub struct Tools {
    settings: Settings,
    known: installed::Known,
}

/// An installed version and its program.
type Installed = (Version, PathBuf);

impl Tools {
    /// Touches nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, known: installed::Known::default() }
    }

    /// What is installed, newest first, the one in PATH included. A program that does not work is left out.
    pub async fn installed(&self, tool: Tool) -> Vec<ToolUsed> {
        let mut found = self.list(tool).await.unwrap_or_default();
        found.sort_by(|(a, _), (b, _)| b.cmp(a));
        found.dedup_by(|(a, _), (b, _)| a == b);
        found.into_iter().map(|(version, _)| ToolUsed { tool, version: version.to_string() }).collect()
    }

    /// The program for the folder `dir` of the checkout `root`. `requested` is the version in the request. Both folders
    /// must be resolved paths, `dir` below `root` or the same.
    pub async fn resolve(&self, tool: Tool, requested: Option<&str>, root: &Path, dir: &Path) -> Result<ResolvedTool, ToolError> {
        let asked = asked::find(tool, requested, root, dir)?;
        match &asked.wanted {
            Wanted::Exact(version) => self.get(tool, version, &asked.by).await,
            Wanted::Matching(constraints) => self.matching(tool, constraints, &asked.by).await,
            Wanted::Newest(constraints) => self.extreme(tool, constraints, &asked, Iterator::max).await,
            Wanted::Oldest(constraints) => self.extreme(tool, constraints, &asked, Iterator::min).await,
            Wanted::Default => self.default_of(tool).await,
        }
    }

    /// Exactly the version that made a plan.
    pub async fn same_as(&self, used: &ToolUsed) -> Result<ResolvedTool, ToolError> {
        let by = "the plan, which only the same version may apply,";
        let version = version::exact(&used.version).map_err(|why| ToolError::unusable(used.tool, by, &used.version, &why))?;
        self.get(used.tool, &version, by).await
    }

    async fn get(&self, tool: Tool, version: &Version, by: &str) -> Result<ResolvedTool, ToolError> {
        let (floor, oldest, why) = floor(tool);
        if *version < oldest {
            return Err(ToolError::BelowFloor { tool, by: by.to_owned(), version: version.to_string(), floor, why });
        }
        let present = self.list(tool).await?;
        let program = match present.iter().find(|(installed, _)| installed == version) {
            Some((_, program)) => program.clone(),
            None => self.fetch(tool, version, by, &present).await?,
        };
        self.checked(tool, version, program, by).await
    }

    /// Why a version is not fetched, or its program.
    async fn fetch(&self, tool: Tool, version: &Version, by: &str, present: &[Installed]) -> Result<PathBuf, ToolError> {
        let why = if !self.settings.may_download {
            "it may not fetch others (worker.tools.may_download is off)".to_owned()
        } else if self.settings.keyring(tool).is_none() {
            format!("it may fetch none whose signature it cannot check (worker.tools.keyring_{tool} is not set)")
        } else {
            return release::install(&self.settings, tool, version).await;
        };
        Err(missing(tool, by, &version.to_string(), present, why))
    }

    /// The program's own word is what counts, not the name of its folder.
    async fn checked(&self, tool: Tool, version: &Version, program: PathBuf, by: &str) -> Result<ResolvedTool, ToolError> {
        self.known.check_digest(&program).await?;
        let says = self.known.version(tool, &program).await?;
        if says != *version {
            return Err(ToolError::Broken { tool, program, why: format!("it says that it is {says}, and should be {version}") });
        }
        Ok(ResolvedTool { used: ToolUsed { tool, version: version.to_string() }, program, asked_by: by.to_owned() })
    }

    /// The worker's default where it fits, so that one repository does not change versions as others are installed; else
    /// the newest that fits; else the newest that the constraint itself names is fetched.
    async fn matching(&self, tool: Tool, constraints: &Constraints, by: &str) -> Result<ResolvedTool, ToolError> {
        if let Ok(default) = self.default_of(tool).await
            && version::exact(&default.used.version).is_ok_and(|version| constraints.take(&version))
        {
            return Ok(ResolvedTool { asked_by: by.to_owned(), ..default });
        }
        let present = self.list(tool).await?;
        let fits = present.iter().map(|(version, _)| version).filter(|version| may_use(tool, version) && constraints.take(version));
        let version = fits.max().cloned().or_else(|| constraints.named());
        match version {
            Some(version) => self.get(tool, &version, by).await,
            None => Err(missing(
                tool,
                by,
                &constraints.to_string(),
                &present,
                "the constraint names no version that could be fetched".to_owned(),
            )),
        }
    }

    async fn extreme(
        &self,
        tool: Tool,
        constraints: &Constraints,
        asked: &Asked,
        pick: fn(std::vec::IntoIter<Version>) -> Option<Version>,
    ) -> Result<ResolvedTool, ToolError> {
        let present = self.list(tool).await?;
        let fits = present.iter().map(|(version, _)| version).filter(|version| may_use(tool, version) && constraints.take(version));
        match pick(fits.cloned().collect::<Vec<_>>().into_iter()).or_else(|| constraints.named()) {
            Some(version) => self.get(tool, &version, &asked.by).await,
            None => Err(missing(tool, &asked.by, "in any version", &present, "none of them may be used".to_owned())),
        }
    }

    /// The configured version, else the one in PATH, else the newest one in the folder.
    async fn default_of(&self, tool: Tool) -> Result<ResolvedTool, ToolError> {
        if let Some(text) = self.settings.default_version(tool) {
            let by = format!("the setting worker.tools.default_{tool}");
            let version = version::exact(text).map_err(|why| ToolError::unusable(tool, &by, text, &why))?;
            return self.get(tool, &version, &by).await;
        }
        let by = "nobody";
        if let Some(program) = installed::in_path(&self.settings.search_path, tool) {
            let version = self.known.version(tool, &program).await?;
            return self.get(tool, &version, by).await;
        }
        let present = installed::in_folder(&self.settings.dir, tool)?;
        let newest = present.iter().map(|(version, _)| version).filter(|version| may_use(tool, version) && version.pre.is_empty()).max();
        match newest {
            Some(version) => self.get(tool, version, by).await,
            None => Err(ToolError::None { tool }),
        }
    }

    /// The versions in the folder and the one in PATH, if it works. The folder comes first: what Navvy fetched has a digest.
    async fn list(&self, tool: Tool) -> Result<Vec<Installed>, ToolError> {
        let mut found = installed::in_folder(&self.settings.dir, tool)?;
        if let Some(program) = installed::in_path(&self.settings.search_path, tool)
            && let Ok(version) = self.known.version(tool, &program).await
        {
            found.push((version, program));
        }
        Ok(found)
    }
}

fn may_use(tool: Tool, version: &Version) -> bool {
    *version >= floor(tool).1
}

fn missing(tool: Tool, by: &str, wanted: &str, present: &[Installed], why: String) -> ToolError {
    let mut versions: Vec<&Version> = present.iter().map(|(version, _)| version).collect();
    versions.sort();
    versions.dedup();
    let installed = match versions[..] {
        [] => "none".to_owned(),
        _ => versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    ToolError::Missing { tool, by: by.to_owned(), wanted: wanted.to_owned(), installed, why }
}
