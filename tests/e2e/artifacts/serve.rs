//! The web server for mirrors.

use super::{operator, serve, sha256sum, stopped, write};
use nix::sys::signal::Signal;
use std::os::unix::fs::symlink;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The server's response to these bytes.
async fn raw(url: &str, request: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: mirror\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_serves_only_files_of_the_directory() {
    let home = operator();
    let directory = home.beside("served");
    write(&directory.join("sub/file"), "0123456789");
    write(&home.beside("secret"), "secret");
    symlink("../secret", directory.join("link")).unwrap();
    symlink("/", directory.join("root")).unwrap();
    std::fs::write(
        directory.join("SHA256SUMS"),
        sha256sum(&directory, &["sub/file"]),
    )
    .unwrap();
    let (server, url) = serve(&home, &directory).await;

    let got = raw(&url, "GET /sub/file").await;
    assert!(
        got.starts_with("HTTP/1.1 200 OK\r\n") && got.ends_with("\r\n\r\n0123456789"),
        "{got}"
    );
    let got = raw(&url, "HEAD /sub/file").await;
    assert!(
        got.contains("content-length: 10\r\n") && got.ends_with("\r\n\r\n"),
        "{got}"
    );
    let client = reqwest::Client::new();
    let ranged = async |range: &str| {
        let request = client.get(format!("{url}/sub/file")).header("range", range);
        let answer = request.send().await.unwrap();
        let range = answer.headers().get("content-range").cloned().unwrap();
        let status = answer.status().as_u16();
        (
            status,
            range.to_str().unwrap().to_owned(),
            answer.text().await.unwrap(),
        )
    };
    let rest = (206, "bytes 7-9/10".to_owned(), "789".to_owned());
    assert_eq!(ranged("bytes=7-").await, rest);
    assert_eq!(ranged("bytes=-3").await, rest);
    assert_eq!(
        ranged("bytes=10-").await,
        (416, "bytes */10".to_owned(), String::new())
    );
    for path in [
        "/",
        "/sub",
        "/sub/",
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/link",
        "/root/etc/passwd",
        "//etc/passwd",
        "/sub/file%00",
    ] {
        let got = raw(&url, &format!("GET {path}")).await;
        assert!(got.starts_with("HTTP/1.1 404"), "{path}: {got}");
        assert!(
            !got.contains("secret") && !got.contains("root:"),
            "{path}: {got}"
        );
    }
    for method in ["POST", "PUT", "DELETE"] {
        let got = raw(&url, &format!("{method} /sub/file")).await;
        assert!(got.starts_with("HTTP/1.1 405"), "{got}");
    }

    let ended = stopped(server).await;
    let lines = |words: &str| {
        ended
            .stderr
            .lines()
            .filter(|line| line.contains(words))
            .count()
    };
    assert_eq!(lines("GET /sub/file 200 10"), 1, "{ended}");
    assert_eq!(lines("GET /sub/file 206 3"), 2, "{ended}");
    assert_eq!(lines("GET /link 404 0"), 1, "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_without_fetched_files_is_not_served() {
    let home = operator();
    let directory = home.beside("served");
    write(&directory.join("file"), "0123456789");
    let serve = format!("artifacts serve --directory {}", directory.display());
    let serve = format!("{serve} --listen 127.0.0.1:0");
    home.run(&serve)
        .await
        .exited(3)
        .says(&["SHA256SUMS", "hakube artifacts fetch --directory"]);
    std::fs::write(
        directory.join("SHA256SUMS"),
        sha256sum(&directory, &["file"]),
    )
    .unwrap();
    std::fs::remove_file(directory.join("file")).unwrap();
    home.run(&serve)
        .await
        .exited(3)
        .says(&["file is missing", "hakube artifacts verify --directory"]);
}

/// An active download doesn't delay the exit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_the_server_in_the_middle_of_a_download() {
    let home = operator();
    let directory = home.beside("served");
    std::fs::create_dir_all(&directory).unwrap();
    // More than the sockets' buffers.
    let large = std::fs::File::create(directory.join("large")).unwrap();
    large.set_len(256 << 20).unwrap();
    std::fs::write(
        directory.join("SHA256SUMS"),
        format!("{}  large\n", "0".repeat(64)),
    )
    .unwrap();
    let (server, url) = serve(&home, &directory).await;
    let mut stalled = reqwest::get(format!("{url}/large")).await.unwrap();
    assert!(stalled.chunk().await.unwrap().is_some());
    server.signal(Signal::SIGINT);
    server.end().await.succeeded();
}
