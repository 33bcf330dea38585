//! People: they submit, push, look, approve what they saw (or something else), cancel, force, settle what is unknown
//! after they have looked whether the tool still runs. They may be slow, and two of them may do the same.

use crate::{
    core::Ctx, graphs, oracle::MISTAKE, order_rules, shell::turn::Outcome, sometimes::Case, sources, store::Once, world::APPROVAL_TTL,
};
use domain::run::{JobState, status};
use jiff::SignedDuration;
use proto::{
    PoolName, RunId, ShardNo,
    ids::AttemptId,
    message::{Command, CommandVerb, InboxMessage, PERMIT_LIFE_MS, RunSpec, Trigger},
    view::RunStatus,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// Runs that are open at a time, at most.
const MOST_OPEN: usize = 5;
/// How long somebody waits for an answer, in ms.
const ANSWER_WAIT: u64 = 5_000;

/// Where the answer to a command arrives.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub outcome: Rc<RefCell<Option<Outcome>>>,
    pub there: Rc<Cell<bool>>,
}

/// What can be submitted: the specs of a few directories, some of them approved by themselves.
#[derive(Debug)]
pub struct Catalogue(Vec<RunSpec>);

impl Default for Catalogue {
    fn default() -> Self {
        let spec = |dir: u32, auto: bool| {
            let spec = serde_json::json!({
                "tool": "terraform", "git_url": "https://git.example/a/b", "git_ref": "main", "path": format!("dir-{dir}"),
                "workspace": "default", "timeout_minutes": 60, "auto_approve": auto, "destroy": false,
            });
            RunSpec::Terraform(serde_json::from_value(spec).expect("a spec"))
        };
        Self((0..6).map(|n| spec(n % 3, n >= 3)).collect())
    }
}

/// Submits runs until the world closes.
pub async fn submit(ctx: Ctx) {
    let catalogue = Catalogue::default();
    while !ctx.core.closing.get() {
        ctx.sleep(u64::from(ctx.core.draw(20_000))).await;
        if ctx.core.oracle.borrow().unfinished() >= MOST_OPEN {
            continue;
        }
        if ctx.core.chance(300) {
            ctx.core.store.borrow_mut().push();
        }
        let number = ctx.core.serial();
        let run = RunId::from_repeatable(&[&number.to_string()], ShardNo(0));
        let weather = ctx.core.weather.get();
        let of_orders = ctx.core.chance(weather.orders);
        let of_syncs = ctx.core.chance(weather.syncs);
        let spec = if of_orders {
            RunSpec::Orders(graphs::spec(&ctx.core))
        } else if of_syncs {
            RunSpec::Sync(sources::spec(&ctx.core))
        } else {
            catalogue.0[ctx.core.draw(catalogue.0.len() as u32) as usize].clone()
        };
        let wide = !of_orders && !of_syncs && ctx.core.chance(200);
        let trigger = Trigger {
            run,
            accepted_at: ctx.wall(),
            by: if wide { "wide".to_owned() } else { "ada".to_owned() },
            spec,
            pool: PoolName::default(),
            has_secrets: false,
            request_digest: None,
            traceparent: None,
        };
        submit_one(&ctx, &trigger).await;
    }
}

/// A client with an idempotency key: it repeats until it is answered.
async fn submit_one(ctx: &Ctx, trigger: &Trigger) {
    loop {
        let message = InboxMessage::Trigger(Box::new(trigger.clone()));
        match ctx.write(|store| store.post(Once::Trigger(trigger.run), message, None)).await {
            Ok(new) => {
                if !new {
                    ctx.core.met(Case::DuplicateTrigger);
                }
                ctx.core.oracle.borrow_mut().accepted.insert(trigger.run);
                if !ctx.core.chance(100) {
                    return;
                }
            }
            Err(_) => ctx.sleep(1_000).await,
        }
    }
}

/// Looks at runs and does something about them, for as long as the world stands.
pub async fn decide(ctx: Ctx) {
    loop {
        let pause = if ctx.core.closing.get() { 5_000 } else { u64::from(ctx.core.draw(15_000)) };
        ctx.sleep(pause).await;
        let open = ctx.core.oracle.borrow().open();
        if open.is_empty() {
            continue;
        }
        let run = open[ctx.core.draw(open.len() as u32) as usize];
        if let Some(verb) = wish(&ctx, run) {
            let impatient = matches!(verb, CommandVerb::Cancel { force: false }) && ctx.core.draw(3) == 2;
            command(&ctx, run, verb).await;
            if impatient {
                command(&ctx, run, CommandVerb::Cancel { force: true }).await;
            }
        }
    }
}

/// What somebody wants who looks at a run now; the wish may be old when it arrives.
fn wish(ctx: &Ctx, id: RunId) -> Option<CommandVerb> {
    let core = &ctx.core;
    let oracle = core.oracle.borrow();
    let truth = oracle.truths.get(&id)?;
    let closing = core.closing.get();
    if truth.run.orders.is_some() {
        return wish_about_orders(ctx, truth);
    }
    if truth.run.syncs.is_some() {
        return wish_about_syncs(ctx, truth);
    }
    match status(&truth.run) {
        // Nobody ever looks at these: they have to expire by themselves.
        RunStatus::AwaitingApproval if id.to_string().starts_with(['0', '1']) => None,
        RunStatus::AwaitingApproval => {
            let too_early = core.now.get() < truth.changed_at + APPROVAL_TTL.unsigned_abs() - 5_000;
            // Others are looked at when it is nearly too late, or is.
            if id.to_string().starts_with('2') && too_early {
                return None;
            }
            let seen = truth.run.plan.as_ref().map(|plan| plan.artifact.plan_sha256.clone());
            match core.draw(12) {
                0 | 1 => None,
                2 if !closing => Some(CommandVerb::Reject),
                3 if !closing => Some(CommandVerb::Cancel { force: false }),
                4 => Some(CommandVerb::Approve { plan_sha256: Some("another plan".to_owned()) }),
                5 => Some(CommandVerb::Approve { plan_sha256: None }),
                _ => Some(CommandVerb::Approve { plan_sha256: seen }),
            }
        }
        RunStatus::Unknown => {
            let patience = u64::from(core.draw(200_000));
            let waited = core.now.get() - truth.changed_at;
            // Who looks earlier may see nothing run that starts in a moment (`Refusal::TooSoon`).
            let looks = waited > PERMIT_LIFE_MS || core.draw(4) == 0;
            (looks && (waited > patience || closing)).then(|| settle(ctx, truth)).flatten()
        }
        RunStatus::Running => match core.draw(10) {
            0..=8 if truth.run.cancel.is_some() => Some(CommandVerb::Cancel { force: true }),
            0 if !closing => Some(CommandVerb::Cancel { force: core.draw(3) == 2 }),
            1 if !closing && truth.run.plan.is_some() => Some(CommandVerb::Cancel { force: core.draw(3) == 2 }),
            2 | 6 | 7 => Some(CommandVerb::Approve { plan_sha256: None }),
            3 => Some(CommandVerb::Reject),
            4 if !closing => Some(CommandVerb::Resolve { job: None, succeeded: core.draw(2) == 0, reason: MISTAKE.to_owned() }),
            _ => None,
        },
        RunStatus::Success | RunStatus::Failed | RunStatus::TimedOut | RunStatus::Cancelled => None,
    }
}

/// The same of a run of orders. Lost orders are left to the watchdog, unless it is a long time off.
fn wish_about_orders(ctx: &Ctx, truth: &crate::oracle::Truth) -> Option<CommandVerb> {
    let core = &ctx.core;
    let closing = core.closing.get();
    match status(&truth.run) {
        RunStatus::Unknown => {
            let soon = order_rules::watchdog_is_due_within(&truth.run, ctx.wall(), SignedDuration::from_mins(5));
            let looks = core.now.get() - truth.changed_at > PERMIT_LIFE_MS && (!soon || (!closing && core.draw(4) == 0));
            looks.then(|| settle(ctx, truth)).flatten()
        }
        RunStatus::Running => match core.draw(30) {
            0..=9 if truth.run.cancel.is_some() => Some(CommandVerb::Cancel { force: true }),
            0 if !closing => Some(CommandVerb::Cancel { force: core.draw(3) == 2 }),
            1 if !closing => Some(CommandVerb::Resolve { job: None, succeeded: core.draw(2) == 0, reason: MISTAKE.to_owned() }),
            2 => Some(CommandVerb::Approve { plan_sha256: None }),
            _ => None,
        },
        RunStatus::AwaitingApproval | RunStatus::Success | RunStatus::Failed | RunStatus::TimedOut | RunStatus::Cancelled => None,
    }
}

/// The same of a run of syncs. One that is lost keeps others waiting, whatever else its run does.
fn wish_about_syncs(ctx: &Ctx, truth: &crate::oracle::Truth) -> Option<CommandVerb> {
    let core = &ctx.core;
    let closing = core.closing.get();
    match status(&truth.run) {
        RunStatus::Unknown => {
            let looks = core.now.get() - truth.changed_at > PERMIT_LIFE_MS && (closing || core.draw(4) == 0);
            looks.then(|| settle(ctx, truth)).flatten()
        }
        RunStatus::Running => match core.draw(30) {
            0..=9 if truth.run.cancel.is_some() => Some(CommandVerb::Cancel { force: true }),
            0 if !closing => Some(CommandVerb::Cancel { force: core.draw(3) == 2 }),
            1 if !closing => Some(CommandVerb::Resolve { job: None, succeeded: core.draw(2) == 0, reason: MISTAKE.to_owned() }),
            2 => Some(CommandVerb::Approve { plan_sha256: None }),
            3..=8 if truth.run.unknown_jobs > 0 => settle(ctx, truth),
            _ => None,
        },
        RunStatus::AwaitingApproval | RunStatus::Success | RunStatus::Failed | RunStatus::TimedOut | RunStatus::Cancelled => None,
    }
}

/// Who settles has looked: the tool does not run any more, and this is what it did.
fn settle(ctx: &Ctx, truth: &crate::oracle::Truth) -> Option<CommandVerb> {
    let run = &truth.run;
    let no = run.jobs.iter().position(|job| job.state == JobState::Unknown)?;
    let attempt = run.jobs[no].current()?;
    let id = AttemptId { run: run.id, job: proto::JobNo(no as u32), attempt: attempt.no };
    let tools = ctx.core.tools.borrow();
    let now = ctx.core.now.get();
    let tool = tools.0.get(&id);
    if tool.is_some_and(|tool| tool.runs(now)) {
        return None;
    }
    if now - truth.changed_at <= PERMIT_LIFE_MS && tool.is_none() {
        return None;
    }
    let succeeded = tool.is_some_and(|tool| tool.succeeded(now));
    Some(CommandVerb::Resolve { job: Some(id.job), succeeded, reason: "looked".to_owned() })
}

async fn command(ctx: &Ctx, run: RunId, verb: CommandVerb) {
    let once = Once::Command(ctx.core.serial());
    let reply = Reply::default();
    let message = InboxMessage::Command(Command { run, by: "bob".to_owned(), at: ctx.wall(), verb, reply_to: None });
    while ctx.write(|store| store.post(once, message.clone(), Some(reply.clone()))).await.is_err() {
        ctx.sleep(1_000).await;
    }
    let until = ctx.core.now.get() + ANSWER_WAIT;
    ctx.flag(&reply.there, true, until).await;
}
