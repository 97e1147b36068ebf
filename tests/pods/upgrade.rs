//! Other versions of Kubernetes to upgrade to.

use super::lab::{Lab, run};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// The version of the programs that the others are made from.
const BUILT: &str = "v1.36.3";

/// Adds a version to the mirror, as its publisher would. Its programs are those of the built version, with another
/// version in their text: a build takes 20 minutes.
pub fn publish(lab: &Lab, version: &str) {
    assert_eq!(version.len(), BUILT.len(), "the text is replaced in place");
    let directory = release(lab, version);
    std::fs::create_dir_all(&directory).unwrap();
    for entry in std::fs::read_dir(release(lab, BUILT)).unwrap() {
        let from = entry.unwrap().path();
        if from.extension().is_some() {
            continue;
        }
        let to = directory.join(from.file_name().unwrap());
        std::fs::copy(&from, &to).unwrap();
        let edit = format!("s/{}/{version}/g", BUILT.replace('.', "\\."));
        run(Command::new("sed").args(["--in-place", &edit]).arg(&to)).unwrap();
    }
    record(lab, version);
}

/// Replaces the version's API server with one that exits at once.
pub fn break_api_server(lab: &Lab, version: &str) {
    let program = release(lab, version).join("kube-apiserver");
    std::fs::write(
        program,
        "#!/bin/sh\necho 'this release is broken' >&2\nexit 1\n",
    )
    .unwrap();
    record(lab, version);
}

fn release(lab: &Lab, version: &str) -> std::path::PathBuf {
    lab.mirror()
        .join(format!("kubernetes/{version}/bin/linux/amd64"))
}

/// Writes the version's checksums into the operator's list.
fn record(lab: &Lab, version: &str) {
    let list = lab.mirror().join("SHA256SUMS");
    let kept = std::fs::read_to_string(&list).unwrap();
    let kept = kept.lines().filter(|line| !line.contains(version));
    let mut sums: String = kept.map(|line| format!("{line}\n")).collect();
    for entry in std::fs::read_dir(release(lab, version)).unwrap() {
        let path = entry.unwrap().path();
        let sum = run(Command::new("sha256sum").arg(&path)).unwrap();
        let sum = sum.split_whitespace().next().unwrap();
        writeln!(sums, "{sum}  {}", below(lab.mirror(), &path)).unwrap();
    }
    // It may be a link to the built one's.
    std::fs::remove_file(&list).unwrap();
    std::fs::write(&list, sums).unwrap();
}

fn below<'a>(mirror: &Path, path: &'a Path) -> std::borrow::Cow<'a, str> {
    path.strip_prefix(mirror).unwrap().to_string_lossy()
}
