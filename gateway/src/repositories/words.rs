//! What git says of its failures.

use std::process::ExitStatus;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Credential;

/// Most of git's words that are kept, in bytes.
const MAX_WORDS: usize = 8 * 1024;

/// Most of them that are told, in characters.
const TOLD: usize = 300;

/// Reads all of an output and returns its end.
pub(super) async fn last(output: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    let Some(mut output) = output else {
        return String::new();
    };
    let mut buffer = vec![0; 4096];
    while let Ok(read @ 1..) = output.read(&mut buffer).await {
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let excess = kept.len().saturating_sub(MAX_WORDS);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Returns what git said of its failure, for people.
pub(super) fn told(words: &str, status: ExitStatus, credential: Option<&Credential>) -> String {
    let mut words = words.to_owned();
    if let Some(token) = credential
        .map(|it| it.token.expose())
        .filter(|it| !it.is_empty())
    {
        words = words.replace(token, "***");
    }
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: Vec<_> = lines.collect();
    let fatal = said
        .iter()
        .filter(|line| line.starts_with("fatal:") || line.starts_with("ERROR"));
    let mut told: Vec<_> = fatal.copied().collect();
    if told.is_empty() {
        told.extend(said.last());
    }
    let told = told.join("; ");
    if told.contains("terminal prompts disabled") || told.contains("could not read Username") {
        return "it isn't there, or not open to everybody: a template's `token` names a secret \
                to show"
            .to_owned();
    }
    if told.contains("Out of memory") || told.contains("malloc failed") {
        return "it is too large: git needs more than 1 GiB of memory for it".to_owned();
    }
    let shown = told.chars().filter(|c| !c.is_control()).take(TOLD);
    let shown: String = shown.collect();
    if shown.is_empty() {
        return format!("git ended with {status}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use devgate_protocol::Secret;

    use super::*;

    fn credential() -> Credential {
        Credential {
            user: "git".to_owned(),
            token: Secret::new("s3cret".to_owned()),
        }
    }

    #[test]
    fn what_git_says_is_told_without_the_token() {
        let status = ExitStatus::from_raw(128 << 8);
        let told = |words| told(words, status, Some(&credential()));
        let words = "remote: x\nfatal: repository 'https://s3cret@h/' not\x1b[1m found\n";
        assert_eq!(
            told(words),
            "fatal: repository 'https://***@h/' not[1m found"
        );
        let words = "fatal: could not read Username for 'https://h': terminal prompts disabled";
        assert!(told(words).contains("open to everybody"));
        assert!(told("").contains("128"), "{}", told(""));
    }
}
