//! A validating webhook in a pod: API servers reach pods.

use super::lab::{Lab, run};
use super::workload::apply;

const MANIFEST: &str = r"
apiVersion: v1
kind: Secret
metadata: {name: webhook}
type: kubernetes.io/tls
data: {tls.crt: CERTIFICATE, tls.key: KEY}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: webhook}
spec:
  selector: {matchLabels: {app: webhook}}
  template:
    metadata: {labels: {app: webhook}}
    spec:
      containers:
      - name: webhook
        image: IMAGE
        args: [webhook, --tls-cert-file=/tls/tls.crt, --tls-private-key-file=/tls/tls.key, --port=8443]
        readinessProbe: {httpGet: {path: /readyz, port: 8443, scheme: HTTPS}, periodSeconds: 1}
        volumeMounts: [{name: tls, mountPath: /tls}]
      volumes: [{name: tls, secret: {secretName: webhook}}]
---
apiVersion: v1
kind: Service
metadata: {name: webhook}
spec: {selector: {app: webhook}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: forbidden}
webhooks:
- name: forbidden.example.com
  clientConfig: {caBundle: CERTIFICATE, service: {name: webhook, namespace: default, path: /always-deny}}
  rules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  objectSelector: {matchLabels: {forbidden: 'yes'}}
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
";

/// Starts it. It denies configmaps with the label `forbidden=yes`.
pub fn runs(lab: &Lab) {
    let (certificate, key) = (lab.file("webhook.crt"), lab.file("webhook.key"));
    let name = "webhook.default.svc";
    run(std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            &format!("subjectAltName=DNS:{name}"),
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate))
    .unwrap();
    let encoded = |file| {
        run(std::process::Command::new("base64")
            .arg("--wrap=0")
            .arg(file))
        .unwrap()
    };
    let manifest = MANIFEST
        .replace("CERTIFICATE", encoded(&certificate).trim())
        .replace("KEY", encoded(&key).trim());
    apply(lab, "webhook", &manifest);
    lab.rolled_out("deployment/webhook");
}

/// Checks that each replica's API server calls it and follows its decision.
pub fn every_api_server_asks_it(lab: &Lab, replicas: &[&str]) {
    let manifest = lab.file("forbidden.yaml");
    let forbidden = "{apiVersion: v1, kind: ConfigMap, metadata: {name: forbidden, labels: {forbidden: 'yes'}}}";
    std::fs::write(&manifest, forbidden).unwrap();
    for name in replicas {
        let server = format!("--server=https://{}:6443", lab.host(name).address());
        let file = format!("--filename={}", manifest.display());
        let error = lab.try_kubectl(&["create", &file, &server]).unwrap_err();
        assert!(
            error.contains("this webhook denies all requests"),
            "{name}: {error}"
        );
    }
}
