//! A worker that works without a break, and a rival at its elbow.

use super::{Ground, eventually, plan, syncs};
use proto::{
    PoolName,
    ids::AttemptId,
    message::{AskAnswer, JobResult, Work},
    orders::OrderResult,
    terraform::ApplyResult,
};
use std::time::Duration;

impl Ground {
    /// A worker that takes orders and does them in no time, for ever. Each attempt is asked for twice at once, with another
    /// nonce; never may both be allowed.
    pub async fn labour(&self, worker: &str) {
        let mut orders = self.bus.work().pull(&PoolName::default()).await.unwrap();
        let rival = format!("{worker}-rival");
        loop {
            let Ok(Some(order)) = orders.next(Duration::from_secs(5)).await else { continue };
            let id = order.order.id;
            let (first, second) = tokio::join!(self.begin(id, worker, worker), self.begin(id, &rival, &rival));
            let refused = [&first, &second].iter().all(|answer| matches!(answer, Some(AskAnswer::Refused { .. })));
            let permit = |answer| if let Some(AskAnswer::Permit(permit)) = answer { Some(permit) } else { None };
            let (who, permit) = match (permit(first), permit(second)) {
                (Some(_), Some(_)) => panic!("{id:?} was permitted twice"),
                (Some(permit), None) => (worker, permit),
                (None, Some(permit)) => (rival.as_str(), permit),
                // Permitted already, or over; or nobody could answer.
                (None, None) if refused => {
                    order.double_ack().await.unwrap();
                    continue;
                }
                (None, None) => {
                    // A lost answer may have been a yes: ask again as the same two until it is known.
                    let again = eventually("an answer", || async {
                        for who in [worker, &rival] {
                            match self.begin(id, who, who).await {
                                Some(AskAnswer::Permit(permit)) => return Some(Some((who.to_owned(), permit))),
                                Some(AskAnswer::Refused { .. }) if who == rival => return Some(None),
                                _ => {}
                            }
                        }
                        None
                    })
                    .await;
                    order.double_ack().await.unwrap();
                    if let Some((who, permit)) = again {
                        self.work(&who, id, &permit.work).await;
                    }
                    continue;
                }
            };
            order.double_ack().await.unwrap();
            self.work(who, id, &permit.work).await;
        }
    }

    async fn work(&self, who: &str, id: AttemptId, work: &Work) {
        let result = match work {
            Work::Probe { .. } => JobResult::Nothing,
            Work::TerraformPlan { .. } => plan(),
            Work::TerraformApply { .. } => {
                let go = || async { matches!(self.start_effects(id, who).await, Some(AskAnswer::Go)).then_some(()) };
                eventually("the word to start", go).await;
                JobResult::Apply(ApplyResult::default())
            }
            Work::Shell { .. } => {
                let go = || async { matches!(self.start_effects(id, who).await, Some(AskAnswer::Go)).then_some(()) };
                eventually("the word to start", go).await;
                JobResult::Order(OrderResult { commands: 1 })
            }
            Work::Select { spec, .. } => syncs::selected(spec, 1),
            Work::Release { .. } => panic!("no run here makes a release"),
            Work::Sync { .. } => {
                let go = || async { matches!(self.start_effects(id, who).await, Some(AskAnswer::Go)).then_some(()) };
                eventually("the word to start", go).await;
                syncs::synced("v2:1")
            }
        };
        self.ended(id, who, result).await;
    }
}
