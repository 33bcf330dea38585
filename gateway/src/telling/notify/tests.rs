//! What each receiver gets, against snapshots, and whom is told what.

use super::{
    format::{Signing, body},
    *,
};
use crate::fixtures::{self, at};
use proto::view::{RunStatus, SyncsView};
use serde_json::{Value, json};
use service::settings::NOTIFY_EVENTS;

fn view(status: RunStatus, release: bool, hostile: &str) -> RunView {
    let order = release.then(|| json!({"kind": "production", "from": "refs/tags/v1.2.4"}));
    let spec = json!({
        "action": "sync", "source": "platform", "git_url": "https://git.example/a/b", "environment": "staging", "git_ref": "refs/heads/main",
        "wanted": {"services": "all"}, "command": ["true"], "timeout_s": 600, "projects": ["platform"], "triggered_by": hostile,
        "release": order,
    });
    let job = |n: u32, failure: Value| {
        json!({"n": n, "name": "x", "action": "sync", "status": "failed", "needs": [], "attempts": [],
               "sync": {"service": format!("platform/s{n}"), "task": "x.sync", "reasons": [], "failure": failure}})
    };
    let failure = json!({"kind": "vault_token_missing", "phase": "sync", "message": format!("{hostile}\nsecond line"), "next_action": ""});
    let jobs = json!([job(0, failure), job(1, Value::Null)]);
    let made = json!({"kind": "production", "tag": "v1.3.0", "commit": "a".repeat(40), "existed": false, "why": "x"});
    RunView {
        id: "0192f0c1-7e3a-7abc-8def-012345678900".parse().unwrap(),
        spec: serde_json::from_value(spec).unwrap(),
        status,
        jobs: serde_json::from_value(jobs).unwrap(),
        commit: Some("b".repeat(40).parse().unwrap()),
        syncs: release.then(|| SyncsView { release: serde_json::from_value(made).unwrap(), ..SyncsView::default() }),
        ended_at: Some(at(9)),
        ..fixtures::view()
    }
}

fn shown(format: NotifyFormat, view: &RunView, event: &'static str) -> String {
    let secret = Secret::new("whsec_c3Rvcmllcy1vZi1jYWxsYmFja3MtYXJlLXNpZ25lZA==");
    let said = message::of(view, event, "https://navvy.example");
    let made = body(format, &said, &Signing { id: "run.hook.event", secret: Some(&secret), at: at(10) }).unwrap();
    let value: Value = serde_json::from_slice(&made.bytes).unwrap();
    let headers: Vec<String> = made.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{}\n{}{}", made.content, headers.concat(), serde_json::to_string_pretty(&value).unwrap())
}

const HOSTILE: &str = r#"@here <!channel> <at user_id="all"></at> *b* [x](https://evil.example) `c` & \ "q" #1 \u{7}"#;

#[test]
fn each_receiver_gets_it_as_it_reads_it_and_nothing_does_anything() {
    let failed = view(RunStatus::Failed, false, HOSTILE);
    let released = view(RunStatus::Success, true, "ann");
    for (name, format) in [
        ("cloudevents", NotifyFormat::Cloudevents),
        ("slack", NotifyFormat::Slack),
        ("discord", NotifyFormat::Discord),
        ("feishu", NotifyFormat::Feishu),
    ] {
        let both = [shown(format, &failed, "sync.failed"), shown(format, &released, "release.made")].join("\n\n");
        insta::assert_snapshot!(name, both);
        for alive in ["<!channel>", "<at user_id"] {
            assert!(format == NotifyFormat::Cloudevents || !both.contains(alive), "{name}: {both}");
        }
    }
}

#[test]
fn texts_are_bounded_and_what_is_left_out_is_whole_lines() {
    let mut long = view(RunStatus::Failed, false, &"@".repeat(5000));
    let job = long.jobs[0].clone();
    long.jobs = (0..100).map(|_| job.clone()).collect();
    let said = message::of(&long, "sync.failed", "https://navvy.example");
    let text = |format| {
        let made = body(format, &said, &Signing { id: "x", secret: None, at: at(0) }).unwrap();
        let value: Value = serde_json::from_slice(&made.bytes).unwrap();
        value["content"].as_str().or(value["text"].as_str()).map(str::to_owned)
    };
    let discord = text(NotifyFormat::Discord).unwrap();
    assert!(discord.chars().count() <= 2000 && discord.ends_with(&format!("https://navvy.example/v1/runs/{}", long.id)), "{discord}");
    assert!(!discord.lines().any(|line| line.ends_with('\\')), "{discord}");
    assert!(text(NotifyFormat::Slack).unwrap().contains("- and 90 more"));
    assert!(body(NotifyFormat::Cloudevents, &said, &Signing { id: "x", secret: None, at: at(0) }).is_err());
}

fn hook(change: impl FnOnce(&mut settings::Notify)) -> Result<Hook, NotifyFault> {
    let mut of = settings::Notify {
        id: "chat".into(),
        url: Some(settings::Secret::new("https://hooks.example/canary")),
        format: NotifyFormat::Slack,
        events: vec!["sync.*".into(), "release.made".into()],
        ..settings::Notify::default()
    };
    change(&mut of);
    Hook::new(&of, &["hooks.example".to_owned()])
}

#[test]
fn a_hook_is_told_of_what_it_asks_for() {
    let run = view(RunStatus::Failed, false, "ann");
    for (hook, concerned) in [
        (hook(|_| {}).unwrap(), true),
        (hook(|of| of.sources = vec!["platform".into()]).unwrap(), true),
        (hook(|of| of.sources = vec!["other".into()]).unwrap(), false),
        (hook(|of| of.environments = vec!["staging".into(), "production".into()]).unwrap(), true),
        (hook(|of| of.environments = vec!["production".into()]).unwrap(), false),
    ] {
        assert_eq!(hook.concerns(&run.spec), concerned, "{hook:?}");
        assert!(!hook.concerns(&fixtures::view().spec) || hook.sources.is_empty() && hook.environments.is_empty());
    }
    let one = hook(|_| {}).unwrap();
    assert!(one.wants("sync.succeeded") && one.wants("release.made") && !one.wants("run.unknown"));
}

#[test]
fn every_event_of_the_settings_is_one_that_runs_show() {
    use RunStatus::{AwaitingApproval, Cancelled, Failed, Running, Success, TimedOut, Unknown};
    let mut seen = std::collections::BTreeSet::new();
    let spec = json!({"action": "orders", "trace_id": "leg-0001", "username": "ann", "flow_label": "exec", "search_tag": "t",
                      "job_timeout_s": 3600, "max_parallel": 10, "priority": 5, "graph": ""});
    let terraform = json!({"action": "terraform", "tool": "terraform", "git_url": "https://git.example/a/b", "git_ref": "main",
                           "path": ".", "workspace": "default", "timeout_minutes": 60, "auto_approve": false, "destroy": false});
    let terraform = RunView { spec: serde_json::from_value(terraform).unwrap(), ..fixtures::view() };
    let orders = RunView { spec: serde_json::from_value(spec).unwrap(), ..fixtures::view() };
    for status in [Running, AwaitingApproval, Success, Failed, Cancelled, TimedOut, Unknown] {
        for view in [view(status, true, "x"), RunView { status, ..terraform.clone() }, RunView { status, ..orders.clone() }] {
            seen.extend(event::shown(&view));
        }
    }
    assert_eq!(seen, NOTIFY_EVENTS.into_iter().collect());
    let mut again = view(Success, true, "x");
    again.syncs.as_mut().unwrap().release.as_mut().unwrap().existed = true;
    assert_eq!(event::shown(&again), ["sync.succeeded"], "a release that was there is not made");
}

#[test]
fn what_cannot_be_told_keeps_the_gateway_from_starting_and_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, "short\n").unwrap();
    for (hook, word) in [
        (hook(|of| of.url = Some(settings::Secret::new("https://evil.example/canary"))), "gateway.callback_hosts"),
        (hook(|of| of.url = Some(settings::Secret::new("http://hooks.example/canary"))), "must be https"),
        (hook(|of| (of.url, of.url_file) = (None, Some(file.clone()))), "no address"),
        (hook(|of| of.secret_file = Some(file.clone())), "at least 16"),
        (hook(|of| of.secret_file = Some(dir.path().join("gone"))), "cannot be opened"),
    ] {
        let told = crate::answers::chain(&hook.unwrap_err());
        assert!(told.contains(word) && !told.contains("canary"), "{told}");
    }
    assert!(!format!("{:?}", hook(|_| {}).unwrap()).contains("canary"));
}
