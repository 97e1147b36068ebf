//! Lists the artifacts that `up` with these settings installs on machines: pure.

use super::entry::{Entry, Kind};
use super::images::{self, WantedImage};
use super::published::Published;
use hakube_addons::Image;
use hakube_error::{Error, Result};
use hakube_model::{Arch, PodNetwork, ProviderKind};
use hakube_settings::Settings;

/// The publisher of Kubernetes releases. <https://kubernetes.io/releases/download/#binaries>
const PUBLISHER: &str = "https://dl.k8s.io";

/// A program to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedProgram {
    /// The program.
    pub program: Published,
    /// Its version.
    pub version: String,
    /// The architecture of its machines.
    pub arch: Arch,
    /// Its path in a mirror.
    pub path: String,
    /// The path of its SHA-256 in a mirror.
    pub sums_path: String,
    /// Its URL.
    pub url: String,
    /// The URL of its SHA-256, unless the operator has a list.
    pub sums_url: String,
}

/// All artifacts that machines download.
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

/// Whether machines are processes of this host, which share its programs.
pub fn is_local(settings: &Settings) -> bool {
    let is_emulated = settings.compute_endpoint.is_some() && !settings.compute_hosts;
    settings.provider == ProviderKind::Local || is_emulated
}

/// The architecture of the machines.
pub fn arch(settings: &Settings) -> Arch {
    if is_local(settings) {
        Arch::of_this_host()
    } else {
        settings.arch
    }
}

/// Whether any machine runs pods: a node, or a replica that is one.
pub fn has_nodes(settings: &Settings) -> bool {
    settings.replicas.register || settings.nodes.wanted() > 0
}

/// The URL of the local cloud's Kubernetes releases.
pub fn local_kubernetes(settings: &Settings) -> String {
    let mirror = settings.releases.mirror.as_ref();
    mirror.map_or_else(|| PUBLISHER.to_owned(), |url| format!("{url}/kubernetes"))
}

/// The artifacts that `up` with these settings installs on machines; for the local cloud, on this host.
///
/// # Errors
/// The settings have no URL of a program's releases, or no version of etcd.
pub fn wanted(settings: &Settings) -> Result<Wanted> {
    let is_local = is_local(settings);
    let programs = Published::ALL
        .into_iter()
        .filter(|program| is_downloaded(*program, settings, is_local))
        .map(|program| wanted_program(program, settings, is_local))
        .collect::<Result<Vec<WantedProgram>>>()?;
    let has_images = !is_local && has_nodes(settings);
    let images = if has_images {
        images_of(settings)
    } else {
        Vec::new()
    };
    Ok(Wanted {
        arch: arch(settings),
        programs,
        images,
        archives: settings.releases.images.clone().filter(|_| has_images),
    })
}

/// Programs from a directory on the machines, or of this host, aren't downloaded, nor those that no machine runs.
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
        Published::ApiServer | Published::ControllerManager | Published::Scheduler => !is_named,
        Published::Kubelet
        | Published::Proxy
        | Published::Containerd
        | Published::Runc
        | Published::CniPlugins => !is_named && has_nodes(settings),
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
                Error::bad_input(format!("there is no URL to download {name} from"))
                    .hint("set a mirror: --mirror URL"),
            );
        }
    };
    let version = program.version(settings).ok_or_else(|| {
        Error::bad_input(format!("the version of {name} to download is unknown"))
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
    /// The entry in lists.
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

impl Wanted {
    /// The entries in lists: programs, then images. `sums` is the text of a list in sha256sum's format.
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
