//! The operator's own manifests: parses a file's text into objects with their positions.

use hakube_model::Manifest;
use serde_json::Value;

/// The maximum size in bytes, since they are stored in the intent, which is rewritten with each change.
pub const LIMIT: usize = 4 << 20;

/// A document of a file: its number, the number of its first line, its text.
struct Document<'a> {
    number: usize,
    line: usize,
    text: &'a str,
}

/// Parses a file of YAML or JSON documents.
///
/// # Errors
/// The problem, with file, document and line: it isn't YAML, or not a Kubernetes object.
pub fn parse(file: &str, text: &str) -> Result<Vec<Manifest>, String> {
    let mut found = Vec::new();
    for document in documents(text) {
        read(file, &document, &mut found)?;
    }
    Ok(found)
}

fn read(file: &str, document: &Document<'_>, found: &mut Vec<Manifest>) -> Result<(), String> {
    let Document { number, line, text } = *document;
    let options = serde_saphyr::options! { with_snippet: false };
    // Prefixed with empty lines, so that errors have the file's line numbers.
    let placed = format!("{}{text}", "\n".repeat(line - 1));
    let value: Value = serde_saphyr::from_str_with_options(&placed, options).map_err(|error| {
        let at = error
            .location()
            .and_then(|at| usize::try_from(at.line()).ok());
        let line = at.unwrap_or(line);
        format!("{file}, document {number}, line {line}: it isn't YAML: {error}")
    })?;
    if value.is_null() {
        return Ok(());
    }
    let first = text
        .lines()
        .position(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let origin = format!(
        "{file}, document {number}, line {}",
        line + first.unwrap_or(0)
    );
    object(&origin, value, found)
}

/// Parses an object, or the items of a list.
fn object(origin: &str, value: Value, found: &mut Vec<Manifest>) -> Result<(), String> {
    if !value.is_object() {
        return Err(format!(
            "{origin}: it isn't a Kubernetes object with apiVersion and kind"
        ));
    }
    for field in ["apiVersion", "kind"] {
        if value[field].as_str().unwrap_or_default().is_empty() {
            return Err(format!("{origin}: it has no {field}"));
        }
    }
    let is_list = value["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("List"));
    if let (true, Some(items)) = (is_list, value["items"].as_array()) {
        for (index, item) in items.iter().enumerate() {
            object(
                &format!("{origin}, item {}", index + 1),
                item.clone(),
                found,
            )?;
        }
        return Ok(());
    }
    let name = &value["metadata"]["name"];
    if name.as_str().unwrap_or_default().is_empty() {
        let kind = value["kind"].as_str().unwrap_or_default();
        return Err(match name {
            Value::Null if value["metadata"]["generateName"].is_string() => format!(
                "{origin}: {kind} has generateName but no metadata.name, so each apply would create another one"
            ),
            Value::Null | Value::String(_) => format!("{origin}: {kind} has no metadata.name"),
            other => {
                format!(
                    "{origin}: metadata.name of {kind} is {other}, which isn't a string: quote it"
                )
            }
        });
    }
    let same = |known: &&Manifest| {
        let key = |value: &Value| {
            let group = value["apiVersion"].as_str().unwrap_or_default();
            let group = group
                .rsplit_once('/')
                .map_or("", |(group, _)| group)
                .to_owned();
            let metadata = &value["metadata"];
            let at = (metadata["namespace"].clone(), metadata["name"].clone());
            (group, value["kind"].clone(), at)
        };
        key(&known.content) == key(&value)
    };
    if let Some(known) = found.iter().find(same) {
        let first = known.origin.as_deref().unwrap_or_default();
        return Err(format!("{origin}: the same object is already in {first}"));
    }
    found.push(Manifest {
        origin: Some(origin.to_owned()),
        content: value,
    });
    Ok(())
}

/// Splits a text at lines that begin with `---`.
fn documents(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut starts = vec![(0, 1)];
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.trim_start().len() < rest.len() || rest.is_empty()) {
            starts.push((at, number + 1));
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
    let documents = starts
        .iter()
        .zip(ends)
        .map(|((at, line), end)| (*line, &text[*at..end]));
    let has_content = |text: &str| {
        let mut lines = text.lines().map(str::trim);
        lines.any(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("---"))
            || text.lines().any(|line| {
                line.len() > 3
                    && line.starts_with("--- ")
                    && !line[4..].trim_start().starts_with('#')
            })
    };
    documents
        .filter(|(_, text)| has_content(text))
        .enumerate()
        .map(|(index, (line, text))| Document {
            number: index + 1,
            line,
            text,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TWO: &str = "# A comment.\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n--- # next\n\n\
                       apiVersion: v1\nkind: Namespace\nmetadata:\n  name: two\n---\n";

    #[test]
    fn each_document_is_an_object_with_its_place() {
        let found = parse("a.yaml", TWO).unwrap();
        let origins: Vec<&str> = found
            .iter()
            .filter_map(|one| one.origin.as_deref())
            .collect();
        assert_eq!(
            origins,
            ["a.yaml, document 1, line 2", "a.yaml, document 2, line 6"]
        );
        assert_eq!(found[1].content["metadata"]["name"], "two");
    }

    #[test]
    fn lists_are_expanded() {
        let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}]}"#;
        assert_eq!(parse("a.json", list).unwrap().len(), 2);
    }

    #[test]
    fn problems_are_reported_with_file_document_and_line() {
        let cases = [
            ("a: b\nc: [1,\n", "a.yaml, document 1, line "),
            (
                "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\na: b\nc: }\n",
                "a.yaml, document 2, line 6: it isn't YAML",
            ),
            (
                "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\na: b\nc: }\n",
                "at line 6, column",
            ),
            (
                "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n\nkind: Pod\n",
                "a.yaml, document 2, line 5: it has no apiVersion",
            ),
            (
                "apiVersion: v1\nmetadata: {name: a}\n",
                "line 1: it has no kind",
            ),
            ("apiVersion: v1\nkind: Pod\n", "Pod has no metadata.name"),
            (
                "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n",
                "generateName",
            ),
            (
                "apiVersion: v1\nkind: Pod\nmetadata: {name: 1}\n",
                "is 1, which isn't a string",
            ),
            ("hello\n", "it isn't a Kubernetes object"),
            (
                "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n",
                "the same object is already in a.yaml, document 1, line 1",
            ),
        ];
        for (text, expected) in cases {
            let error = parse("a.yaml", text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
