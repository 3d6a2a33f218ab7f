//! A workspace that a test connects to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gateway::Gateway;
use crate::reach::Reach;
use crate::ssh::{Access, Ssh, plain};
use crate::sshd::Sshd;
use crate::survivors::Folder;

/// A workspace, whatever serves it.
pub struct Target {
    // Dropped in this order: the server, its folder.
    server: Server,
    config: PathBuf,
    folder: Folder,
}

enum Server {
    Devgate(Gateway),
    Sshd(Sshd),
}

impl Target {
    /// Starts a gateway with one workspace.
    #[track_caller]
    pub fn devgate(reach: Reach) -> Self {
        Self::devgate_with(reach, &[])
    }

    /// Starts a gateway with settings, given as the environment variables of its
    /// configuration.
    #[track_caller]
    pub fn devgate_with(reach: Reach, settings: &[(&str, &str)]) -> Self {
        Self::devgate_in(Folder::new(), reach, settings)
    }

    /// Starts a gateway with settings that name the test's folder.
    #[track_caller]
    pub fn devgate_in(folder: Folder, reach: Reach, settings: &[(&str, &str)]) -> Self {
        let gateway = Gateway::start_with(folder.path(), reach, settings);
        Self::of(gateway, folder)
    }

    /// Starts a gateway that finds nothing and makes everything itself, as for a
    /// person who runs it for the first time.
    #[track_caller]
    pub fn devgate_untouched(reach: Reach) -> Self {
        let folder = Folder::new();
        let gateway = Gateway::start_untouched(folder.path(), reach, &[]);
        Self::of(gateway, folder)
    }

    #[track_caller]
    fn of(gateway: Gateway, folder: Folder) -> Self {
        let config = gateway.access().write(folder.path());
        Self {
            server: Server::Devgate(gateway),
            config,
            folder,
        }
    }

    /// Starts OpenSSH's server.
    #[track_caller]
    pub fn sshd() -> Self {
        let folder = Folder::new();
        let sshd = Sshd::start(folder.path());
        let config = sshd.access().write(folder.path());
        Self {
            server: Server::Sshd(sshd),
            config,
            folder,
        }
    }

    /// Begins an `ssh` command line.
    #[track_caller]
    pub fn ssh(&self) -> Ssh {
        Ssh::with_config(&self.config)
    }

    /// Returns a client (scp, sftp) that uses this target's configuration.
    #[track_caller]
    pub fn client(&self, name: &str) -> Command {
        let mut command = plain(name);
        command.arg("-F").arg(&self.config);
        command
    }

    /// Returns the `ssh` command line for programs that run it themselves.
    #[track_caller]
    pub fn ssh_command_line(&self) -> String {
        let ssh = crate::component::program("ssh");
        format!("{} -F {}", ssh.display(), self.config.display())
    }

    /// Returns the client's configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Returns how to connect.
    #[track_caller]
    pub fn access(&self) -> Access {
        match &self.server {
            Server::Devgate(gateway) => gateway.access(),
            Server::Sshd(sshd) => {
                let access = sshd.access();
                Access {
                    address: access.address,
                    user: access.user.clone(),
                    identity: access.identity.clone(),
                    host_keys: access.host_keys.clone(),
                }
            }
        }
    }

    /// Lets a further key in, by the file of its public half.
    #[track_caller]
    pub fn admit(&self, public: &Path) {
        match &self.server {
            Server::Devgate(gateway) => {
                let added = gateway.cli(&["keys", "add", &public.display().to_string()]);
                assert_eq!(added.code(), 0, "{added:?}");
            }
            Server::Sshd(sshd) => {
                let known = crate::keys::public(&sshd.access().identity);
                let both = [known.as_path(), public].map(|file| fs::read_to_string(file).unwrap());
                fs::write(known, both.concat()).expect("the test's folder is writable");
            }
        }
    }

    /// Returns the processes whose memory a stalled client must not fill.
    #[track_caller]
    pub fn carriers(&self) -> Vec<u32> {
        match &self.server {
            Server::Devgate(gateway) => vec![gateway.ready().pid, gateway.agent()],
            Server::Sshd(sshd) => vec![sshd.pid()],
        }
    }

    /// Says whether devgate serves it.
    pub fn is_devgate(&self) -> bool {
        matches!(self.server, Server::Devgate(_))
    }

    /// Returns the gateway, which tests that are about devgate alone need.
    #[track_caller]
    pub fn gateway(&self) -> &Gateway {
        match &self.server {
            Server::Devgate(gateway) => gateway,
            Server::Sshd(_) => panic!("this test is about devgate"),
        }
    }

    /// Returns the gateway, to be killed and started again.
    #[track_caller]
    pub fn gateway_mut(&mut self) -> &mut Gateway {
        match &mut self.server {
            Server::Devgate(gateway) => gateway,
            Server::Sshd(_) => panic!("this test is about devgate"),
        }
    }

    /// Returns the test's own folder, which the workspace can reach as well.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of something in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a folder in the test's folder.
    #[track_caller]
    pub fn make_folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("the test's folder is writable");
        path
    }
}
