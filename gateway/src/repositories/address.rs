//! Addresses of repositories, and names of branches.

/// Longest of either, in bytes.
const MAX_LENGTH: usize = 1000;

/// How an address is written.
const FORMS: &str = "write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or \
                     git://HOST/PATH";

/// Returns what transports an address leads over, as `GIT_ALLOW_PROTOCOL` of git(1) has
/// them. Of those it is the one that is asked for, so that no server leads to another.
///
/// # Errors
/// What is wrong with the address.
pub(crate) fn address(url: &str) -> Result<&'static str, &'static str> {
    if url.len() > MAX_LENGTH || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(FORMS);
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        // As scp(1) writes it.
        let (host, path) = url.split_once(':').ok_or(FORMS)?;
        let (user, host) = host.split_once('@').ok_or(FORMS)?;
        let is_whole = is_user(user) && is_host(host) && !path.is_empty();
        let is_plain = !path.starts_with('-') && !path.starts_with(':');
        return (is_whole && is_plain).then_some("ssh").ok_or(FORMS);
    };
    let (authority, path) = rest.split_once('/').ok_or(FORMS)?;
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err("it has a password: leave it out, whoever reads the template could read it");
    }
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !is_host(host) || !is_port || path.is_empty() || !user.is_none_or(is_user) {
        return Err(FORMS);
    }
    match scheme {
        "https" => Ok("https"),
        "http" => Ok("http:https"),
        "ssh" => Ok("ssh"),
        "git" => Ok("git"),
        _ => Err(FORMS),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[') {
        let address = inside.strip_suffix(']');
        return address.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
    }
    (1..=253).contains(&host.len())
        && host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_user(user: &str) -> bool {
    (1..=64).contains(&user.len())
        && user.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && user
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Tells whether a text can name a branch or a tag (git-check-ref-format(1)).
pub(crate) fn is_branch(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.to_ascii_lowercase().ends_with(".lock")
    };
    (1..=250).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('.')
        && name != "@"
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains([' ', '~', '^', ':', '?', '*', '[', '\\'])
        && !name.contains(char::is_control)
        && name.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_over_their_own_transport_alone() {
        for (url, expected) in [
            ("https://git.example/team/api.git", "https"),
            ("https://me@git.example:8443/api", "https"),
            ("http://10.0.0.7:3000/api", "http:https"),
            ("ssh://git@git.example:2222/team/api", "ssh"),
            ("git@git.example:team/api.git", "ssh"),
            ("git://[::1]:9418/api", "git"),
        ] {
            assert_eq!(address(url), Ok(expected), "{url}");
        }
        for bad in [
            "",
            "/srv/api",
            "../api",
            "file:///srv/api",
            "ext::sh -c true",
            "ext::sh",
            "fd::3",
            "git.example:api",
            "-oProxyCommand=x@h:p",
            "git@-oProxyCommand=x:p",
            "git@git.example:-x",
            "ssh://-oProxyCommand=x/p",
            "https://me:pw@git.example/api",
            "https://git.example",
            "https:///api",
            "https://git.example:0/api",
            "https://git.example/a b",
            "ftp://git.example/api",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn branches_are_named_as_git_lets_them_be() {
        for good in ["main", "feature/one-2", "v1.0", "ä", "a@b"] {
            assert!(is_branch(good), "{good}");
        }
        for bad in [
            "", "-x", "a b", "a..b", "a/", "/a", "a//b", ".a", "a/.b", "a.lock", "a.", "@",
            "a@{1}", "a^", "a:b", "a\n",
        ] {
            assert!(!is_branch(bad), "{bad}");
        }
    }
}
