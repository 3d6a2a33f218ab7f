//! What an agent does when it starts: what all do, and what its workspace is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use devgate_protocol::config::{
    Command, OnFailure, Readiness, Repository, Runs, Single, Startup, Step,
};

use crate::devcontainer::with_container;
use crate::workspaces::{Blueprint, LifecycleCommand, LifecycleRun, Runs as HowOften};

/// Adds what a workspace's blueprint says to what all workspaces do. `known` tells what
/// the workspace's own environment has.
pub(super) fn of(
    all: &Startup,
    blueprint: &Blueprint,
    known: impl Fn(&str) -> Option<String>,
) -> Startup {
    let mut startup = all.clone();
    if let Some(script) = &blueprint.startup {
        // A workspace has one script: its template's goes before everybody's.
        startup.steps = vec![Step {
            name: "script".to_owned(),
            command: Command::Shell(script.script.clone()),
            directory: None,
            environment: BTreeMap::new(),
            timeout: script.timeout.get(),
            runs: Runs::Always,
            on_failure: OnFailure::Stop,
            wait: script.wait,
        }];
    }
    let commands = blueprint.lifecycle.iter();
    let commands: Vec<_> = commands.map(|command| step(command, &known)).collect();
    if let Some(repository) = &blueprint.repository {
        startup.repository = Some(Repository {
            url: repository.url.clone(),
            branch: repository.branch.clone(),
            folder: repository.folder.clone(),
            credentials: repository.credentials(),
            depth: None,
            // What runs in it waits for it.
            wait: commands.iter().any(|step| step.wait),
        });
    }
    startup.steps.extend(commands);
    startup.readiness = blueprint.readiness.as_ref().map(|rule| Readiness {
        command: rule.command.clone(),
        port: rule.port,
        timeout: rule.timeout.get(),
    });
    for name in blueprint.needed_secrets() {
        if !startup.secrets.iter().any(|known| known == name.as_str()) {
            startup.secrets.push(name.to_string());
        }
    }
    startup
}

fn step(command: &LifecycleCommand, known: &impl Fn(&str) -> Option<String>) -> Step {
    let text = |text: &String| with_container(text, known);
    let command_of = |run: &LifecycleRun| match run {
        LifecycleRun::Shell(line) => Command::Shell(text(line)),
        LifecycleRun::Argv(words) => Command::Argv(words.iter().map(text).collect()),
        LifecycleRun::Parallel(runs) => {
            let runs = runs.iter().filter_map(|(name, run)| {
                let single = match run {
                    LifecycleRun::Shell(line) => Single::Shell(text(line)),
                    LifecycleRun::Argv(words) => Single::Argv(words.iter().map(text).collect()),
                    // The specification has none in one another.
                    LifecycleRun::Parallel(_) => return None,
                };
                Some((name.clone(), single))
            });
            Command::Parallel(runs.collect())
        }
    };
    Step {
        name: command.name.clone(),
        command: command_of(&command.command),
        directory: Some(command.directory.clone()),
        environment: BTreeMap::new(),
        timeout: Duration::ZERO,
        runs: match command.runs {
            HowOften::Always => Runs::Always,
            HowOften::OncePerContainer => Runs::OncePerContainer,
        },
        on_failure: OnFailure::Stop,
        wait: command.wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repositorys_commands_follow_the_script_and_know_the_containers_environment() {
        let command = LifecycleCommand {
            name: "postCreateCommand".to_owned(),
            command: LifecycleRun::Shell("echo ${containerEnv:PATH}".to_owned()),
            directory: "/home/dev/api".into(),
            runs: HowOften::OncePerContainer,
            wait: true,
        };
        let blueprint = Blueprint {
            lifecycle: vec![command],
            ..Blueprint::default()
        };
        let all = Startup {
            steps: vec![step(
                &LifecycleCommand {
                    name: "script".to_owned(),
                    command: LifecycleRun::Argv(vec!["true".to_owned()]),
                    directory: "/".into(),
                    runs: HowOften::Always,
                    wait: false,
                },
                &|_: &str| None,
            )],
            ..Startup::default()
        };
        let startup = of(&all, &blueprint, |name| {
            (name == "PATH").then(|| "/bin".to_owned())
        });
        let names: Vec<_> = startup.steps.iter().map(|step| &step.name).collect();
        assert_eq!(names, ["script", "postCreateCommand"]);
        assert_eq!(
            startup.steps[1].command,
            Command::Shell("echo /bin".to_owned())
        );
    }
}
