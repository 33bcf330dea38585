//! TLS: a certificate is checked, against the authorities that the settings name, and credentials go through it.

use crate::rig::{Forge, Http, Process, Reader, basic};
use proto::git::GitUrl;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use worker::git::GitError;

/// A TLS server for `localhost` that passes on to a plain one, with a certificate nobody knows.
struct Tls {
    dir: TempDir,
    port: u16,
    _process: Process,
}

impl Tls {
    fn before(server: &Http) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (certificate, both) = (dir.path().join("certificate.pem"), dir.path().join("both.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
            .arg(&both)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "openssl makes a certificate");
        let key = std::fs::read_to_string(&both).expect("read");
        let public = std::fs::read_to_string(&certificate).expect("read");
        std::fs::write(&both, key + &public).expect("written");
        let behind = server.host().rsplit_once(':').expect("a port").1;
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/git_real/tls_front.py"))
            .arg(&both)
            .arg(behind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 can be started");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let port = line.trim().strip_prefix("ready ").and_then(|port| port.parse().ok()).expect("a port");
        Self { dir, port, _process: Process(child) }
    }

    fn url(&self) -> GitUrl {
        format!("https://localhost:{}/team/infra.git", self.port).parse().expect("an address")
    }

    fn certificate(&self) -> PathBuf {
        self.dir.path().join("certificate.pem")
    }
}

#[tokio::test]
async fn a_login_goes_through_a_certificate_that_is_known() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &["--user", "ci", "--password", "right-password"]);
    let tls = Tls::before(&server);
    let reader = Reader::with(tls.url(), Some(basic("ci", "right-password")), |settings| {
        settings.ca_file = Some(tls.certificate());
    });
    let commit = reader.resolve("main").await.expect("resolved").commit;
    assert_eq!(commit, forge.id("main"));
    reader.checkout(&commit).await.expect("a checkout");
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_before_anything_is_asked() {
    let forge = Forge::new();
    let server = Http::serve(&forge, &[]);
    let tls = Tls::before(&server);
    let reader = Reader::new(tls.url(), Some(basic("ci", "right-password")));
    let error = reader.resolve("main").await.expect_err("refused");
    assert!(matches!(error, GitError::Tls { .. }), "{error}");
    assert_eq!(server.requests(), Vec::<String>::new());
}
