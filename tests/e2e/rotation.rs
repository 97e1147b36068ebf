//! Certificate authorities are replaced while a cluster serves. No client notices, and the old ones become
//! invalid.

use crate::support::{Api, Etcd, Home, Writer, eventually, replica_names};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

/// The status of a healthy cluster with this number of replicas.
async fn whole(home: &Home, count: usize) -> Value {
    eventually("all replicas are healthy", async || {
        let status = home.status().await;
        let is_whole = status["quorum"]["healthy"] == count
            && status["endpoint"]["ready"] == true
            && status["unfinished"].is_null()
            && status["drift"] == json!([]);
        is_whole.then_some(status)
    })
    .await
}

/// Whether an error is about untrusted certificates. A handshake that ends without an alert is with an etcd that stops.
fn is_distrust(error: &str) -> bool {
    let error = error.to_lowercase().replace("tls handshake eof", "");
    let words = [
        "certificate",
        "tls",
        "handshake",
        "alert",
        "unauthorized",
        "forbidden",
        "issuer",
    ];
    words.iter().any(|word| error.contains(word))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_are_replaced_and_no_handshake_fails() {
    let mut home = Home::new();
    home.set("NUM_NODES", "1");
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    let status = whole(&home, 3).await;
    let old_kubeconfig = Kubeconfig::read_from(home.kubeconfig()).unwrap();
    let old_etcd = Etcd::keys(&home, &status["replicas"][0]);

    // A new connection for each write, with the kubeconfig of the moment.
    let kubeconfig = home.kubeconfig();
    let writer = Writer::start(move |name| {
        let kubeconfig = Kubeconfig::read_from(&kubeconfig).unwrap();
        async move { Api::with(kubeconfig).await.write(&name).await }
    });
    writer.goes_on().await;
    home.run("certs rotate-ca --until-trusted")
        .await
        .succeeded();
    let unfinished = home.status().await["unfinished"].clone();
    assert_eq!(unfinished["operation"], "certs rotate-ca", "{unfinished:#}");
    home.run("replicate")
        .await
        .exited(3)
        .says(&["certs rotate-ca"]);
    home.run("repair").await.succeeded();
    // Both kubeconfigs work.
    Api::with(old_kubeconfig.clone())
        .await
        .write("by-the-old-one")
        .await
        .unwrap();

    home.run("certs rotate-ca").await.succeeded();
    writer.goes_on().await;
    let record = writer.finish().await;
    let distrusted: Vec<_> = record
        .refused
        .iter()
        .filter(|error| is_distrust(error))
        .collect();
    println!(
        "rotation: {} writes acknowledged, {} refused, {} because of untrusted certificates",
        record.acknowledged.len(),
        record.refused.len(),
        distrusted.len()
    );
    assert!(distrusted.is_empty(), "{distrusted:#?}");
    // A replica leaves the balancer before its etcd and API server stop.
    assert!(
        record.refused.len() * 50 < record.acknowledged.len(),
        "{:#?}",
        record.refused
    );
    let written = Api::of(&home).await.written().await;
    let lost: Vec<_> = record
        .acknowledged
        .iter()
        .filter(|name| !written.contains(*name))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");

    let status = whole(&home, 3).await;
    let error = Api::with(old_kubeconfig)
        .await
        .write("too-late")
        .await
        .unwrap_err();
    assert!(
        format!("{error:?}").to_lowercase().contains("certificate"),
        "{error:?}"
    );
    for replica in status["replicas"].as_array().unwrap() {
        let address = replica["address"].as_str().unwrap();
        let old = Etcd::connect(&old_etcd, address).await;
        let asked = match old {
            Ok(etcd) => etcd.put("too-late").await.map(drop),
            Err(error) => Err(error),
        };
        assert!(
            asked.is_err(),
            "etcd of {address} accepts the old authority's certificates"
        );
    }
    eventually("the node is ready", async || {
        (Api::of(&home).await.ready_nodes().await.len() == 1).then_some(())
    })
    .await;
    // Restarted replicas use the new authorities.
    for name in replica_names(&status) {
        home.kill_machine(&name).await;
        home.run("repair").await.succeeded();
    }
    whole(&home, 3).await;
    home.run("down --yes").await.succeeded();
}

/// Killed in any phase, the repeated command continues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_rotation_of_authorities_is_resumed() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let old = Kubeconfig::read_from(home.kubeconfig()).unwrap();
    let keys = || std::fs::read_to_string(home.path().join("state/kubernetes/pki.json")).unwrap();
    // Killed as soon as the keys of a phase exist.
    for key in ["next-etcd-ca.crt", "previous-etcd-ca.crt"] {
        let running = home.start("certs rotate-ca");
        let pid = nix::unistd::Pid::from_raw(running.pid().try_into().unwrap());
        eventually("the phase begins", async || {
            keys().contains(key).then_some(())
        })
        .await;
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        running.end().await;
        assert!(keys().contains(key));
    }
    home.run("certs rotate-ca").await.succeeded();
    assert!(!keys().contains("previous-") && !keys().contains("next-"));
    whole(&home, 2).await;
    Api::with(old).await.write("too-late").await.unwrap_err();
    home.run("down --yes").await.succeeded();
}
