//! Our own server: started, kept apart, taken over after we were killed, stopped; and what a connection says that may not.

use crate::support::words::{run, seat, trigger};
use crate::support::{GENEROUS, Ground, eventually, options, send, server_program, soon};
use bus::{Bus, BusError, ConnectOptions, Layout, Role, Server, ServerError, ServerOptions};
use nix::sys::signal::Signal;
use proto::PoolName;
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

fn is_running(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// A process that runs as long as we like, with this command line.
fn bystander(argument: &Path) -> tokio::process::Child {
    let mut command = Command::new("sleep");
    command.arg("1000").arg0(argument).stdin(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap()
}

#[tokio::test]
async fn a_stopped_server_comes_back_with_its_port_its_credentials_and_what_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(options(dir.path())).await.unwrap();
    let (before, pid) = (server.connect_options("a"), server.pid());
    let bus = Bus::connect(before.clone()).await.unwrap();
    bus.migrate(&Layout::default()).await.unwrap();
    server.stop().await.unwrap();
    assert!(!is_running(pid));
    let server = Server::start(options(dir.path())).await.unwrap();
    let after = server.connect_options("a");
    assert_eq!((after.url, after.password), (before.url, before.password));
    eventually("the connection", || async { bus.probe().await.ok() }).await;
    bus.check_layout(&Layout::default()).await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_holds_a_password_is_for_us_alone_and_it_is_not_in_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("a").join("b");
    let server = Server::start(options(&inside)).await.unwrap();
    let password = server.connect_options("a").password.unwrap();
    assert_eq!(fs::metadata(&inside).unwrap().permissions().mode() & 0o777, 0o700);
    for file in ["nats.conf", "nats.json", "nats.log"] {
        let mode = fs::metadata(inside.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let line = fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).unwrap();
    assert!(!line.contains(&password), "{line}");
    assert!(!fs::read_to_string(inside.join("nats.log")).unwrap().contains(&password));
    assert!(!format!("{server:?}").contains(&password));
    assert!(fs::read_to_string(inside.join("nats.conf")).unwrap().contains("sync_interval: always"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_was_left_behind_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(options(dir.path())).await.unwrap();
    let (pid, url) = (server.pid(), server.connect_options("a").url);
    // As if we had been killed: nobody stops it, and the kernel gives the directory free.
    drop(server);
    let taken = Server::start(options(dir.path())).await.unwrap();
    assert_eq!((taken.pid(), taken.connect_options("a").url), (pid, url));
    taken.stop().await.unwrap();
    eventually("its end", || async { (!is_running(pid)).then_some(()) }).await;
}

#[tokio::test]
async fn a_server_that_was_left_behind_and_does_not_answer_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(options(dir.path())).await.unwrap();
    let pid = server.pid();
    drop(server);
    send(pid, Signal::SIGSTOP);
    let replaced = soon("a new server", Server::start(options(dir.path()))).await.unwrap();
    assert_ne!(replaced.pid(), pid);
    assert!(!is_running(pid));
    Bus::connect(replaced.connect_options("a")).await.unwrap().probe().await.unwrap();
    replaced.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_of_an_older_version_with_one_user_for_all_gets_the_users_of_the_roles_and_keeps_everything_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(options(dir.path())).await.unwrap();
    let (pid, before) = (server.pid(), server.connect_options("a"));
    Bus::connect(before.clone()).await.unwrap().migrate(&Layout::default()).await.unwrap();
    drop(server);
    // What the older version left behind: a record with one user, and a server that was started for it.
    let record = dir.path().join("nats.json");
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    old["credentials"].as_object_mut().unwrap().remove("roles");
    fs::write(&record, old.to_string()).unwrap();
    let config = dir.path().join("nats.conf");
    fs::write(&config, fs::read_to_string(&config).unwrap().replace("worker.default", "somebody")).unwrap();

    let server = soon("a new server", Server::start(options(dir.path()))).await.unwrap();
    let after = server.connect_options("a");
    assert_ne!(server.pid(), pid, "the old one would refuse the roles");
    assert_eq!((after.url, after.user, after.password), (before.url, before.user, before.password));
    for role in [Role::Admin, Role::Gateway, Role::Scheduler, Role::Worker(seat("w"))] {
        let bus = Bus::connect(server.connect_as("a", role.clone())).await.unwrap();
        bus.probe().await.unwrap();
        let looked = match role {
            Role::Worker(seat) => bus.check_pool(&seat.pool, &Layout::default()).await,
            Role::Admin | Role::Gateway | Role::Scheduler => bus.check_layout(&Layout::default()).await,
        };
        looked.unwrap();
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn each_role_has_a_password_of_its_own_and_a_server_for_other_pools_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(options(dir.path())).await.unwrap();
    let (pid, worker) = (server.pid(), server.connect_as("a", Role::Worker(seat("w"))));
    let roles = [Role::Admin, Role::Gateway, Role::Scheduler].map(|role| server.connect_as("a", role).password);
    let all: HashSet<_> = roles.into_iter().chain([worker.password.clone(), server.connect_options("a").password]).flatten().collect();
    assert_eq!(all.len(), 5, "no two are the same");
    drop(server);
    let more = ServerOptions { pools: vec![PoolName::default(), "gpu".parse().unwrap()], ..options(dir.path()) };
    let server = Server::start(more.clone()).await.unwrap();
    assert_ne!(server.pid(), pid);
    assert_eq!(server.connect_as("a", Role::Worker(seat("w"))).password, worker.password, "those that were there stay");
    let blue = Role::Worker(proto::Seat::of_tokens("gpu", "blue").unwrap());
    Bus::connect(server.connect_as("a", blue)).await.unwrap().probe().await.unwrap();
    let pid = server.pid();
    drop(server);
    let server = Server::start(more).await.unwrap();
    assert_eq!(server.pid(), pid, "with the same users it is taken over");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_stranger_with_the_process_id_of_our_last_server_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    Server::start(options(dir.path())).await.unwrap().stop().await.unwrap();
    let mut stranger = bystander(Path::new("nats-server"));
    let record = dir.path().join("nats.json");
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains("\"pid\":0"), "a server that was stopped leaves no process id behind");
    fs::write(&record, text.replace("\"pid\":0", &format!("\"pid\":{}", stranger.id().unwrap()))).unwrap();
    let server = Server::start(options(dir.path())).await.unwrap();
    assert_eq!(stranger.try_wait().unwrap(), None, "it still runs");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn two_of_us_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(options(dir.path())).await.unwrap();
    let refused = Server::start(options(dir.path())).await;
    assert!(matches!(refused, Err(ServerError::InUse { .. })), "{refused:?}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_ends_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(options(dir.path())).await.unwrap();
    send(server.pid(), Signal::SIGKILL);
    assert!(!tokio::time::timeout(GENEROUS, server.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_program_that_is_not_a_server_and_a_port_that_is_taken_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = ServerOptions { binary: Some(PathBuf::from("/bin/true")), ..options(dir.path()) };
    let refused = Server::start(wrong).await.unwrap_err().to_string();
    assert!(refused.contains("/bin/true") && refused.contains("make tools"), "{refused}");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = Server::start(ServerOptions { port: Some(port), ..options(dir.path()) }).await.unwrap_err().to_string();
    assert!(refused.contains(&port.to_string()), "{refused}");
}

#[tokio::test]
async fn wrong_credentials_fail_at_once_and_are_not_repeated_in_the_error() {
    let ground = Ground::bare().await;
    let wrong = ConnectOptions { password: Some("hunter2".to_owned()), ..ground.connect_options() };
    let refused = soon("an error", Bus::connect(wrong)).await.unwrap_err();
    assert!(matches!(refused, BusError::Denied { .. }), "{refused:?}");
    assert!(!format!("{refused:?} {refused}").contains("hunter2"));
}

/// A server with a user who may do next to nothing.
fn narrow_server(dir: &Path) -> (tokio::process::Child, ConnectOptions) {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let config = dir.join("narrow.conf");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\nauthorization {{ users: [\n\
         {{ user: all, password: p }}\n\
         {{ user: narrow, password: p, permissions: {{ publish: [\"$JS.API.INFO\", \"inbox.1.>\"], subscribe: [\"_INBOX.>\"] }} }}\n] }}\n",
        dir.join("js").display()
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new(server_program());
    command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    let options = ConnectOptions {
        url: format!("nats://127.0.0.1:{port}"),
        user: Some("narrow".to_owned()),
        password: Some("p".to_owned()),
        client_name: "narrow".to_owned(),
        ..ConnectOptions::default()
    };
    (child, options)
}

#[tokio::test]
async fn what_the_user_may_not_do_is_denied_and_not_a_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let (_child, options) = narrow_server(dir.path());
    let all = Bus::connect(ConnectOptions { user: Some("all".to_owned()), ..options.clone() }).await.unwrap();
    all.migrate(&Layout::default()).await.unwrap();
    let bus = Bus::connect(options).await.unwrap();
    bus.probe().await.unwrap();
    let run = run();
    let published = bus.inbox().publish(run, &trigger(run), "1", None).await;
    assert!(matches!(published, Err(BusError::Denied { .. })), "{published:?}");
    let committed = bus.run_log().commit(run, 0, b"{}".to_vec(), true).await;
    assert!(matches!(committed, Err(BusError::Denied { .. })), "{committed:?}");
    let asked = bus.check_layout(&Layout::default()).await;
    assert!(matches!(asked, Err(BusError::Denied { .. })), "{asked:?}");
    let listened = bus.control().signals(&seat("w")).await;
    assert!(matches!(listened, Err(BusError::Denied { .. })), "{listened:?}");
    let allowed = proto::RunId::fresh(proto::ShardNo(1));
    bus.inbox().publish(allowed, &trigger(allowed), "2", None).await.unwrap();
}
