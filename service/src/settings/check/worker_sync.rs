//! The rules of the section for syncs of services.

use super::{Findings, address, orders};
use crate::settings::tree::{Credentials, WorkerSync};

pub(super) fn worker_sync(sync: &WorkerSync, credentials: &Credentials, found: &mut Findings) {
    orders::hosts("worker.sync.ssh_hosts", &sync.ssh_hosts, found);
    for variable in &sync.pass_env {
        let rest = ("such a variable is not passed on", "write the name of a variable that is not one of Navvy's own");
        let legal = address::is_variable(variable) && !variable.starts_with("NAVVY_");
        found.require(legal, "worker.sync.pass_env", format!("{variable:?} is no variable of the worker's that may be passed on"), rest);
    }
    for (key, url) in [("worker.sync.dokploy_url", &sync.dokploy_url), ("worker.sync.vault_addr", &sync.vault_addr)] {
        let fault = url.as_deref().and_then(|url| address::guarded_url(url).err());
        found.url(key, fault, "write https://host; http:// only to this machine");
    }
    let mount = !sync.vault_mount.is_empty() && sync.vault_mount.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let rest = ("it is the first part of a path in Vault", "use letters, digits, `_` and `-`");
    found.require(mount, "worker.sync.vault_mount", format!("{:?} is no mount", sync.vault_mount), rest);
    for path in &sync.vault_paths {
        let parts: Vec<&str> = path.split('/').collect();
        let good = parts.len() > 1 && parts.iter().all(|part| !matches!(*part, "" | "." | "..")) && !path.contains(['#', ':']);
        let rest = ("nothing could be read there", "write MOUNT/PATH without empty parts, such as secret/{project}/{env}/{service}");
        found.require(good, "worker.sync.vault_paths", format!("{path:?} is no path of a secret"), rest);
    }
    let reachable = sync.vault_paths.is_empty() || credentials.vault_url.is_some();
    let rest = ("nobody could be asked for them", "set worker.credentials.vault_url and a way to log in");
    found.require(reachable, "worker.sync.vault_paths", "is set without an address of Vault", rest);
    orders::folders("worker.sync.compose_dir", std::slice::from_ref(&sync.compose_dir), found);
    ssh(sync, found);
}

fn ssh(sync: &WorkerSync, found: &mut Findings) {
    let reachable = sync.ssh_hosts.is_empty() || (sync.ssh_key_file.is_some() && sync.ssh_known_hosts_file.is_some());
    let rest = (
        "a host is only spoken to with a key of ours, and after its own was checked",
        "set worker.sync.ssh_key_file and worker.sync.ssh_known_hosts_file, or name no hosts",
    );
    found.require(reachable, "worker.sync.ssh_hosts", "is set without both files that SSH needs", rest);
    let plain = |text: &str| {
        !text.is_empty() && !text.starts_with('-') && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    let rest = ("it becomes an argument of ssh", "use letters, digits, `_`, `-` and `.`");
    found.require(plain(&sync.ssh_user), "worker.sync.ssh_user", format!("{:?} is no user name", sync.ssh_user), rest);
}
