//! The fields of requests that are accepted. A field is emulated, or it has no effect that a client of this cloud
//! could notice (an IP forwarding flag, a disk interface). Any other one is rejected unless its value asks for
//! nothing, because its resource would differ from what the client believes.

use serde_json::{Map, Value};

use crate::base::{ApiError, Type};

/// The fields that every resource has. Clients send them back in updates.
const COMMON: &[&str] = &[
    "creationTimestamp",
    "description",
    "fingerprint",
    "id",
    "kind",
    "labelFingerprint",
    "labels",
    "name",
    "region",
    "selfLink",
    "selfLinkWithId",
    "zone",
];

/// A path is the names of nested fields. With `=`, only these values are accepted.
const INSTANCE: &[&str] = &[
    "canIpForward",
    "cpuPlatform",
    "deletionProtection",
    "disks.architecture=X86_64",
    "disks.autoDelete",
    "disks.boot",
    "disks.deviceName",
    "disks.diskSizeGb",
    "disks.guestOsFeatures",
    "disks.index",
    "disks.initializeParams.architecture=X86_64",
    "disks.initializeParams.description",
    "disks.initializeParams.diskName",
    "disks.initializeParams.diskSizeGb",
    "disks.initializeParams.diskType",
    "disks.initializeParams.labels",
    "disks.initializeParams.provisionedIops",
    "disks.initializeParams.provisionedThroughput",
    "disks.initializeParams.sourceImage",
    "disks.interface=SCSI|NVME",
    "disks.kind",
    "disks.licenses",
    "disks.mode=READ_WRITE",
    "disks.source",
    "disks.type=PERSISTENT",
    "displayDevice",
    "keyRevocationActionType=NONE|KEY_REVOCATION_ACTION_TYPE_UNSPECIFIED",
    "machineType",
    "metadata",
    "minCpuPlatform",
    "networkInterfaces.accessConfigs.kind",
    "networkInterfaces.accessConfigs.name",
    "networkInterfaces.accessConfigs.natIP",
    "networkInterfaces.accessConfigs.networkTier=PREMIUM|STANDARD",
    "networkInterfaces.accessConfigs.type=ONE_TO_ONE_NAT",
    "networkInterfaces.aliasIpRanges.ipCidrRange",
    "networkInterfaces.aliasIpRanges.subnetworkRangeName",
    "networkInterfaces.fingerprint",
    "networkInterfaces.kind",
    "networkInterfaces.name",
    "networkInterfaces.network",
    "networkInterfaces.networkIP",
    "networkInterfaces.nicType",
    "networkInterfaces.queueCount",
    "networkInterfaces.stackType=IPV4_ONLY",
    "networkInterfaces.subnetwork",
    "privateIpv6GoogleAccess=INHERIT_FROM_SUBNETWORK",
    "reservationAffinity.consumeReservationType=ANY_RESERVATION|NO_RESERVATION",
    "scheduling.automaticRestart",
    "scheduling.instanceTerminationAction",
    "scheduling.onHostMaintenance",
    "scheduling.preemptible",
    "scheduling.provisioningModel=STANDARD|SPOT",
    "serviceAccounts.email",
    "serviceAccounts.scopes",
    "shieldedInstanceConfig",
    "shieldedInstanceIntegrityPolicy",
    "startRestricted",
    "status",
    "statusMessage",
    "tags",
];

const fn accepted(kind: Type) -> &'static [&'static str] {
    match kind {
        Type::Instance | Type::InstanceTemplate => INSTANCE,
        Type::Disk => &[
            "accessMode=READ_WRITE_SINGLE",
            "architecture=X86_64",
            "guestOsFeatures",
            "licenseCodes",
            "licenses",
            "physicalBlockSizeBytes",
            "provisionedIops",
            "provisionedThroughput",
            "sizeGb",
            "sourceImage",
            "status",
            "type",
            "users",
        ],
        Type::Network => &[
            "IPv4Range",
            "autoCreateSubnetworks",
            "gatewayIPv4",
            "mtu",
            "networkFirewallPolicyEnforcementOrder=AFTER_CLASSIC_FIREWALL",
            "routingConfig.routingMode=REGIONAL|GLOBAL",
            "subnetworks",
        ],
        Type::Subnetwork => &[
            "gatewayAddress",
            "ipCidrRange",
            "network",
            "privateIpGoogleAccess",
            "privateIpv6GoogleAccess=DISABLE_GOOGLE_ACCESS",
            "purpose=PRIVATE",
            "secondaryIpRanges.ipCidrRange",
            "secondaryIpRanges.rangeName",
            "stackType=IPV4_ONLY",
            "state",
        ],
        Type::Firewall => &[
            "allowed.IPProtocol",
            "allowed.ports",
            "denied",
            "direction",
            "disabled",
            "network",
            "priority",
            "sourceRanges",
            "sourceServiceAccounts",
            "sourceTags",
            "targetServiceAccounts",
            "targetTags",
        ],
        Type::Address => &[
            "address",
            "addressType",
            "ipVersion=IPV4",
            "network",
            "networkTier=PREMIUM|STANDARD",
            "purpose=GCE_ENDPOINT|SHARED_LOADBALANCER_VIP",
            "status",
            "subnetwork",
            "users",
        ],
        Type::InstanceGroup => &["namedPorts", "network", "size", "subnetwork"],
        Type::InstanceGroupManager => &[
            "baseInstanceName",
            "currentActions",
            "instanceGroup",
            "instanceLifecyclePolicy.defaultActionOnFailure=REPAIR",
            "instanceLifecyclePolicy.forceUpdateOnRepair=NO",
            "instanceTemplate",
            "listManagedInstancesResults=PAGELESS",
            "status",
            "targetSize",
            "updatePolicy.maxSurge",
            "updatePolicy.maxUnavailable",
            "updatePolicy.minimalAction=NONE|REFRESH|RESTART|REPLACE",
            "updatePolicy.mostDisruptiveAllowedAction=REPLACE",
            "updatePolicy.replacementMethod=SUBSTITUTE|RECREATE",
            "updatePolicy.type=OPPORTUNISTIC|PROACTIVE",
            "versions.instanceTemplate",
            "versions.name",
            "versions.targetSize",
        ],
        Type::HealthCheck => &[
            "checkIntervalSec",
            "healthyThreshold",
            "httpHealthCheck.host",
            "httpHealthCheck.port",
            "httpHealthCheck.portSpecification=USE_FIXED_PORT",
            "httpHealthCheck.proxyHeader=NONE",
            "httpHealthCheck.requestPath",
            "httpsHealthCheck.host",
            "httpsHealthCheck.port",
            "httpsHealthCheck.portSpecification=USE_FIXED_PORT",
            "httpsHealthCheck.proxyHeader=NONE",
            "httpsHealthCheck.requestPath",
            "tcpHealthCheck.port",
            "tcpHealthCheck.portSpecification=USE_FIXED_PORT",
            "tcpHealthCheck.proxyHeader=NONE",
            "timeoutSec",
            "type",
            "unhealthyThreshold",
        ],
        Type::HttpHealthCheck | Type::HttpsHealthCheck => &[
            "checkIntervalSec",
            "healthyThreshold",
            "host",
            "port",
            "requestPath",
            "timeoutSec",
            "unhealthyThreshold",
        ],
        Type::BackendService => &[
            "affinityCookieTtlSec",
            "backends.balancingMode",
            "backends.capacityScaler",
            "backends.description",
            "backends.failover",
            "backends.group",
            "connectionDraining",
            "connectionTrackingPolicy",
            "failoverPolicy",
            "healthChecks",
            "loadBalancingScheme",
            "network",
            "port",
            "portName",
            "protocol",
            "sessionAffinity",
            "subsetting",
            "timeoutSec",
        ],
        Type::TargetPool => &["backupPool", "healthChecks", "instances", "sessionAffinity"],
        Type::ForwardingRule => &[
            "IPAddress",
            "IPProtocol",
            "allPorts",
            "allowGlobalAccess",
            "backendService",
            "ipVersion=IPV4",
            "loadBalancingScheme",
            "network",
            "networkTier=PREMIUM|STANDARD",
            "portRange",
            "ports",
            "serviceLabel",
            "serviceName",
            "subnetwork",
            "target",
        ],
        Type::Route => &[
            "destRange",
            "network",
            "nextHopInstance",
            "nextHopIp",
            "priority",
        ],
        Type::Project | Type::Operation => &[],
    }
}

/// Rejects fields of an insert that aren't accepted.
pub fn check_insert(kind: Type, body: &Value) -> Result<(), ApiError> {
    let Some(fields) = body.as_object() else {
        return Ok(());
    };
    if kind != Type::InstanceTemplate {
        return check(kind, "", fields);
    }
    // A template has an instance's fields in `properties`.
    match fields.get("properties").and_then(Value::as_object) {
        Some(properties) => check(kind, "properties.", properties)?,
        None => return Ok(()),
    }
    let own = fields.iter().filter(|(name, _)| *name != "properties");
    let own = own.map(|(name, value)| (name.clone(), value.clone()));
    let own: Map<String, Value> = own.collect();
    let mut own = own
        .iter()
        .filter(|(name, _)| !COMMON.contains(&name.as_str()));
    match own.find(|(_, value)| !asks_for_nothing(value)) {
        Some((name, _)) => Err(not_emulated(kind, name)),
        None => Ok(()),
    }
}

/// Rejects fields of a change that aren't accepted and differ from the resource as the client knows it.
pub fn check_change(
    kind: Type,
    body: &Map<String, Value>,
    before: &Map<String, Value>,
) -> Result<(), ApiError> {
    let changed = body
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(*value));
    let changed = changed.map(|(name, value)| (name.clone(), value.clone()));
    check(kind, "", &changed.collect())
}

/// Rejects fields of a part of an instance, such as a disk to attach, that aren't accepted.
pub fn check_part(part: &str, body: &Value) -> Result<(), ApiError> {
    check_value(Type::Instance, "", part, body)
}

fn check(kind: Type, above: &str, fields: &Map<String, Value>) -> Result<(), ApiError> {
    for (name, value) in fields {
        if !COMMON.contains(&name.as_str()) {
            check_value(kind, above, name, value)?;
        }
    }
    Ok(())
}

fn check_value(kind: Type, above: &str, path: &str, value: &Value) -> Result<(), ApiError> {
    if asks_for_nothing(value) {
        return Ok(());
    }
    let mut known = accepted(kind)
        .iter()
        .filter_map(|entry| entry.strip_prefix(path));
    match known.find(|rest| rest.is_empty() || rest.starts_with(['.', '='])) {
        Some("") => Ok(()),
        Some(rest) => match (rest.strip_prefix('='), value) {
            (Some(values), Value::String(text)) if values.split('|').any(|known| known == text) => {
                Ok(())
            }
            (None, Value::Object(fields)) => fields.iter().try_for_each(|(name, value)| {
                check_value(kind, above, &format!("{path}.{name}"), value)
            }),
            (None, Value::Array(elements)) => elements
                .iter()
                .try_for_each(|element| check_value(kind, above, path, element)),
            // Of the wrong type, which the resource rejects.
            (None, _) => Ok(()),
            (Some(_), _) => Err(not_emulated(kind, format_args!("{above}{path}: {value}"))),
        },
        None => Err(not_emulated(kind, format_args!("{above}{path}"))),
    }
}

/// Whether a value is like an absent one: empty, false, or zero.
fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.values().all(asks_for_nothing),
    }
}

fn not_emulated(kind: Type, field: impl std::fmt::Display) -> ApiError {
    let noun = kind.noun();
    ApiError::not_emulated(format_args!("the field '{field}' of the type {noun}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_neither_emulated_nor_without_effect_is_rejected() {
        for (kind, body) in [
            (Type::Disk, json!({"sourceSnapshot": "global/snapshots/s"})),
            (Type::Disk, json!({"architecture": "ARM64"})),
            (Type::Instance, json!({"resourcePolicies": ["p"]})),
            (Type::Instance, json!({"unheardOf": 1})),
            (
                Type::Instance,
                json!({"networkInterfaces": [{"stackType": "IPV4_IPV6"}]}),
            ),
            (Type::Instance, json!({"disks": [{"type": "SCRATCH"}]})),
            (
                Type::InstanceTemplate,
                json!({"properties": {"guestAccelerators": [{"acceleratorCount": 1}]}}),
            ),
            (
                Type::InstanceTemplate,
                json!({"sourceInstance": "i", "properties": {}}),
            ),
            (Type::Firewall, json!({"destinationRanges": ["10.0.0.0/8"]})),
        ] {
            let refused = check_insert(kind, &body).err().map(|error| error.reason);
            assert_eq!(refused.as_deref(), Some("notImplemented"), "{body}");
        }
    }

    #[test]
    fn empty_values_and_unchanged_ones_are_accepted() {
        let body = json!({
            "name": "i",
            "confidentialInstanceConfig": {"enableConfidentialCompute": false},
            "resourcePolicies": [],
            "networkInterfaces": [{"stackType": "IPV4_ONLY", "ipv6Address": ""}],
            "disks": [{"boot": true, "initializeParams": {"sourceImage": "i"}}],
        });
        assert_eq!(check_insert(Type::Instance, &body), Ok(()));
        let body = json!({"peerings": [{"name": "p"}], "mtu": 1500});
        let body = body.as_object().cloned().unwrap_or_default();
        assert_eq!(check_change(Type::Network, &body, &body), Ok(()));
        assert!(check_change(Type::Network, &body, &Map::new()).is_err());
    }
}
