//! The network: its project, names and address ranges.

use super::reader::Reader;
use super::{derive, parse, table, validate};
use hakube_model::{Network, nth_address};

/// Reads the network's settings. `host_project` is the network's project, if it isn't the cluster's own.
pub(super) fn network(
    read: &mut Reader<'_>,
    nodes: Option<u32>,
    pods_per_node: Option<u32>,
    host_project: Option<String>,
) -> Option<Network> {
    let name = read.read(&table::NETWORK_NAME, parse::name);
    let private = read.boolean(&table::PRIVATE_CLUSTER);
    let custom = read.boolean(&table::CUSTOM_NETWORK);
    // Compute Engine requires the subnetwork's name for a machine on another project's network.
    let derived = name.as_ref().and_then(|name| match &host_project {
        Some(_) => Some(name.clone()),
        None => (custom == Some(true)).then(|| format!("{name}-custom-subnet")),
    });
    let subnetwork = read.derive(&table::SUBNETWORK, parse::name, derived);
    if host_project.is_some() && custom == Some(true) {
        let host = read.quote(&table::NETWORK_PROJECT);
        let problem = format!(
            "the network is in project {host}, and that project's administrators must create it"
        );
        read.object_with_form(&table::CUSTOM_NETWORK, &problem, "false".into());
    }
    let delete = read.boolean(&table::DELETE_NETWORK);
    let firewalls = read.boolean(&table::FIREWALLS);
    let ssh_sources = read.read(&table::SSH_SOURCE, parse::ranges);
    let cluster_range = read.derive(
        &table::CLUSTER_RANGE,
        parse::range,
        nodes.map(derive::cluster_range),
    );
    let service_range = read.read(&table::SERVICE_RANGE, parse::range);
    let node_range = read.derive(
        &table::NODE_RANGE,
        parse::range,
        nodes.map(derive::node_range),
    );
    let master_range = read.read(&table::MASTER_RANGE, parse::range);
    let tenth = service_range
        .and_then(|range| nth_address(range, 10))
        .map(|address| address.to_string());
    let dns_address = read.derive(&table::DNS_ADDRESS, parse::address, tenth);
    let dns_domain = read.read(&table::DNS_DOMAIN, parse::domain);
    let proxy_mode = read.read(&table::PROXY_MODE, str::parse);
    validate::ranges(
        read,
        nodes,
        pods_per_node,
        &[
            (&table::CLUSTER_RANGE, cluster_range),
            (&table::SERVICE_RANGE, service_range),
            (&table::NODE_RANGE, node_range),
            (&table::MASTER_RANGE, master_range),
        ],
    );
    if let (Some(address), Some(range)) = (dns_address, service_range) {
        validate::dns_address(read, address, range);
    }
    Some(Network {
        name: name?,
        host_project,
        subnetwork,
        custom: custom?,
        private: private?,
        others_make_firewalls: !firewalls?,
        ssh_sources,
        cluster_range: cluster_range?,
        pods_per_node: pods_per_node?,
        service_range: service_range?,
        node_range: node_range?,
        master_range: master_range?,
        dns_address: dns_address?,
        dns_domain: dns_domain?,
        proxy_mode: proxy_mode?,
        delete,
    })
}
