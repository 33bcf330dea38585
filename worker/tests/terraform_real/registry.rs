//! The private registry: its token reaches the tool through one private file, and its absence is told.

use crate::plain::Plain;
use crate::servers::Answers;
use crate::site::Site;
use std::fs;
use worker::terraform::{Registry, Unfinished};

const TOKEN: &str = "tok-123.456_789";

async fn site(registry: &Answers, required: bool) -> Site {
    let mut site = Site::new(&[("main.tf", "")]).await;
    site.setup.registry = Some(Registry::new(&registry.url, required, &[]).expect("loopback"));
    site
}

#[tokio::test]
async fn the_token_is_asked_for_once_and_the_tool_accepts_the_file() {
    let registry = Answers::start(|method, path| match (method, path) {
        ("GET", "/api/internal/registry-token") => (200, format!("{{\"token\": \"{TOKEN}\"}}")),
        _ => (404, String::new()),
    })
    .await;
    let site = site(&registry, true).await;
    let mut commands = Plain::new(&[]);
    let place = site.prepare(&mut commands).await.expect("prepared");
    assert_eq!(place.secrets().iter().map(proto::Secret::expose).collect::<Vec<_>>(), [TOKEN]);
    assert!(!format!("{place:?}").contains(TOKEN));
    worker::terraform::plan(&mut commands, &place, &site.tool).await.expect("planned");
    assert_eq!(registry.asked().len(), 1);
    assert!(commands.log.contains(&format!("» ✓ Configured private registry: {}\n", registry.url)), "{}", commands.log);
    // terraform complains about a configuration file that it cannot read.
    assert!(!commands.log.contains("CLI configuration") && !commands.log.contains(TOKEN), "{}", commands.log);
    let text = fs::read_to_string(site.scratch.join("cli.tfrc")).expect("written");
    let host = registry.url.trim_start_matches("http://");
    assert!(text.contains(&format!("credentials \"{host}\" {{\n  token = \"{TOKEN}\"\n}}")), "{text}");
    assert!(text.contains(&format!("\"modules.v1\"   = \"{}/v1/modules/\"", registry.url)), "{text}");
}

#[tokio::test]
async fn without_a_token_the_job_fails_or_goes_on_as_the_setting_says() {
    for answer in [
        (|_: &str, _: &str| (500, String::new())) as fn(&str, &str) -> (u16, String),
        |_, _| (302, String::new()),
        |_, _| (200, "not json".to_owned()),
        |_, _| (200, "{\"token\": \"\"}".to_owned()),
        |_, _| (200, "{\"token\": \"a\\nb\"}".to_owned()),
    ] {
        let registry = Answers::start(answer).await;
        let required = site(&registry, true).await;
        let end = required.prepare(&mut Plain::new(&[])).await.expect_err("required");
        assert!(matches!(end, Unfinished::Failed(failure) if failure.kind == "registry"));
        let optional = site(&registry, false).await;
        let mut commands = Plain::new(&[]);
        optional.prepare(&mut commands).await.expect("goes on");
        assert!(commands.log.contains("gave no token, going on without one"), "{}", commands.log);
        assert!(fs::read_to_string(optional.scratch.join("cli.tfrc")).expect("written").contains("token = \"no-auth\""));
    }
}
