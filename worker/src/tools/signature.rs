//! Whether a known key signed a file. The cryptography is `gpgv`'s; here its report is read, strictly.
//!
//! `gpgv` trusts every key in the keyring it is given and no other; so the keyring *is* the pin. Its exit code is not
//! enough: it is 0 for a good signature by an expired key.

use base64::Engine as _;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// Longest keyring, in bytes.
const MAX_KEYRING: u64 = 4 * 1024 * 1024;

/// Words of gpgv's status lines that spoil everything, whatever else was said.
const SPOILS: &[(&str, &str)] = &[
    ("BADSIG", "the signature does not fit the file"),
    ("ERRSIG", "the signature was made by a key that is not in the keyring, or cannot be checked"),
    ("NO_PUBKEY", "the signature was made by a key that is not in the keyring"),
    ("EXPKEYSIG", "the key that signed has expired in this keyring: get the maker's renewed key"),
    ("KEYEXPIRED", "the key that signed has expired in this keyring: get the maker's renewed key"),
    ("REVKEYSIG", "the key that signed was revoked"),
    ("KEYREVOKED", "the key that signed was revoked"),
    ("EXPSIG", "the signature has expired"),
    ("SIGEXPIRED", "the signature has expired"),
    ("FAILURE", "the signature cannot be checked"),
    ("NODATA", "there is no signature"),
];

/// Checks the detached `signature` of `signed`. `folder` takes what gpgv needs and is the caller's to remove.
pub(super) async fn verify(keyring: &Path, signed: &Path, signature: &Path, folder: &Path, search_path: &OsStr) -> Result<(), String> {
    let keys = readable(keyring, folder)?;
    let gpgv = std::env::split_paths(search_path).map(|at| at.join("gpgv")).find(|program| program.is_file());
    let gpgv = gpgv.ok_or("the program gpgv, which checks signatures, is not in the worker's PATH: install GnuPG")?;
    let child = tokio::process::Command::new(gpgv)
        .args(["--status-fd", "1", "--weak-digest", "SHA1", "--keyring"])
        .arg(keys)
        .arg("--")
        .args([signature, signed])
        .env_clear()
        .env("LC_ALL", "C")
        .env("HOME", folder)
        .env("GNUPGHOME", folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(LIMIT, child).await {
        Ok(output) => output.map_err(|error| format!("gpgv could not be started: {error}"))?,
        Err(_) => return Err("gpgv did not end in time".to_owned()),
    };
    judge(output.status.success(), &String::from_utf8_lossy(&output.stdout))
}

/// The keyring in the one form gpgv reads. Makers publish their keys in ASCII armour, which it does not.
fn readable(keyring: &Path, folder: &Path) -> Result<PathBuf, String> {
    let unreadable = |error: std::io::Error| format!("the keyring {} cannot be read: {error}", keyring.display());
    let keyring = keyring.canonicalize().map_err(unreadable)?;
    if std::fs::metadata(&keyring).map_err(unreadable)?.len() > MAX_KEYRING {
        return Err(format!("the keyring {} is larger than {MAX_KEYRING} bytes", keyring.display()));
    }
    let bytes = std::fs::read(&keyring).map_err(unreadable)?;
    let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(keyring) };
    if !text.contains("-----BEGIN PGP") {
        return Ok(keyring);
    }
    let keys = dearmoured(text).ok_or_else(|| format!("the keyring {} holds no public keys in a readable form", keyring.display()))?;
    let path = folder.join("keyring.gpg");
    std::fs::write(&path, keys).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

/// The bytes of every `PGP PUBLIC KEY BLOCK`. The checksum line of the armour is passed over: it guards against damage
/// in the mail, and a damaged key verifies nothing.
fn dearmoured(text: &str) -> Option<Vec<u8>> {
    let mut keys = Vec::new();
    for block in text.split("-----BEGIN PGP PUBLIC KEY BLOCK-----").skip(1) {
        let (block, _) = block.split_once("-----END PGP PUBLIC KEY BLOCK-----")?;
        let lines = block.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains(": ") && !line.starts_with('='));
        let base64: String = lines.collect();
        keys.extend(base64::engine::general_purpose::STANDARD.decode(base64).ok()?);
    }
    (!keys.is_empty()).then_some(keys)
}

fn judge(success: bool, status: &str) -> Result<(), String> {
    let words = || status.lines().filter_map(|line| line.strip_prefix("[GNUPG:] ")?.split(' ').next());
    for word in words() {
        if let Some((_, why)) = SPOILS.iter().find(|(spoils, _)| *spoils == word) {
            return Err((*why).to_owned());
        }
    }
    let said = |wanted: &str| words().any(|word| word == wanted);
    if success && said("GOODSIG") && said("VALIDSIG") { Ok(()) } else { Err("gpgv did not call the signature valid".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unspoilt_report_counts() {
        let good = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG AB x\n[GNUPG:] VALIDSIG CD 2026\n";
        assert_eq!(judge(true, good), Ok(()));
        assert!(judge(false, good).is_err());
        assert!(judge(true, "").is_err());
        assert!(judge(true, "[GNUPG:] GOODSIG AB x\n").is_err());
        assert!(judge(true, "GOODSIG\nVALIDSIG\n").is_err());
        for (word, _) in SPOILS {
            assert!(judge(true, &format!("{good}[GNUPG:] {word} AB x\n")).is_err(), "{word}");
        }
    }

    #[test]
    fn armour_is_taken_off() {
        let block = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\nAAEC\nAwQ=\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
        assert_eq!(dearmoured(block), Some(vec![0, 1, 2, 3, 4]));
        assert_eq!(dearmoured(&format!("{block}\n{block}")).map(|keys| keys.len()), Some(10));
        assert_eq!(dearmoured("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"), None);
        assert_eq!(dearmoured("-----BEGIN PGP MESSAGE-----\nAAEC\n-----END PGP MESSAGE-----"), None);
    }
}
