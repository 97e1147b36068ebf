//! The sources of a new cluster's programs: preinstalled on machines, downloaded, or stand-ins (on the local cloud
//! only).

mod host;
mod release;
#[cfg(test)]
mod tests;
mod version;

use hakube_artifacts::{Published, arch, download, has_nodes, is_local, local_kubernetes};
use hakube_error::{Error, Result};
use hakube_model::ClusterSpec;
use hakube_model::ProviderKind;
use hakube_model::{PodPrograms, Program, Programs};
use hakube_output::{Event, Reporter};
use hakube_settings::Settings;
use release::{Release, When};
use std::path::Path;

const CONTROL_PLANE: [Published; 3] = Published::CONTROL_PLANE;

/// The operator's settings come first, then downloads, then programs in `path`.
///
/// # Errors
/// A program that was set is missing; a download has no checksum; this host has no etcd.
pub async fn find(settings: &Settings, path: &str, reporter: &dyn Reporter) -> Result<Programs> {
    let [kube_apiserver, kube_controller_manager, kube_scheduler] =
        control_plane(settings, path, reporter).await?;
    Ok(Programs {
        etcd: etcd(settings, path, reporter).await?,
        kube_apiserver,
        kube_controller_manager,
        kube_scheduler,
        kubelet: kubelet(settings).await?,
        pods: pods(settings).await?,
    })
}

/// Stand-ins for everything, for an intent that is only torn down.
///
/// # Errors
/// This program's own file can't be found.
pub fn none() -> Result<Programs> {
    let none = stand_in()?;
    Ok(Programs {
        etcd: none.clone(),
        kube_apiserver: none.clone(),
        kube_controller_manager: none.clone(),
        kube_scheduler: none.clone(),
        kubelet: none,
        pods: None,
    })
}

async fn etcd(settings: &Settings, path: &str, reporter: &dyn Reporter) -> Result<Program> {
    // On Compute Engine, the default version is for downloads; the emulator runs this host's etcd.
    let is_asked = settings.provider == ProviderKind::Local;
    let wanted = settings.versions.etcd.as_ref().filter(|_| is_asked);
    match (&settings.etcd.binary, &settings.releases.etcd) {
        (Some(file), _) if is_local(settings) => {
            version::checked(host::etcd(file)?, wanted, reporter).await
        }
        (Some(file), _) => Ok(Program::Installed(file.clone())),
        (None, Some(url)) => {
            let version = settings.versions.etcd.as_ref().ok_or_else(|| {
                Error::bad_input("no version of etcd to download is set")
                    .hint("set it: ETCD_VERSION=3.6.6")
            })?;
            let sums = settings.releases.sums.as_deref();
            Release::new(url.clone(), version, arch(settings), sums)?
                .program(Published::Etcd, When::Now)
                .await
        }
        (None, None) if is_local(settings) => {
            version::checked(host::etcd_in(path)?, wanted, reporter).await
        }
        (None, None) => Err(nowhere("etcd", "--etcd-releases URL or --etcd-binary FILE")),
    }
}

async fn control_plane(
    settings: &Settings,
    path: &str,
    reporter: &dyn Reporter,
) -> Result<[Program; 3]> {
    // The operator's settings come first.
    let is_named = settings.kube_binaries.is_some() || settings.releases.kubernetes.is_some();
    if settings.stand_ins && !is_named {
        return stand_ins();
    }
    match (&settings.kube_binaries, &settings.releases.kubernetes) {
        (Some(directory), _) if is_local(settings) => {
            host::kubernetes(directory, CONTROL_PLANE.map(Published::name))
        }
        (Some(directory), _) => {
            Ok(CONTROL_PLANE.map(|program| installed(directory, program.name())))
        }
        (None, Some(url)) => {
            let release = kubernetes_release(settings, url)?;
            let [api, manager, scheduler] = CONTROL_PLANE;
            let (api, manager, scheduler) = tokio::try_join!(
                release.program(api, When::Now),
                release.program(manager, When::Now),
                release.program(scheduler, When::Now)
            )?;
            Ok([api, manager, scheduler])
        }
        (None, None) if is_local(settings) => {
            match host::kubernetes_in(path, CONTROL_PLANE.map(Published::name)) {
                Some(found) => Ok(found),
                None => downloaded(settings, reporter).await,
            }
        }
        (None, None) => Err(no_kubernetes()),
    }
}

/// Downloads Kubernetes' programs to this host, once for all machines of the local cloud. Falls back to stand-ins if
/// no mirror is set and the publisher is unreachable.
async fn downloaded(settings: &Settings, reporter: &dyn Reporter) -> Result<[Program; 3]> {
    match download_all(settings, reporter).await {
        Ok(programs) => Ok(programs),
        Err(error) if settings.releases.mirror.is_some() => Err(error),
        Err(error) => {
            let why = error.causes.last().unwrap_or(&error.message);
            reporter.event(&Event::warning(format!(
                "could not download Kubernetes {} ({why}); its API server, controller manager and scheduler are \
                 hakube's stand-ins instead (etcd is real). To use your own programs: --kube-binaries DIR",
                settings.versions.kubernetes
            )));
            stand_ins()
        }
    }
}

async fn download_all(settings: &Settings, reporter: &dyn Reporter) -> Result<[Program; 3]> {
    let url = local_kubernetes(settings);
    let version = &settings.versions.kubernetes;
    let directory = settings
        .home
        .join(format!("programs/kubernetes-v{version}"));
    std::fs::create_dir_all(&directory).map_err(|error| {
        Error::failed(format!("could not create {}", directory.display())).because(error)
    })?;
    let release = kubernetes_release(settings, &url)?;
    let one = async |program: Published| -> Result<Program> {
        let path = directory.join(program.name());
        if let Program::Artifact(artifact) = release.program(program, When::Now).await? {
            download::program(&artifact.url, &artifact.sha256, &path, reporter).await?;
        }
        Ok(Program::Installed(path))
    };
    let [api, manager, scheduler] = CONTROL_PLANE;
    let (api, manager, scheduler) = tokio::try_join!(one(api), one(manager), one(scheduler))?;
    Ok([api, manager, scheduler])
}

fn stand_ins() -> Result<[Program; 3]> {
    let stand_in = stand_in()?;
    Ok(CONTROL_PLANE.map(|_| stand_in.clone()))
}

/// A real kubelet needs root and a container runtime; the local cloud's nodes have neither.
async fn kubelet(settings: &Settings) -> Result<Program> {
    let kubelet = Published::Kubelet;
    if is_local(settings) {
        return stand_in();
    }
    match (&settings.kube_binaries, &settings.releases.kubernetes) {
        (Some(directory), _) => Ok(installed(directory, kubelet.name())),
        (None, Some(url)) => {
            let release = kubernetes_release(settings, url)?;
            release.program(kubelet, of_nodes(settings)).await
        }
        (None, None) => Err(no_kubernetes()),
    }
}

/// The programs that run pods, in addition to the kubelet. Machines of the local cloud run no pods.
async fn pods(settings: &Settings) -> Result<Option<PodPrograms>> {
    if is_local(settings) {
        return Ok(None);
    }
    let (releases, versions) = (&settings.releases, &settings.versions.runtime);
    let sums = releases.sums.as_deref();
    let when = of_nodes(settings);
    let images = async {
        match &releases.images {
            Some(url) if when == When::Now => {
                release::image_archives(url, arch(settings), sums).await
            }
            _ => Ok(Vec::new()),
        }
    };
    let deferred_images = releases.images.clone().filter(|_| when == When::Later);
    // A directory with Kubernetes' programs has these too.
    if let Some(directory) = &settings.kube_binaries {
        return Ok(Some(PodPrograms {
            kube_proxy: installed(directory, Published::Proxy.name()),
            containerd: installed(directory, Published::Containerd.name()),
            runc: installed(directory, Published::Runc.name()),
            cni_plugins: installed(directory, Published::CniPlugins.name()),
            images: images.await?,
            deferred_images,
        }));
    }
    let release = |url: &'_ Option<String>, version, what, flag| {
        let url = url.as_deref().ok_or_else(|| nowhere(what, flag))?;
        Release::new(url.to_owned(), version, arch(settings), sums)
    };
    let mirror = "--mirror URL";
    let kubernetes = kubernetes_release(
        settings,
        releases.kubernetes.as_deref().ok_or_else(no_kubernetes)?,
    )?;
    let containerd = release(
        &releases.containerd,
        &versions.containerd,
        "containerd",
        mirror,
    )?;
    let runc = release(&releases.runc, &versions.runc, "runc", mirror)?;
    let cni = release(
        &releases.cni_plugins,
        &versions.cni_plugins,
        "the CNI plugins",
        mirror,
    )?;
    let (kube_proxy, containerd, runc, cni_plugins, images) = tokio::try_join!(
        kubernetes.program(Published::Proxy, when),
        containerd.program(Published::Containerd, when),
        runc.program(Published::Runc, when),
        cni.program(Published::CniPlugins, when),
        images,
    )?;
    Ok(Some(PodPrograms {
        kube_proxy,
        containerd,
        runc,
        cni_plugins,
        images,
        deferred_images,
    }))
}

/// When to fetch the checksums of nodes' programs. A mirror needn't have programs that no machine runs.
fn of_nodes(settings: &Settings) -> When {
    if has_nodes(settings) {
        When::Now
    } else {
        When::Later
    }
}

/// Fetches the checksums that a cluster without nodes didn't need. `own` is the operator's own list.
///
/// # Errors
/// A checksum can't be fetched.
pub async fn complete(spec: &mut ClusterSpec, own: Option<&Path>) -> Result<()> {
    for program in spec.programs.node_mut() {
        if let Program::Deferred(deferred) = program {
            *program = release::artifact(deferred.clone(), own).await?;
        }
    }
    if let Some(pods) = &mut spec.programs.pods
        && let Some(directory) = &pods.deferred_images
    {
        pods.images = release::image_archives(directory, spec.arch, own).await?;
        pods.deferred_images = None;
    }
    Ok(())
}

fn kubernetes_release<'a>(settings: &'a Settings, url: &'a str) -> Result<Release<'a>> {
    let sums = settings.releases.sums.as_deref();
    Release::new(
        url.to_owned(),
        &settings.versions.kubernetes,
        arch(settings),
        sums,
    )
}

fn installed(directory: &Path, name: &str) -> Program {
    Program::Installed(directory.join(name))
}

fn stand_in() -> Result<Program> {
    let hakube = std::env::current_exe()
        .map_err(|error| Error::failed("could not find this program's own file").because(error))?;
    Ok(Program::StandIn { hakube })
}

fn no_kubernetes() -> Error {
    nowhere(
        "Kubernetes' programs",
        "--kubernetes-releases URL or --kube-binaries DIR",
    )
}

fn nowhere(what: &str, flags: &str) -> Error {
    Error::bad_input(format!("no source for {what} is set")).hint(flags)
}
