//! Groups of identical machines: a template and a managed group for it.

use crate::Gce;
use crate::link::name_in;
use crate::machine::{boot_disk, metadata, scheduling, service_account, shielded, size_gb, tags};
use crate::mark::{GROUP_LABEL, labels, ours};
use crate::operation::{change, look};
use google_cloud_compute_v1::model;
use hakube_provider::{
    Attempt, DiskSpec, ErrorKind, ExternalAddress, NodeGroupSpec, Result, mark_description,
};
use std::collections::HashMap;

impl Gce {
    /// See [`hakube_provider::Provider::ensure_node_group`].
    pub(crate) async fn node_group_exists(&self, spec: &NodeGroupSpec) -> Result<()> {
        self.template_exists(spec).await?;
        let zone = &spec.machine.machine.zone;
        let attempt = Attempt::new("create", format!("node group {} in {zone}", spec.name));
        let size = i32::try_from(spec.size)
            .map_err(|_| attempt.error(ErrorKind::Invalid, "that are too many machines"))?;
        let template = self.global_link("instanceTemplates", &spec.template);
        let client = self.clients.instance_group_managers().await?;
        let get = client
            .get()
            .set_project(&self.config.project)
            .set_zone(zone)
            .set_instance_group_manager(&spec.name);
        let Some(found) = look(&attempt, get.send()).await? else {
            let manager = model::InstanceGroupManager::new()
                .set_name(&spec.name)
                .set_description(mark_description(&spec.machine.cluster))
                .set_base_instance_name(&spec.machine.machine.name)
                .set_instance_template(template)
                .set_target_size(size);
            let insert = client
                .insert()
                .set_project(&self.config.project)
                .set_zone(zone)
                .set_body(manager);
            return self.insert(&attempt, change!(insert)).await;
        };
        let found = ours(&attempt, &spec.machine.cluster, found)?;
        if name_in(found.instance_template.as_deref().unwrap_or_default()) != spec.template {
            // Machines that are there stay as they are; those that come are of the new make.
            let set = client
                .set_instance_template()
                .set_project(&self.config.project)
                .set_zone(zone)
                .set_instance_group_manager(&spec.name)
                .set_body(
                    model::InstanceGroupManagersSetInstanceTemplateRequest::new()
                        .set_instance_template(template),
                );
            self.run(&attempt.to("set the template of"), change!(set))
                .await?;
        }
        let now = u32::try_from(found.target_size.unwrap_or_default()).unwrap_or_default();
        let (leaving, differs) = spec.leaving_of(now);
        if !leaving.is_empty() {
            // It lowers the group's size with them.
            let links = leaving
                .iter()
                .map(|name| self.zonal_link(zone, "instances", name));
            let delete = client
                .delete_instances()
                .set_project(&self.config.project)
                .set_zone(zone)
                .set_instance_group_manager(&spec.name)
                .set_body(
                    model::InstanceGroupManagersDeleteInstancesRequest::new().set_instances(links),
                );
            self.run(&attempt.to("delete machines of"), change!(delete))
                .await?;
        }
        if !differs {
            return Ok(());
        }
        let resize = client
            .resize()
            .set_project(&self.config.project)
            .set_zone(zone)
            .set_instance_group_manager(&spec.name)
            .set_size(size);
        self.run(&attempt.to("resize"), change!(resize)).await
    }

    /// A template of that name is left as it is: the caller names templates for what is in them.
    async fn template_exists(&self, spec: &NodeGroupSpec) -> Result<()> {
        let attempt = Attempt::new("create", format!("machine template {}", spec.template));
        let client = self.clients.instance_templates().await?;
        let get = client
            .get()
            .set_project(&self.config.project)
            .set_instance_template(&spec.template);
        if let Some(found) = look(&attempt, get.send()).await? {
            return ours(&attempt, &spec.machine.cluster, found).map(drop);
        }
        let template = model::InstanceTemplate::new()
            .set_name(&spec.template)
            .set_description(mark_description(&spec.machine.cluster))
            .set_properties(self.properties(&attempt, spec).await?);
        let insert = client
            .insert()
            .set_project(&self.config.project)
            .set_body(template);
        self.insert(&attempt, change!(insert)).await
    }

    async fn properties(
        &self,
        attempt: &Attempt,
        spec: &NodeGroupSpec,
    ) -> Result<model::InstanceProperties> {
        let machine = &spec.machine;
        if let ExternalAddress::Reserved(name) = &machine.external {
            let message = format!("several machines can't have the one address {name}");
            return Err(attempt.error(ErrorKind::Invalid, message));
        }
        let external = self.access_config(&machine.external).await?;
        let mut labels = labels(&machine.cluster, &machine.labels);
        labels.insert(GROUP_LABEL.to_owned(), spec.name.clone());
        let data_disk = machine
            .data_disk
            .iter()
            .map(|disk| data_disk(disk, &labels));
        let boot_disk = boot_disk(machine, machine.boot_disk_kind.clone());
        let disks: Vec<_> = [boot_disk].into_iter().chain(data_disk).collect();
        Ok(model::InstanceProperties::new()
            .set_machine_type(&machine.machine_type)
            .set_disks(disks)
            .set_network_interfaces([self.network_interface(machine, external)])
            .set_metadata(metadata(machine))
            .set_tags(tags(machine))
            .set_scheduling(scheduling(machine))
            .set_service_accounts(service_account(machine))
            .set_or_clear_min_cpu_platform(machine.min_cpu_platform.clone())
            .set_shielded_instance_config(shielded())
            .set_labels(labels))
    }
}

/// A group's machines are all alike, and so are their data disks: made with them and gone with them.
fn data_disk(disk: &DiskSpec, labels: &HashMap<String, String>) -> model::AttachedDisk {
    model::AttachedDisk::new()
        .set_device_name(&disk.device)
        .set_auto_delete(true)
        .set_initialize_params(
            model::AttachedDiskInitializeParams::new()
                .set_disk_size_gb(size_gb(disk.size_gb))
                .set_disk_type(&disk.kind)
                .set_labels(labels.clone()),
        )
}
