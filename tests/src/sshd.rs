//! OpenSSH's server, as the measure of what a client may expect.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::component::program;
use crate::process::Running;
use crate::ssh::Access;
use crate::wait::{SOON, until};
use crate::{keys, ports};

/// An sshd with its own host key on a port of its own.
pub struct Sshd {
    process: Running,
    access: Access,
}

impl Sshd {
    /// Starts one that lets the calling user in with a fresh key.
    #[track_caller]
    pub fn start(folder: &Path) -> Self {
        let host_key = keys::generate(folder, "sshd_host_key");
        let identity = keys::generate(folder, "sshd_identity");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let config = folder.join("sshd_config");
        // Limits are lifted as far as a gateway's are, and what a workspace's
        // configuration would allow is allowed.
        let text = format!(
            "ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             PermitRootLogin yes\nMaxSessions 1000\nMaxStartups 1000\n\
             AcceptEnv *\nX11Forwarding yes\nStreamLocalBindUnlink yes\n\
             SetEnv DEVGATE_TEST={}\nPrintMotd no\nPrintLastLog no\n\
             Subsystem sftp internal-sftp\n",
            host_key.display(),
            keys::public(&identity).display(),
            folder.display(),
        );
        fs::write(&config, text).expect("the test's folder is writable");
        fs::create_dir_all("/run/sshd").expect("sshd's own folder can be made");
        let mut command = Command::new(program("sshd"));
        command.arg("-D").arg("-e").arg("-f").arg(&config);
        let process = Running::start(&mut command);
        until(SOON, "sshd accepts connections", || {
            TcpStream::connect(address).is_ok()
        });
        let access = Access {
            address,
            user: std::env::var("USER").unwrap_or_else(|_| "root".to_owned()),
            identity,
            host_keys: vec![keys::public_text(&host_key)],
        };
        Self { process, access }
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns how to connect to it.
    pub fn access(&self) -> &Access {
        &self.access
    }
}
