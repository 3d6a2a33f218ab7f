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
