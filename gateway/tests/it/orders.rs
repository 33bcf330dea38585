//! Runs of orders: their jobs in pages, their logs one by one and all in turn.

use crate::{
    harness::{World, soon, told},
    play::{Play, order, orders},
    scheduler::{job, run_id, running, show, view},
    sse::{Reader, lines, names},
};
use proto::orders::OrderNode;
use serde_json::{Value, json};

fn numbers(body: &Value) -> Vec<u64> {
    body["jobs"].as_array().unwrap().iter().map(|job| job["n"].as_u64().unwrap()).collect()
}

async fn text(world: &World, path: &str) -> (u16, String) {
    let answer = soon(world.gateway.get(path).send()).await.unwrap();
    (answer.status().as_u16(), soon(answer.text()).await.unwrap())
}

#[tokio::test]
async fn jobs_are_read_in_parts_that_fit_together() {
    let world = World::start().await;
    let mut play = Play::of_orders(&world.store.bus, "parts", orders(150)).await;
    play.dispatch().await;
    play.begin(70).await;
    play.fail(70).await;
    let path = format!("/v1/runs/{}/jobs", play.id());
    let ask = async |query: &str| told(world.gateway.get(&format!("{path}{query}"))).await.1;
    let first = ask("").await;
    assert_eq!((numbers(&first), &first["next_from"]), ((0..100).collect(), &json!(100)));
    let rest = ask("?from=100").await;
    assert_eq!((numbers(&rest), &rest["next_from"]), ((100..150).collect(), &Value::Null));
    let (mut all, mut next) = (Vec::new(), json!(0));
    while let Some(from) = next.as_u64() {
        let part = ask(&format!("?from={from}&limit=7")).await;
        all.extend(numbers(&part));
        next = part["next_from"].clone();
    }
    assert_eq!(all, (0..150).collect::<Vec<_>>());
    assert_eq!(numbers(&ask("?status=failed").await), [70]);
    play.begin(130).await;
    let two = ask("?status=failed,running").await;
    assert_eq!((numbers(&two), &two["next_from"]), (vec![70, 130], &Value::Null));
    let one = ask("?status=failed,running&limit=1").await;
    assert_eq!((numbers(&one), &one["next_from"]), (vec![70], &json!(130)));
    assert_eq!(numbers(&ask("?status=failed,running&from=71").await), [130]);
    assert_eq!(numbers(&ask("?from=150").await).len() + numbers(&ask("?from=4294967295").await).len(), 0);
    let failed = &ask("?from=70&limit=1").await["jobs"][0];
    assert_eq!((&failed["name"], &failed["failure"]["kind"]), (&json!("order-70"), &json!("exit_code")));
    for (query, field) in [("?limit=201", "limit"), ("?limit=0", "limit"), ("?from=x", "from"), ("?status=bad", "status")] {
        let (status, answer) = told(world.gateway.get(&format!("{path}{query}"))).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some(field)));
    }
}

#[tokio::test]
async fn jobs_of_other_runs_are_all_there_as_before() {
    let world = World::start().await;
    let mut shown = view(run_id("jobs"));
    show(&world.store.bus, &mut shown, |view| view.jobs = vec![running(0), job(1, "approval", "blocked")]).await;
    let (status, body) = told(world.gateway.get(&format!("/v1/runs/{}/jobs", shown.id))).await;
    assert_eq!((status, numbers(&body), &body["next_from"]), (200, vec![0, 1], &Value::Null));
    assert_eq!(told(world.gateway.get(&format!("/v1/runs/{}/jobs", run_id("nobody")))).await.0, 404);
}

#[tokio::test]
async fn the_log_of_one_order_ends_with_the_order_and_comes_from_its_own_pool() {
    let world = World::start().await;
    let elsewhere = OrderNode { pool: "gpu".parse().unwrap(), ..order(40, &[]) };
    let mut play = Play::of_orders(&world.store.bus, "one", [orders(40), vec![elsewhere]].concat()).await;
    play.dispatch().await;
    play.begin(40).await;
    let path = format!("/v1/runs/{}/logs?job=40", play.id());
    let mut reader = Reader::open(&world.gateway, &path, None).await;
    play.output(40, "$ make\ndone\n").await;
    assert_eq!(reader.line().await, ("40.1.7".into(), "$ make".into()));
    play.succeed(40).await;
    let rest = reader.rest().await;
    assert_eq!(lines(&rest), [("40.1.12".to_owned(), "done".to_owned())]);
    assert_eq!(rest.last().map(|event| (event.name.as_str(), event.json())), Some(("end", json!({ "status": "succeeded" }))));
    let resumed = Reader::open(&world.gateway, &path, Some("40.1.7")).await.rest().await;
    assert_eq!(lines(&resumed), [("40.1.12".to_owned(), "done".to_owned())]);
    assert_eq!(text(&world, &format!("/v1/runs/{}/log.txt?job=40", play.id())).await, (200, "$ make\ndone\n".to_owned()));
    for (query, status) in [("log.txt?job=41", 404), ("logs?job=41", 404), ("logs?job=x", 400), ("log.txt?job=40&attempt=2", 404)] {
        assert_eq!(text(&world, &format!("/v1/runs/{}/{query}", play.id())).await.0, status, "{query}");
    }
}

#[tokio::test]
async fn all_logs_are_read_in_turn_whichever_order_began_first() {
    let world = World::start().await;
    let mut play = Play::of_orders(&world.store.bus, "turn", orders(3)).await;
    play.dispatch().await;
    play.begin(2).await;
    play.output(2, "third\n").await;
    play.succeed(2).await;
    let path = format!("/v1/runs/{}/logs", play.id());
    let mut reader = Reader::open(&world.gateway, &path, None).await;
    assert_eq!(text(&world, &format!("/v1/runs/{}/log.txt", play.id())).await, (200, "third\n".to_owned()), "what is there now");
    for (no, said) in [(1, "second\n"), (0, "first\n")] {
        play.begin(no).await;
        play.output(no, said).await;
        play.succeed(no).await;
    }
    let events = reader.rest().await;
    let said: Vec<String> = lines(&events).into_iter().map(|(_, text)| text).collect();
    assert_eq!((said, names(&events).last()), (["first", "second", "third"].map(str::to_owned).to_vec(), Some(&"end")));
    assert_eq!(text(&world, &format!("/v1/runs/{}/log.txt", play.id())).await.1, "first\nsecond\nthird\n");
}

#[tokio::test]
async fn of_very_many_orders_one_has_to_be_named() {
    let world = World::start().await;
    let mut play = Play::of_orders(&world.store.bus, "many", orders(201)).await;
    play.dispatch().await;
    play.begin(0).await;
    play.output(0, "x\n").await;
    play.succeed(0).await;
    for path in ["logs", "log.txt"] {
        let (status, answer) = told(world.gateway.get(&format!("/v1/runs/{}/{path}", play.id()))).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some("job")), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains("201 orders"), "{answer}");
    }
    assert_eq!(text(&world, &format!("/v1/runs/{}/log.txt?job=0", play.id())).await, (200, "x\n".to_owned()));
}
