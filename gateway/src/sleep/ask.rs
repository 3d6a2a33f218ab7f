//! Asking an agent what programs do.

use std::time::Duration;

use devgate_protocol::activity::{Ask, Report};
use devgate_protocol::{FEATURE_ACTIVITY, Open, Stream, control};
use tokio::time::timeout;
use tracing::debug;

use super::judge::Agent;
use crate::names::WorkspaceId;
use crate::tunnel::Tunnels;

/// How long an agent may take to answer: it looks at a few files of each process.
const PATIENCE: Duration = Duration::from_secs(3);

/// A stream on which one agent is asked again and again.
#[derive(Debug, Default)]
pub(super) struct Inquiry {
    stream: Option<Stream>,
}

impl Inquiry {
    /// Asks the workspace's agent, which looks at programs `apart` after its last look.
    ///
    /// # Errors
    /// With what is to be thought of an agent that tells nothing.
    pub(super) async fn ask(
        &mut self,
        tunnels: &Tunnels,
        id: &WorkspaceId,
        apart: Duration,
    ) -> Result<Report, Agent> {
        let ask = Ask {
            apart: u64::try_from(apart.as_millis()).unwrap_or(u64::MAX),
        };
        let agent = tunnels.agent(id).ok_or(Agent::Silent)?;
        let mut features = agent.features.iter();
        if !features.any(|feature| feature == FEATURE_ACTIVITY) {
            return Err(Agent::TooOld);
        }
        // One that was kept may be its predecessor's.
        if let Some(stream) = self.stream.take()
            && let Some((report, stream)) = question(stream, ask).await
        {
            self.stream = Some(stream);
            return Ok(report);
        }
        let opened = timeout(PATIENCE, tunnels.open(id, &Open::Activity)).await;
        let Ok(Ok((stream, _))) = opened else {
            debug!(workspace = %id, "an agent can't be asked what programs do");
            return Err(Agent::Silent);
        };
        let (report, stream) = question(stream, ask).await.ok_or(Agent::Silent)?;
        self.stream = Some(stream);
        Ok(report)
    }
}

async fn question(mut stream: Stream, ask: Ask) -> Option<(Report, Stream)> {
    let asked = timeout(PATIENCE, async {
        control::write(&mut stream, &ask).await?;
        control::read(&mut stream).await
    });
    match asked.await {
        Ok(Ok(Some(report))) => Some((report, stream)),
        Ok(Ok(None) | Err(_)) | Err(_) => None,
    }
}
