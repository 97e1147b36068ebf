//! Checks that zones, machine types and images exist and can be used.

use crate::Gce;
use crate::link::name_in;
use crate::operation::{every, look, request};
use futures::future::join_all;
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::deprecation_status::State;
use google_cloud_compute_v1::model::zone::Status;
use hakube_provider::{Attempt, ErrorKind, PreflightSpec, ProviderError, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The machine types found, by zone and name.
pub(super) type MachineTypes = BTreeMap<(String, String), model::MachineType>;

/// The results for zones.
pub(super) struct Zones {
    /// The unusable zones.
    pub(super) unusable: BTreeSet<String>,
    /// The reasons.
    pub(super) findings: Vec<ProviderError>,
}

impl Gce {
    /// See [`hakube_provider::Provider::zones`].
    pub(crate) async fn zones_up(&self) -> Result<Vec<String>> {
        let zones = self.all_zones().await?;
        let attempt = Attempt::new("use", "a zone");
        let usable = |zone: &model::Zone| judge(&attempt, zone, &self.config.region).is_none();
        let names = zones
            .into_iter()
            .filter(usable)
            .filter_map(|zone| zone.name);
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn all_zones(&self) -> Result<Vec<model::Zone>> {
        let project = &self.config.project;
        let attempt = Attempt::new("list", format!("the zones of project {project}"));
        let list = self.clients.zones().await?.list().set_project(project);
        let zones = async { Ok(every!(attempt, list)) };
        zones.await.map_err(no_project)
    }

    pub(super) async fn zone_findings(&self, spec: &PreflightSpec) -> Zones {
        let all = match self.all_zones().await {
            Ok(all) => all,
            Err(error) => {
                return Zones {
                    unusable: BTreeSet::new(),
                    findings: vec![error],
                };
            }
        };
        let wanted: BTreeSet<&str> = spec
            .all_machines()
            .map(|(machine, _)| machine.machine.zone.as_str())
            .collect();
        let finding = |zone: &str| {
            let attempt = Attempt::new("use", format!("zone {zone}"));
            match all.iter().find(|found| found.name.as_deref() == Some(zone)) {
                Some(found) => judge(&attempt, found, &self.config.region),
                None => Some(
                    attempt
                        .error(ErrorKind::Invalid, "the zone doesn't exist")
                        .with_hint("run `gcloud compute zones list` to list the zones"),
                ),
            }
        };
        let found = wanted
            .into_iter()
            .filter_map(|zone| Some((zone.to_owned(), finding(zone)?)));
        let (unusable, findings) = found.unzip();
        Zones { unusable, findings }
    }

    /// The machine types found, and errors by zone for the others.
    pub(super) async fn machine_types(
        &self,
        spec: &PreflightSpec,
    ) -> (MachineTypes, Vec<(String, ProviderError)>) {
        let wanted: BTreeSet<(&str, &str)> = spec
            .all_machines()
            .map(|(machine, _)| {
                let zone = machine.machine.zone.as_str();
                (zone, machine.machine_type.as_str())
            })
            .collect();
        let looked = wanted.into_iter().map(|(zone, size)| async move {
            let found = self.machine_type(zone, size).await;
            (zone.to_owned(), size.to_owned(), found)
        });
        let mut types = MachineTypes::new();
        let mut findings = Vec::new();
        for (zone, size, found) in join_all(looked).await {
            match found {
                Ok(found) => drop(types.insert((zone, size), found)),
                Err(error) => findings.push((zone, error)),
            }
        }
        (types, findings)
    }

    async fn machine_type(&self, zone: &str, size: &str) -> Result<model::MachineType> {
        let attempt = Attempt::new("use", format!("machine type {size} in {zone}"));
        let get = request!(self.machine_types.get in zone).set_machine_type(size);
        look(&attempt, get.send()).await?.ok_or_else(|| {
            attempt
                .error(ErrorKind::Invalid, "the zone doesn't have this machine type")
                .with_hint(format!(
                    "run `gcloud compute machine-types list --zones {zone}` to list the zone's machine types"
                ))
        })
    }

    /// The problems with the images that machines will boot.
    pub(super) async fn images(&self, spec: &PreflightSpec) -> Vec<ProviderError> {
        // The smallest boot disk for each image.
        let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
        for (machine, _) in spec.all_machines() {
            let disk = wanted.entry(&machine.image).or_insert(u64::MAX);
            *disk = machine.boot_disk_gb.min(*disk);
        }
        let findings = wanted.into_iter().map(|(image, disk_gb)| async move {
            let attempt = Attempt::new("use", format!("image {image}"));
            match self.image(&attempt, image).await {
                Ok(found) => judge_image(&attempt, &found, disk_gb),
                Err(error) => Some(error),
            }
        });
        join_all(findings).await.into_iter().flatten().collect()
    }

    async fn image(&self, attempt: &Attempt, image: &str) -> Result<model::Image> {
        let Some((project, name)) = image_name(image) else {
            let message = "it isn't a valid image name: use projects/P/global/images/NAME, or family/NAME instead of NAME";
            return Err(attempt.error(ErrorKind::Invalid, message));
        };
        let project = project.unwrap_or(&self.config.project);
        let client = self.clients.images().await?;
        let found = match name {
            ImageName::Image(name) => {
                let get = client.get().set_project(project).set_image(name);
                look(attempt, get.send()).await?
            }
            ImageName::Family(family) => {
                let get = client
                    .get_from_family()
                    .set_project(project)
                    .set_family(family);
                look(attempt, get.send()).await?
            }
        };
        found.ok_or_else(|| {
            attempt
                .error(
                    ErrorKind::Invalid,
                    format!("project {project} doesn't have this image or family, or doesn't share it"),
                )
                .with_hint(format!(
                    "run `gcloud compute images list --project {project} --no-standard-images` to list its images"
                ))
        })
    }
}

/// If a project doesn't exist, whatever is requested in it is reported as not found.
pub(super) fn no_project(error: ProviderError) -> ProviderError {
    if error.kind == ErrorKind::Invalid && error.hint.is_none() {
        return error.with_hint(
            "set the project's id, not its name (`gcloud projects list` shows both); the account needs at least roles/compute.viewer",
        );
    }
    error
}

fn judge(attempt: &Attempt, zone: &model::Zone, region: &str) -> Option<ProviderError> {
    let of = name_in(zone.region.as_deref().unwrap_or_default());
    if of != region {
        let message = format!("it is in region {of}, but the cluster is in {region}");
        return Some(attempt.error(ErrorKind::Invalid, message));
    }
    (zone.status != Some(Status::Up)).then(|| {
        attempt
            .error(
                ErrorKind::NoCapacity,
                "Compute Engine reports that it is down",
            )
            .with_hint("try another zone of the region")
    })
}

fn judge_image(attempt: &Attempt, image: &model::Image, disk_gb: u64) -> Option<ProviderError> {
    let state = image.deprecated.as_ref().and_then(|it| it.state.as_ref());
    if matches!(state, Some(State::Obsolete | State::Deleted)) {
        let message = "it is obsolete, and can't be used for new disks";
        return Some(
            attempt
                .error(ErrorKind::Invalid, message)
                .with_hint("use the image's family, which always has a current image"),
        );
    }
    let size = u64::try_from(image.disk_size_gb.unwrap_or_default()).unwrap_or_default();
    (size > disk_gb).then(|| {
        let message =
            format!("it needs a boot disk of {size} GB, but the machine's has {disk_gb} GB");
        attempt.error(ErrorKind::Invalid, message)
    })
}

#[derive(Debug, PartialEq, Eq)]
enum ImageName<'a> {
    Image(&'a str),
    Family(&'a str),
}

/// The project of an image, if given, and the image's name or its family's.
fn image_name(text: &str) -> Option<(Option<&str>, ImageName<'_>)> {
    let path = text.find("projects/").map_or(text, |at| &text[at..]);
    let parts: Vec<&str> = path.split('/').collect();
    Some(match *parts.as_slice() {
        ["projects", project, "global", "images", "family", family] => {
            (Some(project), ImageName::Family(family))
        }
        ["projects", project, "global", "images", name] => (Some(project), ImageName::Image(name)),
        ["global", "images", "family", family] | ["family", family] => {
            (None, ImageName::Family(family))
        }
        ["global", "images", name] => (None, ImageName::Image(name)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_compute_engines_image_names_are_parsed() {
        let family = "projects/debian-cloud/global/images/family/debian-12";
        let wanted = Some((Some("debian-cloud"), ImageName::Family("debian-12")));
        assert_eq!(image_name(family), wanted);
        let url = format!("https://www.googleapis.com/compute/v1/{family}");
        assert_eq!(image_name(&url), wanted);
        assert_eq!(
            image_name("projects/p/global/images/mine"),
            Some((Some("p"), ImageName::Image("mine")))
        );
        assert_eq!(
            image_name("global/images/family/mine"),
            Some((None, ImageName::Family("mine")))
        );
        assert_eq!(image_name("debian-12"), None);
    }
}
