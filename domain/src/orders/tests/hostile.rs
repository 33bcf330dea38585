//! Texts that are no jobs, jobs that are too large, and anything else that somebody may send.

use super::*;
use crate::orders::request::MOST_ORDERS;
use proptest::prelude::*;

fn read(json: &str) -> Result<(), BadJson> {
    JobRequest::read(json.as_bytes()).map(|_| ())
}

#[test]
fn what_is_no_job_is_told_why() {
    for (text, expected) in [
        ("{}", Ok(())),
        ("", Err(BadJson::TooEarly { line: 1, column: 0 })),
        (r#"{"orders":"#, Err(BadJson::TooEarly { line: 1, column: 10 })),
        ("null", Err(BadJson::NotAnObject)),
        ("[]", Err(BadJson::NotAnObject)),
        ("5", Err(BadJson::NotAnObject)),
        ("{} x", Err(BadJson::NotJson { line: 1, column: 4 })),
        (r#"{"priority": NaN}"#, Err(BadJson::NotJson { line: 1, column: 14 })),
        (r#"{"priority": 1e400}"#, Err(BadJson::HugeNumber { line: 1, column: 18 })),
        (r#"{"priority": 1, "priority": 2}"#, Err(BadJson::Twice("priority".into()))),
        (r#"{"orders": [{"timeout": 1, "timeout": 2}]}"#, Err(BadJson::Twice("timeout".into()))),
        ("\u{feff}{}", Err(BadJson::NotJson { line: 1, column: 1 })),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    let twice = r#"{"username": "a", "git_repo": "a/b", "git_token_location": "/t", "orders": [{"cmds": ["x"], "timeout": 1, "env_vars": {"A": "1", "A": "2"}}]}"#;
    let problems = JobRequest::read(twice.as_bytes()).unwrap().validate(&rules(), defaults()).unwrap_err();
    assert_eq!(problems[0].text, "order[0]: env_vars.A is there twice");
}

#[test]
fn a_job_is_not_printed() {
    let bad = with(job(&json!([with(order(), &json!({"cmds": ["canary"]}))])), &json!({"callbacks": ["https://x.example/canary"]}));
    let request = JobRequest::read(bad.to_string().as_bytes()).unwrap();
    let envelope = Envelope::read(json!({"job_parameters_b64": "canary"}).to_string().as_bytes()).unwrap();
    let told = format!("{request:?} {envelope:?}");
    let told = format!("{told} {:?}", request.validate(&rules(), defaults()).unwrap());
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn depth_and_numbers_of_values_are_bounded_before_anything_is_built() {
    let nested = |depth: usize| format!(r#"{{"unknown": {}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read(&nested(60)), Ok(()));
    assert_eq!(read(&nested(10_000)), Err(BadJson::TooDeep));
    let many = format!(r#"{{"orders": [{}0]}}"#, "[],".repeat(600_000));
    assert_eq!(read(&many), Err(BadJson::TooManyValues));
    let in_a_text = format!(r#"{{"unknown": "{}\""}}"#, "[,".repeat(1_000_000));
    assert_eq!(read(&in_a_text), Ok(()), "what stands in a text counts nothing");
}

#[test]
fn what_is_over_a_limit_is_one_problem() {
    let orders = |count: usize| {
        let text = vec![r#"{"cmds":[],"timeout":-1}"#; count].join(",");
        JobRequest::read(format!(r#"{{"orders":[{text}]}}"#).as_bytes()).unwrap().validate(&rules(), defaults()).unwrap_err()
    };
    for (count, told) in [(10_001, "10001"), (100_000, "100000"), (MOST_ORDERS + 1, "20001")] {
        assert_eq!(
            orders(count),
            [Problem { field: "orders".into(), text: format!("the job has {told} orders, more than 10000: split it") }]
        );
    }
    let wide = json!(vec![with(order(), &json!({"dependencies": vec!["x"; 50_001]})); 2]);
    assert_eq!(texts(&job(&wide)), ["the job has more than 100000 dependencies in all: split it"]);
    let long = with(order(), &json!({"cmds": vec!["x"; 1_001]}));
    assert_eq!(texts(&job(&json!([order(), long]))), ["order[1]: cmds has 1001 commands, more than 1000: put them into a script"]);
    // A control character takes six bytes once it is stored.
    let large = with(order(), &json!({"cmds": ["\u{1}".repeat(44_000)]}));
    assert_eq!(texts(&job(&json!([large]))), ["order[0]: the order has 264003 bytes, more than 262144: keep files out of it"]);
    let fits = with(order(), &json!({"cmds": ["x".repeat(262_000)]}));
    assert!(validate(&job(&json!([fits]))).is_ok());
}

fn any_json() -> impl Strategy<Value = Value> {
    let words =
        prop::sample::select(vec!["a", "b", "0001", "order-0002", "_job", "", "ssm", "lambda", "s3://abc/d", "acme/x", "\u{0}", "*"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2_i64..700).prop_map(Value::from),
        words.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z_]{1,4}|tags|instance_ids", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const JOB: [&str; 19] = [
    "run_id",
    "trace_id",
    "git_repo",
    "pr_number",
    "issue_number",
    "git_token_location",
    "git_ssh_key_location",
    "git_provider",
    "commit_hash",
    "username",
    "flow_label",
    "pr_comment_search_tag",
    "presign_expiry",
    "job_timeout",
    "max_parallel",
    "priority",
    "callbacks",
    "orders",
    "unknown",
];
const ORDER: [&str; 18] = [
    "cmds",
    "timeout",
    "order_name",
    "queue_id",
    "dependencies",
    "must_succeed",
    "git_repo",
    "git_folder",
    "commit_hash",
    "s3_location",
    "env_vars",
    "ssm_paths",
    "secret_manager_paths",
    "sops_key",
    "use_lambda",
    "execution_target",
    "ssm_targets",
    "callback_url",
];

fn changes(fields: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::collection::vec((prop::sample::select(fields), any_json()), 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()))
}

proptest! {
    #[test]
    fn whatever_stands_in_a_field_is_a_job_or_a_list_of_problems(of_job in changes(&JOB), of_orders in prop::collection::vec(changes(&ORDER), 1..4)) {
        let orders: Vec<Value> = of_orders.iter().map(|change| with(order(), change)).collect();
        let job = with(job(&json!(orders)), &of_job);
        let told = validate(&job);
        prop_assert_eq!(&told, &validate(&job), "the same again");
        match told {
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.iter().all(|problem| !problem.text.chars().any(char::is_control)), "{problems:?}");
            }
            Ok(valid) => {
                prop_assert_eq!(valid.bundles.len(), valid.spec.graph.0.len());
                for (at, node) in valid.spec.graph.0.iter().enumerate() {
                    prop_assert!(node.needs.iter().all(|need| (need.0 as usize) < valid.bundles.len() && need.0 as usize != at));
                    prop_assert!((1..=valid.spec.job_timeout_s).contains(&node.timeout_s));
                }
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}|[{}\\[\\]\",:0-9a-z\\\\]{0,60}") {
        let _ = JobRequest::read(text.as_bytes()).map(|job| job.validate(&rules(), defaults()));
        let _ = Envelope::read(text.as_bytes());
    }
}
