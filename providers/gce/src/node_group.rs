//! Groups of identical machines: a template and a managed instance group.

use crate::Gce;
use crate::link::name_in;
use crate::mark::{GROUP_LABEL, labels, ours};
use crate::operation::{change, look, request};
use crate::properties::{
    boot_disk, metadata, scheduling, service_account, shielded, size_gb, tags,
};
use google_cloud_compute_v1::model;
use hakube_provider::{
    Attempt, DiskSpec, ErrorKind, ExternalAddress, NodeGroupSpec, Result, mark_description,
};
use std::collections::HashMap;

impl Gce {
    /// See [`hakube_provider::Provider::ensure_node_group`].
    pub(crate) async fn put_node_group(&self, spec: &NodeGroupSpec) -> Result<()> {
        self.ensure_template(spec).await?;
        let zone = &spec.machine.machine.zone;
        let attempt = Attempt::new("create", format!("node group {} in {zone}", spec.name));
        let size = i32::try_from(spec.size)
            .map_err(|_| attempt.error(ErrorKind::Invalid, "the group is too large"))?;
        let template = self.global_link("instanceTemplates", &spec.template);
        let get = request!(self.instance_group_managers.get in zone)
            .set_instance_group_manager(&spec.name);
        let Some(found) = look(&attempt, get.send()).await? else {
            let manager = model::InstanceGroupManager::new()
                .set_name(&spec.name)
                .set_description(mark_description(&spec.machine.cluster))
                .set_base_instance_name(&spec.machine.machine.name)
                .set_instance_template(template)
                .set_target_size(size);
            let insert = request!(self.instance_group_managers.insert in zone).set_body(manager);
            return self.insert(&attempt, change!(insert)).await;
        };
        let found = ours(&attempt, &spec.machine.cluster, found)?;
        if name_in(found.instance_template.as_deref().unwrap_or_default()) != spec.template {
            // Existing machines are kept; new ones are created from the new template.
            let set = request!(self.instance_group_managers.set_instance_template in zone)
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
            // This also reduces the group's size.
            let links = leaving
                .iter()
                .map(|name| self.zonal_link(zone, "instances", name));
            let delete = request!(self.instance_group_managers.delete_instances in zone)
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
        let resize = request!(self.instance_group_managers.resize in zone)
            .set_instance_group_manager(&spec.name)
            .set_size(size);
        self.run(&attempt.to("resize"), change!(resize)).await
    }

    /// An existing template is used as it is: the caller gives new content a new name.
    async fn ensure_template(&self, spec: &NodeGroupSpec) -> Result<()> {
        let attempt = Attempt::new("create", format!("machine template {}", spec.template));
        let get = request!(self.instance_templates.get).set_instance_template(&spec.template);
        if let Some(found) = look(&attempt, get.send()).await? {
            return ours(&attempt, &spec.machine.cluster, found).map(drop);
        }
        let template = model::InstanceTemplate::new()
            .set_name(&spec.template)
            .set_description(mark_description(&spec.machine.cluster))
            .set_properties(self.properties(&attempt, spec).await?);
        let insert = request!(self.instance_templates.insert).set_body(template);
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

/// A group's machines are identical, and so are their data disks: created and deleted with them.
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
