//! Which server a command means.
//!
//! The first of these that is there: `--context` or `--data-dir`; `DEVGATE_URL` with
//! `DEVGATE_TOKEN`; `DEVGATE_CONTEXT`; `--config`, `DEVGATE_CONFIG` or
//! `DEVGATE_DATA_DIR`; the context that `devgate login` or `devgate context use` chose;
//! the data folder that is the default.

use std::env;

use devgate_protocol::Secret;

use super::args::{Settings, Source};
use super::client::{Client, Rest};
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
    if source.data_dir.is_some() {
        return Ok(Which::Here);
    }
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(url) = variable("DEVGATE_URL") {
        return of_environment(url, variable("DEVGATE_TOKEN"), variable("DEVGATE_CA"));
    }
    if let Some(name) = variable("DEVGATE_CONTEXT") {
        return named(&name);
    }
    if source.config.is_some() || env::var_os("DEVGATE_DATA_DIR").is_some() {
        return Ok(Which::Here);
    }
    let contexts = Contexts::read()?;
    match &contexts.current {
        Some(name) => Ok(Which::Named(name.clone(), contexts.named(name)?.clone())),
        None => Ok(Which::Here),
    }
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
    ca: Option<String>,
) -> Result<Which, Failure> {
    let Some(token) = token else {
        let message = "DEVGATE_URL is set without DEVGATE_TOKEN: set that too, or unset it";
        return Err(Failure::new(Kind::Usage, message));
    };
    let ca = ca.map(|path| super::login::read_ca(path.as_ref()));
    Ok(Which::Environment(Context {
        url,
        user: None,
        token: Some(Secret::new(token)),
        token_id: None,
        expires: None,
        ca: ca.transpose()?,
    }))
}
