//! A maker of releases: a signing key that exists for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One key in a GnuPG home of its own.
pub(crate) struct Maker {
    home: tempfile::TempDir,
    /// `--faked-system-time` for everything that this maker does.
    time: Option<&'static str>,
}

impl Maker {
    pub(crate) fn new() -> Self {
        Self::with(None, "never")
    }

    /// Whose key was good for one day, years ago.
    pub(crate) fn expired() -> Self {
        Self::with(Some("20200101T000000"), "1d")
    }

    fn with(time: Option<&'static str>, expires: &str) -> Self {
        let maker = Self { home: tempfile::tempdir().expect("a folder"), time };
        maker.gpg(&["--passphrase", "", "--quick-gen-key", "Releases <releases@example.com>", "ed25519", "sign", expires]);
        maker
    }

    fn gpg(&self, args: &[&str]) {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--homedir"]).arg(self.home.path());
        if let Some(time) = self.time {
            gpg.args(["--faked-system-time", time]);
        }
        let output = gpg.args(args).env("LC_ALL", "C").output().expect("these tests need gpg");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The public key, as makers publish it or as gpgv reads it.
    pub(crate) fn keyring(&self, armoured: bool) -> PathBuf {
        let path = self.home.path().join(if armoured { "keys.asc" } else { "keys.gpg" });
        let out = path.to_str().expect("UTF-8");
        let args = ["--output", out, "--export"];
        if armoured {
            self.gpg(&[&["--armor"][..], &args].concat());
        } else {
            self.gpg(&args);
        }
        path
    }

    pub(crate) fn sign(&self, content: &[u8]) -> Vec<u8> {
        let (file, signature) = (self.home.path().join("signed"), self.home.path().join("signature"));
        std::fs::write(&file, content).expect("written");
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        self.gpg(&["--passphrase", "", "--output", &text(&signature), "--detach-sign", &text(&file)]);
        std::fs::read(signature).expect("signed")
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        // Otherwise its agent outlives the test.
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "gpg-agent"]).status();
    }
}
