//! Approvals that come at the moment at which they expire: one of the two happens, and whoever asked is told which.

use crate::ground::{CALM, Ground, PLAN, attempt, eventually, plan, terraform};
use domain::run::Event;
use proto::{
    message::{CommandAnswer, CommandVerb, RunSpec, Trigger},
    view::RunStatus,
};
use service::settings::Period;
use std::time::Duration;

const APPROVE: CommandVerb = CommandVerb::Approve { plan_sha256: None };

/// A run that a person has to approve.
fn asking(workspace: &str) -> Trigger {
    let mut trigger = terraform(workspace);
    if let RunSpec::Terraform(spec) = &mut trigger.spec {
        spec.auto_approve = false;
    }
    trigger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_races_its_expiry_wins_or_is_told_that_it_came_too_late() {
    let ground = Ground::new().await;
    let _scheduler = ground.scheduler_with(CALM, |settings| settings.scheduler.approval_ttl = Period::seconds(3));
    let triggers: Vec<Trigger> = (0..24).map(|n| asking(&format!("w{n}"))).collect();
    for trigger in &triggers {
        ground.submit(trigger).await;
        ground.began(attempt(trigger.run, PLAN, 1), "w1").await;
        ground.ended(attempt(trigger.run, PLAN, 1), "w1", plan()).await;
    }
    let race = async |trigger: &Trigger, early: Duration| {
        let view = ground.until(trigger.run, "an approval", |view| view.approval.is_some()).await;
        let expires_at = view.approval.unwrap().expires_at.unwrap();
        let left = Duration::try_from(expires_at.duration_since(jiff::Timestamp::now())).unwrap_or_default();
        tokio::time::sleep((left + Duration::from_millis(100)).saturating_sub(early)).await;
        ground.command(trigger.run, APPROVE).await.expect("an answer")
    };
    // From a little before the end to a little after it.
    let asked = triggers.iter().zip(0_u64..).map(|(trigger, n)| race(trigger, Duration::from_millis(10 * n)));
    let answers = futures_util::future::join_all(asked).await;
    let mut given = 0;
    for (trigger, answer) in triggers.iter().zip(answers) {
        let won = match &answer {
            CommandAnswer::Done => true,
            CommandAnswer::Refused { code, status, .. } => {
                assert!(code == "approval_expired", "{answer:?}");
                assert!(status == "cancelled" || status == "awaiting_approval", "{answer:?}");
                false
            }
            CommandAnswer::AlreadySo => panic!("nobody else approved"),
        };
        given += usize::from(won);
        if !won {
            ground.until_status(trigger.run, RunStatus::Cancelled).await;
        }
        let log = ground.log(trigger.run).await;
        let count = |wanted: fn(&Event) -> bool| log.iter().filter(|event| wanted(event)).count();
        let approved = count(|event| matches!(event, Event::ApprovalGiven { .. }));
        let expired = count(|event| matches!(event, Event::ApprovalExpired { .. }));
        assert_eq!((approved, expired), (usize::from(won), usize::from(!won)), "{answer:?} {log:?}");
    }
    // One more, asked for twice long before: given once.
    let calm = asking("calm");
    ground.submit(&calm).await;
    ground.began(attempt(calm.run, PLAN, 1), "w1").await;
    ground.ended(attempt(calm.run, PLAN, 1), "w1", plan()).await;
    eventually("an approval", || async { (ground.command(calm.run, APPROVE).await == Some(CommandAnswer::Done)).then_some(()) }).await;
    assert_eq!(ground.command(calm.run, APPROVE).await, Some(CommandAnswer::AlreadySo), "a second approver");
    println!("{given} of {} were in time", triggers.len());
}
