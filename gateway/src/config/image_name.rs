//! Names of images, by the grammar of Docker's references
//! (<https://pkg.go.dev/github.com/distribution/reference>):
//! `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`.

/// Longest name of a registry's host and a repository, in bytes.
const MAX_NAME: usize = 255;

/// Longest tag, in bytes.
const MAX_TAG: usize = 128;

/// Shortest digest's number, in hexadecimal digits.
const MIN_DIGEST: usize = 32;

/// Tells whether a text can name an image.
pub(crate) fn is_image(text: &str) -> bool {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    // What follows a colon is a port where there is a repository behind it.
    let (name, tag) = match named.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (named, None),
    };
    let (host, repository) = match name.split_once('/') {
        Some((host, repository)) if is_of_host(host) => (Some(host), repository),
        _ => (None, name),
    };
    name.len() <= MAX_NAME
        && host.is_none_or(is_host)
        && repository.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

/// Says what is wrong with the name of an image, or nothing.
pub(crate) fn check_image(text: &str) -> Result<(), String> {
    if is_image(text) {
        return Ok(());
    }
    let shown: String = text.chars().take(200).collect();
    if is_image(&text.to_ascii_lowercase()) {
        return Err(format!(
            "{shown:?} is not the name of an image: all of it is in lowercase letters, but for a \
             registry's host and a tag"
        ));
    }
    Err(format!(
        "{shown:?} is not the name of an image, as in \"debian:12\""
    ))
}

/// Tells whether what is before the first slash is a registry's host, and no namespace of
/// Docker Hub's.
fn is_of_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_address = |text: &str| {
        let hex = |b: u8| b.is_ascii_hexdigit() || b == b':';
        !text.is_empty() && text.bytes().all(hex)
    };
    let is_part = |part: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(inner)
    };
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inside.map_or_else(|| host.split('.').all(is_part), is_address)
        && port
            .is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Tells whether a text is letters and digits, with one dot, one or two underscores or any
/// number of hyphens between them.
fn is_component(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends_well = |text: &str| {
        let bytes = text.as_bytes();
        bytes.first().is_some_and(|&b| is_inner(b)) && bytes.last().is_some_and(|&b| is_inner(b))
    };
    ends_well(text)
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|between| {
                matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
            })
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=MAX_TAG).contains(&text.len())
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, number)) = text.split_once(':') else {
        return false;
    };
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(is_part)
        && number.len() >= MIN_DIGEST
        && number.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_as_the_engine_takes_it() {
        let digest = "0123456789abcdef0123456789ABCDEF";
        for good in [
            "debian",
            "debian:12",
            "debian:Bookworm_1.2-x",
            "library/debian",
            "a__b/c---d/e.f_g",
            "localhost/a",
            "localhost:5000/a:1",
            "Registry.Example:5000/team/api:V1",
            "[2001:db8::1]:5000/a",
            "host:5000/a/b",
            "123",
            "sha256:0123",
            &format!("debian@sha256:{digest}"),
            &format!("host.example/a:1@sha256+b64u:{digest}"),
        ] {
            check_image(good).unwrap();
        }
        for bad in [
            "",
            ":1",
            "a:",
            "a b",
            "/a",
            "a/",
            "a//b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a._b",
            "a:-1",
            "a:1:2",
            "-host.example/a",
            "host.example:port/a",
            "host.example:/a",
            "[host]:1/a",
            "ä",
            "a@sha256",
            "a@sha256:0123",
            "https://host.example/a",
            &"a/".repeat(200),
            &format!("a:{}", "1".repeat(129)),
        ] {
            let problem = check_image(bad).unwrap_err();
            assert!(problem.contains("debian:12"), "{bad}: {problem}");
        }
    }

    #[test]
    fn capitals_are_told_apart_from_what_is_no_name_at_all() {
        for bad in ["UPPER/x", "Debian", "127.0.0.1:5000/Team/A:1", "a.b/C"] {
            let problem = check_image(bad).unwrap_err();
            assert!(problem.contains("lowercase"), "{bad}: {problem}");
        }
    }
}
