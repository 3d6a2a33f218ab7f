//! `GET /api/v1/workspaces/{id}/ports`: what listens in a workspace, joined with who may
//! open it; live where that is asked for.

mod agent;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tracing::debug;

use super::{Errand, Inside, InsideRefused, harden, split};
use crate::http::api::wire::LiveEvent;
use crate::http::apps::{self, Opens};
use crate::http::live::{Asked, EVENTS, Until};
use crate::http::problem::Problem;
use crate::http::proxy::Cut;
use crate::http::serve::PeerInfo;
use crate::identity::Grant;
use crate::store::{OpenPort, Visibility};
use crate::workspaces::{State as Life, Workspace};
use agent::{Events, Listening, hear, question, read};

/// How long an agent may take to say what listens: it looks at a few files.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the records are asked who may open what.
const LOOK: Duration = Duration::from_secs(1);

/// A port of a workspace: something listens on it, others may open it, or its template
/// names it.
#[derive(Debug, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the API has a port's number as `port`"
)]
struct Port {
    port: u16,
    name: Option<String>,
    address: Option<String>,
    process: Option<String>,
    pid: Option<u32>,
    since: Option<String>,
    listening: bool,
    visibility: &'static str,
    #[serde(with = "rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    url: String,
}

#[derive(Debug, Serialize)]
struct Ports {
    items: Vec<Port>,
    next: Option<String>,
}

pub(super) async fn list(
    State(inside): State<Arc<Inside>>,
    Extension(peer): Extension<PeerInfo>,
    Asked(way): Asked,
    request: Request,
) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let (caller, asked) = inside
        .caller(peer.address.ip(), &head, Errand::Listen)
        .await?;
    let grant = inside.grant(&caller, split(&head.uri).0).await?;
    if let Some(way) = way {
        let until = Until {
            signed_in: inside.sessions.changed(&caller),
            tenure: inside.workspaces.tenure(grant.workspace()),
        };
        let live = inside.live.clone();
        let feed = Feed::new(inside, grant, asked.client);
        let events = stream::unfold(feed, async |mut feed| Some((feed.next().await, feed)));
        let mut response = live.answer(way, until, events)?;
        harden(&mut response);
        return Ok(response);
    }
    let listening = if inside.runs(&grant) {
        inside.listening(&grant, asked.client).await?
    } else {
        Vec::new()
    };
    let shares = inside.store.open_ports(&grant.workspace().id).await?;
    let items = inside.join(grant.workspace(), listening, &shares);
    let mut response = Json(Ports { items, next: None }).into_response();
    harden(&mut response);
    Ok(response)
}

/// The state of one client that follows the ports.
struct Feed {
    inside: Arc<Inside>,
    grant: Grant,
    client: IpAddr,
    agent: Option<Events>,
    listening: Vec<Listening>,
    shares: Vec<OpenPort>,
    sent: Option<Value>,
    ticks: Interval,
}

impl Feed {
    fn new(inside: Arc<Inside>, grant: Grant, client: IpAddr) -> Self {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            inside,
            grant,
            client,
            agent: None,
            listening: Vec::new(),
            shares: Vec::new(),
            sent: None,
            ticks,
        }
    }

    /// Returns the next event, once there is one.
    async fn next(&mut self) -> LiveEvent {
        loop {
            // The first tick comes at once.
            tokio::select! {
                heard = hear(&mut self.agent) => if let Some(listed) = heard {
                    self.listening = listed;
                } else {
                    self.agent = None;
                    self.listening.clear();
                },
                _ = self.ticks.tick() => self.look().await,
            }
            let workspace = self.grant.workspace();
            let items = self
                .inside
                .join(workspace, self.listening.clone(), &self.shares);
            let list = Ports { items, next: None };
            let Ok(data) = serde_json::to_value(&list) else {
                continue;
            };
            if self.sent.as_ref() != Some(&data) {
                self.sent = Some(data.clone());
                return LiveEvent {
                    event: "ports".into(),
                    id: None,
                    data,
                };
            }
        }
    }

    /// Looks at the records, and for the agent where it isn't heard.
    async fn look(&mut self) {
        match self
            .inside
            .store
            .open_ports(&self.grant.workspace().id)
            .await
        {
            Ok(shares) => self.shares = shares,
            Err(error) => debug!(%error, "can't look up who may open ports"),
        }
        if self.agent.is_some() || !self.inside.runs(&self.grant) {
            return;
        }
        let follow = async {
            let question = question(EVENTS);
            let asked = self.inside.ask(
                &self.grant,
                self.client,
                question,
                Cut::default(),
                Errand::Look,
            );
            match asked.await {
                Ok(response) if response.status().is_success() => {
                    let mut events = Events::new(response.into_body());
                    // The list comes at once: what is shown first is whole.
                    let listening = events.next().await.unwrap_or_default();
                    return Some((events, listening));
                }
                Ok(response) => debug!(status = %response.status(), "an agent reports no ports"),
                Err(problem) => debug!(problem.code, "an agent can't be asked for its ports"),
            }
            None
        };
        match timeout(PATIENCE, follow).await {
            Ok(Some((events, listening))) => {
                self.listening = listening;
                self.agent = Some(events);
            }
            Ok(None) => {}
            Err(_) => debug!("an agent takes too long to report its ports"),
        }
    }
}

impl Inside {
    fn runs(&self, grant: &Grant) -> bool {
        let state = self.workspaces.watch(&grant.workspace().id);
        state.is_some_and(|state| matches!(*state.borrow(), Life::Running))
    }

    /// Asks the agent what listens.
    async fn listening(&self, grant: &Grant, client: IpAddr) -> Result<Vec<Listening>, Problem> {
        let asked = async {
            let question = question("application/json");
            let asked = self.ask(grant, client, question, Cut::default(), Errand::Look);
            let response = asked.await?;
            Ok(read(response).await)
        };
        let listening = timeout(PATIENCE, asked).await;
        listening.unwrap_or_else(|_| Err(InsideRefused::Late.into()))
    }

    fn join(
        &self,
        workspace: &Workspace,
        listening: Vec<Listening>,
        shares: &[OpenPort],
    ) -> Vec<Port> {
        let share = |port| shares.iter().find(|share| share.port == port);
        let visibility = |share: Option<&OpenPort>| {
            let visibility = share.map_or(Visibility::Private, |share| share.visibility);
            (visibility.as_str(), share.and_then(|share| share.expires))
        };
        let rules = &workspace.blueprint.ports;
        let name = |port| {
            let rule = rules.iter().find(|rule| rule.port == port)?;
            (!rule.name.is_empty()).then(|| rule.name.clone())
        };
        let mut ports: Vec<_> = listening
            .into_iter()
            .map(|found| {
                let (visibility, expires_at) = visibility(share(found.port));
                Port {
                    url: self.url(workspace, found.port),
                    port: found.port,
                    name: name(found.port),
                    address: found.address,
                    process: found.process,
                    pid: found.pid,
                    since: found.since,
                    listening: true,
                    visibility,
                    expires_at,
                }
            })
            .collect();
        let opened = shares.iter().map(|share| share.port);
        for port in opened.chain(rules.iter().map(|rule| rule.port)) {
            if ports.iter().any(|known| known.port == port) {
                continue;
            }
            let (visibility, expires_at) = visibility(share(port));
            ports.push(Port {
                port,
                name: name(port),
                address: None,
                process: None,
                pid: None,
                since: None,
                listening: false,
                visibility,
                expires_at,
                url: self.url(workspace, port),
            });
        }
        ports.sort_by_key(|port| port.port);
        ports
    }

    fn url(&self, workspace: &Workspace, port: u16) -> String {
        apps::address(&self.site, workspace, Opens::Port(port))
    }
}
