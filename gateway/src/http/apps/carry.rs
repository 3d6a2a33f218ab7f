//! Hands a request that may pass to its application, and the answer back.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use tokio::time::timeout;

use super::access::{self, Ask};
use super::lookup::{self, Opened};
use super::{AppRefused, Apps, Place, is_ours};
use crate::activity::{Errand as Sought, Visit};
use crate::http::proxy::{Client, Cut, is_below, keep_to_host, keep_to_path, strip_cookies};
use crate::http::site::Origin;
use crate::identity::{Inside, Pass, Standing};
use crate::workspaces::{OpenError, State, Wake};

/// How long a person looks at nothing before a page says what is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Headers of an answer that mean more than the application's own host: the data of
/// its neighbours, and where they are served.
const NEIGHBOURS: [HeaderName; 2] = [
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("alt-svc"),
];

/// Headers of an answer that mean the whole host, which an application below a path
/// shares.
const WHOLE_HOST: [HeaderName; 3] = [
    HeaderName::from_static("service-worker-allowed"),
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("origin-agent-cluster"),
];

/// What a page of somebody else's may do on the dashboard's origin: nothing in its name.
const SANDBOX: &str = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";

/// A request that may pass.
pub(super) struct Errand<'a> {
    pub(super) place: &'a Place,
    pub(super) opened: &'a Opened,
    pub(super) pass: Pass,
    pub(super) cut: Cut,
    pub(super) client: Client,
    pub(super) way: Way,
    pub(super) ask: Ask,
    pub(super) wants_page: bool,
}

/// How an application was addressed.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// By its own host.
    Host,
    /// Below a path of the dashboard's host.
    Path {
        prefix: String,
        /// What the browser finds the dashboard at.
        own: Origin,
    },
}

impl Apps {
    /// Carries a request to its application.
    pub(super) async fn carry(
        &self,
        errand: Errand<'_>,
        mut request: Request<Body>,
    ) -> Result<Response, AppRefused> {
        let Errand {
            place,
            opened,
            pass,
            cut,
            client,
            way,
            ask,
            wants_page,
        } = errand;
        match ask {
            Ask::Preflight => access::only_the_question(&mut request),
            Ask::No => hide_our_own(request.headers_mut()),
        }
        let stranger = ask == Ask::Preflight && opened.door.enter(None).is_none();
        // Only its owner wakes a workspace.
        if pass.standing() == Standing::Guest && !self.is_up(&pass) {
            return Err(if stranger {
                AppRefused::SignInNeeded
            } else {
                AppRefused::NotRunning
            });
        }
        let workspaces = &self.0.workspaces;
        let (wake, visit) = match ask {
            Ask::Preflight => (Wake::Again, None),
            Ask::No => self.visit(&pass, &request, wants_page),
        };
        let open = async || {
            let enter = workspaces.enter(&pass, wake);
            if !wants_page {
                return enter.await;
            }
            timeout(PATIENCE, enter)
                .await
                .unwrap_or_else(|_| Err(self.still(&pass)))
        };
        if !workspaces.is_running(&pass.workspace().id) {
            opened.upstream.forget();
        }
        let forwarded = self
            .0
            .proxy
            .forward(&opened.upstream, request, &client, (cut, visit), open)
            .await;
        let mut response = match forwarded {
            Ok(response) => response,
            // What is private looks alike whether it is there or not.
            Err(_) if stranger => return Err(AppRefused::SignInNeeded),
            Err(error) => {
                let state = self.state(&pass);
                return Err(AppRefused::of(error, place.inside, state.as_ref()));
            }
        };
        let headers = response.headers_mut();
        for name in NEIGHBOURS {
            headers.remove(name);
        }
        if ask == Ask::Preflight {
            headers.remove(header::SET_COOKIE);
        }
        if stranger {
            // An application that doesn't look at the method answers with its page.
            access::only_the_answer(headers);
            *response.body_mut() = Body::empty();
        }
        let headers = response.headers_mut();
        if place.inside == Inside::Editor {
            self.keep_from_frames(headers);
        }
        match &way {
            Way::Host => keep_to_host(headers, is_ours),
            Way::Path { prefix, own } => keep_below(headers, prefix, own, pass.standing()),
        }
        Ok(response)
    }

    /// Has the editor, in which one click may run what somebody else wrote, shown in no
    /// other's page. Its own views are frames of its own origin.
    fn keep_from_frames(&self, headers: &mut HeaderMap) {
        let policy = format!("frame-ancestors 'self' {}", self.0.site.dashboard());
        if let Ok(policy) = HeaderValue::try_from(policy) {
            // Of several policies each counts.
            headers.append(header::CONTENT_SECURITY_POLICY, policy);
        }
    }

    /// Counts a request, and tells what it may wake.
    ///
    /// A page that somebody opens wakes what sleeps, and so does any request but one that
    /// came a moment ago already: pages that were left open ask again and again.
    fn visit(
        &self,
        pass: &Pass,
        request: &Request<Body>,
        wants_page: bool,
    ) -> (Wake, Option<Visit>) {
        let id = &pass.workspace().id;
        let errand = Sought::of(&(pass.inside(), request.uri().path()));
        let visit = self.0.workspaces.visit(id, Some(errand));
        let Some(activity) = self.0.workspaces.activity(id) else {
            return (Wake::Background, visit);
        };
        if access::by_a_person(request, wants_page) {
            activity.used();
            return (Wake::Background, visit);
        }
        let again = activity.asked(errand);
        (if again { Wake::Again } else { Wake::Background }, visit)
    }

    fn state(&self, pass: &Pass) -> Option<State> {
        let state = self.0.workspaces.watch(&pass.workspace().id)?;
        Some(state.borrow().clone())
    }

    fn is_up(&self, pass: &Pass) -> bool {
        matches!(self.state(pass), Some(State::Starting | State::Running))
    }

    fn still(&self, pass: &Pass) -> OpenError {
        OpenError::TimedOut {
            state: self.state(pass).unwrap_or(State::Stopped),
            seconds: PATIENCE.as_secs(),
        }
    }
}

/// Takes out of a request what would let an application act as whoever sends it.
fn hide_our_own(headers: &mut HeaderMap) {
    strip_cookies(headers, is_ours);
    if lookup::token(headers).is_some() {
        headers.remove(header::AUTHORIZATION);
    }
}

/// Keeps an answer below the path that its application is at.
fn keep_below(headers: &mut HeaderMap, prefix: &str, own: &Origin, standing: Standing) {
    keep_to_path(headers, prefix, is_ours);
    for name in WHOLE_HOST {
        headers.remove(name);
    }
    if standing == Standing::Guest {
        // Both count: a second policy only forbids more.
        let sandbox = HeaderValue::from_static(SANDBOX);
        headers.append(header::CONTENT_SECURITY_POLICY, sandbox);
    }
    let location = headers.get(header::LOCATION);
    let location = location.and_then(|location| std::str::from_utf8(location.as_bytes()).ok());
    if let Some(moved) = location.and_then(|location| moved_below(location, prefix, own))
        && let Ok(moved) = HeaderValue::try_from(moved)
    {
        headers.insert(header::LOCATION, moved);
    }
}

/// Returns an address of an application's below the path that it is at. `None` where it lies
/// there already, is relative to where the browser is, or names another origin.
fn moved_below(location: &str, prefix: &str, own: &Origin) -> Option<String> {
    let path = if location.starts_with('/') && !location.starts_with("//") {
        location
    } else {
        // `SCHEME://HOST…`, or `//HOST…`, which is of the scheme that the browser speaks.
        let (scheme, rest) = location.split_once("//")?;
        let scheme = match scheme {
            "" => own.scheme().as_str(),
            scheme => scheme.strip_suffix(':')?,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let named: Origin = format!("{scheme}://{authority}").parse().ok()?;
        (named == *own).then_some(path)?
    };
    let start = location.strip_suffix(path)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    (!is_below(path, prefix)).then(|| format!("{start}{prefix}{slash}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_below_the_path() {
        let prefix = "/@ada/api/apps/3000";
        let own: Origin = "https://dev.example:8443".parse().unwrap();
        for (said, meant) in [
            ("/login", "/@ada/api/apps/3000/login"),
            ("/?to=//x", "/@ada/api/apps/3000/?to=//x"),
            (
                "https://dev.example:8443/login?a=b",
                "https://dev.example:8443/@ada/api/apps/3000/login?a=b",
            ),
            (
                "HTTPS://Dev.Example:8443",
                "HTTPS://Dev.Example:8443/@ada/api/apps/3000/",
            ),
            (
                "https://dev.example:8443?a=/@ada/api/apps/3000/",
                "https://dev.example:8443/@ada/api/apps/3000/?a=/@ada/api/apps/3000/",
            ),
            (
                "//dev.example:8443/x",
                "//dev.example:8443/@ada/api/apps/3000/x",
            ),
            (
                "/@ada/api/apps/30001",
                "/@ada/api/apps/3000/@ada/api/apps/30001",
            ),
        ] {
            assert_eq!(sent_to(said, prefix, &own), meant);
        }
        for as_it_is in [
            "/@ada/api/apps/3000",
            "/@ada/api/apps/3000?a=1",
            "/@ada/api/apps/3000/x",
            "https://dev.example:8443/@ada/api/apps/3000/x",
            "//evil.example/",
            "https://a.example/",
            "https://dev.example/",
            "http://dev.example:8443/",
            "https://dev.example:8443@evil.example/",
            "next",
            "next?to=https://dev.example:8443/",
            "mailto:ada@dev.example",
        ] {
            assert_eq!(sent_to(as_it_is, prefix, &own), as_it_is);
        }
    }

    /// Returns where a browser is sent that an application sends there.
    fn sent_to(said: &'static str, prefix: &str, own: &Origin) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_static(said));
        keep_below(&mut headers, prefix, own, Standing::Owner);
        headers[header::LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn somebody_elses_page_below_the_dashboard_is_put_into_a_sandbox() {
        let mut headers = HeaderMap::new();
        let own = "https://dev.example".parse().unwrap();
        keep_below(&mut headers, "/@ada/api/apps/1", &own, Standing::Guest);
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("sandbox") && !policy.contains("same-origin"));
    }
}
