//! Two who want different things of one run at the same moment: one wins, the other is told the state that won, and
//! nothing happens twice. A real gateway and scheduler; the test plays the worker, so that many runs are cheap.

use anyhow::Context as _;
use bus::{Bus, KeyPair};
use futures_util::future::try_join_all;
use proto::{
    AttemptNo, JobNo, PoolName, RunId, Seat, Timestamp, WorkerId,
    ids::AttemptId,
    message::{Ask, AskAnswer, AskWhat, AttemptOutcome, Evidence, InboxMessage, JobResult, Report, ReportWhat},
    terraform::{ApplyResult, PlanArtifact, PlanResult, PlanSummary, Tool, ToolUsed},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use system_tests::{
    eventually,
    fleet::{Fleet, Wishes},
};

const PLAN: u32 = 0;

/// A fleet without workers, and the one that the test plays.
struct World {
    fleet: Fleet,
    bus: Bus,
    worker: WorkerId,
}

impl World {
    async fn new() -> anyhow::Result<Self> {
        let fleet = Fleet::apart(Wishes::git("git.example"), &[]).await?;
        let worker: WorkerId = "w1".parse()?;
        let bus = fleet.bus_as(bus::Role::Worker(Seat { pool: PoolName::default(), worker: worker.clone() })).await?;
        Ok(Self { fleet, bus, worker })
    }

    async fn deploy(&self, workspace: &str, auto_approve: bool) -> anyhow::Result<RunId> {
        let body = json!({"tool": "terraform", "git_url": "https://git.example/acme/infra.git", "git_ref": "main",
            "workspace": workspace, "auto_approve": auto_approve});
        Ok(self.fleet.client.deploy(&body).await?.parse()?)
    }

    async fn ask(&self, run: RunId, job: u32, what: AskWhat) -> anyhow::Result<()> {
        let ask = Ask { id: id_of(run, job), pool: PoolName::default(), worker: self.worker.clone(), nonce: format!("{run}.{job}"), what };
        eventually(&format!("a yes to {:?}", ask.what), || async {
            let answer = self.bus.asks().ask(&ask, Duration::from_secs(2)).await;
            Ok(matches!(answer, Ok(AskAnswer::Permit(_) | AskAnswer::Go)).then_some(()))
        })
        .await
    }

    async fn begin(&self, run: RunId, job: u32) -> anyhow::Result<()> {
        self.ask(run, job, AskWhat::Begin { public_key: KeyPair::generate().public_hex() }).await
    }

    async fn ended(&self, run: RunId, job: u32, outcome: AttemptOutcome) -> anyhow::Result<()> {
        let (id, key) = (id_of(run, job), format!("{run}.{job}.{}", matches!(outcome, AttemptOutcome::Unclear { .. })));
        let report =
            Report { id, pool: PoolName::default(), worker: self.worker.clone(), at: Timestamp::now(), what: ReportWhat::Ended(outcome) };
        self.bus.inbox().publish(run, &InboxMessage::Report(Box::new(report)), &key, None).await?;
        Ok(())
    }

    /// A run whose plan waits for a person, or goes on to its apply.
    async fn planned(&self, workspace: &str, auto_approve: bool) -> anyhow::Result<RunId> {
        let run = self.deploy(workspace, auto_approve).await?;
        self.begin(run, PLAN).await?;
        self.ended(run, PLAN, AttemptOutcome::Succeeded { result: plan()? }).await?;
        Ok(run)
    }

    async fn waiting(&self, workspace: &str) -> anyhow::Result<RunId> {
        let run = self.planned(workspace, false).await?;
        self.fleet.client.wait_for(&run.to_string(), "awaiting_approval").await?;
        Ok(run)
    }

    /// A run of which nobody knows what its apply did.
    async fn unknown(&self, workspace: &str) -> anyhow::Result<RunId> {
        let run = self.planned(workspace, true).await?;
        self.begin(run, 1).await?;
        self.ask(run, 1, AskWhat::StartEffects { serial_before: Some(3) }).await?;
        self.ended(run, 1, AttemptOutcome::Unclear { evidence: Evidence { seen: "killed".to_owned(), ..Evidence::default() } }).await?;
        self.fleet.client.wait_for(&run.to_string(), "unknown").await?;
        Ok(run)
    }

    async fn say(&self, run: RunId, verb: &str, body: Value) -> anyhow::Result<(StatusCode, Value)> {
        self.fleet.client.call(Method::POST, &format!("/v1/runs/{run}/{verb}"), Some(&body)).await
    }

    async fn view(&self, run: RunId) -> anyhow::Result<Value> {
        self.fleet.client.get(&format!("/v1/runs/{run}")).await
    }
}

fn id_of(run: RunId, job: u32) -> AttemptId {
    AttemptId { run, job: JobNo(job), attempt: AttemptNo::FIRST }
}

fn plan() -> anyhow::Result<JobResult> {
    Ok(JobResult::Plan(Box::new(PlanResult {
        artifact: PlanArtifact {
            object: "plan/x".to_owned(),
            plan_sha256: "a".repeat(64),
            bytes: 1,
            commit: "a".repeat(40).parse().context("a commit")?,
            tool: ToolUsed { tool: Tool::Terraform, version: "1.11.4".to_owned() },
        },
        summary: PlanSummary::default(),
    })))
}

/// Whether a command won; a loser is told the state that did.
fn won(answer: &(StatusCode, Value)) -> bool {
    match answer.0 {
        StatusCode::OK => true,
        StatusCode::CONFLICT => {
            assert!(answer.1["status"].is_string(), "the loser is told the state that won: {answer:?}");
            false
        }
        other => panic!("neither yes nor no: {other} {}", answer.1),
    }
}

#[tokio::test]
async fn of_an_approval_and_a_rejection_one_wins_and_a_cancel_beside_them_stops_the_run_once() -> anyhow::Result<()> {
    let world = World::new().await?;
    let runs = try_join_all((0..50).map(|n| {
        let world = &world;
        async move { world.waiting(&format!("w{n}")).await }
    }))
    .await?;
    let races = runs.iter().map(|run| async {
        tokio::try_join!(
            world.say(*run, "approve", json!({})),
            world.say(*run, "reject", json!({})),
            world.say(*run, "cancel", json!({})),
            // A second approver: the same yes or the same no, never another.
            world.say(*run, "approve", json!({})),
        )
    });
    let answers = try_join_all(races).await?;
    let mut winners = [0; 3];
    for (run, (approve, reject, cancel, second)) in runs.iter().zip(&answers) {
        let (approved, rejected, cancelled) = (won(approve) || won(second), won(reject), won(cancel));
        let view = world.view(*run).await?;
        assert_eq!(view["status"], "cancelled", "{view:#}");
        let gate = view["approval"]["state"].as_str();
        assert!(!(approved && rejected), "both won: {approve:?} {reject:?}");
        assert_eq!(gate == Some("approved"), approved, "{view:#}");
        assert_eq!(gate == Some("rejected"), rejected, "{view:#}");
        assert_eq!(view["cancel"].is_object(), cancelled, "{view:#}");
        // A rejected run is over, so that nothing was left to cancel; an approved one was running.
        assert_eq!(cancelled, !rejected, "{view:#}");
        winners[if approved {
            0
        } else if rejected {
            1
        } else {
            2
        }] += 1;
    }
    println!("approved {}, rejected {}, cancelled first {}", winners[0], winners[1], winners[2]);
    assert!(world.view(runs[0]).await?["jobs"][2]["attempts"].as_array().is_none_or(|attempts| attempts.len() <= 1));
    Ok(())
}

#[tokio::test]
async fn a_cancel_that_races_the_completion_is_taken_or_told_that_it_came_too_late() -> anyhow::Result<()> {
    let world = World::new().await?;
    let runs = try_join_all((0..50).map(|n| {
        let world = &world;
        async move {
            let run = world.planned(&format!("w{n}"), true).await?;
            world.begin(run, 1).await?;
            world.ask(run, 1, AskWhat::StartEffects { serial_before: None }).await?;
            anyhow::Ok(run)
        }
    }))
    .await?;
    let done = || AttemptOutcome::Succeeded { result: JobResult::Apply(ApplyResult::default()) };
    let races = runs.iter().map(|run| async { tokio::try_join!(world.say(*run, "cancel", json!({})), world.ended(*run, 1, done())) });
    let answers = try_join_all(races).await?;
    for (run, (cancel, ())) in runs.iter().zip(&answers) {
        // What was applied was applied, whatever was asked for meanwhile.
        world.fleet.client.wait_for(&run.to_string(), "success").await?;
        let view = world.view(*run).await?;
        assert_eq!(view["cancel"].is_object(), won(cancel), "{cancel:?} {view:#}");
        if !won(cancel) {
            assert_eq!(cancel.1["status"], "success", "{cancel:?}");
        }
        assert_eq!(view["jobs"][1]["attempts"].as_array().map(Vec::len), Some(1), "{view:#}");
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_outcome_is_settled_once_by_a_person_or_by_a_late_result() -> anyhow::Result<()> {
    let world = World::new().await?;
    let runs = try_join_all((0..30).map(|n| {
        let world = &world;
        async move { world.unknown(&format!("w{n}")).await }
    }))
    .await?;
    let resolve = |run, how: &str| world.say(run, "resolve", json!({"as": how, "reason": format!("looked: {how}")}));
    let (two, late) = runs.split_at(15);
    let races = two.iter().map(|run| async { tokio::try_join!(resolve(*run, "succeeded"), resolve(*run, "failed")) });
    for (run, (yes, no)) in two.iter().zip(&try_join_all(races).await?) {
        assert!(won(yes) != won(no), "one of two wins: {yes:?} {no:?}");
        let view = world.view(*run).await?;
        let (status, how) = if won(yes) { ("success", "succeeded") } else { ("failed", "failed") };
        assert_eq!(view["status"], status, "{view:#}");
        assert_eq!((&view["resolution"]["by"], &view["resolution"]["reason"]), (&json!("admin"), &json!(format!("looked: {how}"))));
        assert!(view["resolution"]["at"].is_string(), "{view:#}");
        let loser = if won(yes) { no } else { yes };
        assert_eq!(loser.1["status"], status, "{loser:?}");
    }
    let done = || AttemptOutcome::Succeeded { result: JobResult::Apply(ApplyResult::default()) };
    let races = late.iter().map(|run| async { tokio::try_join!(resolve(*run, "failed"), world.ended(*run, 1, done())) });
    for (run, (settled, ())) in late.iter().zip(&try_join_all(races).await?) {
        let wanted = if won(settled) { "failed" } else { "success" };
        let view = world.view(*run).await?;
        assert_eq!((&view["status"], view["resolution"].is_object()), (&json!(wanted), won(settled)), "{settled:?} {view:#}");
    }
    // Of a run that is not unknown nobody settles anything.
    let waiting = world.waiting("waiting").await?;
    for (run, status) in [(two[0], world.view(two[0]).await?["status"].clone()), (waiting, json!("awaiting_approval"))] {
        let (code, answer) = resolve(run, "failed").await?;
        assert_eq!((code, &answer["code"], &answer["status"]), (StatusCode::CONFLICT, &json!("wrong_state"), &status), "{answer}");
    }
    Ok(())
}
