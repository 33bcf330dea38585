//! The rules of the sections of runs of orders: what they may ask for, where their end is told, where code and credentials
//! come from.
//!
//! A rule says why it is there; the numbers that are limits of ours stand at the top.

use super::{Findings, address};
use crate::settings::secret::Secret;
use crate::settings::tree::{Credentials, Gateway, Orders, Sources};

/// More does not fit into one message of the graph.
const MOST_ORDERS: u32 = 20_000;
/// An order travels in one message, sealed and as base64.
const MOST_ORDER_BYTES: u32 = 512 * 1024;
/// What one decision tells about all orders that are out must fit into one message.
const MOST_PARALLEL: u32 = 2_000;
/// Shortest secret of callbacks, in characters: as long as Standard Webhooks asks for.
const SHORTEST_SECRET: usize = 24;

pub(super) fn orders(gateway: &Gateway, found: &mut Findings) {
    let orders: &Orders = &gateway.orders;
    let name = ("the name is part of a NATS subject or key", "use 1 to 63 lower-case letters, digits, - and _");
    for (key, pool) in [("gateway.orders.short_pool", &orders.short_pool), ("gateway.orders.long_pool", &orders.long_pool)] {
        found.require(address::is_name(pool, false), key, format!("{pool:?} is no name"), name);
    }
    let fix = "write https://host, such as https://github.com; http:// only to this machine";
    found.url("gateway.orders.git_base", address::guarded_url(&orders.git_base).err(), fix);
    for (key, number, most) in [
        ("gateway.orders.max_orders", orders.max_orders, MOST_ORDERS),
        ("gateway.orders.max_order_bytes", orders.max_order_bytes, MOST_ORDER_BYTES),
        ("gateway.orders.max_parallel", orders.max_parallel, MOST_PARALLEL),
        ("gateway.orders.default_parallel", orders.default_parallel, orders.max_parallel),
    ] {
        let rest = ("nothing could run with none, and more does not fit", "write a number between 1 and that");
        found.require((1..=most).contains(&number), key, format!("is {number}, not 1 to {most}"), rest);
    }
    found.positive("gateway.orders.max_commands", u64::from(orders.max_commands));
    callbacks(gateway, found);
}

fn callbacks(gateway: &Gateway, found: &mut Findings) {
    hosts("gateway.callback_hosts", &gateway.callback_hosts, found);
    let long = |s: &Secret| s.expose().chars().count() >= SHORTEST_SECRET;
    let why = ("it can be guessed, and whoever has it can speak for this gateway", "make one with: openssl rand -base64 32");
    let what = format!("has fewer than {SHORTEST_SECRET} characters");
    found.require(gateway.callback_secret.as_ref().is_none_or(long), "gateway.callback_secret", what, why);
}

pub(super) fn hosts(key: &str, hosts: &[String], found: &mut Findings) {
    for host in hosts {
        let rest = ("hosts are compared exactly, without patterns", "write host or host:port in lower case");
        found.require(address::is_host_and_port(host), key, format!("{host:?} is no host"), rest);
    }
}

pub(super) fn sources(sources: &Sources, found: &mut Findings) {
    hosts("worker.sources.archive_hosts", &sources.archive_hosts, found);
    folders("worker.sources.archive_folders", &sources.archive_folders, found);
    found.positive("worker.sources.archive_bytes", sources.archive_bytes);
}

pub(super) fn folders(key: &str, folders: &[String], found: &mut Findings) {
    for folder in folders {
        let shape = ("a path that depends on where the worker was started leads anywhere", "write the absolute path of a folder, not `/`");
        let legal = folder.starts_with('/') && !folder.trim_matches('/').is_empty();
        found.require(legal, key, format!("{folder:?} is no absolute path of a folder"), shape);
    }
}

pub(super) fn credentials(credentials: &Credentials, found: &mut Findings) {
    folders("worker.credentials.folders", &credentials.folders, found);
    for variable in &credentials.variables {
        let shape = ("it must be the name of a variable, without a value", "write NAME");
        found.require(address::is_variable(variable), "worker.credentials.variables", format!("{variable:?} is no name"), shape);
        let own = ("these hold Navvy's own secrets, which no order may see", "remove it");
        found.require(!variable.starts_with("NAVVY_"), "worker.credentials.variables", format!("{variable} is ours"), own);
    }
    for (key, endpoint) in [
        ("worker.credentials.aws_ssm_endpoint", &credentials.aws_ssm_endpoint),
        ("worker.credentials.aws_secrets_manager_endpoint", &credentials.aws_secrets_manager_endpoint),
        ("worker.credentials.aws_s3_endpoint", &credentials.aws_s3_endpoint),
        ("worker.credentials.vault_url", &credentials.vault_url),
    ] {
        let fault = endpoint.as_deref().and_then(|url| address::guarded_url(url).err());
        found.url(key, fault, "write https://host; http:// only to this machine");
    }
    vault(credentials, found);
}

fn vault(credentials: &Credentials, found: &mut Findings) {
    let ways = [
        ("worker.credentials.vault_token_file", credentials.vault_token_file.is_some()),
        ("worker.credentials.vault_role_id", credentials.vault_role_id.is_some()),
        ("worker.credentials.vault_secret_id_file", credentials.vault_secret_id_file.is_some()),
    ];
    let rest = ("Vault has to know who asks", "set vault_token_file, or vault_role_id together with vault_secret_id_file");
    if credentials.vault_url.is_some() {
        let one = matches!(ways.map(|(_, is_set)| is_set), [true, false, false] | [false, true, true]);
        found.require(one, "worker.credentials.vault_url", "is set without exactly one way to log in", rest);
        return;
    }
    for (key, is_set) in ways {
        let rest = ("it logs in nowhere", "set worker.credentials.vault_url, or remove it");
        found.require(!is_set, key, "is set without worker.credentials.vault_url", rest);
    }
}
