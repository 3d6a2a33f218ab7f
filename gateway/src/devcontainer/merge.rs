//! Bringing together what a template and a repository say.
//!
//! The repository wins where it is about what one works with: the image, the user, the
//! environment. The template wins where it is about what a workspace may use and reach:
//! resources, mounts, hosts, who may open a port. Extensions are added up.

use super::common::{Common, Hook};
use super::features::Feature;
use super::read::Said;
use super::{DevcontainerError, Notes, Purpose};
use crate::config::DriverName;
use crate::workspaces::{Blueprint, Image, LifecycleCommand, OwnMount, Runs};

/// Most ports of a workspace; as in a template.
const MAX_PORTS: usize = 50;

/// Returns what a workspace is made of.
pub(super) fn merge(
    template: &Blueprint,
    (said, features, image): (Said, Vec<Feature>, Option<Image>),
    purpose: Purpose<'_>,
    notes: &mut Notes,
) -> Result<Blueprint, DevcontainerError> {
    let mut merged = template.clone();
    if purpose.driver == DriverName::Process {
        not_for_processes(&said, notes);
    } else {
        match image {
            Some(_) if !may_bring_image(template, purpose) => {
                let why = "it isn't used: the workspace has folders of the server's host, and \
                           whose files are whose would be the image's to say: the template's \
                           `user` has to be UID:GID";
                notes.note(0, "image", why);
            }
            image => merged.image = image.or(merged.image),
        }
        user(&mut merged, &said, purpose, notes);
        let mounts = features.iter().map(|it| &it.common).chain([&said.common]);
        merged.own_mounts = own_mounts(template, mounts, purpose, notes);
    }
    for (name, value) in &said.common.environment {
        if value.contains("${containerEnv:") {
            let key = format!("containerEnv.{name}");
            notes.note(
                0,
                &key,
                "the container's own variables are for remoteEnv alone",
            );
        }
        merged.environment.insert(name.clone(), value.clone());
    }
    merged
        .remote_environment
        .extend(said.remote_environment.clone());
    for rule in said.ports.rules() {
        match merged.ports.iter_mut().find(|it| it.port == rule.port) {
            Some(known) if known.name.is_empty() => known.name = rule.name,
            Some(_) => {}
            None => merged.ports.push(rule),
        }
    }
    if merged.ports.len() > MAX_PORTS {
        let problem = format!("there are more than {MAX_PORTS} with the template's");
        return Err(notes.wrong(0, "forwardPorts", &problem));
    }
    for common in features.iter().map(|it| &it.common).chain([&said.common]) {
        for extension in &common.extensions {
            if !merged.extensions.contains(extension) {
                merged.extensions.push(extension.clone());
            }
        }
        let is_unwanted =
            |id: &String| common.unwanted.iter().any(|it| it.eq_ignore_ascii_case(id));
        merged.extensions.retain(|id| !is_unwanted(id));
        merged.editor_settings.extend(common.settings.clone());
    }
    merged.lifecycle = lifecycle(&said, &features, purpose);
    Ok(merged)
}

/// Tells whether a workspace has folders of the server's host.
fn has_host_folders(template: &Blueprint, purpose: Purpose<'_>) -> bool {
    let mut mounts = purpose.mounts.iter().chain(&template.mounts);
    mounts.any(|mount| mount.source().starts_with('/'))
}

/// Tells whether a repository's image can't decide as whom the host's files are reached: a
/// name would be a number as its `/etc/passwd` says, and so would be a number's groups.
fn may_bring_image(template: &Blueprint, purpose: Purpose<'_>) -> bool {
    let user = template.user.as_deref().unwrap_or(purpose.user);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_decided = user
        .split_once(':')
        .is_some_and(|(user, group)| is_number(user) && is_number(group));
    is_decided || !has_host_folders(template, purpose)
}

/// Takes the repository's user, unless that could reach the host's files as somebody else.
fn user(merged: &mut Blueprint, said: &Said, purpose: Purpose<'_>, notes: &mut Notes) {
    let Some((line, user)) = said.user() else {
        return;
    };
    if has_host_folders(merged, purpose) {
        let why = "it isn't used: the workspace has folders of the server's host, where users are \
                   known by their numbers";
        notes.note(line, "remoteUser", why);
        return;
    }
    merged.user = Some(user.to_owned());
}

fn own_mounts<'a>(
    template: &Blueprint,
    all: impl Iterator<Item = &'a Common>,
    purpose: Purpose<'_>,
    notes: &mut Notes,
) -> Vec<OwnMount> {
    let mut mounts: Vec<OwnMount> = Vec::new();
    for mount in all.flat_map(|common| &common.mounts) {
        let shown = mount.target.to_string_lossy();
        let path = mount.target.components().as_path();
        let others = purpose.mounts.iter().chain(&template.mounts);
        let is_taken = path == purpose.home
            || path.as_os_str() == "/tmp"
            || purpose.home.starts_with(path)
            || others
                .into_iter()
                .any(|other| path.as_os_str() == other.target());
        if is_taken {
            notes.note(0, &format!("mounts: {shown}"), "something else is there");
            continue;
        }
        // Of two at one place the last counts.
        mounts.retain(|other| other.target.components().as_path() != path);
        mounts.push(OwnMount {
            target: path.to_owned(),
            ..mount.clone()
        });
    }
    mounts
}

fn not_for_processes(said: &Said, notes: &mut Notes) {
    let user = said.user().map(|(line, _)| line);
    for (key, line) in [
        ("image", said.image.as_ref().map(|(line, _)| *line)),
        ("build", said.build.as_ref().map(|build| build.line)),
        ("remoteUser", user),
        ("mounts", (!said.common.mounts.is_empty()).then_some(0)),
    ] {
        if let Some(line) = line {
            notes.note(line, key, "workspaces are processes of the server's host");
        }
    }
}

/// Returns the commands in their order: for each hook those of the features, then the
/// repository's own.
fn lifecycle(said: &Said, features: &[Feature], purpose: Purpose<'_>) -> Vec<LifecycleCommand> {
    let mut commands = Vec::new();
    for hook in Hook::ALL {
        let of_features = features.iter().map(|it| {
            (
                format!("{} of the feature {}", hook.key(), it.id),
                &it.common,
            )
        });
        let own = (hook.key().to_owned(), &said.common);
        for (name, common) in of_features.chain([own]) {
            let Some(command) = common.hooks.get(&hook) else {
                continue;
            };
            commands.push(LifecycleCommand {
                name,
                command: command.clone(),
                directory: purpose.folder.to_owned(),
                runs: match hook {
                    Hook::PostStart => Runs::Always,
                    Hook::OnCreate | Hook::UpdateContent | Hook::PostCreate => {
                        Runs::OncePerContainer
                    }
                },
                wait: said.wait_for.is_some_and(|last| hook <= last),
            });
        }
    }
    commands
}
