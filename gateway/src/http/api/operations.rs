//! The table of operations.

mod certificates;
mod device;
mod files;
mod inside;
mod lifetime;
mod processes;
mod sleep;
mod snapshots;
mod ssh;
mod startup;
mod watches;
mod workspaces;

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Patch, Post, Put};

use super::document::Operation;
use super::wire::{
    AddKey, AddToken, AddUser, ChangeUser, Connection, Event, EventQuery, Key, Login, Me,
    NewPassword, NewToken, Paging, Port, PortSetting, PutTemplate, Server, SetPort, SignIn,
    SignInByLink, Template, Token, User,
};
use crate::http::wire::SignInLink;
use crate::names::{LoginId, TemplateName, TokenId, UserName, WorkspaceId};

/// What the operations are filed under.
pub(super) const TAGS: [(&str, &str); 13] = [
    ("login", "Signing in and out."),
    (
        "account",
        "One's own account: password, keys, tokens, logins, secrets.",
    ),
    ("workspaces", "Workspaces and their life."),
    (
        "snapshots",
        "What workspaces had at one time, and workspaces made from it.",
    ),
    ("templates", "What workspaces are made from."),
    ("ports", "Web applications in a workspace."),
    (
        "inside",
        "What a workspace's agent answers: terminals, editor, statistics.",
    ),
    ("processes", "Programs in a workspace, and what they write."),
    ("watches", "What happens to the files of a workspace."),
    ("git", "Repositories in a workspace."),
    ("files", "The files of a workspace."),
    (
        "administration",
        "Users and the server, for administrators.",
    ),
    ("server", "How to connect, what happens, and this document."),
];

/// Returns all operations.
pub(super) fn all() -> Vec<Operation> {
    let groups = [
        login(),
        tagged(device::all(), "login"),
        account(),
        tagged(device::approvals(), "account"),
        tagged(certificates::all(), "account"),
        tagged(startup::secrets(), "account"),
        lists(),
        tagged(workspaces::all(), "workspaces"),
        tagged(snapshots::all(), "snapshots"),
        templates(),
        tagged(startup::all(), "workspaces"),
        tagged(lifetime::all(), "workspaces"),
        tagged(sleep::all(), "workspaces"),
        tagged(ssh::all(), "workspaces"),
        ports(),
        tagged(inside::all(), "inside"),
        tagged(processes::all(), "processes"),
        tagged(watches::all(), "watches"),
        tagged(watches::git(), "git"),
        tagged(files::all(), "files"),
        users(),
        server(),
    ];
    groups.into_iter().flatten().collect()
}

fn login() -> Vec<Operation> {
    let operations = vec![
        Operation::new(Post, "/login", "signIn", "Sign in with a password")
            .about("Sets the dashboard's cookie.")
            .open()
            .body::<SignIn>()
            .answers::<Me>(StatusCode::OK, "signed in")
            .with_cookie(StatusCode::OK)
            .errors(&[401, 429]),
        Operation::new(
            Post,
            "/login/link",
            "signInByLink",
            "Sign in with a one-time link",
        )
        .about("Sets the dashboard's cookie. The link ends with its first use.")
        .open()
        .body::<SignInByLink>()
        .answers::<Me>(StatusCode::OK, "signed in")
        .with_cookie(StatusCode::OK)
        .errors(&[401, 429]),
        Operation::new(Post, "/logout", "signOut", "End the login that asks")
            .about("With a token, which has no login, nothing ends.")
            .answers_plainly(StatusCode::NO_CONTENT, &[], "signed out")
            .with_cookie(StatusCode::NO_CONTENT),
    ];
    tagged(operations, "login")
}

fn account() -> Vec<Operation> {
    let operations = vec![
        Operation::new(Get, "/me", "showMe", "Show who is signed in")
            .answers::<Me>(StatusCode::OK, "who is signed in"),
        Operation::new(Put, "/me/password", "setPassword", "Set the password")
            .about(
                "Ends all other logins and sign-in links, and with `end_tokens` all API \
                 tokens. Not for tokens.",
            )
            .body::<NewPassword>()
            .answers_plainly(StatusCode::NO_CONTENT, &[], "set")
            .errors(&[429]),
        Operation::new(Post, "/me/keys", "addKey", "Add an SSH key")
            .body::<AddKey>()
            .answers::<Key>(StatusCode::CREATED, "added")
            .answers::<Key>(StatusCode::OK, "known already")
            .errors(&[409]),
        Operation::new(
            Delete,
            "/me/keys/{fingerprint}",
            "removeKey",
            "Remove an SSH key",
        )
        .text_parameter("fingerprint", "`SHA256:…`", "^SHA256:[A-Za-z0-9+/]{43}$")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "removed"),
        Operation::new(Post, "/me/tokens", "createToken", "Make an API token")
            .about("The token is in the answer, and nowhere else ever again.")
            .body::<AddToken>()
            .answers::<NewToken>(StatusCode::CREATED, "made")
            .errors(&[409]),
        Operation::new(
            Delete,
            "/me/tokens/{id}",
            "deleteToken",
            "Delete an API token",
        )
        .about("It stops working within a second, in what is open already, too.")
        .parameter::<TokenId>("id", "the token's id")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "deleted"),
        Operation::new(Delete, "/me/logins/{id}", "endLogin", "End a login")
            .about("It stops working within a second, in what is open already, too.")
            .parameter::<LoginId>("id", "the login's id")
            .answers_plainly(StatusCode::NO_CONTENT, &[], "ended"),
    ];
    tagged(operations, "account")
}

fn lists() -> Vec<Operation> {
    let operations = vec![
        Operation::new(Get, "/me/keys", "listKeys", "List the SSH keys")
            .query::<Paging>()
            .answers_page::<Key>("the keys, oldest first"),
        Operation::new(Get, "/me/tokens", "listTokens", "List the API tokens")
            .query::<Paging>()
            .answers_page::<Token>("the tokens, newest first"),
        Operation::new(Get, "/me/logins", "listLogins", "List the logins")
            .query::<Paging>()
            .answers_page::<Login>("the logins, last used first"),
    ];
    tagged(operations, "account")
}

fn templates() -> Vec<Operation> {
    let named =
        |operation: Operation| operation.parameter::<TemplateName>("name", "the template's name");
    let operations = vec![
        Operation::new(Get, "/templates", "listTemplates", "List the templates")
            .query::<Paging>()
            .answers_page::<Template>("the templates, by name"),
        named(Operation::new(
            Get,
            "/templates/{name}",
            "showTemplate",
            "Show a template",
        ))
        .answers::<Template>(StatusCode::OK, "the template"),
        named(Operation::new(
            Put,
            "/templates/{name}",
            "putTemplate",
            "Write a template",
        ))
        .about(
            "For administrators. Workspaces that were made from one of its name stay as they \
             are until somebody rebuilds them.",
        )
        .body::<PutTemplate>()
        .answers::<Template>(StatusCode::OK, "written")
        .admin()
        .errors(&[422]),
        named(Operation::new(
            Post,
            "/templates/{name}/check",
            "checkTemplate",
            "Check a template",
        ))
        .about("For administrators. Nothing is written.")
        .body::<PutTemplate>()
        .answers::<Template>(StatusCode::OK, "it can be used")
        .admin()
        .errors(&[422]),
        named(Operation::new(
            Delete,
            "/templates/{name}",
            "deleteTemplate",
            "Delete a template",
        ))
        .about("For administrators. Workspaces that were made from it go on.")
        .answers_plainly(StatusCode::NO_CONTENT, &[], "deleted")
        .admin(),
    ];
    tagged(operations, "templates")
}

fn ports() -> Vec<Operation> {
    let operations = vec![
        Operation::new(
            Get,
            "/workspaces/{id}/ports",
            "listPorts",
            "List a workspace's ports",
        )
        .about(
            "Those that something listens on, that others may open, or that the template names. With \
                 `Accept: text/event-stream` the whole list comes at once and with each \
                 change: events named `ports`; over a WebSocket each is a `LiveEvent`.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .answers_page::<Port>("the ports, in order")
        .goes_on("the ports, in order")
        .of_agent(),
        Operation::new(
            Put,
            "/workspaces/{id}/ports/{port}",
            "setPort",
            "Say who may open a port",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .text_parameter("port", "the port, from 1 to 65535", PORT)
        .body::<SetPort>()
        .answers::<PortSetting>(StatusCode::OK, "who may open it from now on")
        .errors(&[409]),
        Operation::new(
            Delete,
            "/workspaces/{id}/ports/{port}",
            "closePort",
            "Make a port private",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .text_parameter("port", "the port, from 1 to 65535", PORT)
        .answers_plainly(StatusCode::NO_CONTENT, &[], "private from now on"),
    ];
    tagged(operations, "ports")
}

/// A port as it is written in a path.
const PORT: &str =
    "^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$";

fn users() -> Vec<Operation> {
    let operations = vec![
        Operation::new(Get, "/users", "listUsers", "List the users")
            .query::<Paging>()
            .answers_page::<User>("the users, by name"),
        Operation::new(Post, "/users", "addUser", "Add a user")
            .about("They sign in first with a link.")
            .body::<AddUser>()
            .answers::<User>(StatusCode::CREATED, "added")
            .errors(&[409]),
        Operation::new(Get, "/users/{name}", "showUser", "Show a user")
            .parameter::<UserName>("name", "the user's name")
            .answers::<User>(StatusCode::OK, "the user"),
        Operation::new(Patch, "/users/{name}", "changeUser", "Change a user")
            .parameter::<UserName>("name", "the user's name")
            .body::<ChangeUser>()
            .answers::<User>(StatusCode::OK, "changed")
            .errors(&[409]),
        Operation::new(Delete, "/users/{name}", "removeUser", "Remove a user")
            .about(
                "With their keys, tokens and logins. Their workspaces are deleted, and the \
                 deleted ones purged, before.",
            )
            .parameter::<UserName>("name", "the user's name")
            .answers_plainly(StatusCode::NO_CONTENT, &[], "removed")
            .errors(&[409]),
        Operation::new(
            Post,
            "/users/{name}/link",
            "createLink",
            "Make a one-time link",
        )
        .about("It signs the user in once, within 24 hours, and lets them set a password.")
        .parameter::<UserName>("name", "the user's name")
        .answers::<SignInLink>(StatusCode::CREATED, "made"),
        Operation::new(Get, "/server", "showServer", "Show the server")
            .answers::<Server>(StatusCode::OK, "the server"),
    ];
    let operations = operations.into_iter().map(Operation::admin).collect();
    tagged(operations, "administration")
}

fn server() -> Vec<Operation> {
    let operations = vec![
        Operation::new(Get, "/connection", "showConnection", "Show how to connect")
            .answers::<Connection>(StatusCode::OK, "how to connect"),
        Operation::new(Get, "/events", "listEvents", "List what happened")
            .about(
                "What the caller may see of it, the newest first. With \
                 `Accept: text/event-stream` what happens from now on follows, or what \
                 happened after `Last-Event-ID` or `since`: events named by their kind; over a \
                 WebSocket each is a `LiveEvent`.",
            )
            .query::<EventQuery>()
            .header(
                "Last-Event-ID",
                "id of the last event that was seen",
                "^[0-9]{1,18}$",
            )
            .answers_page::<Event>("what happened")
            .goes_on("what happened"),
        Operation::new(Get, "/openapi.json", "showDocument", "Show this document")
            .open()
            .answers_plainly(StatusCode::OK, &["application/json"], "the document"),
    ];
    tagged(operations, "server")
}

fn tagged(operations: Vec<Operation>, tag: &str) -> Vec<Operation> {
    let tagged = operations.into_iter().map(|operation| operation.tag(tag));
    tagged.collect()
}
