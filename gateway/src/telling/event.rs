//! What is said at the end of a run: a CloudEvent (1.0, structured JSON), signed as Standard Webhooks ask for it
//! (`webhook-id`, `webhook-timestamp`, `webhook-signature: v1,…`, HMAC-SHA256 over `id.timestamp.body`).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use proto::{Secret, message::RunSpec, orders::DoneMarker, view::RunView};
use serde_json::{Value, json};
use sha2::Sha256;

/// How a secret of Standard Webhooks begins; what follows is base64.
const SECRET_PREFIX: &str = "whsec_";

/// The event of a run's end. The id is the same however often it is sent: receivers know a repeat by it.
pub(crate) fn completed(view: &RunView, done: &DoneMarker, id: &str, source: &str) -> Value {
    let (trace_id, flow_id) = match &view.spec {
        RunSpec::Orders(spec) => (Some(spec.trace_id.clone()), Some(spec.flow_id())),
        RunSpec::Terraform(_) | RunSpec::Probe(_) | RunSpec::Sync(_) => (None, None),
    };
    json!({
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": "navvy.run.completed",
        "subject": view.id,
        "time": view.ended_at,
        "datacontenttype": "application/json",
        "data": {
            "run_id": view.id,
            "trace_id": trace_id,
            "flow_id": flow_id,
            "status": done.status,
            "summary": done.summary,
            "done_endpt": format!("{source}/v1/runs/{}/done", view.id),
        },
    })
}

/// The value of `webhook-signature`. A secret that begins with `whsec_` is base64, as the standard says; any other is taken
/// as it is.
pub(crate) fn signature(secret: &Secret, id: &str, at: Timestamp, body: &[u8]) -> String {
    let text = secret.expose();
    let key =
        text.strip_prefix(SECRET_PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok()).unwrap_or_else(|| text.as_bytes().to_vec());
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{}.", at.as_second()).as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures, runs::marker};
    use proto::{orders::OrderCounts, view::RunStatus};

    /// The example of the specification's reference libraries.
    #[test]
    fn a_signature_is_as_the_standard_s_libraries_make_it() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_end_is_a_cloud_event() {
        let counts = OrderCounts { total: 3, succeeded: 1, failed: 1, timed_out: 1, ..OrderCounts::default() };
        let view = RunView { status: RunStatus::Failed, orders: Some(counts), ended_at: Some(fixtures::at(9)), ..fixtures::view() };
        let event = completed(&view, &marker(&view).unwrap(), "id", "https://navvy.example");
        assert_eq!(event["data"]["summary"], json!({"succeeded": 1, "failed": 1, "timed_out": 1}));
        assert_eq!(event["data"]["done_endpt"], format!("https://navvy.example/v1/runs/{}/done", view.id));
        for required in ["specversion", "id", "source", "type"] {
            assert!(event[required].is_string(), "{required}");
        }
    }
}
