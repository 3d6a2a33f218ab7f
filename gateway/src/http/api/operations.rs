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

use http::StatusCode;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Patch, Post, Put};

use super::document::{EVENTS, Operation, TEXT};
use super::wire::{
    AddKey, AddToken, AddUser, ChangeUser, ChangeWorkspace, Connection, CreateWorkspace,
    DeleteQuery, Event, EventQuery, Key, LimitsQuery, LogQuery, Login, Me, NewPassword, NewToken,
    Paging, Port, PortSetting, PutTemplate, RebuildWorkspace, RestoreWorkspace, Server, SetPort,
    SignIn, SignInByLink, Template, Token, User, WaitQuery, Workspace, WorkspaceQuery,
};
use crate::http::wire::{LimitsView, SignInLink};
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
        workspaces(),
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

fn workspaces() -> Vec<Operation> {
    let act = |path, id, summary| {
        Operation::new(Post, path, id, summary)
            .parameter::<WorkspaceId>("id", "the workspace's id")
            .query::<WaitQuery>()
            .answers::<Workspace>(StatusCode::ACCEPTED, "recorded, and under way")
            .answers::<Workspace>(
                StatusCode::OK,
                "the state reached, where that was waited for",
            )
            .errors(&[409])
    };
    let operations = vec![
        list_workspaces(),
        create_workspace(),
        Operation::new(Get, "/workspaces/{id}", "showWorkspace", "Show a workspace")
            .about(
                "A token that is narrowed without the action view is told what it takes to use \
                 it, and null for all else, as in the list.",
            )
            .parameter::<WorkspaceId>("id", "the workspace's id")
            .query::<WaitQuery>()
            .answers::<Workspace>(StatusCode::OK, "the workspace"),
        change_workspace(),
        delete_workspace(),
        Operation::new(
            Post,
            "/workspaces/{id}/restore",
            "restoreWorkspace",
            "Restore a deleted workspace",
        )
        .about("With its home, stopped. What else was in a container is lost.")
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<WaitQuery>()
        .body::<RestoreWorkspace>()
        .answers::<Workspace>(StatusCode::ACCEPTED, "recorded, and under way")
        .answers::<Workspace>(
            StatusCode::OK,
            "the state reached, where that was waited for",
        )
        .errors(&[409]),
        act(
            "/workspaces/{id}/start",
            "startWorkspace",
            "Start a workspace",
        ),
        act("/workspaces/{id}/stop", "stopWorkspace", "Stop a workspace"),
        act(
            "/workspaces/{id}/restart",
            "restartWorkspace",
            "Restart a workspace",
        ),
        act(
            "/workspaces/{id}/rebuild",
            "rebuildWorkspace",
            "Make a workspace anew",
        )
        .about(
            "From its template as it is now, or from another one. Its home and the volumes \
                 that its image declares are kept; what else it has is lost, and what runs ends.",
        )
        .body::<RebuildWorkspace>()
        .errors(&[404, 422]),
        limits(),
        act(
            "/workspaces/{id}/sleep",
            "sleepWorkspace",
            "Put a workspace to sleep",
        ),
        Operation::new(
            Get,
            "/workspaces/{id}/logs",
            "readLogs",
            "Read what the agent logged",
        )
        .about(
            "With `Accept: text/event-stream` what is written later follows: events named \
                 `log`, each with one line.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .query::<LogQuery>()
        .answers_plainly(StatusCode::OK, &[TEXT, EVENTS], "the lines"),
    ];
    tagged(operations, "workspaces")
}

fn list_workspaces() -> Operation {
    Operation::new(Get, "/workspaces", "listWorkspaces", "List workspaces")
        .about(
            "One's own; for administrators all. A token that is narrowed is shown what it \
                 reaches; without the action view all that doesn't take to use a workspace is \
                 null there: reason, doing, template, out_of_memory, startup and agent, and \
                 notices are empty.",
        )
        .query::<WorkspaceQuery>()
        .answers_page::<Workspace>("the workspaces, by owner and name")
}

fn create_workspace() -> Operation {
    Operation::new(Post, "/workspaces", "createWorkspace", "Create a workspace")
        .header(
            "Idempotency-Key",
            "Tells this request from its repetition for a day: repeated, it creates nothing \
                 more and shows what it created.",
            "^[!-~]{1,100}$",
        )
        .query::<WaitQuery>()
        .body::<CreateWorkspace>()
        .answers::<Workspace>(StatusCode::ACCEPTED, "recorded, and under way")
        .answers::<Workspace>(
            StatusCode::OK,
            "the state reached, where that was waited for",
        )
        .errors(&[404, 409, 422])
}

fn change_workspace() -> Operation {
    Operation::new(
        Patch,
        "/workspaces/{id}",
        "changeWorkspace",
        "Rename or transfer a workspace",
    )
    .about(
        "What runs in it goes on. Its addresses and login names are others at once; what \
                 its owner until now has open to it ends.",
    )
    .parameter::<WorkspaceId>("id", "the workspace's id")
    .body::<ChangeWorkspace>()
    .answers::<Workspace>(StatusCode::OK, "changed")
    .errors(&[404, 409])
}

fn delete_workspace() -> Operation {
    Operation::new(
        Delete,
        "/workspaces/{id}",
        "deleteWorkspace",
        "Delete a workspace",
    )
    .about(
        "Ends what runs in it and sets its name free. Its home is kept until \
                 `restorable_until`, unless with `purge`.",
    )
    .parameter::<WorkspaceId>("id", "the workspace's id")
    .query::<DeleteQuery>()
    .answers::<Workspace>(StatusCode::ACCEPTED, "recorded, and under way")
    .answers::<Workspace>(StatusCode::OK, "deleted, where that was waited for")
    .answers_plainly(
        StatusCode::NO_CONTENT,
        &[],
        "nothing is left, where that was waited for",
    )
    .errors(&[409])
}

fn limits() -> Operation {
    Operation::new(
        Get,
        "/limits",
        "showLimits",
        "Show what one may have, and has",
    )
    .about(
        "Of workspaces, of what those may use that run, and of disk. What would exceed \
                 it is refused with 409 and a code that ends with `-limit`.",
    )
    .query::<LimitsQuery>()
    .answers::<LimitsView>(StatusCode::OK, "what one may have, and has")
    .errors(&[404])
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
                 change: events named `ports`.",
        )
        .parameter::<WorkspaceId>("id", "the workspace's id")
        .answers_page::<Port>("the ports, in order")
        .answers_plainly(StatusCode::OK, &[EVENTS], "the ports, in order")
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
                 happened after `Last-Event-ID`: events named by their kind.",
            )
            .query::<EventQuery>()
            .header(
                "Last-Event-ID",
                "id of the last event that was seen",
                "^[0-9]{1,18}$",
            )
            .answers_page::<Event>("what happened")
            .answers_plainly(StatusCode::OK, &[EVENTS], "what happened"),
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
