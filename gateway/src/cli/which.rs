//! Which server a command means.
//!
//! The first of these that is there: `--context`; `--data-dir` or `--config`; `DEVGATE_URL`
//! with `DEVGATE_TOKEN`; `DEVGATE_CONTEXT`; `DEVGATE_CONFIG` or `DEVGATE_DATA_DIR`; the
//! context that `devgate login` or `devgate context use` chose; the data folder that is the
//! default. An empty variable is none.

use std::env;
use std::path::PathBuf;

use devgate_protocol::Secret;

use super::args::{Settings, Source, no_text, path_of};
use super::client::{Client, Rest, read_authority};
use super::contexts::{Context, ContextName, Contexts, LOCAL};
use super::failure::{Failure, Kind};

/// Which server.
pub(super) enum Which {
    /// That of a data folder here.
    Here,
    /// One of the contexts.
    Named(ContextName, Context),
    /// The one that the environment names.
    Environment(Context),
}

/// Returns a client of the server that is meant.
pub(super) fn client(source: &Source) -> Result<Client, Failure> {
    let (name, context) = match which(source)? {
        Which::Here => {
            let config = source.load(&Settings::default())?;
            return Ok(Client::new(&config.data_dir));
        }
        Which::Named(name, context) => (name.to_string(), context),
        Which::Environment(context) => (context.url.clone(), context),
    };
    if context.token.is_none() {
        let message = format!(
            "nobody is signed in at {name}: devgate login {} --name {name}",
            context.url
        );
        return Err(Failure::new(Kind::Denied, message));
    }
    let rest = Rest::new(name, context.remote()?);
    Ok(Client::There(Box::new(rest)))
}

/// Returns which server is meant.
pub(super) fn which(source: &Source) -> Result<Which, Failure> {
    if let Some(name) = &source.context {
        return named(name);
    }
    if source.data_dir.is_some() || source.config.is_some() {
        return Ok(Which::Here);
    }
    if let Some(url) = variable("DEVGATE_URL")?.filter(|_| is_said()) {
        return of_environment(url, variable("DEVGATE_TOKEN")?, path_of("DEVGATE_CA"));
    }
    if let Some(name) = variable("DEVGATE_CONTEXT")? {
        return named(&name);
    }
    if path_of("DEVGATE_CONFIG").is_some() || path_of("DEVGATE_DATA_DIR").is_some() {
        return Ok(Which::Here);
    }
    let contexts = Contexts::read()?;
    match &contexts.current {
        Some(name) => Ok(Which::Named(name.clone(), contexts.named(name)?.clone())),
        None => Ok(Which::Here),
    }
}

/// Says that commands mean a server from now on, and what goes before that here.
pub(super) fn from_now_on(name: &str) -> String {
    let before = [
        "DEVGATE_URL",
        "DEVGATE_CONTEXT",
        "DEVGATE_CONFIG",
        "DEVGATE_DATA_DIR",
    ];
    let unless = match before.into_iter().find(|name| path_of(name).is_some()) {
        Some(variable) => format!(", but {variable} is set here and goes before that"),
        None => String::new(),
    };
    let local = if name == LOCAL {
        ", the data folder on this machine,"
    } else {
        ""
    };
    format!("commands mean {name}{local} from now on{unless}")
}

/// Tells whether `DEVGATE_URL` means something: a workspace names its server to all programs,
/// whether or not they have a token for it.
fn is_said() -> bool {
    path_of("DEVGATE_WORKSPACE_ID").is_none() || path_of("DEVGATE_TOKEN").is_some()
}

/// Returns a variable of the environment; an empty one is none.
fn variable(name: &str) -> Result<Option<String>, Failure> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    let text = value.map(|value| value.into_string().map_err(|_| no_text(name)));
    text.transpose()
}

fn named(name: &str) -> Result<Which, Failure> {
    if name == LOCAL {
        return Ok(Which::Here);
    }
    let name: ContextName = name.parse().map_err(|why| Failure::new(Kind::Usage, why))?;
    let contexts = Contexts::read()?;
    let context = contexts.named(&name)?.clone();
    Ok(Which::Named(name, context))
}

fn of_environment(
    url: String,
    token: Option<String>,
    ca: Option<PathBuf>,
) -> Result<Which, Failure> {
    let Some(token) = token else {
        let message = "DEVGATE_URL is set without DEVGATE_TOKEN: set that too, or unset it";
        return Err(Failure::new(Kind::Usage, message));
    };
    let ca = ca.map(|path| read_authority(&path));
    Ok(Which::Environment(Context {
        url,
        // What is read from a file ends in a newline.
        token: Some(Secret::new(token.trim().to_owned())),
        ca: ca.transpose()?,
        ..Context::default()
    }))
}
