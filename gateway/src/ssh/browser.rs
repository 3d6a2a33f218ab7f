//! Log-ins of clients that have no key we know: somebody approves them in a browser.
//!
//! By keyboard-interactive (RFC 4256): the first request shows a link and a code and asks
//! for nothing, so that the client answers at once; then it is answered in rounds, each a
//! request without a word, until it is decided. A client that has gone is noticed by its
//! round, and one that waits isn't silent for long.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use russh::server::Auth;
use russh::{MethodKind, MethodSet};
use tracing::{Span, debug, info};

use super::connection::quoted;
use super::login::Login;
use super::proof::Proof;
use crate::identity::{Approvals, Decision, Joined, LetIn, Lockout, Sessions, Target, Times};

/// How long one round lasts.
const ROUND: Duration = Duration::from_secs(5);

/// How much longer than the decision may take a log-in may.
const MARGIN: Duration = Duration::from_secs(15);

/// What log-ins by a browser need.
pub struct BrowserSignIn {
    /// What waits for somebody's approval.
    pub approvals: Approvals,
    /// Tells whether what approved it still counts.
    pub sessions: Sessions,
    /// Where it is approved.
    pub page: String,
    /// How long it may take, and how long it lets further connections in.
    pub times: Times,
}

/// Where one connection's log-in by a browser is.
#[derive(Debug, Default)]
pub(super) enum Asking {
    /// It wasn't begun.
    #[default]
    Not,
    /// The client waits for somebody's decision.
    Waiting(Joined),
    /// The client was told how it ended.
    Over,
}

/// Who asks, where to, and what counts it.
pub(super) struct Asker<'a> {
    pub(super) client: IpAddr,
    pub(super) name: &'a str,
    pub(super) login: &'a Login,
    pub(super) lockout: &'a Lockout,
    pub(super) span: &'a Span,
}

/// How a step ended.
pub(super) enum Step {
    /// Signed in.
    In(Proof),
    /// Not yet, or not at all.
    Answer(Auth),
}

impl Asking {
    /// Begins: says where to approve it, or lets the client in by an approval of a moment
    /// ago.
    pub(super) async fn begin(&mut self, sign_in: &BrowserSignIn, asker: &Asker<'_>) -> Step {
        let Asker { name, span, .. } = asker;
        // Not for the name: nobody guesses an approval, and strangers can lock any name out.
        if let Err(locked) = asker.lockout.check_address(asker.client) {
            debug!(parent: *span, login = ?quoted(name), %locked, "log-in refused");
            return Step::Answer(over());
        }
        if let Err(invalid) = name.parse::<Target>() {
            // It would lead nowhere, whoever approved it.
            *self = Self::Over;
            return Step::Answer(told(format!("devgate: {invalid}")));
        }
        let joined = sign_in.approvals.join(name, asker.client, sign_in.times);
        if let Decision::Approved(let_in) = joined.decision() {
            return self.let_in(sign_in, asker, let_in).await;
        }
        asker.login.extend(joined.until + MARGIN);
        let minutes = sign_in.times.wait.as_secs().div_ceil(60);
        // Stock clients print it, in ASCII and up to 1 KiB.
        let text = format!(
            "devgate knows none of your keys. To let this connection in, open\n\n  \
             {}#code={}\n\nand approve it there if the page shows the code {}.\n\
             It then goes on by itself; you have {minutes} min.",
            sign_in.page, joined.code, joined.code
        );
        if joined.is_first {
            // It counts as a failure until it is approved; the others ask for nothing of
            // their own.
            asker.login.refuse();
            info!(parent: *span, login = ?quoted(name), "log-in waits to be approved in a browser");
        }
        *self = Self::Waiting(joined);
        Step::Answer(told(text))
    }

    /// Goes on after the client's answer.
    pub(super) async fn go_on(&mut self, sign_in: &BrowserSignIn, asker: &Asker<'_>) -> Step {
        let Asker { name, span, .. } = asker;
        let Self::Waiting(joined) = self else {
            return Step::Answer(over());
        };
        let text = match joined.decided_within(ROUND).await {
            Some(Decision::Pending) => return Step::Answer(told(String::new())),
            Some(Decision::Approved(let_in)) => {
                return self.let_in(sign_in, asker, let_in).await;
            }
            Some(Decision::Refused) => "devgate: this was refused in the browser",
            None => "devgate: nobody approved this in time; connect again to get a new code",
        };
        info!(parent: *span, login = ?quoted(name), why = text, "log-in not approved");
        *self = Self::Over;
        Step::Answer(told(text.to_owned()))
    }

    async fn let_in(
        &mut self,
        sign_in: &BrowserSignIn,
        asker: &Asker<'_>,
        LetIn { user, via, over }: LetIn,
    ) -> Step {
        let Asker { name, span, .. } = asker;
        // The login that approved it may have ended meanwhile.
        if over.is_cancelled() || !sign_in.sessions.live(&via).await {
            info!(parent: *span, login = ?quoted(name), "log-in refused: its approval has ended");
            *self = Self::Over;
            return Step::Answer(told("devgate: what approved this has ended".to_owned()));
        }
        let revoked = sign_in.sessions.revoked(&via);
        *self = Self::Over;
        Step::In(Proof::approved(user, [over, revoked]))
    }
}

/// Asks for nothing, and shows a text.
fn told(text: String) -> Auth {
    Auth::Partial {
        name: Cow::Borrowed(""),
        instructions: Cow::Owned(text),
        prompts: Cow::Borrowed(&[]),
    }
}

/// Says that it is no use to ask again.
fn over() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(MethodSet::from([MethodKind::PublicKey].as_slice())),
        partial_success: false,
    }
}
