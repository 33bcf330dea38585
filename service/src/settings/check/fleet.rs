//! The rules of the sections of the fleet: scheduler, worker, tools, git.
//!
//! A rule says why it is there; the numbers that are limits of ours stand at the top.

use super::{Findings, address};
use crate::settings::secret::Secret;
use crate::settings::tree::{Git, Limits, Scheduler, Settings, Tools, Worker};

/// Hexadecimal digits of a 32-byte key.
const SEALING_KEY_DIGITS: usize = 64;
/// A heartbeat may be lost twice before a lease ends.
const HEARTBEATS_PER_LEASE: u32 = 3;
/// Below these an order could not even begin: bytes, processes, bytes.
const LEAST_MEMORY: u64 = 32 * 1024 * 1024;
const LEAST_PROCESSES: u64 = 8;
const LEAST_DISK: u64 = 1024 * 1024;

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
    found.positive("worker.log_limit_bytes", worker.log_limit_bytes);
    pass_env(worker, found);
    for dir in &worker.local_state_dirs {
        let shape = ("a path that depends on where the worker was started leads anywhere", "write the absolute path of a folder, not `/`");
        let legal = dir.starts_with('/') && !dir.trim_matches('/').is_empty();
        found.require(legal, "worker.local_state_dirs", format!("{dir:?} is no absolute path of a folder"), shape);
    }
    if let Some(registry) = &worker.registry_host {
        let fix = "write https://host; http:// only to this machine";
        found.url("worker.registry_host", address::guarded_url(registry).err(), fix);
    }
    let host = ("there is no registry to ask", "set worker.registry_host, or turn it off");
    let asked = !worker.registry_token_required || worker.registry_host.is_some();
    found.require(asked, "worker.registry_token_required", "is on without worker.registry_host", host);
    tools(&worker.tools, found);
    limits(&worker.limits, found);
}

fn limits(limits: &Limits, found: &mut Findings) {
    let room = ("the shells that run an order need as much themselves", "raise it, or write 0 for no limit");
    for (key, limit, least) in [
        ("worker.limits.memory_bytes", limits.memory_bytes, LEAST_MEMORY),
        ("worker.limits.processes", limits.processes, LEAST_PROCESSES),
        ("worker.limits.disk_bytes", limits.disk_bytes, LEAST_DISK),
    ] {
        found.require(limit == 0 || limit >= least, key, format!("is {limit}, less than {least}"), room);
    }
    for folder in &limits.cgroup {
        let shape = ("a cgroup is found by its folder", "write an absolute path, such as /sys/fs/cgroup/navvy");
        found.require(folder.starts_with('/'), "worker.limits.cgroup", format!("{folder:?} is no absolute path"), shape);
    }
}

fn pass_env(worker: &Worker, found: &mut Findings) {
    for variable in &worker.pass_env {
        let shape = ("it must be the name of a variable, without a value", "write NAME");
        found.require(address::is_variable(variable), "worker.pass_env", format!("{variable:?} is no name"), shape);
        let own = ("these hold Navvy's own secrets, which no tool may see", "remove it");
        found.require(!variable.starts_with("NAVVY_"), "worker.pass_env", format!("{variable} is ours"), own);
    }
}

fn tools(tools: &Tools, found: &mut Findings) {
    let mirrors = [("worker.tools.mirror_terraform", &tools.mirror_terraform), ("worker.tools.mirror_tofu", &tools.mirror_tofu)];
    for (key, mirror) in mirrors {
        let fault = mirror.as_deref().and_then(|url| address::guarded_url(url).err());
        found.url(key, fault, "write https://host/path; http:// only to this machine");
    }
    let versions = [("worker.tools.default_terraform", &tools.default_terraform), ("worker.tools.default_tofu", &tools.default_tofu)];
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
    found.positive("git.cache_max_bytes", git.cache_max_bytes);
}
