//! Credentials: their sources, and refused tokens.

use crate::support::{Cloud, ZONE, done, failure, machine_spec, ok};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hakube_gce::{Auth, Gce, GoogleLogin};
use hakube_provider::{ErrorKind, ExternalAddress, Provider, ProviderError};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, ResponseTemplate};

const ZONES: &str = "/compute/v1/projects/p/zones";

/// gcloud's file of a user's login. The mock server issues the tokens.
fn user(cloud: &Cloud) -> Value {
    json!({
        "type": "authorized_user",
        "client_id": "client",
        "client_secret": "cl13nt-s3cret",
        "refresh_token": "r3fresh-t0ken",
        "token_uri": format!("{}/token", cloud.server.uri()),
    })
}

fn login(home: &TempDir, file: &Value) -> GoogleLogin {
    let name = "application_default_credentials.json";
    std::fs::write(home.path().join(name), file.to_string()).unwrap();
    GoogleLogin {
        gcloud: Some(home.path().to_owned()),
        ..GoogleLogin::default()
    }
}

/// Makes the token endpoint issue these tokens, one after another.
async fn tokens(cloud: &Cloud, tokens: &[&str]) {
    for token in tokens {
        let answer = json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"});
        cloud.answers("POST", "/token", ok(answer), 1).await;
    }
}

/// The authorization headers of all requests for the zones so far, including a new one.
async fn zone_requests(cloud: &Cloud, gce: &Gce) -> Vec<String> {
    cloud.has(ZONES, json!({})).await;
    gce.zones().await.unwrap();
    let mut seen = Vec::new();
    for request in cloud.requests().await {
        if request.url.path().ends_with("/zones") {
            seen.push(
                request.headers["authorization"]
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    seen
}

#[tokio::test]
async fn a_gcloud_login_is_found_and_its_token_reused() {
    let cloud = Cloud::start().await;
    let home = tempfile::tempdir().unwrap();
    tokens(&cloud, &["t-1"]).await;
    let auth = Auth::Google(login(&home, &user(&cloud)));
    let gce = cloud.connect(auth).await.unwrap();
    zone_requests(&cloud, &gce).await;
    assert_eq!(
        zone_requests(&cloud, &gce).await,
        ["Bearer t-1", "Bearer t-1"]
    );
    let exchanged = cloud.requests().await;
    let exchanged = exchanged.iter().filter(|it| it.url.path() == "/token");
    assert_eq!(exchanged.count(), 1);
}

#[tokio::test]
async fn a_token_refused_during_an_operation_is_replaced() {
    let cloud = Cloud::start().await;
    let home = tempfile::tempdir().unwrap();
    tokens(&cloud, &["t-1", "t-2"]).await;
    let running =
        json!({"name": "operation-1", "status": "RUNNING", "zone": "zones/europe-west1-b"});
    cloud
        .answers("POST", format!("{ZONE}/disks"), ok(running), 1)
        .await;
    let wait = format!("{ZONE}/operations/operation-1/wait");
    for (token, answer) in [
        (
            "Bearer t-1",
            failure(401, "authError", "Invalid Credentials"),
        ),
        ("Bearer t-2", done()),
    ] {
        Mock::given(method("POST"))
            .and(path(&wait))
            .and(header("authorization", token))
            .respond_with(answer)
            .with_priority(1)
            .mount(&cloud.server)
            .await;
    }
    let made = json!({"name": "m-1", "zone": "zones/europe-west1-b", "status": "RUNNING"});
    Mock::given(method("GET"))
        .and(path(format!("{ZONE}/instances/m-1")))
        .and(header("authorization", "Bearer t-2"))
        .respond_with(ok(made))
        .with_priority(2)
        .mount(&cloud.server)
        .await;
    let gce = cloud
        .connect(Auth::Google(login(&home, &user(&cloud))))
        .await
        .unwrap();
    let mut spec = machine_spec();
    spec.external = ExternalAddress::None;
    gce.ensure_machine(&spec).await.unwrap();
    let changes = cloud.changes().await;
    let disks = changes.iter().filter(|it| it.ends_with("/disks"));
    assert_eq!(disks.count(), 1, "created once: {changes:?}");
}

#[tokio::test]
async fn a_token_that_is_always_refused_is_an_error() {
    let cloud = Cloud::start().await;
    let home = tempfile::tempdir().unwrap();
    tokens(&cloud, &["t-1", "t-2"]).await;
    let refused = failure(401, "authError", "Invalid Credentials");
    cloud.answers("GET", ZONES, refused, 100).await;
    let gce = cloud
        .connect(Auth::Google(login(&home, &user(&cloud))))
        .await
        .unwrap();
    let error = gce.zones().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert_eq!(gce.calls(), 2);
}

#[tokio::test]
async fn a_service_account_key_signs_its_own_token() {
    let cloud = Cloud::start().await;
    let home = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(home.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let key = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    std::fs::write(home.path().join("key.pem"), &key).unwrap();
    openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
    let file = home.path().join("key.json");
    let content = json!({
        "type": "service_account",
        "client_email": "robot@p.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": String::from_utf8(key).unwrap(),
        "project_id": "p",
    });
    std::fs::write(&file, content.to_string()).unwrap();
    let gce = cloud
        .connect(Auth::Google(GoogleLogin {
            file: Some(file),
            ..GoogleLogin::default()
        }))
        .await
        .unwrap();
    let seen = zone_requests(&cloud, &gce).await;
    let token = seen[0].strip_prefix("Bearer ").unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let claims = signed.split_once('.').unwrap().1;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["iss"], "robot@p.iam.gserviceaccount.com");
    std::fs::write(home.path().join("signed"), signed).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    std::fs::write(home.path().join("signature"), signature).unwrap();
    let verify = [
        "dgst",
        "-sha256",
        "-verify",
        "public.pem",
        "-signature",
        "signature",
        "signed",
    ];
    openssl(&verify);
}

#[tokio::test]
async fn a_compute_engine_machine_uses_its_metadata_server() {
    let cloud = Cloud::start().await;
    let token = json!({"access_token": "m-1", "expires_in": 3600, "token_type": "Bearer"});
    Mock::given(path(
        "/computeMetadata/v1/instance/service-accounts/default/token",
    ))
    .and(header("metadata-flavor", "Google"))
    .respond_with(ok(token))
    .with_priority(1)
    .mount(&cloud.server)
    .await;
    let gce = cloud
        .connect(Auth::Google(GoogleLogin {
            metadata: Some(cloud.server.uri()),
            ..GoogleLogin::default()
        }))
        .await
        .unwrap();
    assert_eq!(zone_requests(&cloud, &gce).await, ["Bearer m-1"]);
}

#[tokio::test]
async fn a_service_account_is_impersonated_with_a_users_login() {
    let cloud = Cloud::start().await;
    let home = tempfile::tempdir().unwrap();
    tokens(&cloud, &["t-1"]).await;
    let at = "/v1/projects/-/serviceAccounts/robot@p.iam.gserviceaccount.com:generateAccessToken";
    let given = json!({"accessToken": "robot-1", "expireTime": "2100-01-01T00:00:00Z"});
    Mock::given(path(at))
        .and(header("authorization", "Bearer t-1"))
        .respond_with(ok(given))
        .with_priority(1)
        .mount(&cloud.server)
        .await;
    let file = json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": format!("{}{at}", cloud.server.uri()),
        "source_credentials": user(&cloud),
        "delegates": [],
    });
    let gce = cloud
        .connect(Auth::Google(login(&home, &file)))
        .await
        .unwrap();
    assert_eq!(zone_requests(&cloud, &gce).await, ["Bearer robot-1"]);
}

async fn refused(cloud: &Cloud, login: GoogleLogin) -> ProviderError {
    let Err(error) = cloud.connect(Auth::Google(login)).await else {
        panic!("credentials were found");
    };
    assert_eq!(error.kind, ErrorKind::Denied);
    error
}

#[tokio::test]
async fn without_credentials_the_error_lists_the_sources_tried() {
    let cloud = Cloud::start().await;
    let home = tempfile::tempdir().unwrap();
    let error = refused(
        &cloud,
        GoogleLogin {
            gcloud: Some(home.path().to_owned()),
            // Nothing listens there.
            metadata: Some("http://127.0.0.1:1".into()),
            ..GoogleLogin::default()
        },
    )
    .await;
    let words = [
        "GOOGLE_APPLICATION_CREDENTIALS isn't set".to_owned(),
        format!(
            "{}/application_default_credentials.json doesn't exist",
            home.path().display()
        ),
        "the metadata server at http://127.0.0.1:1 ".to_owned(),
    ];
    let at = words.map(|words| error.message.find(&words).expect(&words));
    assert!(at.is_sorted(), "{error}");
    let hint = error.hint.unwrap();
    assert!(
        hint.contains("gcloud auth application-default login"),
        "{hint}"
    );
}

#[tokio::test]
async fn an_explicit_file_is_used_or_an_error() {
    let cloud = Cloud::start().await;
    let home = tempfile::tempdir().unwrap();
    let named = |content: Option<&str>| {
        let path = home.path().join("key.json");
        match content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => assert!(!Path::new(&path).exists()),
        }
        // The gcloud login would work, but isn't tried.
        let mut login = login(&home, &user(&cloud));
        login.file = Some(path);
        login
    };
    for (content, words) in [
        (None, "could not read it"),
        (Some("token"), "it isn't JSON"),
        (
            Some(r#"{"type": "service_account", "private_key": "k3y"}"#),
            "client_email",
        ),
    ] {
        let error = refused(&cloud, named(content)).await;
        assert!(error.message.contains(words), "{error}");
        assert!(error.resource.contains("key.json"), "{error}");
        assert!(!format!("{error:?}").contains("k3y"), "{error:?}");
    }
}

#[tokio::test]
async fn a_revoked_login_is_named_without_its_secrets() {
    let cloud = Cloud::start().await;
    let home = tempfile::tempdir().unwrap();
    let revoked = ResponseTemplate::new(400).set_body_json(
        json!({"error": "invalid_grant", "error_description": "Token has been revoked."}),
    );
    cloud.answers("POST", "/token", revoked, 100).await;
    let gce = cloud
        .connect(Auth::Google(login(&home, &user(&cloud))))
        .await
        .unwrap();
    let error = gce.zones().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.contains("Token has been revoked"), "{error}");
    assert!(
        error
            .message
            .contains("application_default_credentials.json"),
        "{error}"
    );
    let all = format!("{error:?}");
    for secret in ["r3fresh-t0ken", "cl13nt-s3cret"] {
        assert!(!all.contains(secret), "{all}");
    }
}
