//! What tests of identities stand on: a store, and people in it.

use tempfile::TempDir;
use time::OffsetDateTime;

use super::{Role, Scope, Secret, TOKEN_PREFIX, TokenWish, User};
use crate::names::TokenId;
use crate::store::{NewToken, Store};

/// A store of the test's own.
pub(crate) async fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("devgate.db")).await;
    (folder, store.unwrap())
}

/// Somebody new.
pub(crate) async fn user(store: &Store, name: &str, role: Role) -> User {
    store.add_user(&name.parse().unwrap(), role).await.unwrap()
}

/// A token of theirs, until then.
pub(crate) async fn token(
    store: &Store,
    user: &User,
    scope: Scope,
    expires: Option<OffsetDateTime>,
) -> (Secret, TokenId) {
    let secret = Secret::random(TOKEN_PREFIX);
    let new = NewToken {
        user,
        secret: &secret.hash(),
        wish: TokenWish {
            name: "test",
            scope,
            narrowed_to: None,
            expires,
        },
    };
    let token = store.add_token(new).await.unwrap().unwrap();
    (secret, token.id)
}
