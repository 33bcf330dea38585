//! Questions are answered by one scheduler, and a stop signal reaches its worker.

use crate::support::words::{SHARD, attempt, run, seat};
use crate::support::{GENEROUS, Ground, eventually, soon};
use bus::{Bus, BusError};
use proto::PoolName;
use proto::message::{Ask, AskAnswer, AskWhat, StopMode, StopSignal};
use std::collections::HashSet;
use std::time::Duration;

fn ask(nonce: &str) -> Ask {
    Ask {
        id: attempt(run()),
        pool: PoolName::default(),
        worker: "w".parse().unwrap(),
        nonce: nonce.to_owned(),
        what: AskWhat::StartEffects { serial_before: None },
    }
}

/// Answers every question with its nonce and a name.
async fn scheduler(bus: Bus, name: &'static str) {
    let mut requests = bus.asks().serve(SHARD).await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let reason = format!("{} by {name}", request.ask.nonce);
            let _ = request.answer(&AskAnswer::Later { reason }).await;
        }
    });
}

fn reason(answer: AskAnswer) -> String {
    match answer {
        AskAnswer::Later { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_question_is_answered_by_one_of_the_schedulers() {
    let ground = Ground::new().await;
    scheduler(ground.connect().await, "one").await;
    scheduler(ground.connect().await, "two").await;
    let asks = ground.bus.asks();
    let mut who = HashSet::new();
    for n in 0..200 {
        let answer = reason(asks.ask(&ask(&n.to_string()), GENEROUS).await.unwrap());
        let (nonce, by) = answer.split_once(" by ").unwrap();
        assert_eq!(nonce, n.to_string());
        who.insert(by.to_owned());
    }
    assert_eq!(who.len(), 2, "{who:?}");
}

#[tokio::test]
async fn without_a_scheduler_the_question_fails_at_once_and_with_a_silent_one_in_time() {
    let ground = Ground::new().await;
    let asks = ground.bus.asks();
    let nobody = asks.ask(&ask("n"), GENEROUS).await;
    assert!(matches!(nobody, Err(BusError::Unavailable { .. })), "{nobody:?}");
    let silent = asks.serve(SHARD).await.unwrap();
    let unanswered = asks.ask(&ask("n"), Duration::from_millis(50)).await;
    assert!(matches!(unanswered, Err(BusError::Timeout { .. })), "{unanswered:?}");
    drop(silent);
}

#[tokio::test]
async fn questions_and_signals_go_on_after_the_server_was_killed() {
    let mut ground = Ground::new().await;
    scheduler(ground.connect().await, "one").await;
    let worker = seat("w");
    let mut signals = ground.connect().await.control().signals(&worker).await.unwrap();
    ground.kill_and_start_again().await;
    let answer = eventually("an answer", || async { ground.bus.asks().ask(&ask("n"), Duration::from_secs(5)).await.ok() }).await;
    assert_eq!(reason(answer), "n by one");
    let signal = StopSignal { id: attempt(run()), mode: StopMode::Interrupt };
    // What a scheduler does: again and again until the attempt has ended.
    let repeating = async {
        loop {
            let _ = ground.bus.control().signal(&worker, &signal).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let heard = soon("the signal", async {
        tokio::select! { s = signals.next() => s, () = repeating => None }
    })
    .await;
    assert_eq!(heard, Some(signal));
}

#[tokio::test]
async fn a_signal_reaches_its_worker_and_nobody_else() {
    let ground = Ground::new().await;
    let control = ground.bus.control();
    let (mine, other) = (seat("mine"), seat("other"));
    let mut signals = control.signals(&mine).await.unwrap();
    let kill = StopSignal { id: attempt(run()), mode: StopMode::Kill };
    let interrupt = StopSignal { id: attempt(run()), mode: StopMode::Interrupt };
    control.signal(&other, &kill).await.unwrap();
    control.signal(&mine, &interrupt).await.unwrap();
    assert_eq!(soon("the signal", signals.next()).await, Some(interrupt));
}
