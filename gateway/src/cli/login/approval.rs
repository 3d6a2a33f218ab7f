//! Having somebody approve this machine in a browser (after RFC 8628).

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use devgate_protocol::Secret;
use http::{Method, Uri};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Login, Token, seconds};
use crate::cli::client::{Remote, Unanswered, explain, parse, read};
use crate::cli::contexts::ContextName;
use crate::cli::desktop::try_browser;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output::{self, Progress, printable};
use crate::http::api::wire::{BeginDevice, DeviceCodes, DeviceToken, FinishDevice};
use crate::http::{Origin, Scheme};
use crate::identity::SLOWER;
use crate::person;

/// How long a server that can't be reached is asked again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks for a token and waits until somebody has decided.
pub(super) async fn ask(
    remote: &mut Remote,
    command: &Login,
    name: &ContextName,
) -> Result<Token, Failure> {
    let begin = BeginDevice {
        name: own_name(),
        scope: command.scope.into(),
        expires_in_seconds: seconds(command.expires.get()),
    };
    let answer = remote
        .ask(Method::POST, "/login/device", Some(&json!(begin)))
        .await;
    let answer = answer.map_err(|error| explain(error, name.as_str()))?;
    let codes: DeviceCodes = read(parse(&answer)?)?;
    show(&codes, command)?;
    let progress = Progress::start("waiting until somebody approves it");
    let token = wait(remote, &codes, name).await;
    drop(progress);
    let DeviceToken { user, token } = token?;
    Ok(Token {
        user,
        secret: Secret::new(token.token),
        id: Some(token.id),
        expires: token.expires_at,
    })
}

/// Returns what the token is called: who it is for, and where.
fn own_name() -> String {
    let host = nix::unistd::gethostname().ok();
    let host = host.and_then(|name| name.into_string().ok());
    let name = format!("{}@{}", person::user_name(), host.unwrap_or_default());
    let fits = name.chars().filter(|c| !c.is_control());
    fits.take(100).collect()
}

fn show(codes: &DeviceCodes, command: &Login) -> Result<(), Failure> {
    let page = printable(&codes.verification_uri);
    let code = printable(&codes.user_code);
    let whole = &codes.verification_uri_complete;
    for page in [&codes.verification_uri, whole] {
        if let Host::Another(host) = host(page, &command.url)? {
            output::note(&format!(
                "devgate: warning: the page to approve it at is at {host}, and you sign in at \
                 {}: go on only where you know that this is its dashboard",
                command.url.host()
            ));
            break;
        }
    }
    let opened = !command.no_browser && io::stderr().is_terminal() && try_browser(whole);
    let there = if opened {
        "A browser was opened. Should it show nothing, go to"
    } else {
        "In a browser, on any machine, go to"
    };
    output::note(&format!(
        "{there}\n\n    {page}\n\nand approve this code, if it is the same there:\n\n    {code}\n"
    ));
    Ok(())
}

/// Where a page is, seen from the server that named it.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    Same,
    Another(String),
}

/// Sees that what a server names is a page, and no less safe than the way to the server.
fn host(page: &str, origin: &Origin) -> Result<Host, Failure> {
    let uri: Option<Uri> = page.parse().ok();
    let scheme = uri.as_ref().and_then(Uri::scheme_str);
    let allowed = match (scheme, origin.scheme()) {
        (Some("https"), _) => true,
        (Some("http"), scheme) => scheme == Scheme::Http,
        _ => false,
    };
    match uri.as_ref().and_then(Uri::host).filter(|_| allowed) {
        Some(host) if host.eq_ignore_ascii_case(origin.host()) => Ok(Host::Same),
        Some(host) => Ok(Host::Another(host.to_owned())),
        None => {
            let message = format!(
                "{origin} names a page to approve this at that isn't safe to open ({page}): set \
                 `http.url` on the server to the dashboard's address, with https"
            );
            Err(Failure::new(Kind::Failed, message))
        }
    }
}

async fn wait(
    remote: &mut Remote,
    codes: &DeviceCodes,
    name: &ContextName,
) -> Result<DeviceToken, Failure> {
    let mut interval = Duration::from_secs(codes.interval.clamp(1, 60));
    let end = Instant::now() + Duration::from_secs(codes.expires_in.min(3600));
    let mut answered = Instant::now();
    let mut answers = Answers::All;
    let asked = json!(FinishDevice {
        device_code: codes.device_code.clone(),
    });
    while Instant::now() < end {
        sleep(interval).await;
        let answer = remote
            .ask(Method::POST, "/login/device/token", Some(&asked))
            .await;
        let problem = match answer {
            Ok(bytes) => return read(parse(&bytes)?),
            Err(Unanswered::Refused(problem)) => problem,
            // It may start anew; what it knew of the code is lost then.
            Err(Unanswered::Failed(failure)) if failure.kind() == Kind::Unreachable => {
                if answered.elapsed() > PATIENCE {
                    return Err(failure);
                }
                answers = Answers::SomeLost;
                continue;
            }
            Err(error) => return Err(explain(error, name.as_str())),
        };
        answered = Instant::now();
        match problem.code.as_str() {
            "authorization-pending" => {}
            "slow-down" => interval += SLOWER,
            "access-denied" => {
                let message = "it was refused in the browser: nobody is signed in";
                return Err(Failure::new(Kind::Denied, message));
            }
            "expired-token" => break,
            _ => return Err(explain(Unanswered::Refused(problem), name.as_str())),
        }
    }
    Err(expired(answers))
}

/// Which answers came while a server was polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    All,
    /// The token may have been in one that didn't: it is told once.
    SomeLost,
}

/// Says that there is no token for a code any more.
fn expired(answers: Answers) -> Failure {
    let message = if answers == Answers::SomeLost {
        "the connection broke while the server was asked, and now the code is too old or was \
         used up: look at your tokens at the dashboard, end the newest one if it is this \
         machine's, and run this again"
    } else {
        "the code is too old, or the server has started anew: run this again"
    };
    Failure::new(Kind::TimedOut, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_no_less_safe_than_the_login_and_another_host_is_told() {
        let https: Origin = "https://dev.example.com:8443".parse().unwrap();
        let plain: Origin = "http://localhost:8080".parse().unwrap();
        let at = |page: &str, origin: &Origin| host(page, origin).ok();
        let another = |host: &str| Some(Host::Another(host.to_owned()));
        let page = "https://DEV.example.com/device#code=ABCD-EFGH";
        assert_eq!(at(page, &https), Some(Host::Same));
        assert_eq!(at("http://localhost:8080/device", &plain), Some(Host::Same));
        let disguised = "https://dev.example.com@evil.example/device";
        assert_eq!(at(disguised, &https), another("evil.example"));
        assert_eq!(
            at("https://dev.example.com/", &plain),
            another("dev.example.com")
        );
        for bad in [
            "http://dev.example.com:8443/device",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "/device",
            "https://dev.example.com/a b",
            "",
        ] {
            assert_eq!(at(bad, &https), None, "{bad}");
        }
    }

    #[test]
    fn a_token_that_may_have_been_lost_is_told() {
        assert!(
            expired(Answers::SomeLost)
                .to_string()
                .contains("your tokens")
        );
        assert!(!expired(Answers::All).to_string().contains("your tokens"));
    }
}
