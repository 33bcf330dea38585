//! The rules of each section, one function a section.
//!
//! A rule says why it is there; the numbers that are limits of ours stand at the top.

use std::net::IpAddr;

use tracing_subscriber::EnvFilter;

use super::Findings;
use super::address::{self, UrlFault};
use crate::settings::secret::Secret;
use crate::settings::tree::{Gateway, Git, Log, Nats, Ops, Scheduler, Settings, Tools, Worker};

/// Shortest admin token, in characters: 128 bits as hexadecimal digits.
const SHORTEST_TOKEN: usize = 32;
/// Hexadecimal digits of a 32-byte key.
const SEALING_KEY_DIGITS: usize = 64;
/// A heartbeat may be lost twice before a lease ends.
const HEARTBEATS_PER_LEASE: u32 = 3;

pub(super) fn log(log: &Log, found: &mut Findings) {
    if let Err(error) = EnvFilter::try_new(&log.level) {
        let why = "a level or a list of target=level directives is expected";
        found.add("log.level", format!("cannot be read: {error}"), why, "write info, or info,gateway=debug");
    }
}

pub(super) fn nats(nats: &Nats, found: &mut Findings) {
    for server in nats.url.iter().flat_map(|urls| urls.split(',')).map(str::trim) {
        let fix = "write nats://host:4222 or tls://host:4222, more than one separated by commas";
        url_problem("nats.url", address::url(server, &["nats", "tls", "ws", "wss"]).err(), fix, found);
    }
    let pair = ("user and password go together", "set both, or neither");
    found.require(nats.user.is_none() || nats.password.is_some(), "nats.user", "is set without nats.password", pair);
    found.require(nats.password.is_none() || nats.user.is_some(), "nats.password", "is set without nats.user", pair);
    let ways = [
        ("nats.user", nats.user.is_some()),
        ("nats.token", nats.token.is_some()),
        ("nats.creds_file", nats.creds_file.is_some()),
    ];
    let set: Vec<_> = ways.iter().filter(|(_, is_set)| *is_set).map(|(key, _)| *key).collect();
    if let [first, others @ ..] = set.as_slice() {
        let what = format!("is set together with {}", others.join(" and "));
        let rest = ("only one way to log in can be used", "keep one of them");
        found.require(others.is_empty(), first, what, rest);
    }
    let odd = ("a majority must survive one loss, so even numbers buy nothing", "write 1, 3 or 5");
    found.require(matches!(nats.replicas, 1 | 3 | 5), "nats.replicas", format!("is {}", nats.replicas), odd);
}

pub(super) fn gateway(gateway: &Gateway, found: &mut Findings) {
    if gateway.anonymous && !gateway.listen.is_loopback() {
        let what = format!("is on while gateway.listen is {}", gateway.listen);
        let fix = "listen on a loopback address such as 127.0.0.1:8080, or turn it off";
        found.add("gateway.anonymous", what, "whoever reaches the port could apply anything", fix);
    }
    origins(gateway, found);
    token(gateway.admin_token.as_ref(), found);
    if let Some(url) = &gateway.public_url {
        let fault = address::url(url, &["https", "http"]).err();
        url_problem("gateway.public_url", fault, "write https://host, http:// only for trials", found);
    }
    let size = gateway.body_limit_bytes;
    let bounds = ("smaller ones fit no request, larger ones fill the memory", "write 1024 to 67108864 (64 MiB)");
    found.require((1024..=64 << 20).contains(&size), "gateway.body_limit_bytes", format!("is {size}"), bounds);
    positive("gateway.sse_max_readers", gateway.sse_max_readers, found);
    positive("gateway.connections_max", gateway.connections_max, found);
    positive("gateway.connections_per_ip", gateway.connections_per_ip, found);
    for proxy in &gateway.trusted_proxies {
        let rest = ("names can be made to mean any address", "write the IP address");
        found.require(proxy.parse::<IpAddr>().is_ok(), "gateway.trusted_proxies", format!("{proxy:?} is no IP address"), rest);
    }
}

fn origins(gateway: &Gateway, found: &mut Findings) {
    let key = "gateway.allowed_origins";
    for origin in &gateway.allowed_origins {
        if origin == "*" {
            let why = "with it every web page that a user visits could call the API in their name";
            found.add(key, "\"*\" is refused", why, "list the exact origins, such as https://ui.example.com");
        } else if !address::is_origin(origin) {
            let why = "origins are compared letter by letter with what the browser sends";
            let fix = "write scheme://host or scheme://host:port in lower case, without a path";
            found.add(key, format!("{origin:?} is no exact origin"), why, fix);
        }
    }
}

fn token(token: Option<&Secret>, found: &mut Findings) {
    let long = token.is_none_or(|t| t.expose().chars().count() >= SHORTEST_TOKEN);
    let what = format!("has fewer than {SHORTEST_TOKEN} characters");
    found.require(long, "gateway.admin_token", what, ("it can be guessed", "make one with: openssl rand -hex 32"));
}

pub(super) fn scheduler(settings: &Settings, found: &mut Findings) {
    let scheduler: &Scheduler = &settings.scheduler;
    let shards = scheduler.shards;
    let bounds = ("every shard costs a stream, a bucket and a consumer", "write 1 to 256");
    found.require((1..=256).contains(&shards), "scheduler.shards", format!("is {shards}"), bounds);
    let shortest = *settings.worker.heartbeat * HEARTBEATS_PER_LEASE;
    if *scheduler.lease < shortest {
        let what = format!("{} is less than {HEARTBEATS_PER_LEASE} × worker.heartbeat ({})", scheduler.lease, settings.worker.heartbeat);
        let why = "one late heartbeat would make a running apply count as lost";
        found.add("scheduler.lease", what, why, "lengthen the lease or shorten the heartbeat");
    }
    let tries = scheduler.max_attempts;
    let once = ("the first try counts, and endless retries hide a fault", "write 1 to 100");
    found.require((1..=100).contains(&tries), "scheduler.max_attempts", format!("is {tries}"), once);
    let is_key = |s: &Secret| s.expose().len() == SEALING_KEY_DIGITS && s.expose().bytes().all(|b| b.is_ascii_hexdigit());
    let key = ("it is the 32 bytes of a private key", "make one with: openssl rand -hex 32");
    let what = format!("is not {SEALING_KEY_DIGITS} hexadecimal digits");
    found.require(scheduler.sealing_key.as_ref().is_none_or(is_key), "scheduler.sealing_key", what, key);
}

pub(super) fn worker(worker: &Worker, found: &mut Findings) {
    let name = ("the name is part of a NATS subject or key", "use 1 to 63 letters (lower case for a pool), digits, - and _");
    let worker_name = worker.name.as_deref().unwrap_or("absent");
    found.require(address::is_name(worker_name, true), "worker.name", format!("{worker_name:?} is no name"), name);
    found.require(address::is_name(&worker.pool, false), "worker.pool", format!("{:?} is no name", worker.pool), name);
    let slots = worker.slots;
    let room = ("no slot runs nothing, and every slot costs processes and memory", "write 1 to 1024");
    found.require((1..=1024).contains(&slots), "worker.slots", format!("is {slots}"), room);
    positive_bytes("worker.log_limit_bytes", worker.log_limit_bytes, found);
    for variable in &worker.pass_env {
        let shape = ("it must be the name of a variable, without a value", "write NAME");
        found.require(address::is_variable(variable), "worker.pass_env", format!("{variable:?} is no name"), shape);
        let own = ("these hold Navvy's own secrets, which no tool may see", "remove it");
        found.require(!variable.starts_with("NAVVY_"), "worker.pass_env", format!("{variable} is ours"), own);
    }
    if let Some(registry) = &worker.registry_host {
        let fix = "write https://host; http:// only to this machine";
        url_problem("worker.registry_host", address::guarded_url(registry).err(), fix, found);
    }
    let host = ("there is no registry to ask", "set worker.registry_host, or turn it off");
    let asked = !worker.registry_token_required || worker.registry_host.is_some();
    found.require(asked, "worker.registry_token_required", "is on without worker.registry_host", host);
    tools(&worker.tools, found);
}

fn tools(tools: &Tools, found: &mut Findings) {
    let mirrors = [("worker.tools.mirror_terraform", &tools.mirror_terraform), ("worker.tools.mirror_tofu", &tools.mirror_tofu)];
    for (key, mirror) in mirrors {
        let fault = mirror.as_ref().and_then(|url| address::guarded_url(url).err());
        url_problem(key, fault, "write https://host/path; http:// only to this machine", found);
    }
    let versions = [
        ("worker.tools.default_terraform", &tools.default_terraform),
        ("worker.tools.default_tofu", &tools.default_tofu),
    ];
    for (key, version) in versions {
        let exact = version.as_deref().is_none_or(address::is_version);
        let rest = ("a default that moves would plan and apply with different versions", "write one version, such as 1.9.8");
        found.require(exact, key, format!("{:?} is no exact version", version.as_deref().unwrap_or_default()), rest);
    }
}

pub(super) fn git(git: &Git, found: &mut Findings) {
    for host in &git.allowed_hosts {
        let rest = ("hosts are compared exactly, without patterns", "write host or host:port in lower case, such as github.com");
        found.require(address::is_host_and_port(host), "git.allowed_hosts", format!("{host:?} is no host"), rest);
    }
    positive_bytes("git.cache_max_bytes", git.cache_max_bytes, found);
}

pub(super) fn ops(settings: &Settings, found: &mut Findings) {
    let ops: &Ops = &settings.ops;
    if let Some(endpoint) = &ops.otlp_endpoint {
        let fault = address::url(endpoint, &["http", "https"]).err();
        url_problem("ops.otlp_endpoint", fault, "write http://host:4318 (the HTTP port, not the gRPC one)", found);
    }
    let clash = ops.listen.is_some_and(|listen| listen == settings.gateway.listen && listen.port() != 0);
    let rest = ("two listeners cannot share a port", "choose another port");
    found.require(!clash, "ops.listen", "is the same as gateway.listen", rest);
}

fn positive(key: &str, number: u32, found: &mut Findings) {
    positive_bytes(key, u64::from(number), found);
}

fn positive_bytes(key: &str, number: u64, found: &mut Findings) {
    found.require(number > 0, key, "is 0", ("nothing could be served with it", "write a larger number"));
}

fn url_problem(key: &str, fault: Option<UrlFault>, fix: &str, found: &mut Findings) {
    match fault {
        None => {}
        Some(UrlFault::Shape) => found.add(key, "is no address of the expected form", "it could not be reached", fix),
        Some(UrlFault::Credentials) => {
            let why = "addresses are shown in logs and listings";
            found.add(key, "holds a user name or password", why, "use the secret keys of the section instead");
        }
        Some(UrlFault::Plain) => {
            let why = "secrets or programs travel over it and could be read or replaced on the way";
            found.add(key, "is plain http to another machine", why, fix);
        }
    }
}
