//! How a worker plays an order: it asks twice, tells an event or two, runs the commands under the order's own time limit.
//! As in the crate `worker`: what was allowed to start is never started again.

use crate::{
    oracle,
    shell::planted::wrong,
    store::Once,
    tool::{End, Tool},
    worker::{Worker, failed},
};
use proto::{
    git::CommitId,
    ids::AttemptId,
    message::{AttemptOutcome, Evidence, JobResult, ReportWhat},
    orders::{OrderEvent, OrderResult, ShellSpec},
};
use std::{cell::Cell, rc::Rc};

impl Worker {
    /// An order from its permit to its end.
    pub(crate) async fn order(&self, id: AttemptId, nonce: &str, spec: &ShellSpec, told: &Rc<Cell<bool>>) -> AttemptOutcome {
        self.note_effects(id, true);
        if !wrong!(NoLastWord)
            && let Err(reason) = self.last_word(id, nonce, told).await
        {
            self.note_effects(id, false);
            return AttemptOutcome::NotStarted { reason };
        }
        self.run_commands(id, spec).await;
        if self.ctx.core.chance(100) {
            let event = OrderEvent { event_type: "tf_plan".to_owned(), status: "info".to_owned(), data: serde_json::Value::Null };
            // What cannot be told is only missing from the log.
            let _ = self.post(Once::Report(id, 3), ReportWhat::OrderEvents { events: vec![event] }, id).await;
        }
        self.order_ended(id)
    }

    /// Starts the commands and waits for their end. Between the decision to start and the start nothing happens.
    pub(crate) async fn run_commands(&self, id: AttemptId, spec: &ShellSpec) {
        let core = &self.ctx.core;
        let takes = 1 + if core.chance(core.weather.get().slow_tool) { core.draw(200_000) } else { core.draw(8_000) };
        let limit = spec.timeout_s * 1_000;
        let end = match core.draw(8) {
            _ if takes >= limit => End::TimedOut,
            7 => End::Failure,
            _ => End::Success,
        };
        let tool = Tool {
            node: self.ctx.node,
            effects: true,
            plan_sha256: String::new(),
            commit: no_commit(),
            ends_at: core.now.get() + u64::from(takes.min(limit)),
            deaf: core.chance(300),
            end,
            killed: None,
            disturbed: Rc::default(),
        };
        oracle::tool_starts(core, id, &self.name, &tool);
        core.tools.borrow_mut().0.insert(id, tool);
        self.wait_for_tool(id).await;
    }

    /// How the commands ended, as their worker can tell.
    pub(crate) fn order_ended(&self, id: AttemptId) -> AttemptOutcome {
        let tools = self.ctx.core.tools.borrow();
        let Some(tool) = tools.0.get(&id) else { return AttemptOutcome::Unclear { evidence: Evidence::default() } };
        match (tool.killed, tool.end) {
            (Some(true), _) => AttemptOutcome::Stopped { clean: false, timed_out: false },
            (Some(false), _) => AttemptOutcome::Unclear { evidence: Evidence::default() },
            (None, End::Stopped) => AttemptOutcome::Stopped { clean: true, timed_out: false },
            (None, End::TimedOut) => AttemptOutcome::Stopped { clean: false, timed_out: true },
            (None, End::Failure) => failed("exit code 1"),
            (None, End::Success) => AttemptOutcome::Succeeded { result: JobResult::Order(OrderResult { commands: 1 }) },
        }
    }
}

/// Orders are bound to none.
fn no_commit() -> CommitId {
    "0".repeat(40).parse().expect("40 hex digits")
}
