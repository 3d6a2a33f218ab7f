//! Links that open a workspace in people's own programs; the dashboard makes the same
//! (`gateway/web/src/workspace/links.ts`).

use crate::cli::client::segment;

/// Where a program connects by SSH.
#[derive(Debug)]
pub(super) struct Destination {
    /// The login name: `WORKSPACE.OWNER`.
    pub(super) user: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// Folder to open, absolute.
    pub(super) folder: String,
}

/// Returns a path whose slashes stay.
pub(super) fn path(folder: &str) -> String {
    let parts: Vec<_> = folder.split('/').map(segment).collect();
    parts.join("/")
}

/// IPv6 addresses stand in brackets in an address.
fn authority(to: &Destination) -> String {
    let user = segment(&to.user);
    if to.host.contains(':') {
        format!("{user}@[{}]:{}", to.host, to.port)
    } else {
        format!("{user}@{}:{}", to.host, to.port)
    }
}

/// `vscode://vscode-remote/ssh-remote+user@host:port/path`, in a window of its own: without
/// `windowId` it takes the place of what somebody has open. Its relatives take the same,
/// each with a scheme of its own.
pub(super) fn vscode(scheme: &str, to: &Destination) -> String {
    format!(
        "{scheme}://vscode-remote/ssh-remote+{}{}?windowId=_blank",
        authority(to),
        path(&to.folder)
    )
}

/// `jetbrains-gateway://connect#type=ssh&deploy=false&host=…&port=…&user=…&projectPath=…`.
/// Without an `idePath` Gateway asks which of the workspace's IDEs to use.
pub(super) fn jetbrains(to: &Destination, ide: Option<&str>) -> String {
    let port = to.port.to_string();
    let mut parameters = vec![
        ("type", "ssh"),
        ("deploy", "false"),
        ("host", &to.host),
        ("port", &port),
        ("user", &to.user),
        ("projectPath", &to.folder),
    ];
    parameters.extend(ide.map(|ide| ("idePath", ide)));
    format!("jetbrains-gateway://connect#{}", joined(&parameters))
}

/// `jetbrains://gateway/ssh/environment?h=…&p=…&u=…&launchIde=true&ideHint=…&projectHint=…`.
/// Without an `ideHint` Toolbox asks.
pub(super) fn toolbox(to: &Destination, ide: Option<&str>) -> String {
    let port = to.port.to_string();
    let mut parameters = vec![
        ("h", to.host.as_str()),
        ("p", &port),
        ("u", &to.user),
        ("launchIde", "true"),
    ];
    parameters.extend(ide.map(|ide| ("ideHint", ide)));
    parameters.push(("projectHint", &to.folder));
    format!(
        "jetbrains://gateway/ssh/environment?{}",
        joined(&parameters)
    )
}

/// `zed://ssh/user@host:port/path`.
pub(super) fn zed(to: &Destination) -> String {
    format!("zed://ssh/{}{}", authority(to), path(&to.folder))
}

fn joined(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", segment(value)))
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the dashboard's own tests expect, word for word.
    #[test]
    fn links_are_those_of_the_dashboard() {
        let to = Destination {
            user: "api".to_owned(),
            host: "gate.example.com".to_owned(),
            port: 2222,
            folder: "/home/ada/my project".to_owned(),
        };
        let place = "api@gate.example.com:2222/home/ada/my%20project";
        for scheme in ["vscode", "cursor", "windsurf", "vscodium"] {
            assert_eq!(
                vscode(scheme, &to),
                format!("{scheme}://vscode-remote/ssh-remote+{place}?windowId=_blank")
            );
        }
        assert_eq!(zed(&to), format!("zed://ssh/{place}"));
        let gateway = "jetbrains-gateway://connect#type=ssh&deploy=false&host=gate.example.com\
                       &port=2222&user=api&projectPath=%2Fhome%2Fada%2Fmy%20project";
        assert_eq!(jetbrains(&to, None), gateway);
        assert_eq!(
            jetbrains(&to, Some("/opt/idea")),
            format!("{gateway}&idePath=%2Fopt%2Fidea")
        );
        assert_eq!(
            toolbox(&to, Some("IU-251")),
            "jetbrains://gateway/ssh/environment?h=gate.example.com&p=2222&u=api&launchIde=true\
             &ideHint=IU-251&projectHint=%2Fhome%2Fada%2Fmy%20project"
        );
        let v6 = Destination {
            host: "::1".to_owned(),
            folder: "/work".to_owned(),
            ..to
        };
        assert_eq!(zed(&v6), "zed://ssh/api@[::1]:2222/work");
    }
}
