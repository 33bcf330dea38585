//! `POST /v1/mapping/check`: whether a text would do as the `navvy.yaml` of a repository. Which services there are is in the
//! repository, so names of services are not looked at here; `navvy mapping check` does, where the repository is.

use crate::{answers::Refusal, app::App, door::body};
use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use services::{FileProblem, FileProblems, mapping};
use std::sync::Arc;
use utoipa::ToSchema;

/// One thing that is wrong with a file.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct MappingProblemBody {
    /// `navvy.yaml`.
    file: String,
    /// From 1; 0 where the file as a whole is meant.
    line: u32,
    /// From 1, in characters; 0 where the file as a whole is meant.
    column: u32,
    /// What is wrong, why, and what to do.
    message: String,
}

/// The handler. The body is the text, whatever its content type says.
pub(crate) async fn check(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let bytes = body::read(&app, request).await?;
    let problems = problems(&bytes);
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, Json(problems)).into_response())
}

fn problems(bytes: &[u8]) -> Vec<MappingProblemBody> {
    let whole = |message: String| MappingProblemBody { file: mapping::FILE.to_owned(), line: 0, column: 0, message };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return vec![whole("this is no text in UTF-8: save it as such".to_owned())];
    };
    let Err(FileProblems { file, problems, more }) = mapping::parse(mapping::FILE, text) else { return Vec::new() };
    let body = |FileProblem { line, column, message }| MappingProblemBody { file: file.clone(), line, column, message };
    let mut all: Vec<_> = problems.into_iter().map(body).collect();
    if more > 0 {
        all.push(whole(format!("and {more} more problems")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_its_place() {
        assert_eq!(problems(b"version: 1\n"), []);
        let told = problems(b"version: 2\nrule: []\n");
        assert_eq!(
            told.iter().map(|p| (p.file.as_str(), p.line, p.column)).collect::<Vec<_>>(),
            [("navvy.yaml", 1, 10), ("navvy.yaml", 2, 1)]
        );
        assert!(told[1].message.contains("did you mean `rules`?"), "{told:?}");
        assert_eq!(problems(b"\xff")[0].line, 0);
        let many = problems(format!("version: 1\nservices: {{{}}}\n", "x: {}, ".repeat(30)).as_bytes());
        assert!(!many.is_empty());
    }
}
