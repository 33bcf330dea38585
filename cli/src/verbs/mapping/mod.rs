//! `navvy mapping check`: a repository's mapping is read and its services are found by the rules that workers follow, without a
//! gateway.

mod folder;

use proto::git::CommitId;
use proto::sync::{Compared, MappingInForce, Selection};
use services::layout::Layout;
use services::manifest::{self, Manifest};
use services::mapping::{self, Mapping};
use services::selection::{ChangedFile, Question, Wanted, select};
use services::{FileProblem, FileProblems};

use crate::args::CheckArgs;
use crate::exit::Exit;
use crate::output::Out;
use crate::output::mapping::{self as picture, Checked};
use crate::problem::{CliError, FileMistake};
use folder::Repository;

pub(super) fn check(out: &Out, args: &CheckArgs) -> Result<Exit, CliError> {
    let repository = folder::open(&args.path)?;
    let changed = folder::changed(&repository, &args.changed)?;
    match checked(args, &repository, changed.as_deref()) {
        Ok(checked) => {
            if out.is_json() {
                out.json(&picture::json(&checked))?;
            } else {
                out.line(&picture::text(&checked, out.style()))?;
            }
            Ok(Exit::Ok)
        }
        Err(mistakes) if out.is_json() => {
            out.json(&serde_json::json!({ "valid": false, "problems": mistakes.listed, "more": mistakes.more }))?;
            Ok(Exit::Usage)
        }
        Err(mistakes) => Err(CliError::Mapping { mistakes: mistakes.listed, more: mistakes.more }),
    }
}

/// All that is wrong with the files.
#[derive(Debug, Default)]
struct Mistakes {
    listed: Vec<FileMistake>,
    more: usize,
}

impl Mistakes {
    fn add(&mut self, problems: FileProblems) {
        let FileProblems { file, problems, more } = problems;
        let mistake = |FileProblem { line, column, message }| FileMistake { file: file.clone(), line, column, message };
        self.listed.extend(problems.into_iter().map(mistake));
        self.more += more;
    }

    /// Something that has no place in a file.
    fn whole(file: &str, message: String) -> Self {
        Self { listed: vec![FileMistake { file: file.to_owned(), line: 0, column: 0, message }], more: 0 }
    }
}

fn checked(args: &CheckArgs, repository: &Repository, changed: Option<&[ChangedFile]>) -> Result<Checked, Mistakes> {
    let mut mistakes = Mistakes::default();
    let (mapping, in_force) = match &repository.mapping {
        None => (Some(Mapping::built_in()), MappingInForce::BuiltIn),
        Some(file) => {
            let mapping = mapping::parse(&file.name, &file.text).map_err(|problems| mistakes.add(problems)).ok();
            (mapping, MappingInForce::OfCommit { text: file.text.clone() })
        }
    };
    let manifest = match &repository.manifest {
        None => Some(Manifest::default()),
        Some(file) => manifest::parse(&file.name, &file.text).map_err(|problems| mistakes.add(problems)).ok(),
    };
    let (Some(mapping), Some(manifest)) = (mapping, manifest) else { return Err(mistakes) };
    let layout = Layout::discover(repository.files.iter().map(String::as_str), &mapping)
        .map_err(|error| Mistakes::whole(mapping::FILE, error.to_string()))?;
    if let Err(problems) = mapping.check_services(&layout.ids()) {
        mistakes.add(problems);
        return Err(mistakes);
    }
    let ask = |wanted| {
        let question = Question {
            commit: no_commit(),
            generation: 0,
            compared: Compared::Named,
            environment: &args.environment,
            wanted,
            projects: &args.project,
            mapping: &mapping,
            in_force: in_force.clone(),
            layout: &layout,
            manifest: &manifest,
        };
        select(question).map_err(|error| Mistakes::whole(mapping::FILE, error.to_string()))
    };
    let all: Selection = ask(Wanted::All { why: "asked for" })?;
    let push = changed.map(|files| ask(Wanted::Changed(files))).transpose()?;
    Ok(Checked { environment: args.environment.clone(), built_in: repository.mapping.is_none(), all, push })
}

/// A check is about no commit; none is shown.
fn no_commit() -> CommitId {
    "0".repeat(40).parse().expect("forty zeros have the form of a commit's id")
}

#[cfg(test)]
mod tests;
