//! Decides where a new cluster's programs come from: they are on its machines, are downloaded by them, or
//! (on the local cloud, for want of better) stood in for.

mod host;
mod release;

use crate::artifacts::{Published, arch, download, is_local, local_kubernetes};
use crate::error::{Error, Result};
use crate::machine::{PodPrograms, Program, Programs};
use crate::output::{Event, Reporter};
use crate::settings::Settings;
use release::Release;
use std::path::Path;

const CONTROL_PLANE: [Published; 3] = Published::CONTROL_PLANE;

/// What the operator names goes first, then downloads, then what this host has in `path`.
///
/// # Errors
/// A program that was named isn't there; a download's sum can't be had; this host has no etcd.
pub async fn find(settings: &Settings, path: &str, reporter: &dyn Reporter) -> Result<Programs> {
    let [kube_apiserver, kube_controller_manager, kube_scheduler] =
        control_plane(settings, path, reporter).await?;
    Ok(Programs {
        etcd: etcd(settings, path).await?,
        kube_apiserver,
        kube_controller_manager,
        kube_scheduler,
        kubelet: kubelet(settings).await?,
        pods: pods(settings).await?,
    })
}

/// Stand-ins for everything, for an intent that is only there to be taken down.
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

async fn etcd(settings: &Settings, path: &str) -> Result<Program> {
    match (&settings.etcd.binary, &settings.releases.etcd) {
        (Some(file), _) if is_local(settings) => host::etcd(file),
        (Some(file), _) => Ok(Program::Installed(file.clone())),
        (None, Some(url)) => {
            let version = settings.versions.etcd.as_ref().ok_or_else(|| {
                Error::bad_input("which etcd is to be downloaded isn't known")
                    .hint("set its version: ETCD_VERSION=3.6.6")
            })?;
            let sums = settings.releases.sums.as_deref();
            Release::new(url.clone(), version, arch(settings), sums)?
                .program(Published::Etcd)
                .await
        }
        (None, None) if is_local(settings) => host::etcd_in(path),
        (None, None) => Err(nowhere("etcd", "--etcd-releases URL or --etcd-binary FILE")),
    }
}

async fn control_plane(
    settings: &Settings,
    path: &str,
    reporter: &dyn Reporter,
) -> Result<[Program; 3]> {
    // What was named goes first.
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
                release.program(api),
                release.program(manager),
                release.program(scheduler)
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

/// Kubernetes' programs, downloaded once to this host for all machines of the local cloud. Where nobody named a
/// server and the publisher's can't be reached, stand-ins do.
async fn downloaded(settings: &Settings, reporter: &dyn Reporter) -> Result<[Program; 3]> {
    match download_all(settings, reporter).await {
        Ok(programs) => Ok(programs),
        Err(error) if settings.releases.mirror.is_some() => Err(error),
        Err(error) => {
            let why = error.causes.last().unwrap_or(&error.message);
            reporter.event(&Event::warning(format!(
                "Kubernetes {} can't be downloaded ({why}), so its API server, controller manager and scheduler are \
                 hakube's small stand-ins; etcd is real. Programs of your own: --kube-binaries DIR",
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
        Error::failed(format!("could not make {}", directory.display())).because(error)
    })?;
    let release = kubernetes_release(settings, &url)?;
    let one = async |program: Published| -> Result<Program> {
        let path = directory.join(program.name());
        if let Program::Artifact(artifact) = release.program(program).await? {
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
        (None, Some(url)) => kubernetes_release(settings, url)?.program(kubelet).await,
        (None, None) => Err(no_kubernetes()),
    }
}

/// What runs pods beside the kubelet. Processes of this host run none.
async fn pods(settings: &Settings) -> Result<Option<PodPrograms>> {
    if is_local(settings) {
        return Ok(None);
    }
    let (releases, versions) = (&settings.releases, &settings.versions.runtime);
    let sums = releases.sums.as_deref();
    let images = async {
        match &releases.images {
            Some(url) => release::image_archives(url, arch(settings), sums).await,
            None => Ok(Vec::new()),
        }
    };
    // An image that has Kubernetes' programs has these too.
    if let Some(directory) = &settings.kube_binaries {
        return Ok(Some(PodPrograms {
            kube_proxy: installed(directory, Published::Proxy.name()),
            containerd: installed(directory, Published::Containerd.name()),
            runc: installed(directory, Published::Runc.name()),
            cni_plugins: installed(directory, Published::CniPlugins.name()),
            images: images.await?,
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
        kubernetes.program(Published::Proxy),
        containerd.program(Published::Containerd),
        runc.program(Published::Runc),
        cni.program(Published::CniPlugins),
        images,
    )?;
    Ok(Some(PodPrograms {
        kube_proxy,
        containerd,
        runc,
        cni_plugins,
        images,
    }))
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
    Error::bad_input(format!("nothing says where machines get {what} from")).hint(flags)
}
