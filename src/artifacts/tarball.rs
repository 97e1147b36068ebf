//! What an archive of an image says of itself, as `docker save`, `skopeo` and `ctr` write it.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// tar's unit.
const BLOCK: u64 = 512;
/// Documents are a few kilobytes; what is longer is something else.
const LONGEST: u64 = 1 << 20;
const MANIFEST: &str = "manifest.json";
const INDEX: &str = "index.json";

/// docker's list of images in an archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

/// OCI's.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architecture: String,
}

/// Whether machines of this architecture, which import the file, have the image by this name afterwards.
///
/// # Errors
/// Why not, in words that go on "it ...".
pub fn check(file: &Path, image: &str, arch: &str) -> Result<(), String> {
    let unread = |error: io::Error| format!("can't be read: {error}");
    let mut file = File::open(file).map_err(unread)?;
    let documents = members(&mut file, &[MANIFEST, INDEX]).map_err(unread)?;
    if documents.is_empty() {
        return Err(format!(
            "is no archive of an image: it has neither {MANIFEST} nor {INDEX}"
        ));
    }
    let mut names = BTreeSet::new();
    let mut configs = Vec::new();
    if let Some(text) = documents.get(MANIFEST) {
        let list: Vec<Manifest> = parse(MANIFEST, text)?;
        for manifest in list {
            names.extend(manifest.repo_tags.unwrap_or_default());
            configs.push(manifest.config);
        }
    }
    if let Some(text) = documents.get(INDEX) {
        let index: Index = parse(INDEX, text)?;
        let annotations = index.manifests.into_iter().map(|entry| entry.annotations);
        // What containerd calls it; a `ref.name` alone would get a name of the day.
        names.extend(annotations.filter_map(|mut all| all.remove("io.containerd.image.name")));
    }
    if !names.contains(image) {
        let names: Vec<String> = names.into_iter().collect();
        let found = if names.is_empty() {
            "an image without a name".to_owned()
        } else {
            names.join(", ")
        };
        return Err(format!("has {found}, not {image}"));
    }
    let wanted: Vec<&str> = configs.iter().map(String::as_str).collect();
    for text in members(&mut file, &wanted).map_err(unread)?.values() {
        let Config { architecture } = parse("the image's configuration", text)?;
        if architecture != arch {
            return Err(format!("is for {architecture}, not {arch}"));
        }
    }
    Ok(())
}

fn parse<T: for<'a> Deserialize<'a>>(what: &str, text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text)
        .map_err(|error| format!("is no archive of an image: {what}: {error}"))
}

/// The files of these names. What follows a damaged header isn't found.
fn members(file: &mut File, wanted: &[&str]) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut at = 0;
    let mut header = [0; BLOCK as usize];
    loop {
        file.seek(SeekFrom::Start(at))?;
        match file.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(found),
            Err(error) => return Err(error),
        }
        let text = |range: std::ops::Range<usize>| {
            let field = &header[range];
            let end = field
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).into_owned()
        };
        let Ok(size) = u64::from_str_radix(text(124..136).trim(), 8) else {
            return Ok(found);
        };
        let name = text(0..100);
        let name = name.strip_prefix("./").unwrap_or(&name);
        if wanted.contains(&name) && size <= LONGEST {
            let mut content = Vec::new();
            file.by_ref().take(size).read_to_end(&mut content)?;
            found.insert(name.to_owned(), content);
        }
        at += BLOCK + size.div_ceil(BLOCK) * BLOCK;
    }
}
