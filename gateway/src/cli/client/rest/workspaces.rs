//! Workspaces, living and deleted, and their logs.

use http::Method;
use serde_json::{Map, Value, json};

use super::{Answer, MOST, Pieces, Rest, explain};
use crate::cli::client::segment;
use crate::cli::failure::{Failure, Kind};
use crate::identity::Target;
use crate::names::WorkspaceId;

impl Rest {
    pub(super) async fn workspaces(
        &mut self,
        method: Method,
        parts: &[&str],
        query: &str,
        body: Value,
    ) -> Answer {
        match (&method, parts) {
            (&Method::GET, []) => {
                let all = self.all("/workspaces", MOST).await?;
                Ok(self.views(all))
            }
            (&Method::POST, []) => self.create(body).await,
            (_, [workspace, rest @ ..]) => {
                let id = self.id(workspace).await?;
                self.of_workspace(method, (&id, rest), query, body).await
            }
            _ => Err(self.only_there()),
        }
    }

    async fn of_workspace(
        &mut self,
        method: Method,
        (id, parts): (&str, &[&str]),
        query: &str,
        body: Value,
    ) -> Answer {
        let mut path = format!("/workspaces/{id}");
        for part in parts {
            path.extend(["/", &segment(part)]);
        }
        match (&method, parts) {
            (_, []) => {
                let body = (method == Method::PATCH).then_some(&body);
                let path = format!("{path}?{query}");
                let view = self.call(method, &path, body).await?;
                Ok(self.view(view))
            }
            (_, ["start" | "stop" | "restart" | "sleep"]) => {
                let view = self.call(method, &path, None).await?;
                Ok(self.view(view))
            }
            (_, ["rebuild" | "extend"]) => {
                let view = self.call(method, &path, Some(&body)).await?;
                Ok(self.view(view))
            }
            (&Method::GET, ["keep-awake"]) => Ok(Value::Array(self.all(&path, MOST).await?)),
            (&Method::GET, ["history"]) => {
                let lines = parameters(query).find(|(name, _)| *name == "lines");
                let lines = lines.and_then(|(_, lines)| lines.parse().ok());
                let events = self.all(&path, lines.unwrap_or(MOST)).await?;
                Ok(Value::Array(events))
            }
            (_, ["clones"]) => {
                let mut made = self.call(method, &path, Some(&body)).await?;
                match made.get_mut("workspaces").map(Value::take) {
                    Some(Value::Array(all)) => Ok(self.views(all)),
                    _ => Ok(json!([])),
                }
            }
            (&Method::GET | &Method::DELETE, ["why-running" | "schedule" | "keep-awake", ..]) => {
                self.call(method, &path, None).await
            }
            (_, ["keep-awake" | "schedule" | "snapshots"]) => {
                self.call(method, &path, Some(&body)).await
            }
            _ => Err(self.only_there()),
        }
    }

    async fn create(&mut self, body: Value) -> Answer {
        let mut new = object(body);
        let then = new.remove("then");
        new.insert("start".to_owned(), json!(then == Some(json!("start"))));
        if let Some(snapshot) = new.get("snapshot").and_then(Value::as_str) {
            let id = self.snapshot(snapshot).await?;
            new.insert("snapshot".to_owned(), json!(id));
        }
        let body = Value::Object(new);
        let view = self.call(Method::POST, "/workspaces", Some(&body)).await?;
        Ok(self.view(view))
    }

    pub(super) async fn deleted(&mut self, method: Method, parts: &[&str], body: Value) -> Answer {
        let all = self.all("/workspaces?deleted=true", MOST).await?;
        match (&method, parts) {
            (&Method::GET, []) => Ok(self.views(all)),
            (_, [workspace, rest @ ..]) => {
                let found = pick(
                    all,
                    workspace,
                    "deleted workspace",
                    "devgate list --deleted",
                )?;
                let id = text(&found, "id");
                match (&method, rest) {
                    (&Method::GET, []) => Ok(self.view(found)),
                    (&Method::DELETE, []) => {
                        let path = format!("/workspaces/{id}?purge=true");
                        self.call(method, &path, None).await
                    }
                    (&Method::POST, ["restore"]) => {
                        let path = format!("/workspaces/{id}/restore");
                        let view = self.call(method, &path, Some(&body)).await?;
                        Ok(self.view(view))
                    }
                    _ => Err(self.only_there()),
                }
            }
            _ => Err(self.only_there()),
        }
    }

    /// Asks for a log, piece by piece.
    pub(in crate::cli::client) async fn stream(&mut self, path: &str) -> Result<Pieces, Failure> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        let (Some("workspaces"), Some(workspace), Some(log @ ("logs" | "startup/log"))) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(self.only_there());
        };
        let id = self.id(workspace).await?;
        let mut asked = Vec::new();
        let mut follow = false;
        for (name, value) in parameters(query) {
            match name {
                "lines" => asked.push(format!("tail={value}")),
                "follow" => follow = value == "true",
                _ => asked.push(format!("{name}={value}")),
            }
        }
        let path = format!("/workspaces/{id}/{log}?{}", asked.join("&"));
        let accept = if follow {
            "text/event-stream"
        } else {
            "text/plain"
        };
        let body = self.remote.stream(&path, accept).await;
        let body = body.map_err(|error| explain(error, &self.name))?;
        Ok(if follow {
            Pieces::events(body)
        } else {
            Pieces::plain(body)
        })
    }

    /// Returns the id of what is named by its id, by `NAME.OWNER`, or by a name; of several
    /// of that name one's own is meant.
    pub(in crate::cli) async fn id(&mut self, named: &str) -> Result<String, Failure> {
        if self.ids.contains(named) {
            return Ok(named.to_owned());
        }
        if named.parse::<WorkspaceId>().is_ok() {
            let path = format!("/workspaces/{named}");
            match self.call(Method::GET, &path, None).await {
                Err(failure) if failure.kind() == Kind::NotFound => {}
                answer => return answer.map(|_| named.to_owned()),
            }
        }
        let target = target(named)?;
        let mut path = format!("/workspaces?name={}", target.workspace);
        if let Some(owner) = &target.owner {
            path = format!("{path}&owner={}", segment(owner.as_str()));
        }
        let mut all = self.all(&path, MOST).await?;
        if all.len() > 1 {
            let own = self.person().await?;
            if all.iter().any(|one| text(one, "owner") == own.as_str()) {
                all.retain(|one| text(one, "owner") == own.as_str());
            }
        }
        let found = pick(all, named, "workspace", "devgate list")?;
        let id = text(&found, "id").to_owned();
        self.ids.insert(id.clone());
        Ok(id)
    }

    fn views(&mut self, all: Vec<Value>) -> Value {
        all.into_iter().map(|one| self.view(one)).collect()
    }

    /// Returns a workspace as the administration API shows it.
    pub(super) fn view(&mut self, workspace: Value) -> Value {
        let mut view = object(workspace);
        let names = [
            ("reason", "failure"),
            ("deleted_at", "deleted"),
            ("expires_at", "expires"),
        ];
        for (theirs, ours) in names {
            let value = view.remove(theirs).unwrap_or_default();
            view.insert(ours.to_owned(), value);
        }
        let startup = view.remove("startup").unwrap_or_default();
        if text(&startup, "state") == "failed" {
            let detail = json!(text(&startup, "detail"));
            view.insert("startup_failure".to_owned(), detail);
        }
        if is_out_of_reach(&view) {
            view.insert("agent_unreachable".to_owned(), json!(true));
        }
        if let Some(Value::String(id)) = view.get("id") {
            self.ids.insert(id.clone());
        }
        if view.is_empty() {
            return Value::Null;
        }
        Value::Object(view)
    }
}

/// Picks the one of a list that is named by its id, by `NAME.OWNER`, or by a name.
pub(super) fn pick(all: Vec<Value>, named: &str, what: &str, list: &str) -> Answer {
    let by_id = all.iter().position(|one| text(one, "id") == named);
    if let Some(found) = by_id.and_then(|index| all.get(index)) {
        return Ok(found.clone());
    }
    let target = target(named)?;
    let fits = |one: &Value| {
        let owner = target.owner.as_ref();
        text(one, "name") == target.workspace.as_str()
            && owner.is_none_or(|owner| text(one, "owner") == owner.as_str())
    };
    let found: Vec<_> = all.into_iter().filter(fits).collect();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => {
            let message = format!("there is no {what} {named}: `{list}` shows all");
            Err(Failure::new(Kind::NotFound, message))
        }
        several => {
            let name = |one: &Value| format!("{}.{}", text(one, "name"), text(one, "owner"));
            let mut choice: Vec<_> = several.iter().map(name).collect();
            choice.dedup();
            if choice.len() < several.len() {
                choice = several
                    .iter()
                    .map(|one| text(one, "id").to_owned())
                    .collect();
            }
            let message = format!("there are several: say which one, {}", choice.join(" or "));
            Err(Failure::new(Kind::Failed, message))
        }
    }
}

fn target(text: &str) -> Result<Target, Failure> {
    let target = text.parse::<Target>();
    target.map_err(|error| Failure::new(Kind::Usage, error.to_string()))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Returns a text of an object, or none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

/// Tells whether a workspace runs, as far as is known, and its agent can't be reached.
fn is_out_of_reach(workspace: &Map<String, Value>) -> bool {
    let is_null = |name: &str| workspace.get(name).is_none_or(Value::is_null);
    let runs = workspace.get("state").is_some_and(|it| it == "running");
    // A narrowed token is told of neither.
    runs && is_null("agent") && !is_null("doing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_that_runs_without_an_agent_is_out_of_reach() {
        let is = |state: &str, agent: Value, doing: Value| {
            let workspace = json!({ "state": state, "agent": agent, "doing": doing });
            is_out_of_reach(&object(workspace))
        };
        let (none, agent) = (Value::Null, json!({ "version": "1" }));
        assert!(is("running", none.clone(), json!("it is tried")));
        assert!(!is("starting", none.clone(), json!("it is tried")));
        assert!(!is("running", agent, json!("it has ended before")));
        assert!(!is("running", none.clone(), none));
    }

    fn one(id: &str, name: &str, owner: &str) -> Value {
        json!({ "id": id, "name": name, "owner": owner })
    }

    #[test]
    fn an_id_wins_over_names_and_several_of_a_name_are_told() {
        let all = vec![
            one("aaaaaaaaaaaaaaaa", "api", "ada"),
            one("bbbbbbbbbbbbbbbb", "api", "bob"),
            one("cccccccccccccccc", "aaaaaaaaaaaaaaaa", "bob"),
        ];
        let pick = |named: &str| pick(all.clone(), named, "workspace", "devgate list");
        assert_eq!(text(&pick("aaaaaaaaaaaaaaaa").unwrap(), "owner"), "ada");
        assert_eq!(text(&pick("api.bob").unwrap(), "id"), "bbbbbbbbbbbbbbbb");
        let several = pick("api").unwrap_err().to_string();
        assert!(several.contains("api.ada or api.bob"), "{several}");
        assert_eq!(pick("web").unwrap_err().kind(), Kind::NotFound);
    }
}
