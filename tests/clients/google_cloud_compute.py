"""Google's Python client of Compute Engine, google-cloud-compute, against the local cloud.

    URL=http://127.64.0.1:8780 TOKEN_FILE=... PROJECT=... google_cloud_compute.py

Creates, changes and deletes an address, an instance and a forwarding rule, and checks that errors are the
client's own exceptions with Compute Engine's reasons.
"""

import os
import pathlib

from google.api_core import exceptions
from google.cloud import compute_v1 as compute
from google.oauth2.credentials import Credentials

PROJECT = os.environ["PROJECT"]
REGION, ZONE = "europe-west1", "europe-west1-b"
HOST = os.environ["URL"].removeprefix("http://")
CREDENTIALS = Credentials(pathlib.Path(os.environ["TOKEN_FILE"]).read_text(encoding="utf-8").strip())


def client(kind, credentials=CREDENTIALS):
    transport = kind.get_transport_class("rest")
    return kind(transport=transport(host=HOST, url_scheme="http", credentials=credentials))


def refused(expected, reason, call):
    """Asserts that a call fails with this exception and reason; returns its message."""
    try:
        call()
    except exceptions.GoogleAPICallError as error:
        assert type(error) is expected, f"{type(error)} instead of {expected}: {error}"
        reasons = [one["reason"] for one in error.errors]
        assert reasons == [reason], f"{reasons} instead of {reason}"
        return error.message
    raise AssertionError(f"{expected} was expected")


def place(**more):
    return {"project": PROJECT, "zone": ZONE, **more}


def regional(**more):
    return {"project": PROJECT, "region": REGION, **more}


def addresses():
    api = client(compute.AddressesClient)
    body = compute.Address(name="front", description="for the client's test")
    operation = api.insert(**regional(address_resource=body))
    operation.result(timeout=60)
    assert operation.done() and operation.error_code == 0
    address = api.get(**regional(address="front"))
    assert address.status == "RESERVED" and address.address_type == "EXTERNAL" and address.id > 0
    words = refused(exceptions.Conflict, "alreadyExists", lambda: api.insert(**regional(address_resource=body)))
    assert f"projects/{PROJECT}/regions/{REGION}/addresses/front" in words
    refused(exceptions.NotFound, "notFound", lambda: api.get(**regional(address="other")))
    bad = compute.Address(name="Not_a_name")
    refused(exceptions.BadRequest, "invalid", lambda: api.insert(**regional(address_resource=bad)))
    request = compute.SetLabelsAddressRequest(
        **regional(
            resource="front",
            region_set_labels_request_resource=compute.RegionSetLabelsRequest(
                labels={"made-by": "client"}, label_fingerprint=address.label_fingerprint
            ),
        )
    )
    api.set_labels(request).result(timeout=60)
    assert dict(api.get(**regional(address="front")).labels) == {"made-by": "client"}
    refused(exceptions.PreconditionFailed, "conditionNotMet", lambda: api.set_labels(request))
    return address.address


def instance(nat_ip):
    api = client(compute.InstancesClient)
    body = compute.Instance(
        name="web",
        machine_type=f"zones/{ZONE}/machineTypes/e2-small",
        disks=[
            compute.AttachedDisk(
                boot=True,
                auto_delete=True,
                initialize_params=compute.AttachedDiskInitializeParams(
                    source_image="projects/debian-cloud/global/images/family/debian-12", disk_size_gb=12
                ),
            )
        ],
        network_interfaces=[
            compute.NetworkInterface(
                network="global/networks/default", access_configs=[compute.AccessConfig(nat_i_p=nat_ip)]
            )
        ],
        labels={"role": "web"},
    )
    api.insert(**place(instance_resource=body)).result(timeout=60)
    found = api.get(**place(instance="web"))
    assert found.status == "RUNNING", found.status
    assert found.network_interfaces[0].access_configs[0].nat_i_p == nat_ip
    assert client(compute.DisksClient).get(**place(disk="web")).size_gb == 12

    request = compute.AggregatedListInstancesRequest(project=PROJECT, filter='labels.role = "web"')
    scopes = dict(client(compute.InstancesClient).aggregated_list(request))
    assert [one.name for one in scopes[f"zones/{ZONE}"].instances] == ["web"]
    assert scopes["zones/us-central1-a"].warning.code == "NO_RESULTS_ON_PAGE"

    tags = compute.Tags(items=["http"], fingerprint=found.tags.fingerprint)
    api.set_tags(**place(instance="web", tags_resource=tags)).result(timeout=60)
    metadata = compute.Metadata(
        items=[compute.Items(key="greeting", value="hello")], fingerprint=found.metadata.fingerprint
    )
    api.set_metadata(**place(instance="web", metadata_resource=metadata)).result(timeout=60)
    found = api.get(**place(instance="web"))
    assert list(found.tags.items) == ["http"] and found.metadata.items[0].value == "hello"
    refused(
        exceptions.PreconditionFailed,
        "conditionNotMet",
        lambda: api.set_metadata(**place(instance="web", metadata_resource=metadata)),
    )

    api.stop(**place(instance="web")).result(timeout=60)
    assert api.get(**place(instance="web")).status == "TERMINATED"
    machine_type = compute.InstancesSetMachineTypeRequest(machine_type=f"zones/{ZONE}/machineTypes/e2-medium")
    request = place(instance="web", instances_set_machine_type_request_resource=machine_type)
    api.set_machine_type(**request).result(timeout=60)
    api.start(**place(instance="web")).result(timeout=60)
    refused(exceptions.BadRequest, "invalid", lambda: api.set_machine_type(**request))
    refused(
        exceptions.BadRequest,
        "resourceInUseByAnotherResource",
        lambda: client(compute.DisksClient).delete(**place(disk="web")),
    )
    output = api.get_serial_port_output(**place(instance="web"))
    assert output.contents and output.next_ > 0
    return found.self_link


def group(member):
    api = client(compute.InstanceGroupsClient)
    api.insert(**place(instance_group_resource=compute.InstanceGroup(name="web"))).result(timeout=60)
    added = compute.InstanceGroupsAddInstancesRequest(instances=[compute.InstanceReference(instance=member)])
    request = place(instance_group="web", instance_groups_add_instances_request_resource=added)
    api.add_instances(**request).result(timeout=60)
    refused(exceptions.BadRequest, "memberAlreadyExists", lambda: api.add_instances(**request))


def forwarding_rule():
    checks = client(compute.RegionHealthChecksClient)
    check = compute.HealthCheck(name="web", type_="TCP", tcp_health_check=compute.TCPHealthCheck(port=18480))
    checks.insert(**regional(health_check_resource=check)).result(timeout=60)
    services = client(compute.RegionBackendServicesClient)
    service = compute.BackendService(
        name="web",
        protocol="TCP",
        load_balancing_scheme="EXTERNAL",
        health_checks=[f"regions/{REGION}/healthChecks/web"],
        backends=[compute.Backend(group=f"zones/{ZONE}/instanceGroups/web")],
    )
    services.insert(**regional(backend_service_resource=service)).result(timeout=60)
    reference = compute.ResourceGroupReference(group=f"zones/{ZONE}/instanceGroups/web")
    request = regional(backend_service="web", resource_group_reference_resource=reference)
    health = services.get_health(**request).health_status
    assert [one.health_state for one in health] == ["UNHEALTHY"], health

    rules = client(compute.ForwardingRulesClient)
    rule = compute.ForwardingRule(
        name="web", backend_service=f"regions/{REGION}/backendServices/web", ports=["18480"], I_p_protocol="TCP"
    )
    rules.insert(**regional(forwarding_rule_resource=rule)).result(timeout=60)
    assert rules.get(**regional(forwarding_rule="web")).I_p_address
    refused(
        exceptions.BadRequest,
        "resourceInUseByAnotherResource",
        lambda: services.delete(**regional(backend_service="web")),
    )
    rules.delete(**regional(forwarding_rule="web")).result(timeout=60)
    services.delete(**regional(backend_service="web")).result(timeout=60)
    checks.delete(**regional(health_check="web")).result(timeout=60)


def target_pool(member):
    pools = client(compute.TargetPoolsClient)
    for name in ("web", "other"):
        pools.insert(**regional(target_pool_resource=compute.TargetPool(name=name))).result(timeout=60)
    added = compute.TargetPoolsAddInstanceRequest(instances=[compute.InstanceReference(instance=member)])
    request = regional(target_pool="web", target_pools_add_instance_request_resource=added)
    pools.add_instance(**request).result(timeout=60)
    assert list(pools.get(**regional(target_pool="web")).instances) == [member]
    reference = compute.InstanceReference(instance=member)
    health = pools.get_health(**regional(target_pool="web", instance_reference_resource=reference)).health_status
    assert [one.health_state for one in health] == ["HEALTHY"], health

    rules = client(compute.ForwardingRulesClient)
    rule = compute.ForwardingRule(
        name="pool", target=f"regions/{REGION}/targetPools/web", port_range="18481", I_p_protocol="TCP"
    )
    rules.insert(**regional(forwarding_rule_resource=rule)).result(timeout=60)
    found = rules.get(**regional(forwarding_rule="pool"))
    assert found.port_range == "18481-18481" and found.target.endswith("/targetPools/web"), found
    refused(
        exceptions.BadRequest, "resourceInUseByAnotherResource", lambda: pools.delete(**regional(target_pool="web"))
    )
    to = compute.TargetReference(target=f"regions/{REGION}/targetPools/other")
    rules.set_target(**regional(forwarding_rule="pool", target_reference_resource=to)).result(timeout=60)
    service = compute.TargetReference(target=f"regions/{REGION}/backendServices/web")
    request = regional(forwarding_rule="pool", target_reference_resource=service)
    refused(exceptions.BadRequest, "invalid", lambda: rules.set_target(**request))
    labels = compute.RegionSetLabelsRequest(
        labels={"made-by": "client"}, label_fingerprint=rules.get(**regional(forwarding_rule="pool")).label_fingerprint
    )
    request = compute.SetLabelsForwardingRuleRequest(
        **regional(resource="pool", region_set_labels_request_resource=labels)
    )
    rules.set_labels(request).result(timeout=60)
    tier = compute.ForwardingRule(network_tier="PREMIUM")
    rules.patch(**regional(forwarding_rule="pool", forwarding_rule_resource=tier)).result(timeout=60)

    gone = compute.TargetPoolsRemoveInstanceRequest(instances=[compute.InstanceReference(instance=member)])
    request = regional(target_pool="web", target_pools_remove_instance_request_resource=gone)
    pools.remove_instance(**request).result(timeout=60)
    refused(exceptions.BadRequest, "invalid", lambda: pools.remove_instance(**request))
    listed = dict(pools.aggregated_list(project=PROJECT))
    assert len(listed[f"regions/{REGION}"].target_pools) == 2
    rules.delete(**regional(forwarding_rule="pool")).result(timeout=60)
    for name in ("web", "other"):
        pools.delete(**regional(target_pool=name)).result(timeout=60)


def settings(member):
    """Other requests of kube-up's scripts and gcloud's common commands."""
    projects = client(compute.ProjectsClient)
    metadata = projects.get(project=PROJECT).common_instance_metadata
    wanted = compute.Metadata(
        items=[compute.Items(key="greeting", value="to all")], fingerprint=metadata.fingerprint
    )
    request = {"project": PROJECT, "metadata_resource": wanted}
    projects.set_common_instance_metadata(**request).result(timeout=60)
    assert projects.get(project=PROJECT).common_instance_metadata.items[0].value == "to all"
    refused(
        exceptions.PreconditionFailed, "conditionNotMet", lambda: projects.set_common_instance_metadata(**request)
    )

    api = client(compute.InstancesClient)
    protect = compute.SetDeletionProtectionInstanceRequest(**place(resource="web", deletion_protection=True))
    api.set_deletion_protection(protect).result(timeout=60)
    refused(exceptions.BadRequest, "invalid", lambda: api.delete(**place(instance="web")))
    protect = compute.SetDeletionProtectionInstanceRequest(**place(resource="web", deletion_protection=False))
    api.set_deletion_protection(protect).result(timeout=60)

    routes = client(compute.RoutesClient)
    every = {route.name: route for route in routes.list(project=PROJECT)}
    assert any(route.dest_range == "0.0.0.0/0" for route in every.values()), every
    assert all(routes.get(project=PROJECT, route=name).name == name for name in every)
    types = client(compute.DiskTypesClient)
    assert types.get(**place(disk_type="pd-ssd")).name == "pd-ssd"
    assert "pd-standard" in [one.name for one in types.list(**place())]

    subnets = client(compute.SubnetworksClient)
    access = compute.SubnetworksSetPrivateIpGoogleAccessRequest(private_ip_google_access=True)
    request = regional(
        subnetwork="default", subnetworks_set_private_ip_google_access_request_resource=access
    )
    subnets.set_private_ip_google_access(**request).result(timeout=60)
    assert subnets.get(**regional(subnetwork="default")).private_ip_google_access

    checks = client(compute.HealthChecksClient)
    check = compute.HealthCheck(name="web", type_="TCP", tcp_health_check=compute.TCPHealthCheck(port=18480))
    checks.insert(project=PROJECT, health_check_resource=check).result(timeout=60)
    assert checks.get(project=PROJECT, health_check="web").tcp_health_check.port == 18480
    checks.delete(project=PROJECT, health_check="web").result(timeout=60)

    found = api.list(compute.ListInstancesRequest(**place(filter='NOT name = "web" OR labels.role:we')))
    assert [one.self_link for one in found] == [member]
    refused(
        exceptions.BadRequest,
        "invalid",
        lambda: list(api.list(compute.ListInstancesRequest(**place(filter="name ~ w")))),
    )


def managed_group():
    templates = client(compute.InstanceTemplatesClient)
    properties = compute.InstanceProperties(
        machine_type="e2-small",
        disks=[
            compute.AttachedDisk(
                boot=True,
                auto_delete=True,
                initialize_params=compute.AttachedDiskInitializeParams(
                    source_image="projects/debian-cloud/global/images/family/debian-12"
                ),
            )
        ],
        network_interfaces=[compute.NetworkInterface(network="global/networks/default")],
    )
    template = compute.InstanceTemplate(name="nodes", properties=properties)
    template_link = "global/instanceTemplates/nodes"
    templates.insert(project=PROJECT, instance_template_resource=template).result(timeout=60)
    managers = client(compute.InstanceGroupManagersClient)
    manager = compute.InstanceGroupManager(
        name="nodes", base_instance_name="node", target_size=1, instance_template="global/instanceTemplates/nodes"
    )
    managers.insert(**place(instance_group_manager_resource=manager)).result(timeout=60)
    # Its instance group has the same name.
    groups = client(compute.InstanceGroupsClient)
    assert managers.get(**place(instance_group_manager="nodes")).instance_group == groups.get(
        **place(instance_group="nodes")
    ).self_link
    more = compute.InstanceGroupManagersCreateInstancesRequest(
        instances=[compute.PerInstanceConfig(name="chosen")]
    )
    request = place(
        instance_group_manager="nodes", instance_group_managers_create_instances_request_resource=more
    )
    managers.create_instances(**request).result(timeout=60)
    chosen = client(compute.InstancesClient).get(**place(instance="chosen"))
    leaving = compute.InstanceGroupManagersAbandonInstancesRequest(instances=[chosen.self_link])
    request = place(
        instance_group_manager="nodes", instance_group_managers_abandon_instances_request_resource=leaving
    )
    managers.abandon_instances(**request).result(timeout=60)
    assert managers.get(**place(instance_group_manager="nodes")).target_size == 1
    client(compute.InstancesClient).delete(**place(instance="chosen")).result(timeout=60)
    listed = managers.list_managed_instances(**place(instance_group_manager="nodes"))
    assert all(member.name.startswith("node-") for member in listed)
    change = compute.InstanceGroupManager(
        update_policy=compute.InstanceGroupManagerUpdatePolicy(type_="PROACTIVE"),
        versions=[compute.InstanceGroupManagerVersion(name="next", instance_template=template_link)],
    )
    request = place(instance_group_manager="nodes", instance_group_manager_resource=change)
    managers.patch(**request).result(timeout=60)
    listed = managers.list_managed_instances(**place(instance_group_manager="nodes"))
    assert [member.version.name for member in listed] == ["next"]
    managers.delete(**place(instance_group_manager="nodes")).result(timeout=60)
    refused(exceptions.NotFound, "notFound", lambda: groups.get(**place(instance_group="nodes")))
    templates.delete(project=PROJECT, instance_template="nodes").result(timeout=60)


def networks():
    rules = client(compute.FirewallsClient).list(
        compute.ListFirewallsRequest(project=PROJECT, filter=r'network eq ".*\bdefault\b.*"')
    )
    assert "default-allow-ssh" in [rule.name for rule in rules]
    subnets = client(compute.SubnetworksClient)
    first, second, *_ = subnets.get(**regional(subnetwork="default")).ip_cidr_range.split(".")
    subnet = compute.Subnetwork(
        name="pods",
        network="global/networks/default",
        ip_cidr_range=f"{first}.{second}.150.0/24",
        secondary_ip_ranges=[compute.SubnetworkSecondaryRange(range_name="pods", ip_cidr_range="10.64.0.0/14")],
    )
    subnets.insert(**regional(subnetwork_resource=subnet)).result(timeout=60)
    api = client(compute.InstancesClient)
    image = "projects/debian-cloud/global/images/family/debian-12"
    nic = compute.NetworkInterface(
        subnetwork=f"regions/{REGION}/subnetworks/pods",
        alias_ip_ranges=[compute.AliasIpRange(ip_cidr_range="/24", subnetwork_range_name="pods")],
    )
    body = compute.Instance(
        name="pods",
        machine_type=f"zones/{ZONE}/machineTypes/custom-2-4096",
        disks=[
            compute.AttachedDisk(
                boot=True,
                auto_delete=True,
                initialize_params=compute.AttachedDiskInitializeParams(source_image=image),
            )
        ],
        network_interfaces=[nic],
        service_accounts=[compute.ServiceAccount(email="default", scopes=["storage-ro"])],
    )
    api.insert(**place(instance_resource=body)).result(timeout=60)
    made = api.get(**place(instance="pods"))
    assert made.network_interfaces[0].alias_ip_ranges[0].ip_cidr_range == "10.64.0.0/24"
    assert "@" in made.service_accounts[0].email
    body.name, body.resource_policies = "other", ["none"]
    refused(exceptions.BadRequest, "notImplemented", lambda: api.insert(**place(instance_resource=body)))
    api.delete(**place(instance="pods")).result(timeout=60)
    subnets.delete(**regional(subnetwork="pods")).result(timeout=60)


def cleanup():
    client(compute.InstanceGroupsClient).delete(**place(instance_group="web")).result(timeout=60)
    client(compute.InstancesClient).delete(**place(instance="web")).result(timeout=60)
    refused(exceptions.NotFound, "notFound", lambda: client(compute.DisksClient).get(**place(disk="web")))
    client(compute.AddressesClient).delete(**regional(address="front")).result(timeout=60)
    assert not list(client(compute.AddressesClient).list(**regional()))


def invalid_token():
    api = client(compute.ZonesClient, Credentials("not the token"))
    # The client tries to refresh an invalid token, and has no way to.
    try:
        list(api.list(project=PROJECT))
    except Exception as error:  # pylint: disable=broad-exception-caught
        assert "refresh" in str(error), error
    else:
        raise AssertionError("an invalid token was accepted")


if __name__ == "__main__":
    member = instance(addresses())
    group(member)
    forwarding_rule()
    target_pool(member)
    settings(member)
    managed_group()
    networks()
    cleanup()
    invalid_token()
