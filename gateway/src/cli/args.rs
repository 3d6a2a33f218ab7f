//! What can be written on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::failure::{EXIT_CODES, Failure, Kind};
use super::{
    certificate, completions, config_ssh, configuration, context, cp, deleted, doctor, exec,
    forward, history, keys, lifetime, limits, login, logs, open, output, proxy, renaming, secrets,
    sleep, snapshots, ssh, status, templates, tokens, users, workspaces,
};
use crate::config::{Config, Flags, load};
use crate::names::WorkspaceName;

/// Variables that are paths, and so needn't be text.
const PATHS: [&str; 5] = [
    "DEVGATE_AUTHORIZED_KEY",
    "DEVGATE_CA",
    "DEVGATE_CONFIG",
    "DEVGATE_KEEP_AWAKE",
    "DEVGATE_READY_FILE",
];

/// Variables that say which server is meant.
const SERVER: [&str; 4] = [
    "DEVGATE_CA",
    "DEVGATE_CONTEXT",
    "DEVGATE_TOKEN",
    "DEVGATE_URL",
];

/// devgate: a self-hosted backend for remote development.
#[derive(Debug, Parser)]
#[command(name = "devgate", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub(super) source: Source,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Where the configuration comes from.
#[derive(Debug, Default, Args)]
pub(super) struct Source {
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        display_order = 900,
        help = "Folder of the server's data [env: DEVGATE_DATA_DIR] [default: \
                $XDG_DATA_HOME/devgate or ~/.local/share/devgate]"
    )]
    pub(super) data_dir: Option<PathBuf>,
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        display_order = 901,
        help = "Configuration file in TOML; `devgate config print` shows all keys \
                [env: DEVGATE_CONFIG]"
    )]
    pub(super) config: Option<PathBuf>,
    #[arg(
        long,
        value_name = "NAME",
        global = true,
        display_order = 902,
        conflicts_with = "data_dir",
        help = "Server to ask, as `devgate context list` names it; `local` is that of the data \
                folder [env: DEVGATE_CONTEXT]"
    )]
    pub(super) context: Option<String>,
}

/// Where the server listens, and what workspaces are.
#[derive(Debug, Default, Args)]
pub(super) struct Settings {
    #[arg(
        long,
        value_name = "HOST:PORT",
        help = "Where to take SSH connections; port 0 takes a free one \
                [env: DEVGATE_SSH_LISTEN] [default: 127.0.0.1:2222]"
    )]
    ssh_listen: Option<String>,
    #[arg(
        long,
        value_name = "HOST:PORT",
        help = "Where to take HTTPS connections; port 0 takes a free one \
                [env: DEVGATE_HTTP_LISTEN] [default: 127.0.0.1:8443]"
    )]
    http_listen: Option<String>,
    #[arg(
        long,
        value_name = "DRIVER",
        help = "What workspaces are: process or docker [env: DEVGATE_WORKSPACES_DRIVER] \
                [default: process]"
    )]
    driver: Option<String>,
    #[arg(
        long,
        value_name = "IMAGE",
        help = "Image of the containers, with --driver docker [env: DEVGATE_DOCKER_IMAGE]"
    )]
    image: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run everything on this machine, set up on the first run
    Up(Up),
    /// Run the server of an installation
    Serve(Serve),
    /// Sign in to a server elsewhere, which commands mean from then on
    Login(login::Login),
    /// End what one is signed in with at a server elsewhere
    Logout(login::Logout),
    /// Manage the servers elsewhere
    #[command(subcommand)]
    Context(context::Command),
    /// Open a shell in a workspace at a server elsewhere, or run a command, with ssh
    Ssh(ssh::Ssh),
    /// Sign in with ssh by a short-lived certificate, without a registered key
    #[command(subcommand)]
    SshCertificate(certificate::Command),
    /// Have ssh and editors know one's workspaces at a server elsewhere
    ConfigSsh(config_ssh::ConfigSsh),
    /// Carry SSH over the HTTPS port, as `ProxyCommand` of ssh
    Proxy(proxy::Proxy),
    /// Run a command in a workspace; no SSH key is needed
    Exec(exec::Exec),
    /// Copy files between this machine and workspaces; no SSH key is needed
    Cp(cp::Cp),
    /// Have ports of this machine lead into a workspace
    PortForward(forward::PortForward),
    /// Open a workspace in an editor or a browser
    Open(open::Open),
    /// List workspaces
    #[command(visible_alias = "ls")]
    List(workspaces::List),
    /// Create a workspace and start it
    Create(workspaces::Create),
    /// Start workspaces
    Start(workspaces::Act),
    /// Stop workspaces; they stay stopped until somebody logs in or starts them
    Stop(workspaces::Act),
    /// Stop workspaces and start them again
    Restart(workspaces::Act),
    /// Make workspaces anew from their template; homes and volumes of their images are kept
    Rebuild(workspaces::Rebuild),
    /// Put workspaces to sleep; the next connection wakes them
    Sleep(workspaces::Act),
    /// Tell why a workspace runs, and when it goes to sleep
    Why(sleep::Why),
    /// Keep a workspace awake for a time
    KeepAwake(sleep::Keep),
    /// Have a workspace wake and sleep by the clock
    Schedule(sleep::Plan),
    /// Delete workspaces; for a while they can be restored, with their homes
    #[command(visible_alias = "rm")]
    Delete(deleted::Delete),
    /// Restore a deleted workspace, with its home
    Restore(deleted::Restore),
    /// Remove deleted workspaces for good
    Purge(deleted::Purge),
    /// Have a workspace live longer whose template says a time to live
    Extend(lifetime::Extend),
    /// Give a workspace another name; what runs in it goes on
    Rename(renaming::Rename),
    /// Give a workspace to another user; what runs in it goes on
    Transfer(renaming::Transfer),
    /// Show the server, or workspaces
    ///
    /// Of a server elsewhere it shows what a person may see of it: its address, who one is
    /// there, and its host keys; --json has other keys then.
    Status(status::Status),
    /// Show what people may have, and have
    Limits(limits::Command),
    /// Take, restore and copy snapshots of workspaces
    #[command(subcommand)]
    Snapshots(snapshots::Command),
    /// Make workspaces like one, from a snapshot that is taken for them
    Clone(snapshots::Clone),
    /// Show what happened to a workspace, and who asked for it
    History(history::History),
    /// Print what a workspace's agent logged, or its start-up
    Logs(logs::Logs),
    /// Manage what workspaces can be made from
    #[command(subcommand)]
    Templates(templates::Command),
    /// Manage the people who may connect
    #[command(subcommand)]
    Users(users::Command),
    /// Manage the public keys that they connect with
    #[command(subcommand)]
    Keys(keys::Command),
    /// Manage the API tokens that programs sign in with
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Manage the secrets that workspaces get
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(configuration::Command),
    /// Find out why something doesn't work, and what to do
    ///
    /// From elsewhere it looks at names, ports, certificates, clocks, proxies and host keys on
    /// the way to the server; on the server's own machine at that and at Docker.
    Doctor(doctor::Doctor),
    /// Print what a shell needs to complete commands and names of workspaces
    Completions(completions::Completions),
    /// Print the manual as pages for man
    Man(completions::Man),
}

/// `devgate up`.
#[derive(Debug, Args)]
pub(super) struct Up {
    #[command(flatten)]
    pub(super) settings: Settings,
    #[arg(
        long,
        value_name = "FILE",
        env = "DEVGATE_AUTHORIZED_KEY",
        hide_env = true,
        help = "File with public keys that may connect; may be given several times \
                [env: DEVGATE_AUTHORIZED_KEY] [default: ~/.ssh/*.pub on the first run]"
    )]
    pub(super) authorized_key: Vec<PathBuf>,
    #[arg(
        long,
        value_name = "NAME",
        env = "DEVGATE_WORKSPACE",
        hide_env = true,
        help = "Workspace to create if it isn't there [env: DEVGATE_WORKSPACE] \
                [default: `default` on the first run]"
    )]
    pub(super) workspace: Option<WorkspaceName>,
    #[arg(
        long,
        value_name = "FILE",
        env = "DEVGATE_READY_FILE",
        hide_env = true,
        help = "File to write, as JSON, once everything accepts connections \
                [env: DEVGATE_READY_FILE]"
    )]
    pub(super) ready_file: Option<PathBuf>,
}

/// `devgate serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) settings: Settings,
    #[arg(
        long,
        value_name = "FILE",
        env = "DEVGATE_READY_FILE",
        hide_env = true,
        help = "File to write, as JSON, once everything accepts connections \
                [env: DEVGATE_READY_FILE]"
    )]
    pub(super) ready_file: Option<PathBuf>,
}

impl Cli {
    /// Tells whether the command is a server, which runs until it is ended.
    pub fn serves(&self) -> bool {
        matches!(self.command, Command::Up(_) | Command::Serve(_))
    }
}

impl Source {
    /// Returns the configuration, and tells what looks odd in it.
    pub(super) fn load(&self, settings: &Settings) -> Result<Config, Failure> {
        let mut flags = Flags::default();
        let data_dir = self.data_dir.as_ref().map(|path| path.display());
        flags.set("--data-dir", "data-dir", data_dir);
        flags.set("--ssh-listen", "ssh.listen", settings.ssh_listen.as_ref());
        flags.set(
            "--http-listen",
            "http.listen",
            settings.http_listen.as_ref(),
        );
        flags.set("--driver", "workspaces.driver", settings.driver.as_ref());
        flags.set("--image", "docker.image", settings.image.as_ref());
        let file = self.config.clone().or_else(|| path_of("DEVGATE_CONFIG"));
        let loaded = load(file.as_deref(), environment(std::env::vars_os())?, &flags)?;
        for warning in &loaded.warnings {
            output::note(&format!("devgate: warning: {warning}"));
        }
        Ok(loaded.config)
    }
}

/// Returns a path out of the environment; an empty one is none.
pub(super) fn path_of(variable: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// Returns the environment as far as it is text. What is ours and isn't would be missed
/// without a word.
fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Failure> {
    let mut texts = Vec::new();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else {
            continue;
        };
        match value.into_string() {
            // As if it weren't there.
            Ok(value) if name == "DEVGATE_DATA_DIR" && value.is_empty() => {}
            // No settings, and so none that is misspelt.
            Ok(_) if SERVER.contains(&name.as_str()) => {}
            Ok(value) => texts.push((name, value)),
            Err(_) if name.starts_with("DEVGATE_") && !PATHS.contains(&name.as_str()) => {
                return Err(no_text(&name));
            }
            Err(_) => {}
        }
    }
    Ok(texts)
}

/// Refuses a variable that isn't text.
pub(super) fn no_text(variable: &str) -> Failure {
    let message = format!("{variable} in the environment isn't UTF-8: set it anew, or unset it");
    Failure::new(Kind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// Returns the commands below one that don't take `--json`, as they are written.
    fn without_json(command: &clap::Command, written: &str) -> Vec<String> {
        let takes = |command: &clap::Command| {
            let mut arguments = command.get_arguments();
            arguments.any(|argument| argument.get_long() == Some("json"))
        };
        let below = command.get_subcommands().flat_map(|below| {
            let written = format!("{written} {}", below.get_name());
            let written = written.trim_start();
            if below.has_subcommands() {
                without_json(below, written)
            } else if takes(below) {
                Vec::new()
            } else {
                vec![written.to_owned()]
            }
        });
        below.collect()
    }

    #[test]
    fn every_command_that_tells_a_result_tells_it_as_json_as_well() {
        let others = [
            "up",
            "serve",
            "ssh",
            "ssh-certificate renew",
            "proxy",
            "exec",
            "logs",
            "config check",
            "completions",
            "man",
        ];
        assert_eq!(without_json(&Cli::command(), ""), others);
    }

    #[test]
    fn the_flags_that_other_programs_rely_on_are_there() {
        Cli::try_parse_from([
            "devgate",
            "up",
            "--data-dir",
            "/d",
            "--ssh-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
            "--authorized-key",
            "/k1",
            "--authorized-key",
            "/k2",
            "--workspace",
            "api",
            "--ready-file",
            "/r",
        ])
        .unwrap();
        Cli::try_parse_from(["devgate", "serve", "--config", "/c.toml"]).unwrap();
        Cli::try_parse_from(["devgate", "--data-dir", "/d", "list", "--json"]).unwrap();
    }

    #[test]
    fn help_names_variables_and_defaults_alike_and_ends_with_what_all_commands_take() {
        let mut cli = Cli::command();
        cli.build();
        let up = cli.find_subcommand_mut("up").unwrap();
        let help = up.render_help().to_string();
        assert!(!help.contains("=]"), "{help}");
        let words: Vec<_> = help.split_whitespace().collect();
        let help = words.join(" ");
        assert!(
            help.contains("[env: DEVGATE_AUTHORIZED_KEY] [default: ~/.ssh/*.pub on the first run]"),
            "{help}"
        );
        let at = |flag: &str| help.find(flag).unwrap();
        assert!(at("--ssh-listen") < at("--http-listen"), "{help}");
        assert!(at("--ready-file") < at("--data-dir"), "{help}");
        assert!(at("--data-dir") < at("--config"), "{help}");
    }

    #[test]
    fn help_of_cp_tells_its_places_apart_and_none_has_marks_of_documentation() {
        let mut cli = Cli::command();
        cli.build();
        let mut help = |name: &str| {
            let command = cli.find_subcommand_mut(name).unwrap();
            command.render_long_help().to_string()
        };
        let cp = help("cp");
        assert!(cp.contains("<SRC>... <DST>\n"), "{cp}");
        let open = help("open");
        assert!(open.contains(" VSCodium,"), "{open}");
        Cli::try_parse_from(["devgate", "cp", "-r", "a", "b", "api:"]).unwrap();
        assert!(Cli::try_parse_from(["devgate", "cp", "a"]).is_err());
    }

    #[test]
    fn variables_that_are_no_text_or_empty_are_not_missed() {
        use std::os::unix::ffi::OsStringExt as _;
        let bad = |name: &str| [(name.into(), OsString::from_vec(vec![0xff]))];
        for ours in ["DEVGATE_DATA_DIR", "DEVGATE_URL"] {
            let failure = environment(bad(ours)).unwrap_err();
            assert!(failure.to_string().contains(ours), "{failure}");
        }
        for other in ["DEVGATE_CA", "PATH"] {
            assert_eq!(environment(bad(other)).unwrap(), []);
        }
        let empty = [("DEVGATE_DATA_DIR".into(), OsString::new())];
        assert_eq!(environment(empty).unwrap(), []);
    }

    #[test]
    fn a_bad_name_is_refused_at_the_edge() {
        for name in ["../etc", "a b", &"x".repeat(300)] {
            assert!(
                Cli::try_parse_from(["devgate", "create", name]).is_err(),
                "{name}"
            );
            assert!(
                Cli::try_parse_from(["devgate", "start", name]).is_err(),
                "{name}"
            );
            assert!(
                Cli::try_parse_from(["devgate", "users", "add", name]).is_err(),
                "{name}"
            );
        }
    }
}
