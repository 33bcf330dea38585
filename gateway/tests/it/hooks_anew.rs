//! What was ignored is judged anew once the settings are corrected: when the forge sends it again, and when a person asks for it.
//! And whose pushes start nothing: row W28 of the table of hostile inputs.

use crate::{
    admission::triggers,
    harness::{Gateway, Store, World, told},
    hooks::{B, followed, push, records, run_of, send},
};
use serde_json::{Value, json};
use service::settings::Followed;

/// A gateway that follows another branch than the one that is pushed to, and one over the same store whose settings are right.
async fn before_and_after() -> (World, Gateway) {
    let wrong = World::with(|settings| settings.sources = vec![Followed { branch: "release".into(), ..followed("platform") }]).await;
    let right = right(&wrong.store).await;
    (wrong, right)
}

async fn right(store: &Store) -> Gateway {
    store.gateway(|settings| settings.sources = vec![followed("platform")]).await
}

fn redeliver(gateway: &Gateway, answer: &Value) -> reqwest::RequestBuilder {
    gateway.post(&format!("/v1/deliveries/{}/redeliver", answer["delivery"].as_str().unwrap()))
}

#[tokio::test]
async fn what_was_ignored_and_comes_again_is_judged_anew_and_then_is_a_duplicate() {
    let (wrong, right) = before_and_after().await;
    let body = push(B, &["platform/01.postgres/x"]);
    let (_, first) = told(send(&wrong.gateway, &body, "d1")).await;
    assert_eq!((&first["status"], &first["reason"]), (&json!("ignored"), &json!("Not release branch")));
    let (_, still) = told(send(&wrong.gateway, &body, "d1")).await;
    assert_eq!((&still["status"], &still["duplicate"]), (&json!("ignored"), &json!(true)), "nothing has changed here");
    let (status, anew) = told(send(&right, &body, "d1")).await;
    assert_eq!((status, &anew["status"], &anew["services"]), (202, &json!("accepted"), &json!(["platform/postgres"])), "{anew}");
    assert_eq!(anew["delivery"], first["delivery"]);
    let run = run_of(&anew);
    for gateway in [&right, &wrong.gateway] {
        let (_, again) = told(send(gateway, &body, "d1")).await;
        assert_eq!((&again["status"], run_of(&again)), (&json!("duplicate"), run), "{again}");
    }
    assert_eq!(triggers(&wrong.store.bus).await.iter().map(|trigger| trigger.run).collect::<Vec<_>>(), [run]);
    let (_, record) = told(right.get(&format!("/v1/deliveries/{}", anew["delivery"].as_str().unwrap()))).await;
    assert_eq!(
        (&record["verdict"], &record["was_ignored"], &record["reason"]),
        (&json!("accepted"), &json!("Not release branch"), &json!(""))
    );
    assert!(record["explain"]["text"].as_str().unwrap().contains("judged anew"), "{record}");
    assert_eq!(records(&wrong.store).await.len(), 1);
}

#[tokio::test]
async fn twins_that_are_judged_anew_make_one_run() {
    let (wrong, right) = before_and_after().await;
    let other = self::right(&wrong.store).await;
    let body = push(B, &[]);
    let (_, first) = told(send(&wrong.gateway, &body, "d1")).await;
    let of_forge = (0..8).map(|n| told(send(if n % 2 == 0 { &right } else { &other }, &body, "d1")));
    let of_people = (0..4).map(|n| told(redeliver(if n % 2 == 0 { &right } else { &other }, &first)));
    // Whoever of the people comes late asks for what is done already to be done once more: those are runs of their own.
    let (of_forge, of_people) = tokio::join!(futures_util::future::join_all(of_forge), futures_util::future::join_all(of_people));
    let run = run_of(&of_forge[0].1);
    assert!(of_forge.iter().all(|(status, answer)| *status == 202 && run_of(answer) == run), "{of_forge:?}");
    assert!(of_people.iter().all(|(status, answer)| *status == 202 && answer["run_id"].is_string()), "{of_people:?}");
    let kept = records(&wrong.store).await;
    let accepted: Vec<_> = kept.iter().filter(|(_, record)| record["verdict"] == "accepted").collect();
    assert!(accepted.len() == 1 && accepted[0].1["run"] == json!(run), "{kept:?}");
    let once_more = kept.iter().filter(|(_, record)| record["verdict"] == "redelivered").count();
    let runs: Vec<_> = triggers(&wrong.store.bus).await.into_iter().map(|trigger| trigger.run).collect();
    assert_eq!((runs.len(), runs.iter().filter(|stored| **stored == run).count()), (1 + once_more, 1), "{kept:?}");
}

#[tokio::test]
async fn a_person_has_what_was_ignored_judged_anew() {
    let (wrong, right) = before_and_after().await;
    let body = push(B, &["libs/x"]);
    let (_, first) = told(send(&wrong.gateway, &body, "d1")).await;
    let (status, refused) = told(redeliver(&wrong.gateway, &first)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("nothing_to_redo")));
    assert!(refused["error"].as_str().unwrap().contains("Not release branch"), "{refused}");
    let with_key = || told(redeliver(&right, &first).header("idempotency-key", "k1"));
    let (status, anew) = with_key().await;
    assert_eq!((status, &anew["delivery"]), (202, &first["delivery"]), "{anew}");
    assert_eq!(with_key().await.1, anew, "the same request again");
    let (_, of_forge) = told(send(&right, &body, "d1")).await;
    assert_eq!((&of_forge["status"], &of_forge["run_id"]), (&json!("duplicate"), &anew["run_id"]), "{of_forge}");
    let (_, of_forge) = told(send(&right, &body, "d2")).await;
    assert_eq!((&of_forge["status"], &of_forge["run_id"]), (&json!("duplicate"), &anew["run_id"]), "under another id too");
    assert_eq!(triggers(&wrong.store.bus).await.len(), 1);
    let (_, record) = told(right.get(&format!("/v1/deliveries/{}", first["delivery"].as_str().unwrap()))).await;
    assert_eq!((&record["verdict"], &record["by"]), (&json!("accepted"), &json!("admin")), "{record}");
    // And once more, as a run of its own.
    let (_, more) = told(redeliver(&right, &first)).await;
    assert_ne!(more["run_id"], anew["run_id"]);
    assert_ne!(more["delivery"], anew["delivery"]);
}

#[tokio::test]
async fn w28_pushes_of_our_own_bot_start_nothing_and_are_explained() {
    let world = World::with(|settings| {
        settings.sources = vec![Followed { ignore_senders: vec!["navvy-bot[bot]".into()], auto_stage: true, ..followed("platform") }];
    });
    let world = world.await;
    let mut of_bot = push(B, &["platform/01.postgres/x"]);
    of_bot["sender"] = json!({"login": "Navvy-Bot[bot]"});
    let mut tag = push(B, &[]);
    tag["ref"] = json!("refs/tags/v1.2.4");
    for (body, id, reason) in [
        (&of_bot, "d1", "Pushed by Navvy-Bot[bot], which is among the source's ignore_senders"),
        (&tag, "d2", "Not a branch: tags are deployed with POST /deploy"),
    ] {
        let (status, answer) = told(send(&world.gateway, body, id)).await;
        assert_eq!((status, &answer["status"], &answer["reason"]), (202, &json!("ignored"), &json!(reason)), "{answer}");
        let (_, record) = told(world.gateway.get(&format!("/v1/deliveries/{}", answer["delivery"].as_str().unwrap()))).await;
        assert!(record["explain"]["text"].as_str().unwrap().contains(reason), "{record}");
        let (status, answer) = told(redeliver(&world.gateway, &answer)).await;
        assert!(status == 409 && answer["error"].as_str().unwrap().contains(reason), "{answer}");
    }
    assert_eq!(triggers(&world.store.bus).await, []);
    // Whoever else pushes is followed.
    let (_, answer) = told(send(&world.gateway, &push(B, &[]), "d3")).await;
    assert_eq!(answer["status"], json!("accepted"));
}
