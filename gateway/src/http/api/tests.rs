use super::*;

/// Where the dashboard's types are generated from.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/web/openapi.json");

#[test]
fn the_documents_file_is_what_is_served() {
    let served = openapi();
    if std::env::var_os("DEVGATE_WRITE_OPENAPI").is_some() {
        std::fs::write(FILE, &served).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        file == served,
        "{FILE} is out of date: DEVGATE_WRITE_OPENAPI=1 cargo nextest run -p devgate openapi \
         writes it"
    );
}

#[test]
fn no_parameter_is_to_be_of_two_types_at_once() {
    let document: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let parameters = operations.filter_map(|operation| operation["parameters"].as_array());
    for parameter in parameters.flatten() {
        let all = parameter["schema"]["allOf"].as_array();
        let mut types: Vec<_> = all.into_iter().flatten().map(|one| &one["type"]).collect();
        types.dedup();
        assert!(types.len() < 2, "nothing fits {parameter}");
    }
}

#[test]
fn every_operation_has_a_handler_or_is_the_proxys() {
    // A route without its operation isn't served, so an id that is misspelt in one of
    // the two leaves the operation open.
    let source = include_str!("mod.rs");
    let served: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("routes.on(\"")?.split('"').next())
        .collect();
    for operation in operations::all() {
        let count = served.iter().filter(|id| **id == operation.id).count();
        let wanted = usize::from(operation.by == document::By::Handler);
        assert_eq!(count, wanted, "{}", operation.id);
    }
}
