//! The environment of hakube: a proxy, an output that can't be written, an unwanted kubeconfig.

use crate::support::Home;
use std::net::TcpListener;

/// A proxy would get the local cloud's token.
#[tokio::test]
async fn a_proxy_is_never_used_for_loopback() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut home = Home::new();
    for name in ["http_proxy", "https_proxy"] {
        home.set(name, &url);
    }
    home.set("no_proxy", "localhost,127.0.0.1,::1");
    home.run("up").await.succeeded();
    assert_eq!(home.status().await["endpoint"]["ready"], true);
    assert!(proxy.accept().is_err(), "the proxy was used");
    home.run("down --yes").await.succeeded();
}

#[tokio::test]
async fn lost_output_is_a_failure() {
    let home = Home::new();
    for arguments in ["env --template", "env"] {
        let outcome = home.run_with_lost_output(arguments).await;
        outcome.exited(1).says(&["could not write the output"]);
    }
}

#[tokio::test]
async fn a_release_candidate_starts_and_a_device_gets_no_kubeconfig() {
    let mut home = Home::new();
    home.set("KUBE_VERSION", "v1.36.0-rc.1");
    // A separate device: root could overwrite the machine's.
    let device = home.beside("null");
    let made = std::process::Command::new("mknod")
        .arg(&device)
        .args(["c", "1", "3"])
        .status();
    let own = made.is_ok_and(|status| status.success());
    let null = if own { device } else { "/dev/null".into() };
    home.set("KUBECONFIG", null.to_str().unwrap());
    home.run("up").await.succeeded();
    assert_eq!(home.status().await["endpoint"]["ready"], true);
    home.run("down --yes").await.succeeded();
}
