//! Which file it is: `.devcontainer/devcontainer.json`, `.devcontainer.json`, or one of
//! several in folders below `.devcontainer`.

use super::DevcontainerError;
use super::files::{Checkout, Kind};
use crate::workspaces::DevcontainerChoice;

/// The folder that most have it in.
const FOLDER: &str = ".devcontainer";

/// Its name there.
const NAME: &str = "devcontainer.json";

/// Finds the file; `None` where there is none and none is needed.
pub(super) fn find(
    checkout: &Checkout,
    choice: Option<&DevcontainerChoice>,
) -> Result<Option<String>, DevcontainerError> {
    let there = |path: String| {
        let kind = checkout.kind(&path)?;
        Ok::<_, DevcontainerError>((kind == Some(Kind::File)).then_some(path))
    };
    if let Some(DevcontainerChoice::Named(name)) = choice {
        return match there(format!("{FOLDER}/{name}/{NAME}"))? {
            Some(path) => Ok(Some(path)),
            None => Err(missing(&several(checkout)?, &format!("{name}/{NAME}"))),
        };
    }
    for path in [format!("{FOLDER}/{NAME}"), format!(".{NAME}")] {
        if let Some(path) = there(path)? {
            return Ok(Some(path));
        }
    }
    let mut names = several(checkout)?;
    match (names.len(), choice) {
        (0, Some(DevcontainerChoice::Needed)) => Err(missing(&[], NAME)),
        (0, _) => Ok(None),
        (1, _) => Ok(names.pop().map(|name| format!("{FOLDER}/{name}/{NAME}"))),
        _ => Err(DevcontainerError {
            place: FOLDER.to_owned(),
            problem: format!(
                "there are several: name one in the template, as repository.devcontainer = {:?}; \
                 there are {}",
                names.first().map(String::as_str).unwrap_or_default(),
                names.join(", ")
            ),
        }),
    }
}

/// Returns the names of the folders that have one.
fn several(checkout: &Checkout) -> Result<Vec<String>, DevcontainerError> {
    let mut names = checkout.folders(FOLDER)?;
    let mut problem = None;
    names.retain(
        |name| match checkout.kind(&format!("{FOLDER}/{name}/{NAME}")) {
            Ok(kind) => kind == Some(Kind::File),
            Err(error) => {
                problem.get_or_insert(error);
                false
            }
        },
    );
    problem.map_or(Ok(names), Err)
}

fn missing(names: &[String], wanted: &str) -> DevcontainerError {
    let problem = if names.is_empty() {
        "there is none in the repository: add one, or set repository.devcontainer = false in the \
         template"
            .to_owned()
    } else {
        format!("there is none of that name; there are {}", names.join(", "))
    };
    DevcontainerError {
        place: format!("{FOLDER}/{wanted}"),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(
        files: &[&str],
        choice: &DevcontainerChoice,
    ) -> Result<Option<String>, DevcontainerError> {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        }
        find(&Checkout::open(root.path()).unwrap(), Some(choice))
    }

    #[test]
    fn the_file_is_found_where_the_specification_says() {
        use DevcontainerChoice::{Named, Needed, WhereThere};
        let (first, second) = (".devcontainer/devcontainer.json", ".devcontainer.json");
        let (go, js) = (
            ".devcontainer/go/devcontainer.json",
            ".devcontainer/js/devcontainer.json",
        );
        let path = |files: &[&str], choice| found(files, &choice).unwrap();
        assert_eq!(path(&[second, first, go], Needed).as_deref(), Some(first));
        assert_eq!(path(&[second, go], WhereThere).as_deref(), Some(second));
        assert_eq!(path(&[go], WhereThere).as_deref(), Some(go));
        assert_eq!(
            path(&[first, go, js], Named("js".into())).as_deref(),
            Some(js)
        );
        assert_eq!(path(&["README.md"], WhereThere), None);
        let error = found(&[go, js], &WhereThere).unwrap_err();
        assert!(error.problem.contains("there are go, js"), "{error}");
        let error = found(&[go, js], &Named("rust".into())).unwrap_err();
        assert!(error.problem.contains("there are go, js"), "{error}");
        let error = found(&[], &Needed).unwrap_err();
        assert!(error.problem.contains("add one"), "{error}");
    }
}
