//! Writing on where a repository's Dockerfile ends.

/// Name of a stage that has none.
const STAGE: &str = "devgate-base";

/// An instruction FROM, with what its stage is called.
struct From {
    start: usize,
    end: usize,
    name: Option<String>,
}

/// Returns a Dockerfile's text up to the end of the stage that is built of it, and what that
/// is called: `target`, or the last one, which gets a name where it has none. What follows
/// the target isn't needed, and an engine might build it.
pub(super) fn stage(text: &str, target: Option<&str>) -> Result<(String, String), String> {
    if let Some(first) = text
        .lines()
        .find(|line| line.to_lowercase().contains("escape="))
        && first.trim_start().starts_with('#')
        && first.contains('`')
    {
        return Err("features can't be added where the escape character is `".to_owned());
    }
    let mut stages = stages(text);
    if let Some(target) = target {
        let named = stages.iter().rposition(|stage| {
            let name = stage.name.as_deref();
            name.is_some_and(|name| name.eq_ignore_ascii_case(target))
        });
        let named = named.ok_or_else(|| format!("it has no stage named {target:?}"))?;
        let end = stages.get(named + 1).map_or(text.len(), |next| next.start);
        let (wanted, _) = text.split_at(end);
        return Ok((wanted.to_owned(), target.to_owned()));
    }
    match stages.pop() {
        None => Err("it has no FROM".to_owned()),
        Some(From {
            name: Some(name), ..
        }) => Ok((text.to_owned(), name)),
        Some(From { end, .. }) => {
            let (before, after) = text.split_at(end);
            let text = format!("{before} AS {STAGE}{after}");
            Ok((text, STAGE.to_owned()))
        }
    }
}

fn stages(text: &str) -> Vec<From> {
    let mut stages = Vec::new();
    let mut instruction = String::new();
    let (mut at, mut begin) = (0, 0);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let content = line.trim();
        if content.starts_with('#') || (content.is_empty() && instruction.is_empty()) {
            continue;
        }
        if instruction.is_empty() {
            begin = start;
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
            stages.push(From {
                start: begin,
                end: start + line.trim_end().len(),
                name: name.map(|&name| name.to_owned()),
            });
        }
        instruction.clear();
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stage_has_or_gets_a_name_and_a_target_is_the_last() {
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
                "FROM a AS one\nRUN c\nFROM \\\n  b\nRUN exit 1\nFROM c\n",
                Some("ONE"),
                "FROM a AS one\nRUN c\n",
                "ONE",
            ),
            (
                "FROM a AS one\nFROM b AS two",
                Some("two"),
                "FROM a AS one\nFROM b AS two",
                "two",
            ),
            // The last one of that name is meant.
            (
                "FROM a AS one\nFROM b AS One\nFROM c\n",
                Some("one"),
                "FROM a AS one\nFROM b AS One\n",
                "one",
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
