
// pub mod attempt_log;
pub mod mask;
// pub mod runner;
