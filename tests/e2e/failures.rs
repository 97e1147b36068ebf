//! Failed machines, and the changes that hakube refuses to make.

use crate::support::{
    Api, Emulator, Home, Writer, assert_agreement, assert_api_works, eventually, replica,
    replica_names, replicas_that_are,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leaders_machine_of_three_fails_and_is_replaced() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let api = Api::of(&home).await;
    let server = api.server.clone();
    home.run("replicate --count 2").await.succeeded();
    let status = assert_agreement(&home, 3).await;
    let (dead, alive) = (
        replicas_that_are(&status, "leader"),
        replicas_that_are(&status, "voter"),
    );
    let (dead, alive) = (&dead[0], &alive[0]);
    let writer = Writer::start(move |name| {
        let api = api.clone();
        async move { api.write(&name).await }
    });
    writer.goes_on().await;

    home.kill_machine(dead).await;
    writer.goes_on().await;
    let status = eventually("status shows the dead replica", async || {
        let status = home.status().await;
        (status["quorum"]["healthy"] == 2 && !replicas_that_are(&status, "leader").is_empty())
            .then_some(status)
    })
    .await;
    assert_eq!(status["quorum"]["voters"], 3, "{status:#}");
    assert_eq!(status["quorum"]["survives"], 0, "{status:#}");
    assert_eq!(status["endpoint"]["ready"], true, "{status:#}");
    let replica = replica(&status, dead);
    assert_eq!(replica["machine"], "stopped");
    assert_eq!(
        (&replica["etcd_healthy"], &replica["api_ready"]),
        (&false.into(), &false.into())
    );

    // It may only be unreachable, so --force is needed.
    let refusal = home.run(&format!("down --replica {dead}")).await.exited(3);
    refusal.says(&[
        "2 of 3 voters healthy",
        &format!("hakube down --replica {dead} --force"),
    ]);
    // --force is only about the failed replica: it removes no healthy one below quorum.
    for force in ["", " --force"] {
        let refusal = home
            .run(&format!("down --replica {alive}{force}"))
            .await
            .exited(3);
        refusal.says(&[
            alive,
            "etcd would lose its quorum",
            "then: 1 of 2 voters healthy",
        ]);
    }
    assert_eq!(
        replica_names(&home.status().await).len(),
        3,
        "a refusal changes nothing"
    );

    home.run(&format!("down --replica {dead} --force"))
        .await
        .succeeded();
    let status = assert_agreement(&home, 2).await;
    assert!(!replica_names(&status).contains(dead));
    home.run("replicate").await.succeeded();
    assert_agreement(&home, 3).await;
    assert_api_works(&home, &server, "the-replacement").await;
    let record = writer.finish().await;
    let there = Api::of(&home).await.written().await;
    let lost: Vec<_> = record
        .acknowledged
        .iter()
        .filter(|name| !there.contains(*name))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_quorum_nothing_is_removed() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let status = assert_agreement(&home, 2).await;
    let (dead, alive) = (
        replicas_that_are(&status, "voter"),
        replicas_that_are(&status, "leader"),
    );
    home.kill_machine(&dead[0]).await;
    for name in [&dead[0], &alive[0]] {
        home.run(&format!("down --replica {name} --force"))
            .await
            .exited(3)
            .says(&["etcd"]);
    }
    let machines = Emulator::of(&home).await.inventory().await["instances"].clone();
    assert_eq!(machines.len(), 2, "a refusal changes nothing");
    let status = home.status().await;
    assert_eq!(
        replica(&status, &dead[0])["machine"],
        "stopped",
        "{status:#}"
    );

    // The remaining replica starts and has no quorum: it accepts connections and never responds.
    home.run("local stop").await.succeeded();
    home.run("local start").await.succeeded();
    let status = home.status().await;
    assert_eq!(
        replica(&status, &alive[0])["machine"],
        "running",
        "{status:#}"
    );
    assert_eq!(status["endpoint"]["ready"], false, "{status:#}");
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_machine_is_down_until_it_resumes() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    let frozen = replicas_that_are(&home.status().await, "voter").remove(0);
    let api = Api::of(&home).await;
    home.run(&format!("local pause {frozen}")).await.succeeded();
    let status = home.status().await;
    assert_eq!(status["quorum"]["healthy"], 2, "{status:#}");
    assert_eq!(
        replica(&status, &frozen)["etcd_healthy"],
        false,
        "{status:#}"
    );
    eventually("a write while it is frozen", async || {
        api.write("frozen").await.ok()
    })
    .await;
    home.run(&format!("local resume {frozen}"))
        .await
        .succeeded();
    eventually("the resumed replica is healthy", async || {
        let status = home.status().await;
        let replica = replica(&status, &frozen);
        (replica["etcd_healthy"] == true && replica["api_ready"] == true).then_some(())
    })
    .await;
    assert_agreement(&home, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_replica_is_not_removed() {
    let home = Home::new();
    home.run("up").await.succeeded();
    for arguments in [
        "",
        " kubernetes-master",
        " kubernetes-master --force",
        " --zone europe-west1-b",
    ] {
        let refusal = home
            .run(&format!("down --replica{arguments}"))
            .await
            .exited(3);
        refusal.says(&["kubernetes-master is the last replica", "hakube down"]);
    }
    assert_agreement(&home, 1).await;
}
