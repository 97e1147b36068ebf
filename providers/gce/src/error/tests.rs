#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use bytes::Bytes;
use google_cloud_compute_v1::model::Operation;
use google_cloud_gax::error::rpc::Status;
use hakube_provider::Attempt;
use http::{HeaderMap, HeaderValue};

const TRANSIENT: ErrorKind = ErrorKind::TRANSIENT;

/// An error response in Compute Engine's format, parsed as Google's clients do.
pub(crate) fn answer(status: u16, reason: &str, message: &str) -> Error {
    let body = serde_json::json!({"error": {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }});
    let rpc = Status::try_from(&Bytes::from(body.to_string())).unwrap();
    Error::service_with_http_metadata(rpc, Some(status), None)
}

/// A failed operation.
fn ended(status: u16, code: &str, message: &str) -> OperationError {
    let operation: Operation = serde_json::from_value(serde_json::json!({
        "name": "operation-1",
        "status": "DONE",
        "httpErrorStatusCode": status,
        "httpErrorMessage": "BAD REQUEST",
        "error": {"errors": [{"code": code, "message": message}]},
    }))
    .unwrap();
    operation.to_result().unwrap_err()
}

#[test]
fn reasons_decide_the_kind_in_both_spellings() {
    use ErrorKind::{Conflict, Denied, Fatal, Invalid, NoCapacity, Quota};
    for (status, reasons, kind) in [
        (409, ["alreadyExists", "RESOURCE_ALREADY_EXISTS"], Conflict),
        (412, ["conditionNotMet", "CONDITION_NOT_MET"], TRANSIENT),
        (403, ["quotaExceeded", "QUOTA_EXCEEDED"], Quota),
        (403, ["rateLimitExceeded", "RATE_LIMIT_EXCEEDED"], TRANSIENT),
        (429, ["", "RESOURCE_EXHAUSTED"], TRANSIENT),
        (
            400,
            [
                "resourceInUseByAnotherResource",
                "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE",
            ],
            TRANSIENT,
        ),
        (400, ["resourceNotReady", "RESOURCE_NOT_READY"], TRANSIENT),
        (400, ["invalid", "INVALID_ARGUMENT"], Invalid),
        (400, ["required", "REQUIRED"], Invalid),
        (404, ["notFound", "NOT_FOUND"], Invalid),
        (401, ["authError", "AUTH_ERROR"], Denied),
        (403, ["forbidden", "IAM_PERMISSION_DENIED"], Denied),
        (403, ["accessNotConfigured", "SERVICE_DISABLED"], Denied),
        (500, ["internalError", "INTERNAL_ERROR"], TRANSIENT),
        (503, ["backendError", "BACKEND_ERROR"], TRANSIENT),
        (
            503,
            [
                "ZONE_RESOURCE_POOL_EXHAUSTED",
                "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
            ],
            NoCapacity,
        ),
        (501, ["notImplemented", "NOT_IMPLEMENTED"], Fatal),
    ] {
        for reason in reasons {
            let fault = Fault::from(answer(status, reason, "words"));
            assert_eq!(fault.kind(), kind, "{status} {reason}");
        }
    }
}

#[test]
fn an_operations_error_code_decides_the_kind() {
    for (status, code, kind) in [
        (503, "ZONE_RESOURCE_POOL_EXHAUSTED", ErrorKind::NoCapacity),
        (
            503,
            "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
            ErrorKind::NoCapacity,
        ),
        (403, "QUOTA_EXCEEDED", ErrorKind::Quota),
        (409, "RESOURCE_ALREADY_EXISTS", ErrorKind::Conflict),
        (400, "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", TRANSIENT),
        (400, "INVALID_FIELD_VALUE", ErrorKind::Invalid),
        (403, "PERMISSIONS_ERROR", ErrorKind::Denied),
        (500, "INTERNAL_ERROR", TRANSIENT),
    ] {
        let fault = Fault::from(ended(status, code, "words"));
        assert_eq!(fault.kind(), kind, "{status} {code}");
        assert_eq!(fault.message, "words");
    }
}

#[test]
fn an_address_being_released_is_transient() {
    let words = "Invalid value for field 'resource.IPAddress': '34.1.2.3'. Specified IP address is in-use and would result in a conflict.";
    assert_eq!(Fault::from(answer(400, "invalid", words)).kind(), TRANSIENT);
}

/// Google's messages. The second is for a custom constraint.
const FORBIDDEN: [(&str, &str); 3] = [
    (
        "Constraint constraints/compute.vmExternalIpAccess violated for project projects/123. Add instance \
         projects/demo/zones/europe-west1-b/instances/kubernetes-master to the constraint to use external IP with it.",
        "compute.vmExternalIpAccess",
    ),
    (
        "Operation denied by custom org policies: [\"customConstraints/custom.smallMachines\": \"No large ones.\"]",
        "custom.smallMachines",
    ),
    (
        "Location ZONE:europe-west1-b violates constraint constraints/gcp.resourceLocations on the resource demo.",
        "gcp.resourceLocations",
    ),
];

#[test]
fn a_policy_violation_is_not_a_stale_fingerprint() {
    for (words, constraint) in FORBIDDEN {
        let response = Fault::from(answer(412, "conditionNotMet", words));
        for fault in [
            response,
            Fault::from(ended(412, "CONDITION_NOT_MET", words)),
        ] {
            assert_eq!(fault.kind(), ErrorKind::Denied, "{words}");
            assert!(!fault.is_stale(), "{words}");
            let hint = fault.hint().unwrap();
            assert!(hint.contains(&format!("describe {constraint} ")), "{hint}");
            let private = hint.contains("KUBE_GCE_PRIVATE_CLUSTER=true");
            assert_eq!(
                private,
                constraint.ends_with("vmExternalIpAccess"),
                "{hint}"
            );
        }
    }
    let stale = Fault::from(answer(
        412,
        "conditionNotMet",
        "Labels fingerprint either invalid or resource labels have changed",
    ));
    assert!(stale.is_stale() && stale.kind() == TRANSIENT);
}

#[test]
fn an_error_has_the_attempt_the_message_and_a_hint() {
    let attempt = Attempt::new("create", "machine kubernetes-master in europe-west1-b");
    let error = attempt.failed(&Fault::from(answer(
        403,
        "quotaExceeded",
        "Quota 'CPUS' exceeded.",
    )));
    assert_eq!(
        error.to_string(),
        "could not create machine kubernetes-master in europe-west1-b: Quota 'CPUS' exceeded. (QUOTA_EXCEEDED)"
    );
    for (status, reason, word) in [
        (403, "quotaExceeded", "quotas"),
        (503, "ZONE_RESOURCE_POOL_EXHAUSTED", "another zone"),
        (403, "accessNotConfigured", "gcloud services enable"),
        (403, "forbidden", "roles/compute.admin"),
        (401, "authError", "gcloud auth application-default login"),
    ] {
        let hint = attempt
            .failed(&Fault::from(answer(status, reason, "m")))
            .hint;
        assert!(
            hint.as_deref().is_some_and(|hint| hint.contains(word)),
            "{reason}: {hint:?}"
        );
    }
}

#[test]
fn the_requested_pause_is_kept() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("7"));
    let error = Error::http(503, headers, "busy".into());
    let fault = Fault::from(error);
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(fault.kind(), ErrorKind::Transient { retry_after });
    assert_eq!(fault.words(), "busy (HTTP 503)");
}

#[test]
fn an_exhausted_retry_loop_reports_its_last_response() {
    let given_up = Error::exhausted(answer(403, "rateLimitExceeded", "slow down"));
    let fault = Fault::from(given_up);
    assert_eq!(fault.reason.as_deref(), Some("RATE_LIMIT_EXCEEDED"));
    assert_eq!(fault.message, "slow down");
}

#[test]
fn a_missing_response_is_transient_and_explained() {
    let refused = std::io::Error::other("connection refused");
    let fault = Fault::from(Error::io(refused));
    assert_eq!(fault.kind(), TRANSIENT);
    assert!(fault.message.contains("connection refused"), "{fault:?}");
}

#[test]
fn a_garbled_response_is_transient() {
    let garbled = Error::deser("expected value at line 1 column 1");
    let error = Attempt::new("read", "network net").failed(&Fault::from(garbled));
    assert_eq!(error.kind, TRANSIENT);
    assert!(
        error.message.contains("expected value"),
        "{}",
        error.message
    );
    assert!(error.hint.unwrap().contains("proxy"));
}
