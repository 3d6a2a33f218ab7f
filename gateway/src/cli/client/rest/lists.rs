//! Snapshots, templates, secrets, keys and users.

use http::Method;
use serde_json::{Value, json};

use super::workspaces::{pick, text};
use super::{Answer, MOST, Rest};
use crate::cli::client::segment;
use crate::cli::failure::{Failure, Kind};

impl Rest {
    pub(super) async fn snapshots(
        &mut self,
        method: Method,
        parts: &[&str],
        query: &str,
        body: Value,
    ) -> Answer {
        match (&method, parts) {
            (&Method::GET, []) => Ok(Value::Array(self.all("/snapshots", MOST).await?)),
            (&Method::POST, ["pull"]) => {
                if let Some(owner) = body.get("owner").and_then(Value::as_str) {
                    self.only_own(owner, "snapshots").await?;
                }
                self.call(method, "/snapshots/pull", body.get("pull")).await
            }
            (&Method::GET | &Method::DELETE, [snapshot]) => {
                let id = self.snapshot(snapshot).await?;
                let path = format!("/snapshots/{id}?{query}");
                let path = path.trim_end_matches('?');
                self.call(method, path, None).await
            }
            (&Method::POST, [snapshot, "restore"]) => {
                let id = self.snapshot(snapshot).await?;
                let workspace = match body.get("workspace").and_then(Value::as_str) {
                    Some(named) => Some(self.id(named).await?),
                    None => None,
                };
                let body = json!({ "workspace": workspace });
                let path = format!("/snapshots/{id}/restore");
                let view = self.call(method, &path, Some(&body)).await?;
                Ok(self.view(view))
            }
            (&Method::POST, [snapshot, "push"]) => {
                let id = self.snapshot(snapshot).await?;
                let path = format!("/snapshots/{id}/push");
                self.call(method, &path, Some(&body)).await
            }
            _ => Err(self.only_there()),
        }
    }

    /// Returns the id of a snapshot.
    pub(super) async fn snapshot(&mut self, named: &str) -> Result<String, Failure> {
        let all = self.all("/snapshots", MOST).await?;
        let found = pick(all, named, "snapshot", "devgate snapshots list")?;
        Ok(text(&found, "id").to_owned())
    }

    pub(super) async fn templates(
        &mut self,
        method: Method,
        parts: &[&str],
        query: &str,
        body: Value,
    ) -> Answer {
        match (&method, parts) {
            (&Method::GET, []) => Ok(Value::Array(self.all("/templates", MOST).await?)),
            (_, [name]) => {
                let path = format!("/templates/{}", segment(name));
                if method != Method::PUT {
                    return self.call(method, &path, None).await;
                }
                if query != "check=true" {
                    return self.call(method, &path, Some(&body)).await;
                }
                let path = format!("{path}/check");
                self.call(Method::POST, &path, Some(&body)).await
            }
            _ => Err(self.only_there()),
        }
    }

    pub(super) async fn secrets(
        &mut self,
        method: Method,
        parts: &[&str],
        whose: &str,
        body: Value,
    ) -> Answer {
        match parts {
            [] => {
                let page = self.call(method, &format!("/secrets{whose}"), None).await?;
                Ok(page.get("items").cloned().unwrap_or_default())
            }
            [name] => {
                let path = format!("/secrets/{}{whose}", segment(name));
                let body = (method == Method::PUT).then_some(&body);
                self.call(method, &path, body).await
            }
            _ => Err(self.only_there()),
        }
    }

    pub(super) async fn tokens(&mut self, method: Method, parts: &[&str], body: Value) -> Answer {
        match (&method, parts) {
            (&Method::GET, []) => Ok(Value::Array(self.all("/me/tokens", MOST).await?)),
            (&Method::POST, []) => self.call(method, "/me/tokens", Some(&body)).await,
            (&Method::DELETE, [id]) => {
                let path = format!("/me/tokens/{}", segment(id));
                self.call(method, &path, None).await
            }
            _ => Err(self.only_there()),
        }
    }

    pub(super) async fn keys(&mut self, method: Method, parts: &[&str], body: Value) -> Answer {
        let user = self.person().await?;
        let view = |mut key: Value| {
            let comment = key.get_mut("label").map(Value::take).unwrap_or_default();
            json!({
                "fingerprint": text(&key, "fingerprint"),
                "algorithm": text(&key, "algorithm"),
                "comment": comment,
                "user": user,
            })
        };
        match (&method, parts) {
            (&Method::GET, []) => {
                let all = self.all("/me/keys", MOST).await?;
                Ok(all.into_iter().map(view).collect())
            }
            (&Method::POST, []) => {
                let body = json!({ "public_key": text(&body, "key") });
                let key = self.call(method, "/me/keys", Some(&body)).await?;
                Ok(view(key))
            }
            (&Method::DELETE, [fingerprint]) => {
                let path = format!("/me/keys/{}", segment(fingerprint));
                self.call(method, &path, None).await
            }
            _ => Err(self.only_there()),
        }
    }

    pub(super) async fn users(&mut self, method: Method, parts: &[&str], body: Value) -> Answer {
        // How many keys somebody has is for them, and for the server's own machine, to see.
        let view = |mut user: Value| {
            if let Some(user) = user.as_object_mut() {
                user.insert("keys".to_owned(), Value::Null);
            }
            user
        };
        match (&method, parts) {
            (&Method::GET, []) => {
                let all = self.all("/users", MOST).await?;
                Ok(all.into_iter().map(view).collect())
            }
            (&Method::POST, []) => {
                let keys = body.get("keys").and_then(Value::as_array);
                if keys.is_some_and(|keys| !keys.is_empty()) {
                    let message = "keys are added by whose they are, or on the server's own \
                                   machine: leave --key out";
                    return Err(Failure::new(Kind::Denied, message));
                }
                let body = json!({ "name": body.get("name"), "role": body.get("role") });
                let user = self.call(method, "/users", Some(&body)).await?;
                Ok(view(user))
            }
            (&Method::DELETE, [name]) => {
                let path = format!("/users/{}", segment(name));
                self.call(method, &path, None).await
            }
            (&Method::POST, [name, "link"]) => {
                let path = format!("/users/{}/link", segment(name));
                self.call(method, &path, None).await
            }
            _ => Err(self.only_there()),
        }
    }
}
