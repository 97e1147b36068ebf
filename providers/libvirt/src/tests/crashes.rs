//! The process is stopped between any two effects, and another process continues.

use super::life::{address_spec, reference};
use super::stage::{CLUSTER, World, ZONE};
use hakube_contract::delete_all;
use hakube_provider::{Inventory, Provider, ResourceKind};
use std::sync::atomic::Ordering;

/// Stops a process before its nth call to libvirt; `None` if it makes fewer.
async fn stopped<T>(
    world: &World,
    n: usize,
    work: impl AsyncFn(&dyn Provider) -> hakube_provider::Result<T>,
) -> Option<()> {
    let stage = world.stage();
    let from = stage.calls.load(Ordering::SeqCst);
    stage.stop_at.store(from + n, Ordering::SeqCst);
    let first = work(&world.provider()).await;
    stage.stop_at.store(usize::MAX, Ordering::SeqCst);
    match first {
        Ok(_) => None,
        Err(error) => {
            assert!(error.message.contains("stopped before"), "{error}");
            Some(())
        }
    }
}

#[tokio::test]
async fn the_same_call_finishes_a_partly_created_machine() {
    let mut stops = 0;
    for n in 0.. {
        let world = World::new();
        let spec = world.machine("kubernetes-master", ZONE);
        if stopped(&world, n, async |provider| {
            provider.ensure_machine(&spec).await
        })
        .await
        .is_none()
        {
            break;
        }
        stops += 1;
        let provider = world.provider();
        let made = provider.ensure_machine(&spec).await.unwrap();
        // A mismatched host key or a partial image would show here.
        let ssh = provider
            .ssh_server(&reference("kubernetes-master"))
            .await
            .unwrap()
            .unwrap();
        let seed = world
            .stage()
            .content(&format!("hakube.{CLUSTER}.{ZONE}.kubernetes-master.seed"));
        let seed = String::from_utf8_lossy(&seed).into_owned();
        assert!(seed.contains(&ssh.host_keys[0]), "stopped before call {n}");
        assert!(
            seed.contains(&made.internal_address.unwrap().to_string()),
            "stopped before call {n}"
        );
        let image = world
            .stage()
            .volumes()
            .into_iter()
            .find(|name| name.ends_with(".image"))
            .unwrap();
        assert_eq!(
            world.stage().content(&image),
            b"a base image",
            "stopped before call {n}"
        );
        assert_eq!(
            provider.inspect(CLUSTER).await.unwrap().machines,
            [made],
            "stopped before call {n}"
        );
    }
    assert!(stops > 20, "{stops}");
}

#[tokio::test]
async fn partly_created_resources_are_found_and_deleted() {
    for n in 0.. {
        let world = World::new();
        let spec = world.machine("kubernetes-master", ZONE);
        let group = world.group(1);
        let all = stopped(&world, n, async |provider| {
            provider.ensure_address(&address_spec()).await?;
            provider.ensure_machine(&spec).await?;
            provider.ensure_node_group(&group).await
        });
        let all = all.await;
        let provider = world.provider();
        delete_all(&provider, CLUSTER).await;
        assert_eq!(
            provider.inspect(CLUSTER).await.unwrap(),
            Inventory::default(),
            "stopped before call {n}"
        );
        assert_eq!(
            world.stage().volumes(),
            [] as [&str; 0],
            "stopped before call {n}"
        );
        assert!(
            world.stage().real().domains().unwrap().is_empty(),
            "stopped before call {n}"
        );
        assert!(
            world.stage().real().networks().unwrap().is_empty(),
            "stopped before call {n}"
        );
        if all.is_none() {
            break;
        }
    }
}

#[tokio::test]
async fn leftovers_of_a_partly_deleted_machine_are_still_the_machines() {
    for n in 0.. {
        let world = World::new();
        let provider = world.provider();
        let spec = world.machine("kubernetes-master", ZONE);
        provider.ensure_machine(&spec).await.unwrap();
        provider.ensure_node_group(&world.group(1)).await.unwrap();
        let of = async |kind| {
            let all = provider.inspect(CLUSTER).await.unwrap().resources;
            all.into_iter().find(|resource| resource.kind == kind)
        };
        let machine = of(ResourceKind::Machine).await.unwrap();
        let group = of(ResourceKind::NodeGroup).await.unwrap();
        let whole = stopped(&world, n, async |provider| {
            provider.delete(CLUSTER, &machine).await?;
            provider.delete(CLUSTER, &group).await
        });
        let whole = whole.await.is_none();
        for resource in [&machine, &group] {
            if of(resource.kind).await.is_some() {
                world.provider().delete(CLUSTER, resource).await.unwrap();
            }
        }
        let left = world.stage().volumes();
        let kept = |name: &&String| {
            [".image", ".verified", "kubernetes-master-pd.disk"]
                .iter()
                .any(|kept| name.ends_with(kept))
        };
        let lost: Vec<_> = left.iter().filter(|name| !kept(name)).collect();
        assert!(lost.is_empty(), "stopped before call {n}: {lost:?}");
        if whole {
            break;
        }
    }
}

#[tokio::test]
async fn a_partly_deleted_machine_can_be_deleted_or_recreated() {
    for n in 0.. {
        let world = World::new();
        let provider = world.provider();
        let spec = world.machine("kubernetes-master", ZONE);
        provider.ensure_machine(&spec).await.unwrap();
        let resources = provider.inspect(CLUSTER).await.unwrap().resources;
        let machine = resources
            .iter()
            .find(|resource| resource.name == "kubernetes-master")
            .unwrap();
        let whole = stopped(&world, n, async |provider| {
            provider.delete(CLUSTER, machine).await
        })
        .await
        .is_none();
        if n % 2 == 0 {
            let made = world.provider().ensure_machine(&spec).await.unwrap();
            let seen = provider.inspect(CLUSTER).await.unwrap().machines;
            assert_eq!(seen, [made], "stopped before call {n}");
        }
        delete_all(&provider, CLUSTER).await;
        assert_eq!(
            world.stage().volumes(),
            [] as [&str; 0],
            "stopped before call {n}"
        );
        if whole {
            break;
        }
    }
}

#[tokio::test]
async fn the_same_call_finishes_resizing_a_group() {
    for (before, after) in [(0, 2), (3, 1)] {
        for n in 0.. {
            let world = World::new();
            let provider = world.provider();
            provider.ensure_address(&address_spec()).await.unwrap();
            provider
                .ensure_node_group(&world.group(before))
                .await
                .unwrap();
            let group = world.group(after);
            let whole = stopped(&world, n, async |provider| {
                provider.ensure_node_group(&group).await
            });
            let whole = whole.await.is_none();
            world.provider().ensure_node_group(&group).await.unwrap();
            let seen = provider.inspect(CLUSTER).await.unwrap();
            let members = &seen.node_groups[0];
            let expected = (after, usize::try_from(after).unwrap());
            assert_eq!(
                (members.size, members.machines.len()),
                expected,
                "stopped before call {n}"
            );
            delete_all(&provider, CLUSTER).await;
            assert_eq!(
                world.stage().volumes(),
                [] as [&str; 0],
                "stopped before call {n}"
            );
            if whole {
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_same_call_finishes_a_partial_reservation() {
    for n in 0.. {
        let world = World::with(&[(ZONE, "host-a"), ("lan-site1-b", "host-b")], "");
        let whole = stopped(&world, n, async |provider| {
            provider.ensure_address(&address_spec()).await
        });
        let whole = whole.await.is_none();
        let address = world
            .provider()
            .ensure_address(&address_spec())
            .await
            .unwrap();
        for unreachable in ["host-a", "host-b"] {
            world.stages[unreachable]
                .unreachable
                .store(true, Ordering::SeqCst);
            let seen = world.provider().inspect(CLUSTER).await.unwrap();
            assert_eq!(
                seen.address.as_ref(),
                Some(&address),
                "stopped before call {n}"
            );
            world.stages[unreachable]
                .unreachable
                .store(false, Ordering::SeqCst);
        }
        let networks = world.stage().real().networks().unwrap();
        assert!(
            networks
                .iter()
                .all(|network| network.active && network.autostart),
            "{networks:?}"
        );
        if whole {
            break;
        }
    }
}
