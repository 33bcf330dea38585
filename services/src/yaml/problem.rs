//! What is wrong with a file of the repository, told so that its author finds the place and knows what to do.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileProblem {
    /// From 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// From 1, in characters; 0 where the file as a whole is meant.
    pub column: u32,
    /// What is wrong, why, and what to do.
    pub message: String,
}

/// All that is wrong with a file, in its order. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblems {
    /// Path of the file in the repository.
    pub file: String,
    pub problems: Vec<FileProblem>,
    /// Problems that are not listed.
    pub more: usize,
}

impl fmt::Display for FileProblems {
    /// A line for each problem: `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            match problem.line {
                0 => write!(f, "{end}{}: {}", self.file, problem.message)?,
                line => write!(f, "{end}{}:{line}:{}: {}", self.file, problem.column, problem.message)?,
            }
        }
        if self.more > 0 {
            write!(f, "\n{}: and {} more problems", self.file, self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for FileProblems {}
