//! Rules that a single key cannot show: ranges, syntax of addresses, and keys that contradict one another.
//!
//! All problems are collected, because repairing a configuration one error a start is misery. Doubt means refusal:
//! a setting that would open a door wider than its words say is never "fixed up" silently.

mod address;
mod roles;

use super::problem::Problem;
use super::tree::Settings;

/// Collects problems.
#[derive(Debug, Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn add(&mut self, key: &str, what: impl Into<String>, why: &str, fix: &str) {
        self.0.push(Problem::new(key, what, why, fix));
    }

    /// Adds a problem unless `holds`.
    fn require(&mut self, holds: bool, key: &str, what: impl Into<String>, (why, fix): (&str, &str)) {
        if !holds {
            self.add(key, what, why, fix);
        }
    }
}

impl Settings {
    /// Compares the settings with one another and with the rules that a type cannot hold.
    ///
    /// # Errors
    /// Every problem found, in the order of the sections. Nothing is read from disk or network here.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut found = Findings::default();
        roles::log(&self.log, &mut found);
        roles::nats(&self.nats, &mut found);
        roles::gateway(&self.gateway, &mut found);
        roles::scheduler(self, &mut found);
        roles::worker(&self.worker, &mut found);
        roles::git(&self.git, &mut found);
        roles::ops(self, &mut found);
        if found.0.is_empty() { Ok(()) } else { Err(found.0) }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::{Layers, Problem};

    fn problems(flags: &[(&str, &str)]) -> Vec<Problem> {
        let flags = flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let loaded = Layers { flags, ..Layers::default() }.load().expect("well typed");
        loaded.settings.check().err().unwrap_or_default()
    }

    #[test]
    fn defaults_have_no_problem() {
        assert_eq!(problems(&[]), []);
    }

    #[test]
    fn sound_settings_have_no_problem() {
        let long = "a".repeat(32);
        let key = "0f".repeat(32);
        let table: &[&[(&str, &str)]] = &[
            &[("gateway.anonymous", "true"), ("gateway.listen", "[::1]:1")],
            &[("gateway.allowed_origins", "https://a.example,http://localhost:5173,https://[::1]:8443")],
            &[("gateway.admin_token", &long), ("scheduler.sealing_key", &key)],
            &[("gateway.public_url", "https://navvy.example/base")],
            &[("gateway.trusted_proxies", "10.0.0.1,fd00::1")],
            &[("nats.url", "nats://a:4222, tls://b:4222"), ("nats.user", "u"), ("nats.password", "p")],
            &[("git.allowed_hosts", "github.com,127.0.0.1:8443,[::1]:3000,git.example:22")],
            &[("worker.name", "Node_1-a"), ("worker.pool", "gpu-2"), ("worker.pass_env", "AWS_REGION,HTTP_PROXY")],
            &[("worker.registry_host", "https://registry.example"), ("worker.registry_token_required", "true")],
            &[("worker.tools.mirror_tofu", "http://127.0.0.1:9/tofu"), ("worker.tools.default_tofu", "1.11.1")],
            &[("ops.otlp_endpoint", "http://collector:4318"), ("ops.listen", "0.0.0.0:9100")],
            &[("log.level", "info,gateway=debug")],
        ];
        for flags in table {
            assert_eq!(problems(flags), [], "{flags:?}");
        }
    }

    #[test]
    fn each_unsound_setting_is_named() {
        // Flags, the key that is blamed, a word of the explanation.
        let table: &[(&[(&str, &str)], &str, &str)] = &[
            (&[("gateway.anonymous", "true"), ("gateway.listen", "0.0.0.0:80")], "gateway.anonymous", "loopback"),
            (&[("gateway.allowed_origins", "*")], "gateway.allowed_origins", "every web page"),
            (&[("gateway.allowed_origins", "https://a.example/")], "gateway.allowed_origins", "origin"),
            (&[("gateway.allowed_origins", "https://*.a.example")], "gateway.allowed_origins", "origin"),
            (&[("gateway.allowed_origins", "null")], "gateway.allowed_origins", "origin"),
            (&[("gateway.admin_token", "short")], "gateway.admin_token", "32"),
            (&[("gateway.public_url", "navvy.example")], "gateway.public_url", "https://"),
            (&[("gateway.public_url", "https://u:p@navvy.example")], "gateway.public_url", "user"),
            (&[("gateway.body_limit_bytes", "0")], "gateway.body_limit_bytes", "1024"),
            (&[("gateway.sse_max_readers", "0")], "gateway.sse_max_readers", "0"),
            (&[("gateway.trusted_proxies", "proxy.example")], "gateway.trusted_proxies", "IP"),
            (&[("nats.url", "http://a")], "nats.url", "nats://"),
            (&[("nats.url", "nats://u:p@a:4222")], "nats.url", "user"),
            (&[("nats.user", "u")], "nats.user", "nats.password"),
            (&[("nats.password", "p")], "nats.password", "nats.user"),
            (&[("nats.token", "t"), ("nats.creds_file", "/c")], "nats.token", "nats.creds_file"),
            (&[("nats.replicas", "2")], "nats.replicas", "1, 3 or 5"),
            (&[("scheduler.lease", "10s")], "scheduler.lease", "heartbeat"),
            (&[("scheduler.shards", "0")], "scheduler.shards", "256"),
            (&[("scheduler.max_attempts", "0")], "scheduler.max_attempts", "1"),
            (&[("scheduler.sealing_key", "xyz")], "scheduler.sealing_key", "64"),
            (&[("worker.slots", "0")], "worker.slots", "1"),
            (&[("worker.pool", "a.b")], "worker.pool", "letters"),
            (&[("worker.pool", "Big")], "worker.pool", "letters"),
            (&[("worker.name", "a b")], "worker.name", "letters"),
            (&[("worker.pass_env", "NAVVY__NATS__TOKEN")], "worker.pass_env", "secret"),
            (&[("worker.pass_env", "A=B")], "worker.pass_env", "name"),
            (&[("worker.registry_host", "http://registry.example")], "worker.registry_host", "https"),
            (&[("worker.registry_token_required", "true")], "worker.registry_token_required", "registry_host"),
            (&[("worker.tools.mirror_terraform", "ftp://x")], "worker.tools.mirror_terraform", "https"),
            (&[("worker.tools.default_terraform", "~> 1.5")], "worker.tools.default_terraform", "1.9.8"),
            (&[("git.allowed_hosts", "https://github.com")], "git.allowed_hosts", "host"),
            (&[("git.allowed_hosts", "*.github.com")], "git.allowed_hosts", "host"),
            (&[("git.allowed_hosts", "github.com/org")], "git.allowed_hosts", "host"),
            (&[("git.allowed_hosts", "github.com:0")], "git.allowed_hosts", "host"),
            (&[("git.cache_max_bytes", "0")], "git.cache_max_bytes", "0"),
            (&[("ops.otlp_endpoint", "collector:4317")], "ops.otlp_endpoint", "http://"),
            (&[("ops.listen", "127.0.0.1:8080")], "ops.listen", "gateway.listen"),
            (&[("log.level", "info,=,")], "log.level", "directives"),
        ];
        for (flags, key, word) in table {
            let found = problems(flags);
            assert_eq!(found.len(), 1, "{flags:?}: {found:?}");
            assert_eq!(&found[0].key, key, "{flags:?}");
            assert!(found[0].to_string().contains(word), "{}", found[0]);
        }
    }

    #[test]
    fn all_problems_come_at_once_and_no_secret_is_quoted() {
        let found = problems(&[
            ("gateway.admin_token", "canary-1"),
            ("scheduler.sealing_key", "canary-2"),
            ("nats.url", "nats://user:canary-3@host"),
            ("worker.slots", "0"),
        ]);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(!format!("{found:?}").contains("canary"), "{found:?}");
    }
}
