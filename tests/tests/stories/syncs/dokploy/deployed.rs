//! What a push deploys, what it leaves alone, and what is told of it.

use super::{
    MAPPING, Site, Wanted, job, variable,
    vault::{TOKEN, Vault},
};
use crate::syncs::{kept_by, pairs, private};
use serde_json::json;

const REDIS_8: &str = "services:\n  redis:\n    image: redis:8\n";
const POSTGRES_18: &str = "services:\n  postgres:\n    image: postgres:18\n";

#[tokio::test]
async fn a_push_deploys_what_it_changed_once_and_leaves_the_rest_alone() -> anyhow::Result<()> {
    let vault = Vault::start().await?;
    let outside = tempfile::tempdir()?;
    let token = outside.path().join("token");
    private(&token, TOKEN)?;
    let settings = format!("[worker.credentials]\nvault_url = {:?}\nvault_token_file = {token:?}\n", vault.url);
    let site = Site::with(MAPPING, "", Wanted { settings: &settings, ..Wanted::default() }).await?;

    // Two of three are changed, in a Dokploy that has nothing yet: both are made beside one another.
    let run = site.world.push(&[("platform/01.postgres/compose.yaml", POSTGRES_18), ("platform/02.redis/compose.yaml", REDIS_8)]).await?;
    assert_eq!(site.world.synced(&run).await?, pairs(&[("platform/postgres", "created"), ("platform/redis", "created")]));
    let (view, head) = (site.world.ended(&run).await?, site.world.head()?);
    for (name, compose) in [("postgres", POSTGRES_18), ("redis", REDIS_8)] {
        let told = &job(&view, &format!("platform/{name}"))?["sync"];
        let service = site.dokploy.state().services[&format!("platform-staging-{name}")].clone();
        let env = service.text("env");
        assert_eq!((service.text("composeFile"), service.text("sourceType")), (compose, "raw"));
        assert_eq!((&service.fields["autoDeploy"], service.deployments.len()), (&json!(false), 1), "{name}");
        assert!(service.deployments[0].title.contains(&run) && service.deployments[0].title.contains(&head), "{:?}", service.deployments);
        for (variable_name, value) in
            [("ENV", "staging"), ("ENV_SUFFIX", "-staging"), ("INTERNAL_DOMAIN", "example.com"), ("IAC_DEPLOY_REF", &head)]
        {
            assert_eq!(variable(env, variable_name), Some(value), "{env}");
        }
        let identity = variable(env, "IAC_CONFIG_HASH");
        assert!(identity.is_some_and(|identity| identity.starts_with("v2:")) && variable(env, "NAVVY_DEPLOYED_HASH") == identity, "{env}");
        assert!(told["details"].as_str().is_some_and(|details| details.contains(&head)), "{told:#}");
    }
    assert!(site.dokploy.state().services["platform-staging-redis"].text("env").contains("GREETING='this is redis-staging.example.com'"));
    assert_eq!(site.dokploy.state().projects.len(), 1, "what both stand in is made once");
    assert_eq!(site.deployments("portal"), 0);

    // The secret was made in Vault, and is known nowhere else.
    let (password, version) = vault.entry("platform/staging/postgres", "PASSWORD").expect("a password");
    assert!(password.len() == 24 && version == 1);
    let bodies: String = site.dokploy.state().asked.iter().map(|asked| asked.body.as_str()).collect();
    assert!(!bodies.contains(&password), "not in Dokploy");
    assert_eq!(kept_by(&site.world, &run, &[&password, "c4nary"]).await?, [] as [String; 0]);

    // The same service is touched without being changed.
    let before = site.dokploy.operations().len();
    assert!(before > 0);
    let run = site.world.push(&[("platform/02.redis/README.md", "a text\n")]).await?;
    assert_eq!(site.world.synced(&run).await?, pairs(&[("platform/redis", "skipped")]));
    let details = job(&site.world.ended(&run).await?, "platform/redis")?["sync"]["details"].to_string();
    assert!(details.contains("nothing has changed"), "{details}");
    let run = site.world.forge.post("/sync", &json!({"all": true})).await?.run()?;
    let expected = [("platform/portal", "created"), ("platform/postgres", "skipped"), ("platform/redis", "skipped")];
    assert_eq!(site.world.synced(&run).await?, pairs(&expected));
    assert_eq!((site.deployments("postgres"), site.deployments("redis"), site.deployments("portal")), (1, 1, 1));

    // Forced, it is deployed nevertheless; the secret stays as it is.
    let forced = json!({"env": "staging", "ref": "main", "services": ["platform/postgres"], "force": true});
    let run = site.world.forge.post("/deploy", &forced).await?.run()?;
    assert_eq!(site.world.synced(&run).await?, pairs(&[("platform/postgres", "updated")]));
    assert!(job(&site.world.ended(&run).await?, "platform/postgres")?["sync"]["details"].to_string().contains("forced"));
    assert_eq!((site.deployments("postgres"), site.deployments("redis")), (2, 1));
    assert_eq!(vault.entry("platform/staging/postgres", "PASSWORD"), Some((password, 1)));
    site.dokploy.operations();
    Ok(())
}
