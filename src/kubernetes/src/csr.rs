//! Certificate signing requests in the API server.

use super::ServingRequest;
use super::call::{Problem, call};
use super::serving::SIGNER;
use hakube_addons::MANAGER;
use hakube_error::Result;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

/// Lists undecided requests for serving certificates.
pub(super) async fn pending(client: kube::Client) -> Result<Vec<ServingRequest>> {
    let requests: Api<CertificateSigningRequest> = Api::all(client);
    let params = ListParams::default().fields(&format!("spec.signerName={SIGNER}"));
    let listed = call(async { requests.list(&params).await }).await;
    let listed = listed.map_err(|problem: Problem| {
        problem.into_error("could not list kubelets' certificate signing requests".to_owned())
    })?;
    let is_open = |request: &CertificateSigningRequest| {
        let conditions = request
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        conditions.is_none_or(Vec::is_empty)
    };
    let open = listed.items.into_iter().filter(is_open);
    Ok(open
        .map(|request| ServingRequest {
            name: request.metadata.name.unwrap_or_default(),
            uid: request.metadata.uid.unwrap_or_default(),
            version: request.metadata.resource_version.unwrap_or_default(),
            signer: request.spec.signer_name,
            username: request.spec.username.unwrap_or_default(),
            groups: request.spec.groups.unwrap_or_default(),
            usages: request.spec.usages.unwrap_or_default(),
            pem: request.spec.request.0,
        })
        .collect())
}

/// Approves the request, if it is still the version that was checked.
pub(super) async fn approve(client: kube::Client, request: &ServingRequest) -> Result<()> {
    let requests: Api<CertificateSigningRequest> = Api::all(client);
    let approval = json!({
        "metadata": {"uid": request.uid, "resourceVersion": request.version},
        "status": {"conditions": [{
            "type": "Approved",
            "status": "True",
            "reason": "MachineOfTheCluster",
            "message": "hakube: the name and the addresses are those of a machine of the cluster",
        }]},
    });
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let name = &request.name;
    let approved = call(async {
        requests
            .patch_approval(name, &params, &Patch::Merge(&approval))
            .await
    });
    match approved.await {
        // It was deleted: there is nothing to approve.
        Ok(_) | Err(Problem::Missing(_)) => Ok(()),
        Err(problem) => {
            Err(problem.into_error(format!("could not approve {name}, by {}", request.username)))
        }
    }
}
