//! Programs that machines download: where they are, and which sum they have.
//!
//! The sum is asked for once, here, on the operator's own host, and becomes part of the intent. Whoever
//! changes a mirror afterwards changes nothing of what later replicas run: they refuse it.

use crate::artifacts::{Published, images, sums};
use crate::error::{Error, Result};
use crate::machine::{Artifact, ImageArchive, Program};
use crate::settings::Arch;
use semver::Version;
use std::path::Path;

/// One version's files, at a publisher's or on a mirror of it.
pub struct Release<'a> {
    url: String,
    version: &'a Version,
    arch: Arch,
    sums: Option<&'a Path>,
}

impl<'a> Release<'a> {
    /// `sums` is the operator's own list, if there is one.
    ///
    /// # Errors
    /// Without one, sums from a server without TLS would be anybody's.
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

    /// One of its programs.
    ///
    /// # Errors
    /// Its sum can't be had.
    pub async fn program(&self, program: Published) -> Result<Program> {
        let Self { url, version, .. } = self;
        let file = format!("{url}/{}", program.path(version, self.arch));
        let list = format!("{url}/{}", program.sums(version, self.arch));
        let sha256 = sums::of(&file, &list, self.sums).await?;
        Ok(Program::Artifact(Artifact {
            url: file,
            sha256,
            member: program.member(version, self.arch),
        }))
    }
}

/// The image archives that `images.json` of a directory lists. Their sums are those of the operator's own list, if
/// there is one.
///
/// # Errors
/// The list can't be had, or isn't one; it has none for the architecture; a sum isn't known.
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
