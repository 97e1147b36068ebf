//! Programs that machines download: their URLs and checksums.
//!
//! hakube fetches a checksum once, on the operator's host, and stores it in the intent. Later replicas refuse a file
//! that a mirror has changed since.

use hakube_artifacts::{Published, images, sums};
use hakube_error::{Error, Result};
use hakube_model::Arch;
use hakube_model::{Artifact, Deferred, ImageArchive, Program};
use semver::Version;
use std::path::Path;

/// One version's files, at its publisher or a mirror.
pub struct Release<'a> {
    url: String,
    version: &'a Version,
    arch: Arch,
    sums: Option<&'a Path>,
}

/// When to fetch checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Now: the first machines need it.
    Now,
    /// Before the first machine that needs it is created.
    Later,
}

impl<'a> Release<'a> {
    /// `sums` is the operator's own list.
    ///
    /// # Errors
    /// There is no list, and the server has no TLS, so its checksums can't be trusted.
    pub fn new(
        url: String,
        version: &'a Version,
        arch: Arch,
        sums: Option<&'a Path>,
    ) -> Result<Self> {
        sums::check_trusted(&url, sums)?;
        Ok(Self {
            url,
            version,
            arch,
            sums,
        })
    }

    /// One of the release's programs.
    ///
    /// # Errors
    /// Its checksum can't be fetched.
    pub async fn program(&self, program: Published, when: When) -> Result<Program> {
        let Self { url, version, .. } = self;
        let deferred = Deferred {
            url: format!("{url}/{}", program.path(version, self.arch)),
            sums: format!("{url}/{}", program.sums(version, self.arch)),
            member: program.member(version, self.arch),
        };
        match when {
            When::Later => Ok(Program::Deferred(deferred)),
            When::Now => artifact(deferred, self.sums).await,
        }
    }
}

/// A program with its checksum.
///
/// # Errors
/// The checksum can't be fetched.
pub async fn artifact(deferred: Deferred, own: Option<&Path>) -> Result<Program> {
    let Deferred { url, sums, member } = deferred;
    sums::check_trusted(&url, own)?;
    Ok(Program::Artifact(Artifact {
        sha256: sums::of(&url, &sums, own).await?,
        url,
        member,
    }))
}

/// The image archives that the directory's `images.json` lists. The operator's own list, if any, has the checksums.
///
/// # Errors
/// The list can't be fetched or is invalid; it has no archive for the architecture; a checksum is missing.
pub async fn image_archives(
    directory: &str,
    arch: Arch,
    sums: Option<&Path>,
) -> Result<Vec<ImageArchive>> {
    sums::check_trusted(directory, sums)?;
    let url = format!("{directory}/{}", images::LIST);
    let list = images::parse(&url, &sums::fetch(&url).await?)?;
    let list = images::of_arch(&url, list, arch.name())?;
    let own = sums.map(|file| Ok::<_, Error>((file, sums::read(file)?)));
    let own = own.transpose()?;
    list.into_iter()
        .map(|archive| {
            let url = format!("{directory}/{}", archive.file);
            let sha256 = match &own {
                Some((file, text)) => sums::known(&file.display().to_string(), text, &url)?,
                None => archive.sha256,
            };
            Ok(ImageArchive {
                image: archive.name,
                url,
                sha256,
            })
        })
        .collect()
}
