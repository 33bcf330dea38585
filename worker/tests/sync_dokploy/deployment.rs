//! Deployments of the stand-in: how they go, and what is seen of one at each look.

use super::stand_in::KEY;
use serde_json::{Value, json};

/// How deployments go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deploying {
    /// Done at the so-and-so-many-th look.
    Done(u32),
    Fails,
    /// It says yes and does nothing.
    Nothing,
}

#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) looks: u32,
    pub(crate) how: Deploying,
}

impl Deployment {
    pub(crate) fn looked_at(&mut self) -> Value {
        self.looks += 1;
        let (status, error) = match self.how {
            Deploying::Done(at) if self.looks >= at => ("done", Value::Null),
            Deploying::Done(_) | Deploying::Nothing => ("running", Value::Null),
            Deploying::Fails => ("error", json!(format!("pull access denied for {KEY}"))),
        };
        json!({ "deploymentId": self.id, "title": self.title, "description": "", "status": status, "logPath": "/x", "errorMessage": error })
    }
}
