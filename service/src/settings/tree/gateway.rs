//! The `gateway` section: the outside door, and the forge behind it.
//!
//! Only keys and their meaning; what the gateway does with them is in its own crate.

use crate::settings::describe::section;
use crate::settings::listen::Listen;
use crate::settings::period::Period;
use crate::settings::secret::Secret;

section! {
    /// The gateway: HTTP API, web UI, live logs.
    Gateway {
        /// Where the HTTP API listens. Plain HTTP: put a TLS proxy in front of anything but loopback.
        listen: Listen = Listen::loopback(8080),
        /// The address people and forges use to reach the gateway, such as `https://navvy.example.com`; used in links. Absent: links use the address it listens on.
        public_url: Option<String> = None,
        /// Browser origins that may call the API, each exact: `https://host` or `https://host:port`, no `*`, no path. Empty: none but the gateway's own. Also read from `ALLOWED_ORIGINS`.
        allowed_origins: Vec<String> = Vec::new(),
        /// Answer without any token, as an administrator. Only allowed while `gateway.listen` is a loopback address.
        anonymous: bool = false,
        /// The token with every right, at least 32 characters. Absent: one is generated into `admin-token` in the data folder, mode 0600.
        admin_token: Option<Secret> = None,
        /// Largest request body, in bytes.
        body_limit_bytes: u64 = 1024 * 1024,
        /// Largest body of a job of orders (`POST /webhook`, `POST /v1/orders`), in bytes.
        max_orders_body: u64 = 16 * 1024 * 1024,
        /// How long a request may take until it is answered with 503; live streams are exempt.
        request_timeout: Period = Period::seconds(30),
        /// How often an idle live stream sends a heartbeat.
        sse_heartbeat: Period = Period::seconds(15),
        /// How many live streams one gateway serves at a time; the next one gets 503.
        sse_max_readers: u32 = 2_000,
        /// How many connections one gateway holds at a time; further ones wait in the system's listen queue.
        connections_max: u32 = 4_096,
        /// How many connections one client address may hold; further ones are closed. Loopback and `gateway.trusted_proxies` are exempt.
        connections_per_ip: u32 = 64,
        /// IP addresses of reverse proxies: exempt from `gateway.connections_per_ip`, and believed about who calls (the last entry of `X-Forwarded-For`).
        trusted_proxies: Vec<String> = Vec::new(),
        /// Hosts that callbacks of runs may lead to: `host` or `host:port`, exact. https only, but for loopback. Empty: no callbacks.
        callback_hosts: Vec<String> = Vec::new(),
        /// The secret that signs callbacks (Standard Webhooks), such as `whsec_` and base64, at least 24 characters. Absent: only callbacks by PUT are sent.
        callback_secret: Option<Secret> = None,
        orders: Orders = Orders::default(),
        github: GitHub = GitHub::default(),
    }
}

section! {
    /// What runs of orders may ask for.
    Orders {
        /// The pool of orders for `lambda`: at most ten minutes long.
        short_pool: String = "default".into(),
        /// The pool of orders for `codebuild`, and of those that name none.
        long_pool: String = "default".into(),
        /// Where repositories are that are given as `org/repo`.
        git_base: String = "https://github.com".into(),
        /// Orders of one run. Not more than 20000.
        max_orders: u32 = 10_000,
        /// Dependencies of all orders of a run together.
        max_dependencies: u32 = 100_000,
        /// Bytes of one order. Not more than 512 KiB, because it travels in one message.
        max_order_bytes: u32 = 256 * 1024,
        /// Commands of one order.
        max_commands: u32 = 1_000,
        /// Orders of one run that are out at a time, where it does not say.
        default_parallel: u32 = 10,
        /// The most that a run may say.
        max_parallel: u32 = 1_000,
    }
}

section! {
    /// GitHub, where runs of orders are commented on and whose webhooks are believed.
    GitHub {
        /// Address of the REST API. For GitHub Enterprise Server: `https://HOST/api/v3`.
        api_url: String = "https://api.github.com".into(),
        /// Token that may read and write comments of issues and pull requests (fine-grained: "Issues" and "Pull requests", read and write). Absent: nothing is commented.
        token: Option<Secret> = None,
        /// The secret of the webhook, at least 32 characters. Absent: no webhook of GitHub is accepted.
        webhook_secret: Option<Secret> = None,
        /// The secret before `gateway.github.webhook_secret`, still accepted while it is being replaced.
        webhook_secret_previous: Option<Secret> = None,
        /// How long one call of the API may take.
        timeout: Period = Period::seconds(20),
        /// How often the comment of a run is edited at most while the run goes on; its end is shown at once.
        edit_interval: Period = Period::seconds(10),
    }
}
