//! What an `up` with these settings brings onto machines: pure.

use super::images;
use super::published::Published;
use crate::addons::Image;
use crate::error::{Error, Result};
use crate::settings::{Arch, PodNetwork, ProviderKind, Settings};
use serde::{Deserialize, Serialize};

/// Who publishes Kubernetes' releases. <https://kubernetes.io/releases/download/#binaries>
const PUBLISHER: &str = "https://dl.k8s.io";

/// A program that is to be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedProgram {
    /// Which.
    pub program: Published,
    /// Its version.
    pub version: String,
    /// For which machines.
    pub arch: Arch,
    /// Where it goes in a mirror.
    pub path: String,
    /// Where its SHA-256 goes in a mirror.
    pub sums_path: String,
    /// Where it comes from.
    pub url: String,
    /// Where its SHA-256 comes from, unless the operator has a list.
    pub sums_url: String,
}

/// An image that pods run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedImage {
    /// The name that pods ask for it by.
    pub name: String,
    /// The name that it is published under, which differs with an image repository of the operator's own.
    pub published: String,
    /// For which machines.
    pub arch: Arch,
    /// Where its archive goes in a mirror.
    pub path: String,
}

/// Everything that machines download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The architecture of the machines.
    pub arch: Arch,
    /// The programs.
    pub programs: Vec<WantedProgram>,
    /// The images of hakube's own pods.
    pub images: Vec<WantedImage>,
    /// The URL of the directory of image archives; `None`: machines pull images from registries.
    pub archives: Option<String>,
}

/// An artifact as lists have it. The fields are a contract that others script against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The program's name, or the image's without its version.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The architecture of the machines that it is for.
    pub arch: String,
    /// The file's path in a mirror.
    pub path: String,
    /// The URL that it comes from, or `docker://` and an image's name.
    pub source: String,
    /// Its SHA-256, where it is known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Its size in bytes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A program, or an archive of programs.
    Program,
    /// An archive of an image.
    Image,
}

/// Whether machines are processes of this host, which share its programs.
pub fn is_local(settings: &Settings) -> bool {
    settings.provider == ProviderKind::Local || settings.compute_endpoint.is_some()
}

/// The architecture of the machines.
pub fn arch(settings: &Settings) -> Arch {
    if is_local(settings) {
        Arch::of_this_host()
    } else {
        settings.arch
    }
}

/// Where the local cloud's Kubernetes is downloaded from.
pub fn local_kubernetes(settings: &Settings) -> String {
    let mirror = settings.releases.mirror.as_ref();
    mirror.map_or_else(|| PUBLISHER.to_owned(), |url| format!("{url}/kubernetes"))
}

/// What an `up` with these settings brings onto machines; onto this host, for the local cloud.
///
/// # Errors
/// The settings don't say where a program is downloaded from, or which version of etcd.
pub fn wanted(settings: &Settings) -> Result<Wanted> {
    let is_local = is_local(settings);
    let programs = Published::ALL
        .into_iter()
        .filter(|program| is_downloaded(*program, settings, is_local))
        .map(|program| wanted_program(program, settings, is_local))
        .collect::<Result<Vec<WantedProgram>>>()?;
    let images = if is_local {
        Vec::new()
    } else {
        images_of(settings)
    };
    Ok(Wanted {
        arch: arch(settings),
        programs,
        images,
        archives: settings.releases.images.clone().filter(|_| !is_local),
    })
}

/// The programs of a directory on the machines, or of this host, aren't.
fn is_downloaded(program: Published, settings: &Settings, is_local: bool) -> bool {
    let is_named = settings.kube_binaries.is_some();
    match program {
        Published::Etcd if is_local => {
            settings.etcd.binary.is_none() && settings.releases.etcd.is_some()
        }
        Published::Etcd => settings.etcd.binary.is_none(),
        _ if is_local => {
            let is_asked = !settings.stand_ins || settings.releases.kubernetes.is_some();
            !is_named && is_asked && Published::CONTROL_PLANE.contains(&program)
        }
        _ => !is_named,
    }
}

fn wanted_program(
    program: Published,
    settings: &Settings,
    is_local: bool,
) -> Result<WantedProgram> {
    let arch = arch(settings);
    let name = program.name();
    let base = match program.releases(settings) {
        Some(url) => url.to_owned(),
        None if is_local => local_kubernetes(settings),
        None => {
            return Err(
                Error::bad_input(format!("nothing says where machines get {name} from"))
                    .hint("name a mirror: --mirror URL"),
            );
        }
    };
    let version = program.version(settings).ok_or_else(|| {
        Error::bad_input(format!("which {name} is to be downloaded isn't known"))
            .hint("set its version: ETCD_VERSION=3.6.6")
    })?;
    let (path, sums) = (program.path(version, arch), program.sums(version, arch));
    let directory = program.directory();
    Ok(WantedProgram {
        program,
        version: version.to_string(),
        arch,
        url: format!("{base}/{path}"),
        sums_url: format!("{base}/{sums}"),
        path: format!("{directory}/{path}"),
        sums_path: format!("{directory}/{sums}"),
    })
}

fn images_of(settings: &Settings) -> Vec<WantedImage> {
    let addons = &settings.addons;
    let is_wanted = |image: &Image| match image {
        Image::Pause => true,
        Image::CoreDns => addons.cluster_dns,
        Image::Flannel => addons.pod_network == PodNetwork::Flannel,
        Image::MetricsServer => addons.metrics_server,
    };
    let wanted = Image::ALL.into_iter().filter(is_wanted);
    wanted
        .map(|image| {
            let name = image.reference(addons.image_repository.as_deref());
            WantedImage {
                path: images::path(&name, settings.arch.name()),
                name,
                published: image.reference(None),
                arch: settings.arch,
            }
        })
        .collect()
}

impl WantedProgram {
    /// As lists have it.
    pub fn entry(&self) -> Entry {
        Entry {
            kind: Kind::Program,
            name: self.program.name().to_owned(),
            version: self.version.clone(),
            arch: self.arch.to_string(),
            path: self.path.clone(),
            source: self.url.clone(),
            sha256: None,
            size: None,
        }
    }
}

impl WantedImage {
    /// As lists have it.
    pub fn entry(&self) -> Entry {
        images::entry(
            &self.name,
            self.arch.name(),
            format!("docker://{}", self.published),
        )
    }
}

impl Wanted {
    /// As lists have it: programs, then images. `sums` is the text of a list in sha256sum's format.
    pub fn entries(&self, sums: Option<&str>) -> Vec<Entry> {
        let programs = self.programs.iter().map(WantedProgram::entry);
        let images = self.images.iter().map(WantedImage::entry);
        let known = |mut entry: Entry| {
            // A list may have the path in the mirror, or the end of the publisher's URL.
            let path = format!("/{}", entry.path);
            entry.sha256 = sums.and_then(|text| super::sums::find(text, &path).ok());
            entry
        };
        programs.chain(images).map(known).collect()
    }
}
