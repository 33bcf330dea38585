//! The section of a worker that syncs services: what their commands are given, and how the executors that deploy by
//! themselves reach Dokploy and the hosts.

use std::path::PathBuf;

use crate::settings::describe::section;
use crate::settings::period::Period;

section! {
    /// How services are synced. Needed only on workers whose pool syncs services.
    WorkerSync {
        /// File with the secrets of the services, such as one that an agent renders to a memory file system (`/secrets/.env`): `NAME=value` lines, quotes, `export` and `#` comments allowed, ended by a line break. Read anew for each sync, so that a rotation needs no restart; every value is masked in logs. Nobody but its owner may be able to write it. Absent: none.
        secrets_file: Option<PathBuf> = None,
        /// Secrets of Vault (version 2 of the key-value engine) whose entries syncs get as variables, each `MOUNT/PATH`, such as `secret/{project}/{env}/{service}`; `{service}`, `{project}`, `{env}` and `{suffix}` are replaced. Read anew for each sync with the login of `worker.credentials`, and every value is masked in logs. Later ones win, and all of them over the secrets file. One that is not there fails the sync. Empty: none.
        vault_paths: Vec<String> = Vec::new(),
        /// Names of variables of the worker's own environment that syncs get, besides `worker.pass_env`. The secrets file wins over both.
        pass_env: Vec<String> = Vec::new(),
        /// The domain that the host names of services end with (`INTERNAL_DOMAIN`). Absent: the one of the secrets file.
        internal_domain: Option<String> = None,
        /// Address of Vault that services are told (`VAULT_ADDR`). Absent: the one of the secrets file.
        vault_addr: Option<String> = None,
        /// Mount of the key-value engine (version 2) of Vault in which secrets of services are made if they are missing. Vault itself is set up in `worker.credentials`.
        vault_mount: String = "secret".into(),
        /// Address of Dokploy's API, such as `https://cloud.example.com/api`. Absent: `DOKPLOY_URL` of the secrets file, else `https://cloud.DOMAIN/api` with the internal domain. The key is `DOKPLOY_API_KEY` of the secrets file.
        dokploy_url: Option<String> = None,
        /// How long a deployment of Dokploy may take to show the wanted identity. Then the sync fails.
        verify_timeout: Period = Period::seconds(60),
        /// How often Dokploy is asked meanwhile.
        verify_interval: Period = Period::seconds(3),
        /// Hosts that services may be deployed to over SSH: `host` or `host:port`, exact. The first is the one of services that name none, and the one where data folders of Dokploy's services are made. Empty: none.
        ssh_hosts: Vec<String> = Vec::new(),
        /// The user to log in as.
        ssh_user: String = "root".into(),
        /// File with the private key, mode 0600, without a passphrase. Absent: no SSH.
        ssh_key_file: Option<PathBuf> = None,
        /// File with the host keys (`known_hosts`). A host whose key does not stand there is not spoken to. Absent: no SSH.
        ssh_known_hosts_file: Option<PathBuf> = None,
        /// Folder on the hosts below which every service gets one for its compose file.
        compose_dir: String = "/opt/navvy/services".into(),
    }
}
