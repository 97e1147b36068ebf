//! What is around hakube: a proxy in the environment, an output that can't be written, a kubeconfig that nobody wants.

use crate::support::Home;
use std::net::TcpListener;

/// A proxy would get the local cloud's token.
#[tokio::test]
async fn a_proxy_is_never_asked_for_what_is_on_loopback() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut home = Home::new();
    for name in ["http_proxy", "https_proxy"] {
        home.set(name, &url);
    }
    home.set("no_proxy", "localhost,127.0.0.1,::1");
    home.run("up").await.succeeded();
    home.run("status")
        .await
        .succeeded()
        .says(&["1 of 1 voters healthy"]);
    assert!(proxy.accept().is_err(), "the proxy was asked");
    home.run("down --yes").await.succeeded();
}

#[tokio::test]
async fn output_that_is_lost_is_a_failure() {
    let home = Home::new();
    for arguments in ["env --template", "local machines"] {
        let outcome = home.run_with_lost_output(arguments).await;
        outcome.exited(1).says(&["could not write the output"]);
    }
}

#[tokio::test]
async fn a_release_candidate_comes_up_and_a_device_gets_no_kubeconfig() {
    let mut home = Home::new();
    home.set("KUBE_VERSION", "v1.36.0-rc.1");
    home.set("KUBECONFIG", "/dev/null");
    home.run("up").await.succeeded();
    home.run("status")
        .await
        .succeeded()
        .says(&["survives 0 failures"]);
    home.run("down --yes").await.succeeded();
}
