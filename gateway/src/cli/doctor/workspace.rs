//! The workspaces of whoever asks.

use super::finding::Findings;
use super::there::is_missing;
use crate::cli::client::Rest;
use crate::cli::workspaces::word;
use crate::http::api::wire::Workspace;
use crate::http::wire::StateName;
use crate::identity::Target;

/// What keeps Docker's workspaces from running, by the codes of their failures.
const DOCKER: [&str; 4] = [
    "engine-unreachable",
    "host-gone",
    "no-host",
    "image-missing",
];

/// Returns the workspace that is meant, or one that things can be tried with.
pub(super) async fn choose(
    rest: &mut Rest,
    target: Option<&Target>,
    findings: &mut Findings,
) -> Option<Workspace> {
    let all = match rest.own_workspaces().await {
        Ok(all) => all,
        Err(failure) => {
            findings.failed("workspaces", failure.to_string(), "see the server's log");
            return None;
        }
    };
    docker(&all, findings);
    let Some(target) = target else {
        let running = all.iter().find(|one| one.state == StateName::Running);
        return running.or_else(|| all.first()).cloned();
    };
    match rest.workspace(&target.to_string()).await {
        Ok(found) => {
            state(&found, findings);
            Some(found)
        }
        Err(failure) => {
            let remedy = if is_missing(&failure) {
                "`devgate create` makes one"
            } else {
                "see the server's log"
            };
            findings.failed("workspace", failure.to_string(), remedy);
            None
        }
    }
}

fn state(found: &Workspace, findings: &mut Findings) {
    const CHECK: &str = "workspace";
    let target = format!("{}.{}", found.name, found.owner);
    match (found.state, &found.reason) {
        (StateName::Failed | StateName::Unreachable, reason) => {
            let detail = reason.as_ref().map_or("", |reason| reason.detail.as_str());
            let remedy = format!(
                "`devgate logs {target}` tells more, `devgate restart {target}` tries again"
            );
            findings.failed(
                CHECK,
                format!("{target} is {}: {detail}", word(found.state)),
                remedy,
            );
        }
        (StateName::Running, _) => findings.ok(CHECK, format!("{target} is running")),
        (state, _) => {
            let remedy = format!("devgate start {target}");
            findings.warning(CHECK, format!("{target} is {}", word(state)), remedy);
        }
    }
}

/// Tells whether the Docker Engine keeps workspaces from running.
fn docker(all: &[Workspace], findings: &mut Findings) {
    let reasons = all
        .iter()
        .filter_map(|one| Some((one, one.reason.as_ref()?)));
    let mut broken = reasons.filter(|(_, reason)| DOCKER.contains(&reason.code.as_str()));
    if let Some((one, reason)) = broken.next() {
        let remedy = "whoever runs the server starts the Docker Engine there, or mends \
                      [docker] in its configuration: `devgate doctor` on that machine tells more";
        findings.failed("docker", format!("{}: {}", one.name, reason.detail), remedy);
    }
}

/// Looks at the workspace's editor.
pub(super) async fn editor(rest: &mut Rest, chosen: &Workspace, findings: &mut Findings) {
    const CHECK: &str = "code-server";
    let target = format!("{}.{}", chosen.name, chosen.owner);
    if chosen.state != StateName::Running {
        let detail = format!("{target} is {}", word(chosen.state));
        return findings.skipped(CHECK, detail);
    }
    if !chosen.may_enter {
        return findings.skipped(CHECK, format!("you may not enter {target}"));
    }
    let editor = match rest.editor(chosen.id.as_str()).await {
        Ok(editor) => editor,
        Err(failure) => {
            let remedy = format!("devgate restart {target}");
            return findings.failed(CHECK, failure.to_string(), remedy);
        }
    };
    match editor.state.as_str() {
        "missing" => {
            let detail = format!("{target} has no VS Code for the browser");
            findings.warning(CHECK, detail, editor.detail);
        }
        "failed" => {
            let detail = format!("it doesn't run in {target}");
            findings.failed(CHECK, detail, editor.detail);
        }
        state => findings.ok(CHECK, format!("it is there in {target}, {state}")),
    }
}
