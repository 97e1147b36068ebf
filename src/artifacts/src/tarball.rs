//! Image archives: checks those of `docker save`, `skopeo` or `ctr`, and writes hakube's own.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// tar's block size.
const BLOCK: u64 = 512;
/// Documents are a few kilobytes; anything longer isn't one.
const LONGEST: u64 = 1 << 20;
const MANIFEST: &str = "manifest.json";
const INDEX: &str = "index.json";
/// The annotations with an image's name.
const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

/// docker's list of images in an archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

/// OCI's list.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The document that an index of one image leads to.
#[derive(Deserialize)]
struct Platform {
    config: Blob,
}

#[derive(Deserialize)]
struct Blob {
    digest: String,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architecture: String,
}

/// Checks that machines of this architecture that import the file get the image with this name.
///
/// # Errors
/// The reason, as words that follow "it ...".
pub fn check(file: &Path, image: &str, arch: &str) -> Result<(), String> {
    let unread = |error: io::Error| format!("is unreadable: {error}");
    let mut file = File::open(file).map_err(unread)?;
    let documents = members(&mut file, &[MANIFEST, INDEX]).map_err(unread)?;
    if documents.is_empty() {
        return Err(format!(
            "isn't an image archive: it has neither {MANIFEST} nor {INDEX}"
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
        for Descriptor {
            digest,
            annotations,
        } in index.manifests
        {
            // containerd accepts either annotation. If the second is only a tag, the first is present.
            names.extend(
                annotations
                    .into_iter()
                    .filter_map(|(key, name)| NAMES.contains(&&*key).then_some(name)),
            );
            let path = digest.replace(':', "/");
            let path = format!("blobs/{path}");
            let manifest = members(&mut file, &[&path]).map_err(unread)?.remove(&path);
            // One for several platforms leads to further manifests: machines choose theirs.
            let config = manifest.and_then(|text| serde_json::from_slice::<Platform>(&text).ok());
            configs.extend(
                config.map(|found| format!("blobs/{}", found.config.digest.replace(':', "/"))),
            );
        }
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
    let configs = members(&mut file, &wanted).map_err(unread)?;
    configs
        .values()
        .try_for_each(|text| architecture(text, arch))
}

/// Checks that an image's configuration is for this architecture.
///
/// # Errors
/// The reason, as words that follow "it ...".
pub fn check_config(file: &Path, arch: &str) -> Result<(), String> {
    let text = std::fs::read(file).map_err(|error| format!("is unreadable: {error}"))?;
    architecture(&text, arch)
}

fn architecture(config: &[u8], wanted: &str) -> Result<(), String> {
    let Config { architecture } = parse("the image's configuration", config)?;
    if architecture == wanted {
        return Ok(());
    }
    Err(format!("is for {architecture}, not {wanted}"))
}

/// Writes an OCI archive, reproducibly: the same image gives the same bytes. Blobs are named by
/// their SHA-256. It is renamed once it is complete.
///
/// # Errors
/// The archive can't be written, or a blob can't be read.
pub fn write(
    path: &Path,
    index: &[u8],
    (sum, manifest): (&str, &[u8]),
    blobs: &[(String, PathBuf)],
) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = path.parent().unwrap_or(path);
    let mut file = BufWriter::new(tempfile::NamedTempFile::new_in(directory)?);
    member(
        &mut file,
        "oci-layout",
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    member(&mut file, INDEX, index)?;
    member(&mut file, &blob(sum), manifest)?;
    for (sum, from) in blobs {
        let mut from = File::open(from)?;
        let size = from.metadata()?.len();
        file.write_all(&header(&blob(sum), size))?;
        io::copy(&mut from, &mut file)?;
        pad(&mut file, size)?;
    }
    // The end of the archive.
    file.write_all(&[0; 2 * BLOCK as usize])?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn blob(sum: &str) -> String {
    format!("blobs/sha256/{sum}")
}

fn member(file: &mut impl Write, name: &str, content: &[u8]) -> io::Result<()> {
    file.write_all(&header(name, content.len() as u64))?;
    file.write_all(content)?;
    pad(file, content.len() as u64)
}

fn pad(file: &mut impl Write, size: u64) -> io::Result<()> {
    let zeros = [0; BLOCK as usize];
    let rest = (size.next_multiple_of(BLOCK) - size) as usize;
    file.write_all(&zeros[..rest])
}

/// POSIX's header: <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06>
fn header(name: &str, size: u64) -> [u8; BLOCK as usize] {
    let mut header = [0; BLOCK as usize];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    // The checksum is computed as if its own field were spaces.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn parse<T: for<'a> Deserialize<'a>>(what: &str, text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| format!("isn't an image archive: {what}: {error}"))
}

/// The files with these names. Files after a damaged header aren't found.
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
            io::Read::take(&mut *file, size).read_to_end(&mut content)?;
            found.insert(name.to_owned(), content);
        }
        at += BLOCK + size.div_ceil(BLOCK) * BLOCK;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    // Any text works as a digest here.
    const MANIFEST_SUM: &str = "1";
    const CONFIG: &str = "2";
    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_written_archive_is_valid() {
        let scratch = tempfile::tempdir().unwrap();
        let in_scratch = |name: &str| scratch.path().join(name);
        let (archive, layer, config) = (
            in_scratch("a.tar"),
            in_scratch("layer"),
            in_scratch("config"),
        );
        std::fs::write(&layer, "x".repeat(1300)).unwrap();
        std::fs::write(&config, r#"{"architecture": "arm64"}"#).unwrap();
        let index = r#"{"manifests": [{"digest": "sha256:1", "annotations": {"io.containerd.image.name": "m.test/a:1"}}]}"#;
        let blobs = [(CONFIG.to_owned(), config), (SUM.to_owned(), layer)];
        let manifest = format!(r#"{{"config": {{"digest": "sha256:{CONFIG}"}}}}"#);
        write(
            &archive,
            index.as_bytes(),
            (MANIFEST_SUM, manifest.as_bytes()),
            &blobs,
        )
        .unwrap();
        check(&archive, "m.test/a:1", "arm64").unwrap();
        let why = check(&archive, "m.test/a:1", "amd64").unwrap_err();
        assert_eq!(why, "is for arm64, not amd64");
        let why = check(&archive, "m.test/b:1", "arm64").unwrap_err();
        assert_eq!(why, "has m.test/a:1, not m.test/b:1");
        let blob = blob(SUM);
        let found = members(&mut File::open(&archive).unwrap(), &[&blob]).unwrap();
        assert_eq!(found[&blob], "x".repeat(1300).into_bytes());
    }
}
