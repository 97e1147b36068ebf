//! Archives of images: their names in a mirror, the list that machines' archives are found by, and how an operator
//! makes one where no mirror has it. Pure.

use super::list::{Entry, Kind, WantedImage};
use crate::error::{Error, Result};
use crate::machine::archive_name;
use serde::{Deserialize, Serialize};

/// The list's name.
pub const LIST: &str = "images.json";
/// The directory of a mirror that has it, and the archives.
pub const DIRECTORY: &str = "images";

/// An entry of `images.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The image's name, as pods ask for it.
    pub name: String,
    /// The archive's name beside the list.
    pub file: String,
    /// The archive's SHA-256.
    pub sha256: String,
    /// The architecture of the machines that it is for.
    pub arch: String,
}

/// The list, as the one at `source` has it.
///
/// # Errors
/// It isn't one; an archive's name is a path that leads elsewhere.
pub fn parse(source: &str, text: &str) -> Result<Vec<Archive>> {
    let broken = |why: String| {
        Error::bad_input(format!("{source} is no list of image archives")).because(why)
    };
    let list: Vec<Archive> =
        serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
    let is_inside = |file: &str| {
        !file.is_empty() && !file.split('/').any(|part| matches!(part, "" | "." | ".."))
    };
    match list.iter().find(|archive| !is_inside(&archive.file)) {
        Some(archive) => Err(broken(format!(
            "{:?}, the file of {}, isn't a path beside it",
            archive.file, archive.name
        ))),
        None => Ok(list),
    }
}

/// Those of a list for machines of an architecture.
///
/// # Errors
/// It has archives, but of other architectures only: machines would ask registries for images.
pub fn of_arch(source: &str, list: Vec<Archive>, arch: &str) -> Result<Vec<Archive>> {
    let (own, others): (Vec<Archive>, Vec<Archive>) =
        list.into_iter().partition(|archive| archive.arch == arch);
    match others.first() {
        Some(other) if own.is_empty() => Err(Error::bad_input(format!(
            "{source} has no archive of an image for {arch}"
        ))
        .because(format!("{} is for {}", other.name, other.arch))
        .hint(format!(
            "fetch them: hakube artifacts fetch --node-arch {arch} --directory DIR, or choose another --node-arch"
        ))),
        _ => Ok(own),
    }
}

/// The archive's name beside the list.
pub fn file(name: &str, arch: &str) -> String {
    archive_name(&format!("{name}-{arch}"))
}

/// The archive's path in a mirror.
pub fn path(name: &str, arch: &str) -> String {
    format!("{DIRECTORY}/{}", file(name, arch))
}

/// An image as lists have it.
pub fn entry(name: &str, arch: &str, source: String) -> Entry {
    // A registry's port has a colon too, but a slash after it.
    let (repository, version) = match name.rsplit_once(':') {
        Some((repository, version)) if !version.contains('/') => (repository, version),
        _ => (name, ""),
    };
    Entry {
        kind: Kind::Image,
        name: repository.to_owned(),
        version: version.to_owned(),
        arch: arch.to_owned(),
        path: path(name, arch),
        source,
        sha256: None,
        size: None,
    }
}

/// The command that makes the archive, on a machine that reaches the registry. The archive
/// has the image's full name, which machines import it by.
pub fn export_command(image: &WantedImage, directory: &std::path::Path) -> String {
    let WantedImage {
        name,
        published,
        arch,
        path,
    } = image;
    let file = directory.join(path);
    format!(
        "skopeo copy --override-os linux --override-arch {arch} docker://{published} docker-archive:{}:{name}",
        file.display()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_by_its_image_and_architecture() {
        let path = |name| path(name, "arm64");
        assert_eq!(
            path("registry.k8s.io/pause:3.10.2"),
            "images/registry.k8s.io_pause_3.10.2-arm64.tar"
        );
        let entry = |name| entry(name, "amd64", String::new());
        let found = entry("mirror.test:5000/k8s/pause:3.10.2");
        assert_eq!(
            (&*found.name, &*found.version),
            ("mirror.test:5000/k8s/pause", "3.10.2")
        );
        let found = entry("mirror.test:5000/k8s/pause");
        assert_eq!(
            (&*found.name, &*found.version),
            ("mirror.test:5000/k8s/pause", "")
        );
    }

    #[test]
    fn a_mirror_of_another_architecture_is_no_mirror_without_images() {
        let archive = |arch: &str| Archive {
            name: "pause:1".to_owned(),
            file: format!("pause-{arch}.tar"),
            sha256: String::new(),
            arch: arch.to_owned(),
        };
        let both = vec![archive("amd64"), archive("arm64")];
        assert_eq!(of_arch("list", both, "arm64").unwrap(), [archive("arm64")]);
        assert_eq!(of_arch("list", Vec::new(), "arm64").unwrap(), []);
        let error = of_arch("list", vec![archive("amd64")], "arm64").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("for arm64: pause:1 is for amd64"),
            "{error}"
        );
    }

    #[test]
    fn a_list_names_no_file_elsewhere() {
        let list = |file: &str| {
            let list =
                serde_json::json!([{"name": "a:1", "file": file, "sha256": "0", "arch": "amd64"}]);
            parse("http://m/images.json", &list.to_string())
        };
        assert_eq!(list("sub/a.tar").unwrap()[0].file, "sub/a.tar");
        for file in ["../a.tar", "/etc/passwd", "a/../../b", ""] {
            let error = list(file).unwrap_err();
            assert!(
                error.to_string().contains("isn't a path beside it"),
                "{error}"
            );
        }
        assert!(parse("x", "<html>").is_err());
    }
}
