//! Whether a service that something led to may be synced here. The bootstrap never is, even when it is named.

use super::{NO_SUCH, Question};
use crate::{
    layout::{Found, folders},
    mapping::BOOTSTRAP,
    spelling::nearest_service,
};
use proto::{
    path::RepoPath,
    sync::{Executor, Native, ServiceId},
};

pub(super) struct Admission<'a> {
    question: &'a Question<'a>,
}

impl<'a> Admission<'a> {
    pub(super) fn new(question: &'a Question<'a>) -> Self {
        Self { question }
    }

    /// The service and how it is synced, or why it is not.
    pub(super) fn admit(&self, id: &ServiceId) -> Result<(&'a Found, Executor), String> {
        self.managed(id.project())?;
        let found = self.found(id)?;
        let declared = self.question.mapping.services.get(id);
        if declared.is_some_and(|declared| declared.production_only) && !self.question.environment.is_production() {
            return Err(format!("only for production, and this is {}", self.question.environment));
        }
        let mut executor = declared.map_or(Executor::Command, |declared| declared.executor.clone());
        if executor == Executor::Command {
            self.not_bootstraps_task(&found.task)?;
        }
        if !declared.is_some_and(|declared| declared.names_file)
            && let Some(native) = native(&mut executor)
        {
            native.file = found.compose_file.clone().ok_or_else(|| no_compose_file(&found.dir))?;
        }
        Ok((found, executor))
    }

    /// Whether a project's services are synced, or why not.
    pub(super) fn managed(&self, project: &str) -> Result<(), String> {
        let said = self.question.mapping.projects.get(project);
        let reason = || said.and_then(|said| said.reason.clone());
        if project == BOOTSTRAP {
            return Err(reason().unwrap_or_else(|| "the bootstrap is deployed by hand".to_owned()));
        }
        if said.and_then(|said| said.managed) == Some(false) {
            return Err(reason().unwrap_or_else(|| format!("the mapping says that {project} is not managed")));
        }
        if self.question.projects.iter().any(|managed| managed == project) {
            return Ok(());
        }
        // A reason of the mapping is about a project that is not synced. One that says "managed" has met the operator's list.
        let by_operator = || format!("the project {project} is not managed here: the operator adds it to the projects of this source");
        Err(if said.and_then(|said| said.managed) == Some(true) { by_operator() } else { reason().unwrap_or_else(by_operator) })
    }

    /// A task of the bootstrap is not run under another service's name either.
    fn not_bootstraps_task(&self, task: &str) -> Result<(), String> {
        let bootstrap = self.question.layout.services.iter().filter(|(id, _)| id.project() == BOOTSTRAP);
        match bootstrap.map(|(id, found)| (id, &found.task)).find(|(_, of_bootstrap)| *of_bootstrap == task) {
            Some((id, _)) => Err(format!("its task {task} is that of {id}, which is deployed by hand: give it a `task` of its own")),
            None => Ok(()),
        }
    }

    fn found(&self, id: &ServiceId) -> Result<&'a Found, String> {
        let layout = self.question.layout;
        if let Some(found) = layout.services.get(id) {
            return Ok(found);
        }
        if let Some(dirs) = layout.ambiguous.get(id) {
            return Err(format!("it has {} folders ({}), and only one can be meant", dirs.len(), folders(dirs)));
        }
        if let Some(dir) = layout.missing.get(id) {
            return Err(format!("its folder {dir} is not in this commit"));
        }
        Err(match nearest_service(id, layout.services.keys()) {
            Some(near) => format!("{NO_SUCH}: did you mean `{near}`?"),
            None => format!("{NO_SUCH} in this commit"),
        })
    }
}

fn native(executor: &mut Executor) -> Option<&mut Native> {
    match executor {
        Executor::Command => None,
        Executor::Compose(target) => Some(&mut target.native),
        Executor::Dokploy(target) => Some(&mut target.native),
    }
}

fn no_compose_file(dir: &RepoPath) -> String {
    format!("{dir} has no compose file: add one, or name it with `file`")
}
