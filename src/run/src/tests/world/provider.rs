//! The provider. A real one's sequence of calls is several calls here too, and a crash may happen between any two.

use super::Moves::{Endpoint, Nothing};
use super::api::Process;
use super::cloud::refusal;
use async_trait::async_trait;
use hakube_provider::{
    Address, AddressSpec, BalancerSpec, EndpointSpec, EndpointTarget, ErrorKind, FirewallSpec,
    Inventory, Machine, MachineRef, MachineSpec, Namesake, NetworkSpec, NodeGroup, NodeGroupSpec,
    Owner, PreflightSpec, Provider, ProviderError, Reach, ResourceId, Result, SshServer,
};
use hakube_testing::fixtures::ZONES;
use std::collections::{BTreeMap, BTreeSet};

#[async_trait]
impl Provider for Process {
    async fn preflight(&self, _: &PreflightSpec) -> Result<Vec<ProviderError>> {
        self.call("preflight", Nothing, |_| Ok(Vec::new())).await
    }

    async fn zones(&self) -> Result<Vec<String>> {
        self.call("zones", Nothing, |_| Ok(ZONES.map(str::to_owned).to_vec()))
            .await
    }

    async fn inspect(&self, _: &str) -> Result<Inventory> {
        self.call("inspect", Nothing, |world| Ok(world.cloud.inventory()))
            .await
    }

    async fn namesakes(&self, _: &str) -> Result<Vec<Namesake>> {
        let found = self
            .look(|world| {
                let machine = world.cloud.machines.keys().next()?;
                Some(Namesake {
                    owner: Owner::of_mark(&world.cloud.mark),
                    since: None,
                    example: format!("machine {machine}"),
                })
            })
            .await;
        Ok(found.into_iter().collect())
    }

    async fn ensure_network(&self, spec: &NetworkSpec) -> Result<()> {
        self.call("create network", Nothing, |world| {
            if spec.name != "default" {
                world.cloud.networks.insert(spec.name.clone());
            }
            Ok(())
        })
        .await?;
        let Some((name, _)) = &spec.subnetwork else {
            return Ok(());
        };
        self.call("create subnetwork", Nothing, |world| {
            world.cloud.subnetworks.insert(name.clone());
            Ok(())
        })
        .await
    }

    async fn ensure_firewall(&self, spec: &FirewallSpec) -> Result<()> {
        self.call(
            &format!("create firewall {}", spec.name),
            Nothing,
            |world| {
                world.cloud.knows(&spec.network)?;
                world.cloud.firewalls.insert(spec.name.clone(), spec.into());
                Ok(())
            },
        )
        .await
    }

    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address> {
        self.call("reserve the address", Nothing, |world| {
            if let Reach::Within { network, .. } = &spec.reach {
                world.cloud.knows(network)?;
            }
            if world.cloud.address_is_taken && spec.wanted.is_some() {
                let why = "the address isn't in use by a resource";
                return Err(refusal(ErrorKind::Conflict, "reserve", &spec.name, why));
            }
            Ok(world.reserve(&spec.name))
        })
        .await
    }

    async fn ensure_machine(&self, spec: &MachineSpec) -> Result<Machine> {
        let name = &spec.machine.name;
        self.call(&format!("create the disk of {name}"), Nothing, |world| {
            world.make_disk(spec);
            Ok(())
        })
        .await?;
        self.call(&format!("create machine {name}"), Nothing, |world| {
            world.make_machine(spec)?;
            world
                .cloud
                .machines
                .get(name)
                .map(|machine| machine.report(name))
                .ok_or_else(|| absent(name))
        })
        .await
    }

    async fn ensure_balancer(&self, spec: &BalancerSpec) -> Result<()> {
        let mut groups: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
        for MachineRef { name, zone } in &spec.backends {
            let group = groups
                .entry(format!("{}-{zone}", spec.name))
                .or_insert((zone.clone(), BTreeSet::new()));
            group.1.insert(name.clone());
        }
        self.call("create health check", Nothing, |world| {
            world.cloud.health_check = Some(spec.name.clone());
            Ok(())
        })
        .await?;
        for (name, (zone, machines)) in &groups {
            self.call(&format!("create backend group {name}"), Nothing, |world| {
                if let Some(gone) = machines
                    .iter()
                    .find(|machine| !world.cloud.machines.contains_key(*machine))
                {
                    return Err(absent(gone));
                }
                world
                    .cloud
                    .groups
                    .insert(name.clone(), (zone.clone(), machines.clone()));
                Ok(())
            })
            .await?;
        }
        self.call("create backend service", Nothing, |world| {
            world.cloud.service = Some((spec.name.clone(), groups.keys().cloned().collect()));
            Ok(())
        })
        .await?;
        self.call("delete surplus backend groups", Nothing, |world| {
            world
                .cloud
                .groups
                .retain(|name, _| groups.contains_key(name));
            Ok(())
        })
        .await
    }

    async fn point_endpoint(&self, spec: &EndpointSpec, target: &EndpointTarget) -> Result<()> {
        let is_done = self.call("look where the address is", Nothing, |world| {
            let cloud = &world.cloud;
            if cloud.address.is_none() {
                return Err(refusal(
                    ErrorKind::Invalid,
                    "point",
                    &spec.address,
                    "it isn't reserved",
                ));
            }
            match target {
                EndpointTarget::Balancer if cloud.service.is_none() => Err(absent(&spec.balancer)),
                EndpointTarget::Machine(machine) if !cloud.machines.contains_key(&machine.name) => {
                    Err(absent(&machine.name))
                }
                EndpointTarget::Balancer => Ok(cloud.rule.is_some()),
                EndpointTarget::Machine(machine) => {
                    Ok(cloud.holder().as_ref() == Some(&machine.name))
                }
            }
        });
        if is_done.await? {
            return Ok(());
        }
        self.call("release the address", Endpoint, |world| {
            world.cloud.release_endpoint();
            Ok(())
        })
        .await?;
        self.call("hold the address", Endpoint, |world| {
            match target {
                EndpointTarget::Balancer => world.cloud.rule = Some(spec.rule.clone()),
                EndpointTarget::Machine(machine) => {
                    let machine = world
                        .cloud
                        .machines
                        .get_mut(&machine.name)
                        .ok_or_else(|| absent(&machine.name))?;
                    machine.holds_endpoint = true;
                }
            }
            Ok(())
        })
        .await
    }

    async fn ensure_node_group(&self, spec: &NodeGroupSpec) -> Result<()> {
        self.call("create node template", Nothing, |world| {
            world.cloud.templates.insert(spec.template.clone());
            Ok(())
        })
        .await?;
        self.call("create node group", Nothing, |world| {
            let found = world.cloud.node_groups.get(&spec.name);
            let mut machines = found.map_or_else(Vec::new, |found| found.machines.clone());
            let (leaving, _) = spec.leaving_of(machines.len() as u32);
            machines.retain(|name| !leaving.contains(name));
            machines.truncate(spec.size as usize);
            let numbers = machines
                .iter()
                .filter_map(|name| name.rsplit('-').next()?.parse().ok());
            let next = numbers.max().map_or(0, |last: u32| last + 1);
            let mut origins = found.map_or_else(BTreeMap::new, |found| found.origins.clone());
            origins.retain(|name, _| machines.contains(name));
            let kubelet = kubelet_in(&spec.machine.user_data);
            for number in (next..).take((spec.size as usize).saturating_sub(machines.len())) {
                let name = format!("{}-{number}", spec.name);
                if let Some(version) = &kubelet {
                    world.cloud.kubelets.insert(name.clone(), version.clone());
                }
                origins.insert(name.clone(), spec.template.clone());
                let document = spec.machine.user_data.clone();
                world.cloud.documents.insert(name.clone(), document);
                machines.push(name);
            }
            let zone = spec.machine.machine.zone.clone();
            let group = NodeGroup {
                name: spec.name.clone(),
                zone,
                size: spec.size,
                template: spec.template.clone(),
                machines,
                origins,
            };
            world.cloud.node_groups.insert(spec.name.clone(), group);
            Ok(())
        })
        .await
    }

    async fn delete(&self, _: &str, resource: &ResourceId) -> Result<()> {
        self.call(&format!("delete {resource}"), Nothing, |world| {
            world.delete(resource)
        })
        .await
    }

    async fn machine(&self, machine: &MachineRef) -> Result<Option<Machine>> {
        let name = &machine.name;
        self.call(&format!("read machine {name}"), Nothing, |world| {
            Ok(world
                .cloud
                .machines
                .get(name)
                .map(|machine| machine.report(name)))
        })
        .await
    }

    async fn ssh_server(&self, _: &MachineRef) -> Result<Option<SshServer>> {
        // This world's channel needs none.
        Ok(None)
    }

    async fn console(&self, machine: &MachineRef) -> Result<String> {
        self.call(
            &format!("read the console of {}", machine.name),
            Nothing,
            |_| Ok(String::new()),
        )
        .await
    }

    fn calls(&self) -> u64 {
        self.log().len() as u64
    }
}

fn absent(name: &str) -> ProviderError {
    refusal(
        ErrorKind::Invalid,
        "use",
        name,
        "notFound: there is no such resource",
    )
}

/// The version of the kubelet, a stand-in, that machines with this user data run.
fn kubelet_in(user_data: &str) -> Option<String> {
    let (_, rest) = user_data.split_once("stand-in kubelet --stand-in-version=")?;
    let version = rest
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()?;
    Some(format!("v{version}"))
}
