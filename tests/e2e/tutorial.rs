//! The commands of the README and the tutorial, as their readers run them.

use crate::support::Home;

async fn follow(page: &str) {
    let mut home = Home::new();
    home.set("MULTIZONE", "true");
    let commands = page
        .lines()
        .filter_map(|line| line.trim().strip_prefix("$ hakube "));
    let commands: Vec<&str> = commands.collect();
    assert!(commands.len() > 4, "found {commands:?} only");
    for command in commands {
        home.run(command).await.succeeded();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_works() {
    follow(include_str!("../../README.md")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tutorial_works() {
    follow(include_str!("../../docs/tutorial.md")).await;
}
