//! The documentation: every hakube command in it is accepted, every link and path exists, every page is in an index.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use assert_cmd::Command;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A page, and its path from the root of the repository.
struct Page {
    path: PathBuf,
    text: String,
}

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.join("../..").canonicalize().unwrap()
}

fn pages() -> Vec<Page> {
    let mut directories = vec![root().join("docs")];
    let mut paths = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    let read = |path: PathBuf| Page {
        text: std::fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_owned(),
    };
    paths.into_iter().map(read).collect()
}

/// The text's lines in code blocks, continuation lines joined, and the rest of the text.
fn split(text: &str) -> (Vec<String>, String) {
    let (mut code, mut prose) = (Vec::new(), String::new());
    let (mut fenced, mut indented, mut continued) = (false, false, false);
    // An indented block begins after an empty line: otherwise it is a paragraph of a list.
    let mut after_empty = true;
    for line in text.lines() {
        indented = line.starts_with("    ") && (indented || after_empty);
        after_empty = line.is_empty();
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || indented {
            let part = line.trim_end_matches('\\').trim();
            match code.last_mut() {
                Some(last) if continued => *last = format!("{last} {part}"),
                _ => code.push(part.to_owned()),
            }
            continued = line.ends_with('\\');
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    (code, prose)
}

/// What is between backticks, on one line each.
fn spans(prose: &str) -> impl Iterator<Item = String> {
    let spans = prose.split('`').skip(1).step_by(2);
    spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The arguments of each hakube command in a line of a shell.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    let pieces = line.split("&&").flat_map(|piece| piece.split('|'));
    pieces.filter_map(command).collect()
}

fn command(piece: &str) -> Option<Vec<String>> {
    let is_assignment = |word: &&str| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    let words = piece.trim().trim_start_matches("$ ").split_whitespace();
    let words: Vec<&str> = words.skip_while(is_assignment).collect();
    let arguments = match &words[..] {
        ["hakube", arguments @ ..] | ["cargo", "run", "--", arguments @ ..] => arguments,
        _ => return None,
    };
    let is_argument = |word: &&&str| !matches!(**word, "&" | ">" | "...");
    let arguments = arguments.iter().take_while(is_argument);
    // A number's placeholder.
    let value = |word: &&str| if *word == "N" { "1" } else { *word }.to_owned();
    Some(arguments.map(value).collect())
}

#[test]
fn every_command_is_accepted() {
    let mut checked = BTreeSet::new();
    let mut refused = Vec::new();
    for page in pages() {
        let (code, prose) = split(&page.text);
        for arguments in code
            .into_iter()
            .chain(spans(&prose))
            .flat_map(|line| commands(&line))
        {
            // A placeholder for all of them.
            if arguments.iter().any(|argument| argument == "COMMAND")
                || !checked.insert(arguments.clone())
            {
                continue;
            }
            let mut hakube = Command::cargo_bin("hakube").unwrap();
            let output = hakube
                .env_clear()
                .args(&arguments)
                .arg("--help")
                .output()
                .unwrap();
            if !output.status.success() {
                let error = String::from_utf8_lossy(&output.stderr);
                refused.push(format!(
                    "{}: hakube {}: {error}",
                    page.path.display(),
                    arguments.join(" ")
                ));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(checked.len() > 50, "found {} commands only", checked.len());
}

/// GitHub's anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

/// The targets of a page's links within the repository.
fn links(prose: &str) -> Vec<String> {
    let text: String = prose.split('`').step_by(2).collect();
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let (_, prose) = split(&page.text);
        for link in links(&prose) {
            let (file, wanted) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => root().join(&page.path),
                _ => root().join(page.path.parent().unwrap()).join(file),
            };
            let is_there = match wanted {
                "" => target.exists(),
                _ => std::fs::read_to_string(&target).is_ok_and(|text| {
                    let mut headings = text.lines().filter(|line| line.starts_with('#'));
                    headings.any(|heading| anchor(heading) == wanted)
                }),
            };
            if !is_there {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links: {broken:#?}");
}

#[test]
fn every_page_is_in_an_index() {
    let indexes: Vec<PathBuf> = ["docs", "docs/adr"].map(PathBuf::from).into();
    for directory in indexes {
        let index = std::fs::read_to_string(root().join(&directory).join("README.md")).unwrap();
        let in_directory = |page: &Page| page.path.parent() == Some(&directory);
        for page in pages().into_iter().filter(in_directory) {
            let name = page.path.file_name().unwrap().to_str().unwrap();
            let is_listed = name == "README.md" || index.contains(&format!("({name}"));
            assert!(is_listed, "{} isn't in its index", page.path.display());
        }
    }
}

/// Files and directories of the repository, without placeholders.
fn paths(prose: &str) -> impl Iterator<Item = String> {
    let tops = [
        "src/",
        "providers/",
        "standins/",
        "tests/",
        "scripts/",
        "env/",
        "docs/",
    ];
    let is_path = move |span: &String| tops.iter().any(|top| span.starts_with(top));
    let is_placeholder =
        |span: &String| span.contains(|c: char| c.is_ascii_uppercase() || "*<".contains(c));
    let words = spans(prose).filter_map(|span| Some(span.split(' ').next()?.to_owned()));
    words
        .filter(is_path)
        .filter(move |span| !is_placeholder(span))
}

#[test]
fn every_path_exists() {
    let mut missing = Vec::new();
    for page in pages() {
        let (_, prose) = split(&page.text);
        let gone = paths(&prose).filter(|path| !root().join(path).exists());
        missing.extend(gone.map(|path| format!("{}: {path}", page.path.display())));
    }
    assert!(missing.is_empty(), "missing: {missing:#?}");
}
