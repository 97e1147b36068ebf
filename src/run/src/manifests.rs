//! The operator's own manifests, read from their files.

use hakube_addons::{MANIFESTS_LIMIT, parse_manifests};
use hakube_error::{Error, Result};
use hakube_model::Manifest;
use std::fs;
use std::path::{Path, PathBuf};

/// The files that are read from a directory.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// All objects in these files and directories. A directory's files are sorted by name.
///
/// # Errors
/// All problems at once: a path that doesn't exist, a file that isn't YAML, an object that isn't Kubernetes'.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Manifest>> {
    let mut manifests: Vec<Manifest> = Vec::new();
    let mut problems: Vec<String> = Vec::new();
    let mut size = 0;
    for path in paths {
        match files(path) {
            Ok(files) => {
                for file in files {
                    match one(&file, &mut size) {
                        Ok(found) => manifests.extend(found),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(twice(&manifests));
    if size > MANIFESTS_LIMIT {
        problems.push(format!(
            "they have {size} bytes; the limit is {MANIFESTS_LIMIT}. Install the largest with kubectl"
        ));
    }
    if problems.is_empty() {
        return Ok(manifests);
    }
    Err(
        Error::bad_input("the manifests are invalid; nothing was changed")
            .because(problems.join("\n"))
            .hint("fix them, or leave them out: --manifests, HAKUBE_MANIFESTS"),
    )
}

/// The file itself, or the manifests in a directory.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if file.is_file() && extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(format!(
            "{}: no file in it ends with .{}",
            path.display(),
            EXTENSIONS.join(", .")
        ));
    }
    Ok(files)
}

/// The objects of a file. Errors name the file as the operator did.
fn one(file: &Path, size: &mut usize) -> Result<Vec<Manifest>, String> {
    let name = file
        .file_name()
        .unwrap_or(file.as_os_str())
        .to_string_lossy();
    let text = hakube_input::read(file, hakube_input::LARGE)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    *size += text.len();
    let text = String::from_utf8(text).map_err(|_| format!("{}: it isn't text", file.display()))?;
    parse_manifests(&name, &text)
}

/// Objects that two files contain.
fn twice(manifests: &[Manifest]) -> Vec<String> {
    let key = |manifest: &Manifest| {
        let metadata = &manifest.content["metadata"];
        [
            &manifest.content["apiVersion"],
            &manifest.content["kind"],
            &metadata["namespace"],
            &metadata["name"],
        ]
        .map(ToString::to_string)
    };
    let origin = |manifest: &Manifest| manifest.origin.clone().unwrap_or_default();
    let mut seen = std::collections::BTreeMap::new();
    let again = manifests.iter().filter_map(|manifest| {
        let first = seen.insert(key(manifest), origin(manifest))?;
        Some(format!(
            "{}: the same object is in {first} already",
            origin(manifest)
        ))
    });
    again.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ONE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n";

    #[test]
    fn files_of_a_directory_are_read_in_order_of_name() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        write("b.yaml", &ONE.replace("one", "b"));
        write("a.yml", &ONE.replace("one", "a"));
        write("README.md", "not read");
        let found = read(&[directory.path().to_owned()]).unwrap();
        let names = found
            .iter()
            .map(|one| one.content["metadata"]["name"].clone());
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("a.yaml"), ONE).unwrap();
        fs::write(path("b.yaml"), ONE).unwrap();
        fs::write(path("c.yaml"), "kind: Pod\n").unwrap();
        fs::create_dir(path("empty")).unwrap();
        let paths = ["a.yaml", "b.yaml", "c.yaml", "empty", "none.yaml"].map(path);
        let error = read(&paths).unwrap_err();
        let why = error.causes.join("\n");
        for expected in [
            "b.yaml, document 1, line 1: the same object is in a.yaml, document 1, line 1 already",
            "c.yaml, document 1, line 1: it has no apiVersion",
            "no file in it ends with",
            "none.yaml: No such file",
        ] {
            assert!(why.contains(expected), "{expected}\n{why}");
        }
    }
}
