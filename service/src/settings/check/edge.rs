//! The rules of the sections at the edge: log, NATS, gateway, ops.
//!
//! A rule says why it is there; the numbers that are limits of ours stand at the top.

use std::net::IpAddr;

use tracing_subscriber::EnvFilter;

use super::{Findings, address};
use crate::settings::secret::Secret;
use crate::settings::tree::{Gateway, Log, Nats, Ops, Settings};

/// Shortest admin token, in characters: 128 bits as hexadecimal digits.
const SHORTEST_TOKEN: usize = 32;

pub(super) fn log(log: &Log, found: &mut Findings) {
    if let Err(error) = EnvFilter::try_new(&log.level) {
        let why = "a level or a list of target=level directives is expected";
        found.add("log.level", format!("cannot be read: {error}"), why, "write info, or info,gateway=debug");
    }
}

pub(super) fn nats(nats: &Nats, found: &mut Findings) {
    for server in nats.url.iter().flat_map(|urls| urls.split(',')).map(str::trim) {
        let fix = "write nats://host:4222 or tls://host:4222, more than one separated by commas";
        found.url("nats.url", address::url(server, &["nats", "tls", "ws", "wss"]).err(), fix);
    }
    let pair = ("user and password go together", "set both, or neither");
    found.require(nats.user.is_none() || nats.password.is_some(), "nats.user", "is set without nats.password", pair);
    found.require(nats.password.is_none() || nats.user.is_some(), "nats.password", "is set without nats.user", pair);
    let ways = [("nats.user", nats.user.is_some()), ("nats.token", nats.token.is_some()), ("nats.creds_file", nats.creds_file.is_some())];
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
    access(gateway, found);
    if let Some(url) = &gateway.public_url {
        let fault = address::url(url, &["https", "http"]).err();
        found.url("gateway.public_url", fault, "write https://host, http:// only for trials");
    }
    let sizes = [("gateway.body_limit_bytes", gateway.body_limit_bytes), ("gateway.max_orders_body", gateway.max_orders_body)];
    for (name, size) in sizes {
        let bounds = ("smaller ones fit no request, larger ones fill the memory", "write 1024 to 67108864 (64 MiB)");
        found.require((1024..=64 << 20).contains(&size), name, format!("is {size}"), bounds);
    }
    found.positive("gateway.sse_max_readers", u64::from(gateway.sse_max_readers));
    let (most, readers) = (gateway.connections_max, gateway.sse_max_readers);
    found.require(
        most > readers,
        "gateway.connections_max",
        format!("{most} is not more than gateway.sse_max_readers ({readers})"),
        ("live streams alone could fill the door", "leave room for requests, such as twice as many"),
    );
    found.positive("gateway.connections_per_ip", u64::from(gateway.connections_per_ip));
    for proxy in &gateway.trusted_proxies {
        let rest = ("names can be made to mean any address", "write the IP address");
        found.require(proxy.parse::<IpAddr>().is_ok(), "gateway.trusted_proxies", format!("{proxy:?} is no IP address"), rest);
    }
}

/// Who may come in.
fn access(gateway: &Gateway, found: &mut Findings) {
    if gateway.anonymous && !gateway.listen.is_loopback() {
        let what = format!("is on while gateway.listen is {}", gateway.listen);
        let fix = "listen on a loopback address such as 127.0.0.1:8080, or turn it off";
        found.add("gateway.anonymous", what, "whoever reaches the port could apply anything", fix);
    }
    origins(gateway, found);
    token(gateway.admin_token.as_ref(), found);
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

pub(super) fn ops(settings: &Settings, found: &mut Findings) {
    let ops: &Ops = &settings.ops;
    if let Some(endpoint) = &ops.otlp_endpoint {
        let fault = address::url(endpoint, &["http", "https"]).err();
        found.url("ops.otlp_endpoint", fault, "write http://host:4318 (the HTTP port, not the gRPC one)");
    }
    let clash = ops.listen.is_some_and(|listen| listen == settings.gateway.listen && listen.port() != 0);
    let rest = ("two listeners cannot share a port", "choose another port");
    found.require(!clash, "ops.listen", "is the same as gateway.listen", rest);
}
