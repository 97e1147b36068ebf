//! Image archives: their names in a mirror, the list of a mirror's archives, and the command by
//! which an operator makes one that no mirror has. Pure.

use super::entry::{Entry, Kind};
use hakube_error::{Error, Result};
use hakube_machine::archive_name;
use hakube_model::Arch;
use serde::{Deserialize, Serialize};

/// The list's file name.
pub const LIST: &str = "images.json";
/// The directory of a mirror with the list and the archives.
pub(crate) const DIRECTORY: &str = "images";

/// An entry of `images.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The image's name that pods use.
    pub name: String,
    /// The archive's path relative to the list.
    pub file: String,
    /// The archive's SHA-256.
    pub sha256: String,
    /// The architecture of its machines.
    pub arch: String,
}

/// An image for pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedImage {
    /// The name that pods use.
    pub name: String,
    /// Its published name, which differs if the operator has an image repository.
    pub published: String,
    /// The architecture of its machines.
    pub arch: Arch,
    /// Its archive's path in a mirror.
    pub path: String,
}

impl WantedImage {
    /// The entry in lists.
    pub fn entry(&self) -> Entry {
        entry(
            &self.name,
            self.arch.name(),
            format!("docker://{}", self.published),
        )
    }
}

/// Parses the list from `source`.
///
/// # Errors
/// It is malformed, or an archive's path leads elsewhere.
pub fn parse(source: &str, text: &str) -> Result<Vec<Archive>> {
    let broken = |why: String| {
        Error::bad_input(format!("{source} isn't a list of image archives")).because(why)
    };
    let list: Vec<Archive> =
        serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
    let is_inside = |file: &str| {
        !file.is_empty() && !file.split('/').any(|part| matches!(part, "" | "." | ".."))
    };
    match list.iter().find(|archive| !is_inside(&archive.file)) {
        Some(archive) => Err(broken(format!(
            "{:?}, the file of {}, isn't a relative path",
            archive.file, archive.name
        ))),
        None => Ok(list),
    }
}

/// The archives of a list for this architecture.
///
/// # Errors
/// It has archives, but only for other architectures: machines would pull images from registries.
pub fn of_arch(source: &str, list: Vec<Archive>, arch: &str) -> Result<Vec<Archive>> {
    let (own, others): (Vec<Archive>, Vec<Archive>) =
        list.into_iter().partition(|archive| archive.arch == arch);
    match others.first() {
        Some(other) if own.is_empty() => Err(Error::bad_input(format!(
            "{source} has no image archive for {arch}"
        ))
        .because(format!("{} is for {}", other.name, other.arch))
        .hint(format!(
            "to fetch them: hakube artifacts fetch --node-arch {arch} --directory DIR; or use another --node-arch"
        ))),
        _ => Ok(own),
    }
}

/// The archive's file name.
pub(crate) fn file(name: &str, arch: &str) -> String {
    archive_name(&format!("{name}-{arch}"))
}

/// The archive's path in a mirror.
pub(crate) fn path(name: &str, arch: &str) -> String {
    format!("{DIRECTORY}/{}", file(name, arch))
}

/// An image's entry in lists.
pub(crate) fn entry(name: &str, arch: &str, source: String) -> Entry {
    // A registry's port is also preceded by a colon, but followed by a slash.
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

/// The command that makes the archive, on a machine that reaches the registry. The archive has the
/// image's full name, which machines import it by.
pub(crate) fn export_command(image: &WantedImage, directory: &std::path::Path) -> String {
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
    fn an_archive_is_named_after_its_image_and_architecture() {
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
    fn a_mirror_with_only_another_architecture_is_an_error() {
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
    fn a_list_cannot_name_files_elsewhere() {
        let list = |file: &str| {
            let list =
                serde_json::json!([{"name": "a:1", "file": file, "sha256": "0", "arch": "amd64"}]);
            parse("http://m/images.json", &list.to_string())
        };
        assert_eq!(list("sub/a.tar").unwrap()[0].file, "sub/a.tar");
        for file in ["../a.tar", "/etc/passwd", "a/../../b", ""] {
            let error = list(file).unwrap_err();
            assert!(
                error.to_string().contains("isn't a relative path"),
                "{error}"
            );
        }
        assert!(parse("x", "<html>").is_err());
    }
}
