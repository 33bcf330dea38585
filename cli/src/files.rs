//! Files named by the user: secrets, keys, lists of variables, jobs of orders. All are read whole and bounded.

use std::io::Read;
use std::path::Path;

use proto::Secret;

use crate::args::Pair;
use crate::problem::CliError;

/// The most bytes such a file may have; the gateway takes 1 MiB for the whole request.
const LIMIT: u64 = 256 * 1024;
/// The most bytes of a job of orders. Gateways take 16 MiB, if their operator says nothing else.
const JOB_LIMIT: u64 = 64 * 1024 * 1024;

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<Secret, CliError> {
    bounded(path, LIMIT, std::fs::File::open(path))
}

/// The text of a job of orders; `-` is stdin. Its commands and variables may be secrets.
pub(crate) fn job(path: &Path) -> Result<Secret, CliError> {
    if path == Path::new("-") {
        bounded(path, JOB_LIMIT, Ok(std::io::stdin()))
    } else {
        bounded(path, JOB_LIMIT, std::fs::File::open(path))
    }
}

fn bounded(path: &Path, limit: u64, opened: std::io::Result<impl Read>) -> Result<Secret, CliError> {
    let failed = |source| CliError::File { operation: "read", path: path.to_owned(), source };
    let mut text = String::new();
    opened.and_then(|file| file.take(limit + 1).read_to_string(&mut text)).map_err(failed)?;
    if text.len() as u64 > limit {
        let what = format!("{} has more than {limit} bytes", path.display());
        return Err(CliError::usage(what, "is it the right file?"));
    }
    Ok(Secret::new(text))
}

/// The single line of a file, without its line end.
pub(crate) fn secret_line(path: &Path) -> Result<Secret, CliError> {
    let text = text(path)?;
    let line = text.expose().strip_suffix('\n').map_or(text.expose(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() || line.contains('\n') {
        let what = format!("{} must hold exactly one line", path.display());
        return Err(CliError::usage(what, "is it the right file?"));
    }
    Ok(Secret::new(line))
}

/// The `KEY=VALUE` lines of a file. Values are taken as they stand, quotes included.
pub(crate) fn pairs(path: &Path) -> Result<Vec<Pair>, CliError> {
    let text = text(path)?;
    let mut pairs = Vec::new();
    for (index, line) in text.expose().lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        // The line is not quoted: it may hold a secret.
        let pair = line
            .parse::<Pair>()
            .map_err(|what| CliError::usage(format!("{} line {}: {what}", path.display(), index + 1), "one KEY=VALUE a line"))?;
        pairs.push(pair);
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_list_of_variables_is_taken_as_it_stands() {
        let file = file("# comment\n\nA=1\nB = \"x=y\" \n  # indented\nC=\n");
        let pairs = pairs(file.path()).unwrap();
        let seen: Vec<_> = pairs.iter().map(|pair| (pair.key.as_str(), pair.value.expose())).collect();
        assert_eq!(seen, [("A", "1"), ("B", " \"x=y\" "), ("C", "")]);
    }

    #[test]
    fn a_bad_line_is_named_by_number_and_not_quoted() {
        let error = pairs(file("A=1\nhunter2\n").path()).unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_secret_file_holds_one_line() {
        assert_eq!(secret_line(file("s3cret\r\n").path()).unwrap().expose(), "s3cret");
        for bad in ["", "\n", "a\nb\n"] {
            assert!(secret_line(file(bad).path()).is_err(), "{bad:?}");
        }
    }
}
