//! What the homes take up, with their workspaces' own volumes, as the engine measures it.
//!
//! The answer has had two forms, of which the client library knows the newer one alone:
//! it is asked for and read here.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Endpoint;
use super::spec;
use super::unreached::remedy;
use crate::drivers::{DriverError, HomeSize};
use crate::names::{InstallationId, WorkspaceId};

/// How long the engine may take to look at all volumes.
const PATIENCE: Duration = Duration::from_mins(10);

/// Longest answer, in bytes: some ten thousand volumes.
const MAX_ANSWER: usize = 32 << 20;

/// Volumes alone, and each of them; an older engine ignores both.
const ADDRESS: &str = "/system/df?type=volume&verbose=1";

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What the engine answers, in both forms.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    volumes: Option<Vec<Volume>>,
    volume_usage: Option<VolumeUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct VolumeUsage {
    items: Option<Vec<Volume>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volume {
    name: String,
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
    #[serde(default)]
    usage_data: Option<UsageData>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UsageData {
    /// -1 where it isn't known.
    size: i64,
}

/// Asks an engine of this host for what an installation's homes take up; of those
/// elsewhere nothing is known.
pub(super) async fn sizes(
    engine: &Endpoint,
    installation: &InstallationId,
) -> Result<HashMap<WorkspaceId, HomeSize>, DriverError> {
    let Endpoint::Socket(socket) = engine else {
        return Ok(HashMap::new());
    };
    let stream = UnixStream::connect(socket).await;
    let stream = stream.map_err(|source| DriverError::EngineUnreachable {
        engine: engine.to_string(),
        remedy: remedy(engine),
        source: source.into(),
    })?;
    let asked = timeout(PATIENCE, ask(stream)).await;
    let refused = |detail: String| DriverError::Engine {
        action: "measure the volumes",
        detail,
    };
    match asked {
        Ok(Ok(bytes)) => match serde_json::from_slice(&bytes) {
            Ok(answer) => Ok(read(answer, installation)),
            Err(error) => Err(refused(error.to_string())),
        },
        Ok(Err(error)) => Err(refused(error.to_string())),
        Err(_) => Err(refused("it takes too long".to_owned())),
    }
}

async fn ask(stream: UnixStream) -> Result<Bytes, Failed> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ended with this future.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = Request::get(ADDRESS)
        .header(header::HOST, "docker")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER)
        .collect()
        .await?;
    if !status.is_success() {
        return Err(format!("it answers {status}").into());
    }
    Ok(body.to_bytes())
}

fn read(answer: Answer, installation: &InstallationId) -> HashMap<WorkspaceId, HomeSize> {
    let at = OffsetDateTime::now_utc();
    let usage = answer.volume_usage.and_then(|usage| usage.items);
    let volumes = answer.volumes.into_iter().chain(usage).flatten();
    let sizes = volumes.filter_map(|volume| {
        let labels = volume.labels?;
        let ours = labels.get(spec::INSTALLATION)? == installation.as_str();
        let id: WorkspaceId = labels.get(spec::WORKSPACE)?.parse().ok()?;
        let bytes = u64::try_from(volume.usage_data?.size).ok()?;
        (ours && spec::is_volume(&id, &volume.name)).then_some((id, bytes))
    });
    let mut homes: HashMap<WorkspaceId, HomeSize> = HashMap::new();
    // While one is restored there are two, and volumes of its own are beside it.
    for (id, bytes) in sizes {
        let home = homes.entry(id).or_insert(HomeSize { bytes: 0, at });
        home.bytes = home.bytes.saturating_add(bytes);
    }
    homes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_the_answer_are_read_and_others_volumes_left_out() {
        let (installation, other) = (InstallationId::random(), InstallationId::random());
        let ids: Vec<_> = (0..3).map(|_| WorkspaceId::random()).collect();
        let volume = |id: &WorkspaceId, of: &InstallationId, size: i64| {
            json!({
                "Name": format!("devgate-{id}-home"),
                "Labels": { spec::INSTALLATION: of.as_str(), spec::WORKSPACE: id.as_str() },
                "UsageData": { "Size": size, "RefCount": 1 },
            })
        };
        let all = [
            volume(&ids[0], &installation, 4096),
            volume(&ids[1], &installation, -1),
            volume(&ids[2], &other, 5),
            json!({ "Name": "foreign", "Labels": null }),
        ];
        let mut all = all.to_vec();
        let mut own = volume(&ids[0], &installation, 1000);
        own["Name"] = format!("devgate-{}-own-cafe", ids[0]).into();
        all.push(own);
        for answer in [
            json!({ "LayersSize": 1, "Volumes": all }),
            json!({ "VolumeUsage": { "Items": all } }),
        ] {
            let sizes = read(serde_json::from_value(answer).unwrap(), &installation);
            assert_eq!(sizes.len(), 1);
            assert_eq!(sizes[&ids[0]].bytes, 5096);
        }
        assert!(read(Answer::default(), &installation).is_empty());
    }
}
