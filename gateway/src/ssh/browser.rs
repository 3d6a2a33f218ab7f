//! Log-ins of clients that have no key we know: somebody approves them in a browser.
//!
//! By keyboard-interactive (RFC 4256): the first request shows a link and a code and asks
//! for nothing, so that the client answers at once; then it is answered in rounds, each a
//! request without a word, until it is decided. A client that has gone is noticed by its
//! round, and one that waits isn't silent for long.
//!
//! Invariant: what is approved for a login name signs in with that name alone; and a
//! connection may begin a few times and wait no longer than from its first.

use std::borrow::Cow;
use std::mem;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use russh::server::Auth;
use russh::{MethodKind, MethodSet};
use tracing::{Span, debug, error, info};

use super::connection::quoted;
use super::login::Login;
use super::proof::Proof;
use crate::events::{Events, Kind, NewEvent};
use crate::identity::{
    Approvals, Decision, Identity, Joined, LetIn, Lockout, People, Sessions, Sharing, Target,
    Times, Undecided, User,
};

/// How long one round lasts.
const ROUND: Duration = Duration::from_secs(5);

/// How much longer than the decision may take a log-in may.
const MARGIN: Duration = Duration::from_secs(15);

/// How often a connection may begin: clients try a method a few times.
const MAX_BEGUN: u32 = 3;

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
pub(super) struct Asking {
    state: State,
    /// How often it was begun.
    begun: u32,
    /// When the connection is too late, since it began first.
    until: Option<Instant>,
}

#[derive(Debug, Default)]
enum State {
    /// It wasn't begun.
    #[default]
    Not,
    /// The client waits for somebody's decision on a login name.
    Waiting(String, Joined),
    /// The client was told whom it is signed in as, with a login name.
    SignedIn(String, Proof),
    /// The client was told how it ended.
    Over,
}

/// Who asks, where to, and what counts it.
pub(super) struct Asker<'a> {
    pub(super) client: IpAddr,
    pub(super) name: &'a str,
    pub(super) login: &'a Login,
    pub(super) lockout: &'a Lockout,
    pub(super) identity: &'a Identity,
    pub(super) events: &'a Events,
    /// Why the client's certificate or key was refused, where there is more to say than that
    /// it is unknown.
    pub(super) refusal: Option<&'a str>,
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
        // Who asks anew gives up what they asked for before (RFC 4252 §5).
        let before = mem::replace(&mut self.state, State::Over);
        self.begun += 1;
        if matches!(before, State::Over) || self.begun > MAX_BEGUN {
            return Step::Answer(over());
        }
        drop(before);
        if self.begun > 1 {
            tokio::time::sleep(asker.lockout.delay(asker.client, *name)).await;
        }
        // Not for the name: nobody guesses an approval, and strangers can lock any name out.
        if let Err(locked) = asker.lockout.check_address(asker.client) {
            debug!(parent: *span, login = ?quoted(name), %locked, "log-in refused");
            return Step::Answer(told(format!("devgate: {locked}")));
        }
        let target = match name.parse::<Target>() {
            Ok(target) => target,
            // It would lead nowhere, whoever approved it.
            Err(invalid) => return Step::Answer(told(format!("devgate: {invalid}"))),
        };
        let people = asker.people().await;
        let (approvals, times) = (&sign_in.approvals, sign_in.times);
        let joined = approvals.join(&target, asker.client, times, people);
        if let Decision::Approved(let_in) = joined.decision() {
            asker.came_in(&let_in.user, &target);
            return self.let_in(sign_in, asker, let_in).await;
        }
        let until = *self.until.get_or_insert(joined.until + MARGIN);
        asker.login.extend(until);
        if joined.is_first {
            // It counts as a failure until it is approved; the others ask for nothing of
            // their own.
            asker.login.refuse();
            info!(parent: *span, login = ?quoted(name), "log-in waits to be approved in a browser");
        }
        let text = asker.question(sign_in, &target, &joined);
        self.state = State::Waiting((*name).to_owned(), joined);
        Step::Answer(told(text))
    }

    /// Goes on after the client's answer.
    pub(super) async fn go_on(&mut self, sign_in: &BrowserSignIn, asker: &Asker<'_>) -> Step {
        let Asker { name, span, .. } = asker;
        let (own, mut joined) = match mem::replace(&mut self.state, State::Over) {
            State::Waiting(own, joined) if own == *name => (own, joined),
            State::SignedIn(own, proof) if own == *name => return Step::In(proof),
            _ => return Step::Answer(over()),
        };
        let text = match joined.decided_within(ROUND).await {
            Ok(Decision::Pending) => {
                self.state = State::Waiting(own, joined);
                return Step::Answer(told(String::new()));
            }
            Ok(Decision::Approved(let_in)) => {
                if let (false, Ok(target)) = (joined.is_first, name.parse::<Target>()) {
                    asker.came_in(&let_in.user, &target);
                }
                return self.let_in(sign_in, asker, let_in).await;
            }
            Ok(Decision::Refused) => "devgate: this was refused in the browser",
            Err(Undecided::Late) => {
                "devgate: nobody approved this in time; connect again to get a new code"
            }
            Err(Undecided::Displaced) => {
                "devgate: too many others wait to be approved, and this had to make room; \
                 connect again in a moment"
            }
        };
        info!(parent: *span, login = ?quoted(name), why = text, "log-in not approved");
        Step::Answer(told(text.to_owned()))
    }

    async fn let_in(
        &mut self,
        sign_in: &BrowserSignIn,
        asker: &Asker<'_>,
        LetIn { user, via, hold }: LetIn,
    ) -> Step {
        let Asker { name, span, .. } = asker;
        // The login that approved it may have ended meanwhile.
        if hold.over().is_cancelled() || !sign_in.sessions.live(&via).await {
            info!(parent: *span, login = ?quoted(name), "log-in refused: its approval has ended");
            return Step::Answer(told("devgate: what approved this has ended".to_owned()));
        }
        // Whoever didn't approve it themselves sees whose account they are in.
        let text = format!("devgate: signed in as {}", user.name);
        let revoked = sign_in.sessions.revoked(&via);
        let proof = Proof::approved(user, hold, revoked);
        self.state = State::SignedIn((*name).to_owned(), proof);
        Step::Answer(told(text))
    }
}

impl Asker<'_> {
    /// Says where to approve it. Stock clients print it, in ASCII and up to 1 KiB.
    fn question(&self, sign_in: &BrowserSignIn, target: &Target, joined: &Joined) -> String {
        let why = self.refusal.unwrap_or("devgate knows none of your keys.");
        let who = target.owner.as_ref();
        let who = who.map_or_else(String::new, |owner| format!(" as {owner}"));
        let more = match joined.sharing {
            Sharing::Unnamed => format!(
                "\nEach connection asks anew; log in as {}.OWNER to be asked once for many.",
                target.workspace
            ),
            Sharing::None | Sharing::Alike => String::new(),
        };
        let minutes = sign_in.times.wait.as_secs().div_ceil(60);
        format!(
            "{why} To let this connection in, open\n\n  {}#code={}\n\nand approve it there{who} if \
             the page shows the code {}.\nIt then goes on by itself; you have {minutes} min.{more}",
            sign_in.page, joined.code, joined.code
        )
    }

    /// Tells whether there is more than one person, in doubt that there is.
    async fn people(&self) -> People {
        match self.identity.people().await {
            Ok(people) => people,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                error!(parent: self.span, error, "users can't be looked up");
                People::Several
            }
        }
    }

    /// Notes that a connection came in by an approval that it didn't ask for itself.
    fn came_in(&self, user: &User, target: &Target) {
        let about = NewEvent::of_user(Kind::SshApproval, user)
            .saying("decision", "let-in")
            .saying("login", &target.to_string())
            .saying("address", &self.client.to_string());
        self.events.record(about);
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

#[cfg(test)]
mod tests;
