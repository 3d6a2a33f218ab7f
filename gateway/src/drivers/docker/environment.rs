//! The environment that a container's programs start with.

use std::collections::BTreeMap;

use super::containers::Containers;
use crate::drivers::{DEFAULT_PATH, DriverError};
use crate::names::WorkspaceId;

impl Containers {
    /// Returns the environment of a workspace's container: its image's, and what it was
    /// made with.
    pub(super) async fn environment(
        &self,
        id: &WorkspaceId,
    ) -> Result<BTreeMap<String, String>, DriverError> {
        let found = self.find(id).await?;
        let variables = found.and_then(|found| found.config?.env);
        Ok(of(&variables.unwrap_or_default()))
    }
}

/// Returns what programs are given that start with these `NAME=VALUE`. Where none is the
/// PATH, as in images that `docker import` makes, the engine gives them one.
fn of(variables: &[String]) -> BTreeMap<String, String> {
    let split = |variable: &String| {
        let (name, value) = variable.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let mut environment: BTreeMap<_, _> = variables.iter().filter_map(split).collect();
    let path = environment.entry("PATH".to_owned());
    path.or_insert_with(|| DEFAULT_PATH.to_owned());
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_have_a_path_where_their_image_says_none() {
        let path = |variables: &[&str]| {
            let variables: Vec<_> = variables.iter().map(ToString::to_string).collect();
            of(&variables).remove("PATH").unwrap()
        };
        assert_eq!(path(&["A=b"]), DEFAULT_PATH);
        assert_eq!(path(&["A=b", "PATH=/bin"]), "/bin");
        // Somebody wanted that.
        assert_eq!(path(&["PATH="]), "");
    }
}
