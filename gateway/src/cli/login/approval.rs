//! Having somebody approve this machine in a browser (after RFC 8628).

use std::env;
use std::io::{self, IsTerminal as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use devgate_protocol::Secret;
use http::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Login, Token, seconds};
use crate::cli::client::{Remote, Unanswered, explain, parse, read};
use crate::cli::contexts::ContextName;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output::{self, Progress, printable};
use crate::http::api::wire::{BeginDevice, DeviceCodes, DeviceToken, FinishDevice};
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
    show(&codes, command);
    let progress = Progress::start("waiting until somebody approves it".to_owned());
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

fn show(codes: &DeviceCodes, command: &Login) {
    let page = printable(&codes.verification_uri);
    let code = printable(&codes.user_code);
    let whole = &codes.verification_uri_complete;
    let opened = !command.no_browser && io::stderr().is_terminal() && open(whole);
    let there = if opened {
        "A browser was opened. Should it show nothing, go to"
    } else {
        "In a browser, on any machine, go to"
    };
    output::note(&format!(
        "{there}\n\n    {page}\n\nand approve this code, if it is the same there:\n\n    {code}\n"
    ));
}

/// Opens a page in a browser where there is one; tells whether that was tried.
fn open(page: &str) -> bool {
    // It comes from the server: nothing but a page is opened.
    if !page.starts_with("https://") && !page.starts_with("http://") {
        return false;
    }
    let has = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let program = match env::var_os("BROWSER") {
        Some(browser) if !browser.is_empty() => browser,
        _ if cfg!(target_os = "macos") => "open".into(),
        _ if has("DISPLAY") || has("WAYLAND_DISPLAY") => "xdg-open".into(),
        _ => return false,
    };
    let mut browser = Command::new(program);
    browser
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    browser.spawn().is_ok()
}

async fn wait(
    remote: &mut Remote,
    codes: &DeviceCodes,
    name: &ContextName,
) -> Result<DeviceToken, Failure> {
    let mut interval = Duration::from_secs(codes.interval.clamp(1, 60));
    let end = Instant::now() + Duration::from_secs(codes.expires_in.min(3600));
    let mut answered = Instant::now();
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
    let message = "the code is too old, or the server has started anew: run this again";
    Err(Failure::new(Kind::TimedOut, message))
}
