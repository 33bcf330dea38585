//! `POST /v1/orders`: the job itself as JSON, and the answers of this house.

use super::{
    Asked, Desk, Intake, Receipt,
    prepare::{Rejected, prepare},
};
use crate::{
    answers::Refusal,
    deploy::{Admitted, identity},
};
use axum::{
    Json,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use domain::orders::JobRequest;
use proto::RunId;
use serde::Serialize;
use utoipa::ToSchema;

/// The answer to an accepted job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrdersBody {
    #[schema(value_type = String, format = "uuid")]
    run_id: RunId,
    trace_id: String,
    /// `<username>:<trace_id>-<flow_label>`.
    flow_id: String,
    /// How many there are.
    orders: usize,
}

/// Takes a job in, and answers.
pub(crate) async fn answer<F, A>(desk: &Desk<'_>, asked: &Asked<'_>, take_in: F) -> Result<Response, Refusal>
where
    F: FnOnce(Intake) -> A + Send,
    A: Future<Output = Result<Admitted, Refusal>> + Send,
{
    let job = JobRequest::read(asked.body).map_err(|why| Refusal::field("", why.to_string()))?;
    let intake = prepare(desk, asked, job).map_err(|rejected: Rejected| Refusal::from(rejected))?;
    let Receipt { trace_id, flow_id, orders, .. } = Receipt::of(&intake);
    let Admitted { run, replayed } = take_in(intake).await?;
    let mut response = (StatusCode::ACCEPTED, Json(OrdersBody { run_id: run, trace_id, flow_id, orders })).into_response();
    if replayed {
        response.headers_mut().insert(identity::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Fixture, body_of, job, order};
    use super::*;
    use serde_json::{Value, json};

    async fn told(body: impl Into<Vec<u8>>) -> (u16, Value) {
        let fixture = Fixture { body: body.into().into(), ..Fixture::default() };
        let store = |intake: Intake| async move { Ok(Admitted { run: intake.identity.run, replayed: true }) };
        body_of(answer(&fixture.desk(), &fixture.asked(), store).await.into_response()).await
    }

    #[tokio::test]
    async fn an_accepted_job_is_a_run() {
        let mut asked = job(&json!([order(), order()]));
        asked["trace_id"] = json!("leg-0001");
        let (status, body) = told(asked.to_string()).await;
        let expected = json!({"run_id": body["run_id"], "trace_id": "leg-0001", "flow_id": "ann:leg-0001-exec", "orders": 2});
        assert_eq!((status, &body), (202, &expected));
        assert!(body["run_id"].as_str().unwrap().parse::<RunId>().is_ok());
    }

    #[tokio::test]
    async fn a_wrong_job_names_every_field() {
        let (status, body) = told(job(&json!([{"cmds": [1]}])).to_string()).await;
        let expected = json!([
            {"field": "orders[0].cmds", "message": "order[0]: cmds[0] must be a text, not a number"},
            {"field": "orders[0].timeout", "message": "order[0]: timeout is missing or invalid"},
        ]);
        assert_eq!(
            (status, &body["errors"], &body["field"], &body["code"]),
            (400, &expected, &json!("orders[0].cmds"), &json!("bad_input"))
        );
    }

    #[tokio::test]
    async fn what_is_no_json_is_told_as_a_whole() {
        let (status, body) = told("").await;
        let expected = json!({
            "error": "the JSON ends too early (line 1, column 0)", "code": "bad_input", "field": null, "status": null,
            "errors": [{"field": "", "message": "the JSON ends too early (line 1, column 0)"}],
        });
        assert_eq!((status, body), (400, expected));
    }
}
