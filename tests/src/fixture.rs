//! Helper servers written in Python: git over HTTP, a terraform state backend. They print `ready URL` and end with the test.

use anyhow::{Context as _, bail};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A running server.
#[derive(Debug)]
pub struct Fixture {
    child: Child,
    /// Its address, `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Fixture {
    /// Starts `tests/fixtures/<script>`.
    pub fn start(script: &str, args: &[&str]) -> anyhow::Result<Self> {
        let path = crate::root().join("tests/fixtures").join(script);
        let mut child = Command::new("python3").arg(&path).args(args).stdout(Stdio::piped()).stdin(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        match line.trim().strip_prefix("ready ") {
            Some(url) => Ok(Self { child, url: url.to_owned() }),
            None => bail!("{} did not start: {line:?}", path.display()),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A terraform http state backend with a real lock.
pub fn state_server(dir: &Path) -> anyhow::Result<Fixture> {
    let dir = dir.to_str().context("a readable path")?;
    Fixture::start("state_server.py", &["--dir", dir, "--listen", "127.0.0.1:0"])
}
