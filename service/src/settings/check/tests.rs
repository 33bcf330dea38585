//! Sound and unsound settings, in tables.
//!
//! One case a line: `key=value; key=value`. Every rule of the check has a line that breaks it.

use crate::settings::{Layers, Problem};

fn problems(case: &str) -> Vec<Problem> {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').expect("key=value");
        (key.trim().to_owned(), value.to_owned())
    };
    let flags = case.split("; ").map(pair).collect();
    let loaded = Layers { flags, ..Layers::default() }.load().expect("well typed");
    loaded.settings.check().err().unwrap_or_default()
}

#[test]
fn defaults_have_no_problem() {
    assert!(Layers::default().load().expect("defaults").settings.check().is_ok());
}

const SOUND: &str = "
gateway.anonymous=true; gateway.listen=[::1]:1
gateway.allowed_origins=https://a.example,http://localhost:5173,https://[::1]:8443
gateway.admin_token=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
gateway.public_url=https://navvy.example/below
gateway.trusted_proxies=10.0.0.1,fd00::1
gateway.github.api_url=https://git.example/api/v3; gateway.github.token=ghp_x
gateway.github.api_url=http://127.0.0.1:9; gateway.github.edit_interval=1s
gateway.github.webhook_secret=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; gateway.github.webhook_secret_previous=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
gateway.orders.git_base=http://127.0.0.1:3000; gateway.orders.max_parallel=5; gateway.orders.default_parallel=5; gateway.callback_hosts=ci.example:8443
worker.sources.archive_folders=/srv/archives; worker.credentials.folders=/run/secrets; worker.credentials.variables=TOKEN
worker.credentials.vault_url=https://vault.example; worker.credentials.vault_role_id=a; worker.credentials.vault_secret_id_file=/run/id
nats.url=nats://a:4222, tls://b:4222; nats.user=u; nats.password=p
scheduler.sealing_key=0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0F
scheduler.lease=15s
git.allowed_hosts=github.com,127.0.0.1:8443,[::1]:3000,git.example:22
worker.name=Node_1-a; worker.pool=gpu-2; worker.pass_env=AWS_REGION,http_proxy
worker.registry_host=https://registry.example; worker.registry_token_required=true
worker.registry_host=http://127.0.0.1:3000
worker.sync.ssh_hosts=vps.example,10.0.0.7:2222; worker.sync.ssh_key_file=/run/key; worker.sync.ssh_known_hosts_file=/run/hosts
worker.sync.dokploy_url=http://127.0.0.1:3000/api; worker.sync.pass_env=INTERNAL_DOMAIN
worker.sync.vault_paths=secret/{project}/{env}/{service}; worker.credentials.vault_url=https://vault.example; worker.credentials.vault_token_file=/run/token
worker.limits.memory_bytes=0; worker.limits.processes=0; worker.limits.cgroup=/sys/fs/cgroup/navvy
worker.tools.mirror_tofu=http://127.0.0.1:9/tofu; worker.tools.default_tofu=1.11.1
ops.otlp_endpoint=http://collector:4318; ops.listen=0.0.0.0:9100
ops.listen=127.0.0.1:0; gateway.listen=127.0.0.1:0
log.level=info,gateway=debug
";

#[test]
fn sound_settings_have_no_problem() {
    for case in SOUND.trim().lines() {
        assert_eq!(problems(case), [], "{case}");
    }
}

/// The first key is the one to blame; after the `|` a word that the explanation must have.
const UNSOUND: &str = "
gateway.anonymous=true; gateway.listen=0.0.0.0:80 | loopback
gateway.allowed_origins=* | every web page
gateway.allowed_origins=https://a.example/ | origin
gateway.allowed_origins=https://*.a.example | origin
gateway.allowed_origins=null | origin
gateway.admin_token=short | 32
gateway.public_url=navvy.example | https://
gateway.callback_hosts=*.example | exactly
gateway.callback_secret=short | guessed
gateway.orders.short_pool=Short | lower-case
gateway.orders.git_base=http://git.example | https
gateway.orders.max_orders=20001 | fit
gateway.orders.max_order_bytes=1000000 | fit
gateway.orders.max_parallel=3000 | fit
gateway.orders.default_parallel=11; gateway.orders.max_parallel=10 | fit
worker.sources.archive_hosts=https://a.example | exactly
worker.sources.archive_folders=archives | absolute
worker.credentials.folders=/ | absolute
worker.credentials.variables=NAVVY_TOKEN | secrets
worker.credentials.aws_ssm_endpoint=http://aws.example | https
worker.credentials.vault_url=https://vault.example | who asks
worker.credentials.vault_token_file=/run/token | nowhere
worker.sync.ssh_hosts=vps.example; worker.sync.ssh_key_file=/run/key | checked
worker.sync.ssh_user=-oProxyCommand | argument
worker.sync.dokploy_url=http://cloud.example/api | https
worker.sync.pass_env=NAVVY__X | passed on
worker.sync.vault_mount=secret/data | first part
worker.sync.vault_paths=secret/a | asked
worker.sync.vault_paths=secret; worker.credentials.vault_url=https://vault.example; worker.credentials.vault_token_file=/t | MOUNT/PATH
worker.sync.vault_paths=secret/../sys; worker.credentials.vault_url=https://vault.example; worker.credentials.vault_token_file=/t | MOUNT/PATH
worker.sync.compose_dir=services | absolute
gateway.public_url=https://u:p@navvy.example | user
gateway.body_limit_bytes=0 | 1024
gateway.body_limit_bytes=67108865 | 64 MiB
gateway.max_orders_body=67108865 | 64 MiB
gateway.sse_max_readers=0 | larger
gateway.connections_max=2000 | sse_max_readers
gateway.connections_per_ip=0 | larger
gateway.trusted_proxies=proxy.example | IP
gateway.github.api_url=http://git.example/api/v3 | https
gateway.github.api_url=https://git.example/api/v3?a=b | query
gateway.github.token=ghp x | blank
gateway.github.webhook_secret=short | 32
gateway.github.webhook_secret_previous=short; gateway.github.webhook_secret=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | 32
gateway.github.webhook_secret_previous=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | came before
gateway.github.edit_interval=999ms | 1s
nats.url=http://a | nats://
nats.url=nats://u:p@a:4222 | user
nats.user=u | nats.password
nats.password=p | nats.user
nats.token=t; nats.creds_file=/c | nats.creds_file
nats.user=u; nats.password=p; nats.token=t | nats.token
nats.replicas=2 | 1, 3 or 5
scheduler.lease=14s | heartbeat
scheduler.lease=45s; worker.heartbeat=20s | heartbeat
scheduler.shards=0 | 256
scheduler.shards=257 | 256
scheduler.max_attempts=0 | 100
scheduler.sealing_key=xyz | 64
worker.slots=0 | 1024
worker.pool=a.b | letters
worker.pool=Big | letters
worker.pool=-a | letters
worker.name=a b | letters
worker.pass_env=NAVVY__NATS__TOKEN | secret
worker.pass_env=A=B | name
worker.pass_env=1A | name
worker.local_state_dirs=state | absolute
worker.local_state_dirs=/ | absolute
worker.log_limit_bytes=0 | larger
worker.registry_host=http://registry.example | https
worker.registry_host=registry.example | https
worker.registry_token_required=true | registry_host
worker.tools.mirror_terraform=ftp://x | https
worker.tools.mirror_tofu=http://mirror.example | https
worker.tools.default_terraform=~> 1.5 | 1.9.8
git.allowed_hosts=https://github.com | host
git.allowed_hosts=*.github.com | host
git.allowed_hosts=github.com/org | host
git.allowed_hosts=github.com:0 | host
git.cache_max_bytes=0 | larger
ops.otlp_endpoint=collector:4317 | http://
ops.listen=127.0.0.1:8080 | gateway.listen
log.level=info,=, | directives
worker.limits.memory_bytes=1048576 | shells
worker.limits.processes=2 | raise
worker.limits.disk_bytes=1 | no limit
worker.limits.cgroup=/sys/fs/cgroup/navvy,navvy | absolute
";

#[test]
fn each_unsound_setting_is_named() {
    for line in UNSOUND.trim().lines() {
        let (case, word) = line.split_once(" | ").expect("a word");
        let found = problems(case);
        assert_eq!(found.len(), 1, "{case}: {found:?}");
        assert!(case.starts_with(&format!("{}=", found[0].key)), "{case}: {}", found[0]);
        assert!(found[0].to_string().contains(word), "{case}: {}", found[0]);
    }
}

#[test]
fn all_problems_come_at_once_and_no_secret_is_quoted() {
    let found = problems(
        "gateway.admin_token=canary-1; scheduler.sealing_key=canary-2; gateway.github.webhook_secret=canary-4; \
         gateway.github.token=canary 5; nats.url=nats://user:canary-3@host; worker.slots=0",
    );
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(!format!("{found:?}").contains("canary"), "{found:?}");
}
