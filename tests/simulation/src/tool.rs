//! The tools that really run: what the world sees, whatever anybody says of it. A tool that applies outlives the process
//! of its worker; nothing outlives the machine.

use crate::core::NodeId;
use proto::{git::CommitId, ids::AttemptId};
use std::{cell::Cell, collections::BTreeMap, rc::Rc};

/// How a tool ends if nobody disturbs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Success,
    Failure,
    /// Interrupted once, and stopped cleanly.
    Stopped,
    /// Commands of an order that were stopped at its time limit.
    TimedOut,
}

/// A tool that was started.
#[derive(Debug, Clone)]
pub struct Tool {
    pub node: NodeId,
    /// Applies: it changes the world.
    pub effects: bool,
    pub plan_sha256: String,
    pub commit: CommitId,
    pub ends_at: u64,
    /// Does not listen to an interrupt.
    pub deaf: bool,
    pub end: End,
    /// Killed half-way, and by whom: `true` by its worker on request.
    pub killed: Option<bool>,
    /// Something happened to it before its time.
    pub disturbed: Rc<Cell<bool>>,
}

impl Tool {
    /// Whether it runs at this time.
    pub fn runs(&self, now: u64) -> bool {
        self.killed.is_none() && now < self.ends_at
    }

    /// Whether it ran to its end, and well.
    pub fn succeeded(&self, now: u64) -> bool {
        self.killed.is_none() && now >= self.ends_at && self.end == End::Success
    }
}

/// All tools ever started, by attempt.
#[derive(Debug, Default)]
pub struct Tools(pub BTreeMap<AttemptId, Tool>);

impl Tools {
    /// One interrupt: the tool ends soon, cleanly, unless it is done before.
    pub fn interrupt(&mut self, id: AttemptId, now: u64, patience: u64) {
        if let Some(tool) = self.0.get_mut(&id).filter(|tool| tool.runs(now) && !tool.deaf)
            && now + patience < tool.ends_at
        {
            tool.ends_at = now + patience;
            tool.end = End::Stopped;
            tool.disturbed.set(true);
        }
    }

    /// Killed by its worker, on request.
    pub fn kill(&mut self, id: AttemptId, now: u64) {
        if let Some(tool) = self.0.get_mut(&id).filter(|tool| tool.runs(now)) {
            tool.killed = Some(true);
            tool.disturbed.set(true);
        }
    }

    /// The machine is gone.
    pub fn lose_machine(&mut self, node: NodeId, now: u64) {
        for tool in self.0.values_mut().filter(|tool| tool.node == node && tool.runs(now)) {
            tool.killed = Some(false);
            tool.disturbed.set(true);
        }
    }

    /// The worker's process is gone: what changes nothing is interrupted.
    pub fn lose_worker(&mut self, node: NodeId, now: u64) {
        for tool in self.0.values_mut().filter(|tool| tool.node == node && !tool.effects && tool.runs(now)) {
            tool.killed = Some(false);
        }
    }
}
