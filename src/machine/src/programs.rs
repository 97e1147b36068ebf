//! Where the programs of a machine come from.

use super::cloud_config::File;
use hakube_model::{CNI_PLUGINS, ClusterSpec, ImageArchive, Named, Program};

/// The directory of programs.
const DIRECTORY: &str = "/usr/local/bin";
/// The container runtime's directory of CNI plugins.
pub(super) const CNI_DIRECTORY: &str = "/opt/cni/bin";
/// The directory of image archives to import.
pub(super) const IMAGES_DIRECTORY: &str = "/var/lib/hakube/images";
/// The list of downloads and images.
const LIST: &str = "/etc/hakube/artifacts.json";
const INSTALLER: &str = "/usr/local/lib/hakube/artifacts.py";
const UNIT: &str = "artifacts.service";
/// Installs what is in the list. All paths are arguments, so that the local cloud can substitute its machines' own.
const INSTALL: &str = "/usr/bin/python3 /usr/local/lib/hakube/artifacts.py /etc/hakube/artifacts.json \
     /usr/local/bin /opt/cni/bin /var/lib/hakube/images";

/// The unit that installs these programs' downloads, if there are any.
pub(super) fn unit(programs: &[Named<'_>]) -> Option<&'static str> {
    programs
        .iter()
        .any(|(_, program)| matches!(program, Program::Artifact(_)))
        .then_some(UNIT)
}

/// The command that installs these programs' downloads, if there are any.
pub(super) fn installing(programs: &[Named<'_>]) -> Option<&'static str> {
    unit(programs).map(|_| INSTALL)
}

/// The files that make these programs available as `/usr/local/bin/<name>`, and download the image archives.
pub(super) fn files(
    programs: &[Named<'_>],
    images: &[ImageArchive],
    spec: &ClusterSpec,
) -> Vec<File> {
    let mut files: Vec<File> = programs
        .iter()
        .filter(|(name, _)| *name != CNI_PLUGINS)
        .filter_map(|(name, program)| {
            let script = script(name, program, spec)?;
            Some(File::text(format!("{DIRECTORY}/{name}"), 0o755, script))
        })
        .collect();
    if let Some(unit) = unit(programs) {
        files.extend(installer(programs, images, unit, spec));
    }
    files
}

fn script(name: &str, program: &Program, spec: &ClusterSpec) -> Option<String> {
    match program {
        Program::Installed(path) => Some(format!("#!/bin/sh\nexec {} \"$@\"\n", quote(path))),
        Program::StandIn { hakube } => Some(format!(
            "#!/bin/sh\n# A stand-in: not Kubernetes' {name}.\nexec {} stand-in {name} --stand-in-version={} \"$@\"\n",
            quote(hakube),
            spec.versions.kubernetes
        )),
        Program::Artifact(_) | Program::Deferred(_) => None,
    }
}

/// The list of downloads, the installer, and its unit.
fn installer(
    programs: &[Named<'_>],
    images: &[ImageArchive],
    unit: &str,
    spec: &ClusterSpec,
) -> [File; 3] {
    let programs = programs.iter().filter_map(|(name, program)| match program {
        Program::Artifact(artifact) => {
            let mut entry = serde_json::json!({
                "name": name,
                "url": artifact.url,
                "sha256": artifact.sha256,
                "member": artifact.member,
                "into": if *name == CNI_PLUGINS { CNI_DIRECTORY } else { DIRECTORY },
            });
            if *name == "etcd" && artifact.member.is_some() {
                entry["also"] = serde_json::json!([restorer(spec)]);
            }
            Some(entry)
        }
        _ => None,
    });
    let images = images.iter().map(|archive| {
        serde_json::json!({
            "name": archive_name(&archive.image),
            "url": archive.url,
            "sha256": archive.sha256,
            "member": null,
            "into": IMAGES_DIRECTORY,
        })
    });
    let list: Vec<serde_json::Value> = programs.chain(images).collect();
    let content = format!(
        "[Unit]\nDescription=Programs, downloaded and verified\n\
         Wants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart={INSTALL}\n\
         TimeoutStartSec=infinity\nStandardOutput=journal+console\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    [
        File::text(
            LIST,
            0o644,
            format!("{:#}\n", serde_json::Value::Array(list)),
        ),
        File::text(INSTALLER, 0o644, include_str!("artifacts.py")),
        File::text(format!("/etc/systemd/system/{unit}"), 0o644, content),
    ]
}

/// The program of etcd's release that restores snapshots. etcdctl could until 3.5, which brought etcdutl.
/// <https://etcd.io/docs/v3.6/op-guide/recovery/>
fn restorer(spec: &ClusterSpec) -> &'static str {
    let version = spec.versions.etcd.as_ref();
    match version.is_some_and(|version| (version.major, version.minor) < (3, 5)) {
        true => "etcdctl",
        false => "etcdutl",
    }
}

/// An image's name as a file name.
pub fn archive_name(image: &str) -> String {
    let name = image.replace(
        |c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-',
        "_",
    );
    format!("{name}.tar")
}

/// Quotes a path for a POSIX shell.
fn quote(path: &std::path::Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_whatever_is_in_it() {
        assert_eq!(
            quote("/opt/it's here/etcd".as_ref()),
            r"'/opt/it'\''s here/etcd'"
        );
    }
}
