//! `devgate ssh-certificate`: SSH without a registered key, by a short-lived certificate.
//!
//! The key is made here. It is in the ssh-agent, where one runs, for as long as the
//! certificate counts; else in a file of mode 0600 beside the contexts. The certificate is a
//! file either way, so that it is known when it ends.

mod kept;

use std::time::Duration;

use clap::{Args, Subcommand};

use super::client::{Client, Rest};
use super::failure::{Failure, Kind};
use super::output::{self, Format, table};
use crate::config::{Network, Period};
use crate::http::api::wire::{ActionName, SignSshCertificate, SshCertificate};
use crate::identity::{SshAction, Target};

pub(super) use kept::{Kept, forget};

/// `devgate ssh-certificate …`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Get a certificate for a fresh key
    Get(Get),
    /// Renew the certificate if it is about to end; fails where there is none
    Renew,
    /// List your certificates
    List(List),
    /// Revoke certificates; connections that they let in end
    Revoke(Revoke),
}

/// `devgate ssh-certificate get`.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// For how long, up to a day
    #[arg(long, value_name = "TIME", default_value = "8h")]
    valid: Period,
    /// Let it count from this address or network alone; may be given several times
    #[arg(long, value_name = "NETWORK")]
    source_address: Vec<Network>,
    /// Let it lead to this workspace alone; may be given several times
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Vec<Target>,
    /// Forbid pty, port-forwarding, agent-forwarding or x11-forwarding; may be given several
    /// times
    #[arg(long, value_name = "ACTION")]
    without: Vec<SshAction>,
    #[command(flatten)]
    format: Format,
}

/// `devgate ssh-certificate list`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    format: Format,
}

/// `devgate ssh-certificate revoke`.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Serial numbers, as `devgate ssh-certificate list` shows them
    #[arg(required = true, value_name = "SERIAL")]
    serials: Vec<u64>,
    #[command(flatten)]
    format: Format,
}

/// Runs one of them.
pub(super) async fn run(client: &mut Client, command: Command) -> Result<(), Failure> {
    let Some(rest) = client.there() else {
        let message = "this is for servers elsewhere (`devgate login`): on its own machine add a \
                       key with `devgate keys add`";
        return Err(Failure::new(Kind::Usage, message));
    };
    match command {
        Command::Get(command) => get(rest, command).await,
        Command::Renew => renew(rest).await,
        Command::List(command) => list(rest, &command).await,
        Command::Revoke(command) => revoke(rest, command).await,
    }
}

/// Gets what `devgate login --ssh-certificate` gets, and says on stderr where it is.
pub(super) async fn get_all(rest: &mut Rest) -> Result<(), Failure> {
    let wish = SignSshCertificate {
        public_key: String::new(),
        valid_seconds: None,
        source_addresses: None,
        workspaces: None,
        actions: None,
    };
    let kept = Kept::of(rest.name())?;
    let _lock = kept.lock()?;
    let certificate = kept.get(rest, wish).await?;
    output::note(said(&kept, &certificate).trim_end());
    Ok(())
}

/// Gets another one like that of before, which ended with its token, where there was one.
pub(super) async fn get_again(rest: &mut Rest) -> Result<(), Failure> {
    let kept = Kept::of(rest.name())?;
    if !kept.is_there() {
        return Ok(());
    }
    let _lock = kept.lock()?;
    if let Some(certificate) = kept.get_again(rest).await? {
        output::note(said(&kept, &certificate).trim_end());
    }
    Ok(())
}

/// Gets a certificate for a fresh key.
async fn get(rest: &mut Rest, command: Get) -> Result<(), Failure> {
    let allowed = SshAction::ALL.into_iter();
    let allowed = allowed.filter(|action| !command.without.contains(action));
    let wish = SignSshCertificate {
        // Filled in with the key.
        public_key: String::new(),
        valid_seconds: Some(seconds(command.valid.get())),
        source_addresses: Some(texts(&command.source_address)),
        workspaces: Some(texts(&command.workspace)),
        actions: Some(allowed.map(ActionName::from).collect()),
    };
    let kept = Kept::of(rest.name())?;
    let _lock = kept.lock()?;
    let certificate = kept.get(rest, wish).await?;
    command
        .format
        .print(&certificate, |certificate| said(&kept, certificate))
}

fn said(kept: &Kept, certificate: &SshCertificate) -> String {
    let until = output::time(certificate.expires_at);
    let place = if kept.is_file() {
        format!("in {}", kept.key().display())
    } else {
        "in the ssh-agent".to_owned()
    };
    format!("ssh needs no registered key until {until}: the certificate's key is {place}\n")
}

/// Renews it where it is about to end.
async fn renew(rest: &mut Rest) -> Result<(), Failure> {
    let kept = Kept::of(rest.name())?;
    if kept.is_fresh() {
        return Ok(());
    }
    if !kept.is_there() {
        let message = format!(
            "there is no SSH certificate for {}: get one with `devgate ssh-certificate get`",
            rest.name()
        );
        return Err(Failure::new(Kind::NotFound, message));
    }
    kept.renew(rest).await
}

/// Renews it before a connection, where there is one that is about to end; what goes wrong is
/// said, and the connection tried all the same. Returns it where it counts.
pub(super) async fn ready(rest: &mut Rest) -> Option<Kept> {
    let kept = Kept::of(rest.name()).ok()?;
    if !kept.is_there() {
        return None;
    }
    if !kept.is_fresh()
        && let Err(failure) = kept.renew(rest).await
    {
        output::note(&format!(
            "devgate: the SSH certificate isn't renewed: {failure}"
        ));
    }
    kept.is_valid().then_some(kept)
}

async fn list(rest: &mut Rest, command: &List) -> Result<(), Failure> {
    let all = rest.certificates().await?;
    command.format.print(&all, |all| {
        if all.is_empty() {
            return "No certificates. Get one with: devgate ssh-certificate get\n".to_owned();
        }
        let rows: Vec<_> = all.iter().map(row).collect();
        table(["SERIAL", "FOR", "ENDS", "STATE"], &rows)
    })
}

fn row(one: &SshCertificate) -> [String; 4] {
    let state = if one.revoked.is_some() {
        "revoked"
    } else if one.expires_at <= time::OffsetDateTime::now_utc() {
        "ended"
    } else {
        "counts"
    };
    [
        one.serial.to_string(),
        one.principals.join(" "),
        output::time(one.expires_at),
        state.to_owned(),
    ]
}

async fn revoke(rest: &mut Rest, command: Revoke) -> Result<(), Failure> {
    for serial in &command.serials {
        rest.revoke_certificate(*serial).await?;
        command.format.step(&format!("{serial} is revoked\n"))?;
    }
    command.format.done("revoked", &command.serials)
}

fn seconds(period: Duration) -> u32 {
    u32::try_from(period.as_secs()).unwrap_or(u32::MAX)
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}
