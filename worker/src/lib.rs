
pub mod attempt_log;
pub mod confine;
pub mod git;
pub mod mask;
pub mod runner;
pub mod tools;
