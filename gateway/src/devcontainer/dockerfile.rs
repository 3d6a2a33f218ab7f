//! Writing on where a repository's Dockerfile ends.

/// Name of a stage that has none.
const STAGE: &str = "devgate-base";

/// Returns a Dockerfile's text and the name of the stage that is built of it: `target`, or
/// the last one, which gets a name where it has none.
pub(super) fn stage(text: &str, target: Option<&str>) -> Result<(String, String), String> {
    if let Some(first) = text
        .lines()
        .find(|line| line.to_lowercase().contains("escape="))
        && first.trim_start().starts_with('#')
        && first.contains('`')
    {
        return Err("features can't be added where the escape character is `".to_owned());
    }
    // Ends of the instructions FROM, and the names that they give.
    let mut stages: Vec<(usize, Option<String>)> = Vec::new();
    let mut instruction = String::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let content = line.trim();
        if content.starts_with('#') || (content.is_empty() && instruction.is_empty()) {
            continue;
        }
        if let Some(more) = content.strip_suffix('\\') {
            instruction.push_str(more);
            instruction.push(' ');
            continue;
        }
        instruction.push_str(content);
        let words: Vec<_> = instruction.split_whitespace().collect();
        if words
            .first()
            .is_some_and(|word| word.eq_ignore_ascii_case("from"))
        {
            let place = words
                .iter()
                .position(|word| word.eq_ignore_ascii_case("as"));
            let name = place.and_then(|place| words.get(place + 1));
            let end = start + line.trim_end().len();
            stages.push((end, name.map(|&name| name.to_owned())));
        }
        instruction.clear();
    }
    if let Some(target) = target {
        let mut names = stages.iter().filter_map(|(_, name)| name.as_deref());
        if !names.any(|name| name.eq_ignore_ascii_case(target)) {
            return Err(format!("it has no stage named {target:?}"));
        }
        return Ok((text.to_owned(), target.to_owned()));
    }
    match stages.pop() {
        None => Err("it has no FROM".to_owned()),
        Some((_, Some(name))) => Ok((text.to_owned(), name)),
        Some((end, None)) => {
            let (before, after) = text.split_at(end);
            let text = format!("{before} AS {STAGE}{after}");
            Ok((text, STAGE.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stage_has_or_gets_a_name() {
        for (text, target, expected, name) in [
            (
                "FROM a\nRUN b\n",
                None,
                "FROM a AS devgate-base\nRUN b\n",
                STAGE,
            ),
            ("from a", None, "from a AS devgate-base", STAGE),
            (
                "FROM a as one\nFROM b As Two\n",
                None,
                "FROM a as one\nFROM b As Two\n",
                "Two",
            ),
            (
                "ARG V=1\nFROM a AS one\n# FROM x\nRUN echo \\\n  FROM y\nFROM --platform=p \\\n  # why\n  b:${V}  \r\nRUN c",
                None,
                "ARG V=1\nFROM a AS one\n# FROM x\nRUN echo \\\n  FROM y\nFROM --platform=p \\\n  # why\n  b:${V} AS devgate-base  \r\nRUN c",
                STAGE,
            ),
            (
                "FROM a AS one\nFROM b\n",
                Some("ONE"),
                "FROM a AS one\nFROM b\n",
                "ONE",
            ),
        ] {
            let (written, stage) = stage(text, target).unwrap();
            assert_eq!((written.as_str(), stage.as_str()), (expected, name));
        }
        for (text, target) in [
            ("", None),
            ("RUN x", None),
            ("FROM a", Some("debian:12")),
            ("# escape=`\nFROM a", None),
        ] {
            assert!(stage(text, target).is_err(), "{text}");
        }
    }
}
