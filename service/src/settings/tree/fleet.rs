//! The sections of the roles behind the gateway: NATS, scheduler, worker and its tools, git.
//!
//! Only keys and their meaning; rules between keys are in `settings::check`.

use std::path::PathBuf;

use crate::settings::describe::section;
use crate::settings::period::Period;
use crate::settings::secret::Secret;
use crate::settings::tree::worker_sync::WorkerSync;

section! {
    /// How every role reaches NATS.
    Nats {
        /// Servers, comma separated: `nats://host:4222` or `tls://host:4222`. No user or password in it: see the keys below. Absent: only `navvy up`, which then starts its own server on loopback.
        url: Option<String> = None,
        /// User name, together with `nats.password`.
        user: Option<String> = None,
        /// Password of `nats.user`.
        password: Option<Secret> = None,
        /// A NATS credentials file (JWT and seed), mode 0600.
        creds_file: Option<PathBuf> = None,
        /// Token, where the server asks for one.
        token: Option<Secret> = None,
        /// PEM file with the authorities that may have signed the server's certificate. Absent: those of the system.
        tls_ca_file: Option<PathBuf> = None,
        /// The `nats-server` program that `navvy up` starts. Absent: the one in PATH, else the pinned copy in `.tools/`.
        server_binary: Option<PathBuf> = None,
        /// Copies of every stream and bucket that `navvy admin migrate` creates: 1 alone, 3 or 5 in a cluster.
        replicas: u32 = 1,
    }
}

section! {
    /// The scheduler: decides what may happen next, and is the only writer of run state.
    Scheduler {
        /// Into how many parts runs are divided, by repository. Each part has its own stream, locks and turn. Change only with the fleet stopped and empty.
        shards: u32 = 1,
        /// How long a running attempt may go on without a heartbeat until its worker counts as lost. At least three times `worker.heartbeat`.
        lease: Period = Period::seconds(45),
        /// How often the scheduler looks for runs that a lost message left behind.
        sweep: Period = Period::seconds(30),
        /// How long an approval may wait for a person until it expires.
        approval_ttl: Period = Period::hours(24),
        /// How long a job may wait for a worker until it fails. Absent: forever.
        queue_deadline: Option<Period> = None,
        /// How much longer than its own time limit an order may go unheard before it counts as timed out. Its worker stops it at the limit and reports; this is for workers that are gone.
        watchdog_slack: Period = Period::seconds(60),
        /// How many orders may be out at a time, of all runs together (divided evenly among shards). What one run may have out is part of its request.
        max_orders: u32 = 4096,
        /// How many orders may be out at a time in one pool.
        max_orders_per_pool: u32 = 1024,
        /// How often a job without side effects is tried in all. Jobs with side effects are never retried by themselves.
        max_attempts: u32 = 3,
        /// The private key to which the gateway seals the secrets of a run: 64 hexadecimal digits. All schedulers share it. Absent: one is generated into `sealing-key` in the data folder, mode 0600.
        sealing_key: Option<Secret> = None,
        /// How long a finished run, its logs and its artifacts are kept.
        run_retention: Period = Period::days(90),
    }
}

section! {
    /// The worker: runs one tool per slot and reports.
    Worker {
        /// Name shown in the fleet: letters, digits, `-` and `_`, at most 63, unique. Absent: made of the host name and a random part.
        name: Option<String> = None,
        /// The pool this worker serves: lower-case letters, digits, `-` and `_`, at most 63.
        pool: String = "default".into(),
        /// How many jobs run at a time.
        slots: u32 = 2,
        /// How often a running attempt says that it lives.
        heartbeat: Period = Period::seconds(5),
        /// How long an interrupted tool gets to save its state. After it only a person may force the end.
        stop_grace: Period = Period::minutes(10),
        /// Names of variables of the worker's own environment that tools get, such as `AWS_REGION`. Everything else is withheld.
        pass_env: Vec<String> = Vec::new(),
        /// The folder under which every attempt gets its own. Absent: `work` in the data folder.
        work_dir: Option<PathBuf> = None,
        /// How much output of one attempt is stored, in bytes; what comes after is counted and marked as cut.
        log_limit_bytes: u64 = 256 * 1024 * 1024,
        /// A terraform CLI configuration file (`provider_installation` with a mirror, say) that every job gets, put in front of Navvy's own. Absent: none.
        cli_config: Option<PathBuf> = None,
        /// How long plan and apply wait for a state lock that somebody outside the fleet holds.
        state_lock_timeout: Period = Period::seconds(60),
        /// Folders outside of the checkout in which the backend `local` may keep a state, such as one that all workers share. Empty: none; such a job fails.
        local_state_dirs: Vec<String> = Vec::new(),
        /// Address of a private module and provider registry, such as `https://registry.example.com`. Also read from `REGISTRY_HOST`.
        registry_host: Option<String> = None,
        /// Fail a job when the registry gives no token, instead of going on without one.
        registry_token_required: bool = false,
        tools: Tools = Tools::default(),
        limits: Limits = Limits::default(),
        sources: Sources = Sources::default(),
        credentials: Credentials = Credentials::default(),
        sync: WorkerSync = WorkerSync::default(),
    }
}

section! {
    /// Where the code of shell orders may come from, besides git (`git.allowed_hosts`).
    Sources {
        /// Hosts that zip archives may be fetched from: `host` or `host:port`, exact. Loopback and private addresses only when listed. Empty: none.
        archive_hosts: Vec<String> = Vec::new(),
        /// Folders of the worker that zip archives may lie in. Empty: none.
        archive_folders: Vec<String> = Vec::new(),
        /// Largest archive, in bytes.
        archive_bytes: u64 = 512 * 1024 * 1024,
        /// File with the host keys of git servers (`known_hosts`) for orders that name an SSH key. Absent: no git over SSH for orders.
        known_hosts_file: Option<PathBuf> = None,
    }
}

section! {
    /// Where shell orders may have credentials fetched from. Nothing is allowed that does not stand here.
    Credentials {
        /// Variables of the worker that orders may fetch with `env:::var:NAME`.
        variables: Vec<String> = Vec::new(),
        /// Folders that orders may fetch files from with `file:::json:` and `file:::sops:`.
        folders: Vec<String> = Vec::new(),
        /// File with the age identities that open SOPS files, mode 0600.
        age_identities: Option<PathBuf> = None,
        /// The AWS region of Systems Manager, Secrets Manager and S3. Absent: AWS is not asked.
        aws_region: Option<String> = None,
        /// File with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and perhaps `AWS_SESSION_TOKEN`, one `name = value` a line, mode 0600. Absent: those variables of the worker itself.
        aws_keys_file: Option<PathBuf> = None,
        /// Address of Systems Manager. Absent: that of the region.
        aws_ssm_endpoint: Option<String> = None,
        /// Address of Secrets Manager. Absent: that of the region.
        aws_secrets_manager_endpoint: Option<String> = None,
        /// Address of S3. Absent: that of the region.
        aws_s3_endpoint: Option<String> = None,
        /// Address of Vault or OpenBao. Absent: it is not asked.
        vault_url: Option<String> = None,
        /// File with the token for Vault, mode 0600.
        vault_token_file: Option<PathBuf> = None,
        /// Role id to log in to Vault with (AppRole), together with `worker.credentials.vault_secret_id_file`.
        vault_role_id: Option<String> = None,
        /// File with the secret id, mode 0600.
        vault_secret_id_file: Option<PathBuf> = None,
        /// Namespace of Vault.
        vault_namespace: Option<String> = None,
        /// PEM file with the authorities that may have signed Vault's certificate. Absent: those of the system.
        vault_ca_file: Option<PathBuf> = None,
    }
}

section! {
    /// What one shell order may use, together with everything it starts. An order that goes beyond a limit is killed, and its failure names the limit. Without a cgroup the worker looks five times a second, so that an order can go beyond for a moment; terraform jobs are not limited.
    Limits {
        /// Resident memory, in bytes. 0: no limit.
        memory_bytes: u64 = 0,
        /// Processes at a time, threads included. 0: no limit.
        processes: u64 = 4096,
        /// Processor time. Absent: no limit but the order's own time limit.
        processor_time: Option<Period> = None,
        /// By how much the order's folder and its temporary files may grow, in bytes on the disk. Files elsewhere, and files that were deleted but are still open, are not counted. 0: no limit.
        disk_bytes: u64 = 20 * 1024 * 1024 * 1024,
        /// How long an order that is stopped, or whose time is over, gets to end by itself after SIGTERM. Then everything it started is killed.
        stop_grace: Period = Period::seconds(10),
        /// Folders of cgroups in which the worker may make others, for the kernel to hold memory and processes: with cgroup version 2 one (its controllers `memory` and `pids` delegated), with version 1 one for each controller. Empty: none. A cgroup that cannot be used fails the order.
        cgroup: Vec<String> = Vec::new(),
    }
}

section! {
    /// The terraform and tofu versions a worker has.
    Tools {
        /// Folder with one sub-folder per installed version. Absent: `tools` in the data folder.
        dir: Option<PathBuf> = None,
        /// terraform version used when neither request nor repository names one. Absent: the one in PATH.
        default_terraform: Option<String> = None,
        /// tofu version used when neither request nor repository names one. Absent: the one in PATH.
        default_tofu: Option<String> = None,
        /// Address of a mirror with terraform releases. Absent: the releases of the maker.
        mirror_terraform: Option<String> = None,
        /// Address of a mirror with tofu releases. Absent: the releases of the maker.
        mirror_tofu: Option<String> = None,
        /// File with the public keys (as for `gpgv`) that may have signed terraform releases. Absent: none are trusted, and nothing is downloaded.
        keyring_terraform: Option<PathBuf> = None,
        /// File with the public keys (as for `gpgv`) that may have signed tofu releases. Absent: none are trusted, and nothing is downloaded.
        keyring_tofu: Option<PathBuf> = None,
        /// May the worker download a version it lacks? Checksum and signature are verified in any case.
        may_download: bool = false,
    }
}

section! {
    /// Which git servers may be used, and how.
    Git {
        /// Git hosts that runs may name: `host` (the usual port of the scheme) or `host:port`, exact. Loopback and private addresses only when listed. Empty: none.
        allowed_hosts: Vec<String> = Vec::new(),
        /// How long one clone or fetch may take.
        timeout: Period = Period::minutes(5),
        /// How large a worker's cache of repositories may grow, in bytes; the least recently used go first.
        cache_max_bytes: u64 = 10 * 1024 * 1024 * 1024,
    }
}
