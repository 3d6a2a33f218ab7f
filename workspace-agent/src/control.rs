//! The `control` stream of a gateway that dials: signs of life.
//!
//! Several at once are fine, and nothing depends on them: programs live on when the
//! last one is gone.

use std::pin::pin;
use std::time::Duration;

use devgate_protocol::control::{self, FromAgent, FromGateway};
use devgate_protocol::{
    Answer, FEATURE_ACTIVITY, FEATURE_EDITOR, FEATURE_HAND_OVER, FEATURE_HTTP, FEATURE_OVERTAKING,
    FEATURE_SECRETS, FEATURE_STARTUP, Stream, StreamError, VERSION, WriteHalf, handshake,
};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::agent::Agent;

/// How long a gateway may take to answer the first message.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// Names of the optional capabilities of this agent.
pub(crate) const FEATURES: [&str; 8] = [
    "x11",
    FEATURE_HTTP,
    FEATURE_EDITOR,
    FEATURE_HAND_OVER,
    FEATURE_STARTUP,
    FEATURE_SECRETS,
    FEATURE_ACTIVITY,
    FEATURE_OVERTAKING,
];

/// Returns the first message of a control connection.
pub(crate) fn hello(agent: &Agent) -> FromAgent {
    FromAgent::Hello {
        protocol: VERSION,
        version: crate::VERSION.to_owned(),
        workspace: agent.config().workspace.clone(),
        pid: std::process::id(),
        features: FEATURES.map(str::to_owned).to_vec(),
    }
}

/// Serves a control stream until its end or the agent's.
pub(crate) async fn serve(agent: &Agent, mut stream: Stream) -> Result<(), StreamError> {
    let stopping = agent.stopping();
    handshake::write_answer(&mut stream, &Answer::Opened).await?;
    control::write(&mut stream, &hello(agent)).await?;
    match timeout(WELCOME_TIMEOUT, control::read(&mut stream)).await {
        Ok(Ok(Some(FromGateway::Welcome {
            protocol,
            version,
            environment,
            secrets,
            missing,
            authority,
            ..
        }))) => {
            info!(protocol, version, "gateway connected");
            agent
                .secrets()
                .take(environment, (secrets, missing), authority);
        }
        Ok(Ok(other)) => {
            warn!(answer = ?other, "the gateway's first message is not a welcome");
            return Ok(());
        }
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => {
            warn!("the gateway doesn't answer");
            return Ok(());
        }
    }
    let (mut reader, mut writer) = stream.split();
    'connected: loop {
        // Not cancel-safe: it goes on to its end.
        let mut reading = pin!(control::read(&mut reader));
        let message = loop {
            tokio::select! {
                message = &mut reading => break message?,
                notice = agent.notices().next() => tell(agent, notice, &mut writer).await?,
                () = stopping.cancelled() => break 'connected,
            }
        };
        match message {
            Some(FromGateway::Ping { number }) => {
                control::write(&mut writer, &FromAgent::Pong { number }).await?;
            }
            Some(FromGateway::Tell {
                number,
                environment,
                secrets,
                missing,
                authority,
            }) => {
                agent
                    .secrets()
                    .take(environment, (secrets, missing), authority);
                control::write(&mut writer, &FromAgent::Known { number }).await?;
            }
            Some(FromGateway::Overtake { session, request }) => {
                agent.passing().pass(session, request);
            }
            // The others concern agents that dial; a later version's are ignored.
            Some(_) => {}
            None => break,
        }
    }
    info!("gateway disconnected");
    Ok(writer.shutdown().await?)
}

/// Tells something by itself.
async fn tell(agent: &Agent, notice: FromAgent, writer: &mut WriteHalf) -> Result<(), StreamError> {
    let written = control::write(writer, &notice).await;
    if written.is_err() {
        agent.notices().put_back(notice);
    }
    Ok(written?)
}
