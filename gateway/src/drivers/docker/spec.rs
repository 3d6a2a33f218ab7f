//! What a workspace is to the engine: names, labels, and the container's settings.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HealthConfig, HostConfig, HostConfigLogConfig, Mount,
    MountType, MountVolumeOptions, RestartPolicy, RestartPolicyNameEnum,
};
use sha2::{Digest as _, Sha256};

use super::{DockerOptions, DockerReach};
use crate::config::BindMount;
use crate::fingerprint::beginning;
use crate::names::{InstallationId, SnapshotId, WorkspaceId};
use crate::workspaces::{Build, OwnMount, OwnMountKind, Workspace};

/// Label of everything that is ours: the installation's id.
pub(super) const INSTALLATION: &str = "devgate.installation";

/// Label: the workspace's id.
pub(super) const WORKSPACE: &str = "devgate.workspace";

/// Label: the workspace's name.
const NAME: &str = "devgate.name";

/// Label: its owner's id.
const OWNER: &str = "devgate.owner";

/// Label: its owner's name.
const OWNER_NAME: &str = "devgate.owner-name";

/// Label of a container: a digest of the settings that it was made with.
pub(super) const SPEC: &str = "devgate.spec";

/// Label of a container: the id of the image that it was made of, in the engine's words
/// for the image. Those for the container's image may be others.
pub(super) const IMAGE: &str = "devgate.image";

/// Label of a container: how often its workspace was rebuilt, where it was.
const REBUILDS: &str = "devgate.rebuilds";

/// Label of a container: the memory that it may use, in bytes, where that is limited.
pub(super) const MEMORY: &str = "devgate.memory";

/// Label of a snapshot's image: its id, where it was taken.
pub(super) const SNAPSHOT: &str = "devgate.snapshot";

/// Label of a snapshot's image: its name.
pub(super) const SNAPSHOT_NAME: &str = "devgate.snapshot.name";

/// Label of a snapshot's image: what it is for.
pub(super) const SNAPSHOT_DESCRIPTION: &str = "devgate.snapshot.description";

/// Label of a snapshot's image: where in it the home is.
pub(super) const SNAPSHOT_HOME: &str = "devgate.snapshot.home";

/// Label of a snapshot's image: which volumes are kept in it, as a list in JSON.
pub(super) const SNAPSHOT_VOLUMES: &str = "devgate.snapshot.volumes";

/// Label of a snapshot's image: the workspace's user, where that was its own.
pub(super) const SNAPSHOT_USER: &str = "devgate.snapshot.user";

/// Folder of ours in a container.
pub(super) const FOLDER: &str = "/.devgate";

/// The agent's program in it.
pub(super) const AGENT: &str = "/.devgate/devgate-agent";

/// The agent's configuration in it.
pub(super) const CONFIG: &str = "/.devgate/agent.toml";

/// The folder with what an agent needs to dial in.
pub(super) const IDENTITY: &str = "/.devgate/identity";

/// The folder where the agent notes what was done in this container.
pub(super) const STATE: &str = "/.devgate/state";

/// The folder with the agent's socket, which the gateway's host shares.
pub(super) const SHARED: &str = "/.devgate/run";

/// The agent's runtime folder: in memory, so that it is empty after a start.
pub(super) const RUNTIME: &str = "/.devgate/runtime";

/// Size of that file system; sockets take none of it.
const RUNTIME_SIZE: &str = "16m";

/// Most that a container's log takes on disk: two files of this size.
const LOG_SIZE: &str = "10m";

/// Names that workspace's container.
pub(super) fn container(id: &WorkspaceId) -> String {
    format!("devgate-{id}")
}

/// Names that workspace's home. One that comes from a snapshot has a name of its own, so
/// that the one before is there until it can be used.
pub(super) fn volume(workspace: &Workspace) -> String {
    let id = &workspace.id;
    match &workspace.blueprint.home {
        None => format!("devgate-{id}-home"),
        Some(home) => format!("devgate-{id}-home-{}", home.restoring),
    }
}

/// Tells whether a volume of that name is that workspace's home, or was.
pub(super) fn is_home(id: &WorkspaceId, volume: &str) -> bool {
    let rest = volume.strip_prefix(&format!("devgate-{id}-home"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Tells whether a volume of that name is one of that workspace's, its home or another one.
pub(super) fn is_volume(id: &WorkspaceId, volume: &str) -> bool {
    volume.starts_with(&format!("devgate-{id}-"))
}

/// Names the images of the installation's snapshots, without their tags.
pub(super) fn snapshots(installation: &InstallationId) -> String {
    format!("devgate-{installation}/snapshot")
}

/// Names the image of that snapshot.
pub(super) fn snapshot(installation: &InstallationId, id: &SnapshotId) -> String {
    format!("{}:{id}", snapshots(installation))
}

/// Names containers that never run: what is put into images, or comes out of them.
pub(super) fn helpers(installation: &InstallationId) -> String {
    format!("devgate-{installation}-for-")
}

/// Names the one for that snapshot or workspace.
pub(super) fn helper(installation: &InstallationId, what: &str) -> String {
    format!("{}{what}", helpers(installation))
}

/// Returns labels that take back those which an image has of the workspace that it was
/// taken of, and say whose it is.
pub(super) fn no_workspace(installation: &InstallationId) -> HashMap<String, String> {
    let none = [WORKSPACE, NAME, OWNER, OWNER_NAME, SPEC, IMAGE, REBUILDS];
    let none = none.map(|label| (label.to_owned(), String::new()));
    let mut labels = HashMap::from(none);
    labels.insert(INSTALLATION.to_owned(), installation.to_string());
    labels
}

/// Names the installation's network.
pub(super) fn network(installation: &InstallationId) -> String {
    format!("devgate-{installation}")
}

/// Names the image that is built so.
pub(super) fn built(installation: &InstallationId, build: &Build) -> String {
    format!("devgate-{installation}:{}", build.digest)
}

/// Returns the labels of everything that is a workspace's.
pub(super) fn labels(
    installation: &InstallationId,
    workspace: &Workspace,
) -> HashMap<String, String> {
    [
        (INSTALLATION, installation.to_string()),
        (WORKSPACE, workspace.id.to_string()),
        (NAME, workspace.name.to_string()),
        (OWNER, workspace.owner.to_string()),
        (OWNER_NAME, workspace.owner_name.to_string()),
    ]
    .map(|(label, value)| (label.to_owned(), value))
    .into()
}

/// Returns the settings of a workspace's container, labelled with their digest.
pub(super) fn body(
    options: &DockerOptions,
    installation: &InstallationId,
    workspace: &Workspace,
    shared: &Path,
) -> ContainerCreateBody {
    let filter = std::env::var("DEVGATE_AGENT_LOG").ok();
    body_with_filter(options, installation, workspace, shared, filter)
}

/// Has a container share the agent's program, which isn't worth a new container: one that was
/// made without it gets a copy.
pub(super) fn share_agent(body: &mut ContainerCreateBody, agent: &Path) {
    let mount = Mount {
        typ: Some(MountType::BIND),
        source: Some(text(agent)),
        target: Some(AGENT.to_owned()),
        read_only: Some(true),
        ..Mount::default()
    };
    let host = body.host_config.get_or_insert_default();
    host.mounts.get_or_insert_default().push(mount);
}

/// Returns the same with this filter of the agent's log, which isn't worth a new
/// container: the digest is without it.
pub(super) fn body_with_filter(
    options: &DockerOptions,
    installation: &InstallationId,
    workspace: &Workspace,
    shared: &Path,
    filter: Option<String>,
) -> ContainerCreateBody {
    let environment = vec![format!("DEVGATE_WORKSPACE_ID={}", workspace.id)];
    let mut body = ContainerCreateBody {
        image: Some(options.image.clone()),
        hostname: Some(workspace.name.to_string()),
        user: Some(options.user.clone()),
        env: Some(environment),
        entrypoint: Some(vec![AGENT.to_owned()]),
        cmd: Some(vec!["--config".to_owned(), CONFIG.to_owned()]),
        working_dir: Some("/".to_owned()),
        labels: Some(labels(installation, workspace)),
        stop_signal: Some("SIGTERM".to_owned()),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        host_config: Some(host_config(options, installation, workspace, shared)),
        ..ContainerCreateBody::default()
    };
    let labels = body.labels.get_or_insert_default();
    if workspace.blueprint.rebuilds > 0 {
        let rebuilds = workspace.blueprint.rebuilds.to_string();
        labels.insert(REBUILDS.to_owned(), rebuilds);
    }
    let digest = digest(&body);
    let labels = body.labels.get_or_insert_default();
    labels.insert(SPEC.to_owned(), digest);
    if let Some(memory) = options.memory {
        labels.insert(MEMORY.to_owned(), memory.to_string());
    }
    let filter = filter.map(|filter| format!("DEVGATE_AGENT_LOG={filter}"));
    body.env.get_or_insert_default().extend(filter);
    body
}

fn host_config(
    options: &DockerOptions,
    installation: &InstallationId,
    workspace: &Workspace,
    shared: &Path,
) -> HostConfig {
    let home = Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume(workspace)),
        target: Some(text(&options.home)),
        ..Mount::default()
    };
    let shared = matches!(options.reach, DockerReach::Folder).then(|| Mount {
        typ: Some(MountType::BIND),
        source: Some(text(shared)),
        target: Some(SHARED.to_owned()),
        ..Mount::default()
    });
    let others = options.mounts.iter().map(mount);
    let own = options.own_mounts.iter();
    let own = own.filter_map(|mount| own_volume(mount, installation, workspace));
    let memory = options.memory.and_then(|bytes| i64::try_from(bytes).ok());
    let tmp = format!("rw,exec,nosuid,nodev,mode=1777,size={}", options.tmp_size);
    let runtime = format!("rw,noexec,nosuid,nodev,mode=1777,size={RUNTIME_SIZE}");
    HostConfig {
        mounts: Some(
            [home]
                .into_iter()
                .chain(shared)
                .chain(others)
                .chain(own)
                .collect(),
        ),
        tmpfs: Some(
            [("/tmp".to_owned(), tmp), (RUNTIME.to_owned(), runtime)]
                .into_iter()
                .chain(
                    options
                        .own_mounts
                        .iter()
                        .filter_map(|it| own_memory(it, options)),
                )
                .collect(),
        ),
        network_mode: Some(
            options
                .network
                .clone()
                .unwrap_or_else(|| network(installation)),
        ),
        extra_hosts: Some(options.extra_hosts.clone()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        pids_limit: Some(i64::from(options.pids)),
        nano_cpus: options.nano_cpus,
        memory,
        // With the same limit for both there is no swap beside the memory.
        memory_swap: memory,
        device_requests: options.gpus.then(|| {
            vec![DeviceRequest {
                count: Some(-1),
                capabilities: Some(vec![vec!["gpu".to_owned()]]),
                ..DeviceRequest::default()
            }]
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), LOG_SIZE.to_owned()),
                ("max-file".to_owned(), "2".to_owned()),
            ])),
        }),
        // Who starts it again is the gateway.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            ..RestartPolicy::default()
        }),
        init: Some(false),
        privileged: Some(false),
        ..HostConfig::default()
    }
}

/// Returns a volume of the workspace's own. Whatever it is called, it is named by the
/// workspace: a repository's words lead to nobody else's.
fn own_volume(
    mount: &OwnMount,
    installation: &InstallationId,
    workspace: &Workspace,
) -> Option<Mount> {
    let OwnMountKind::Volume { name } = &mount.kind else {
        return None;
    };
    let hash = beginning(&Sha256::digest(name), 8);
    Some(Mount {
        typ: Some(MountType::VOLUME),
        source: Some(format!("devgate-{}-own-{hash}", workspace.id)),
        target: Some(text(&mount.target)),
        read_only: Some(mount.read_only),
        volume_options: Some(MountVolumeOptions {
            labels: Some(labels(installation, workspace)),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    })
}

/// Returns where memory is mounted, and how.
fn own_memory(mount: &OwnMount, options: &DockerOptions) -> Option<(String, String)> {
    let OwnMountKind::Memory { size } = mount.kind else {
        return None;
    };
    let size = size.unwrap_or(options.tmp_size).min(options.tmp_size);
    let access = if mount.read_only { "ro" } else { "rw" };
    let how = format!("{access},exec,nosuid,nodev,mode=1777,size={size}");
    Some((text(&mount.target), how))
}

fn mount(mount: &BindMount) -> Mount {
    let source = mount.source();
    let typ = if source.starts_with('/') {
        MountType::BIND
    } else {
        MountType::VOLUME
    };
    Mount {
        typ: Some(typ),
        source: Some(source.to_owned()),
        target: Some(mount.target().to_owned()),
        read_only: Some(mount.is_read_only()),
        ..Mount::default()
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Returns a digest that is the same for the same settings. What the workspace is called
/// and whose it is isn't worth a new container, which would lose what was changed in it.
fn digest(body: &ContainerCreateBody) -> String {
    let mut body = body.clone();
    body.hostname = None;
    if let Some(labels) = &mut body.labels {
        for label in [NAME, OWNER, OWNER_NAME] {
            labels.remove(label);
        }
    }
    // A value's maps are ordered, which those of the settings aren't.
    let settings = serde_json::to_value(body).unwrap_or_default();
    beginning(&Sha256::digest(settings.to_string()), 16)
}
