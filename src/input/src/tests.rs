#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::process::Command;

const SHORT: Duration = Duration::from_millis(50);

fn fifo(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("fifo");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    path
}

#[test]
fn a_file_is_read_up_to_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "text").unwrap();
    assert_eq!(read_text(&path, 4).unwrap(), "text");
    assert_eq!(read(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
    fs::write(&path, [0xff]).unwrap();
    assert_eq!(
        read_text(&path, 4).unwrap_err().kind(),
        ErrorKind::InvalidData
    );
}

#[test]
fn other_file_types_are_refused_and_devices_are_limited() {
    let directory = tempfile::tempdir().unwrap();
    let error = read(directory.path(), SMALL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsADirectory);
    let zero = read(Path::new("/dev/zero"), SMALL).unwrap_err();
    assert_eq!(zero.kind(), ErrorKind::FileTooLarge);
    assert_eq!(read(Path::new("/dev/null"), SMALL).unwrap(), b"");
    let socket = directory.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    read(&socket, SMALL).unwrap_err();
}

#[test]
fn a_fifo_without_a_writer_times_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = fifo(directory.path());
    let error = read_within(&path, SMALL, SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // A writer that has it open but writes nothing.
    let _silent = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let error = read_within(&path, SMALL, SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_fifo_with_a_writer_is_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = fifo(directory.path());
    for content in [Vec::new(), vec![b'x'; 300_000]] {
        let (writers, expected) = (path.clone(), content.clone());
        let writer = std::thread::spawn(move || fs::write(writers, content));
        assert_eq!(read(&path, SMALL).unwrap(), expected);
        writer.join().unwrap().unwrap();
    }
}

/// As in a shell's `<(...)`: the pipe of one of this process's descriptors.
#[test]
fn the_pipe_of_a_process_substitution_is_read() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(b"hosts: []\n").unwrap();
    drop(writer);
    let path = format!("/dev/fd/{}", reader.as_raw_fd());
    assert_eq!(read_text(Path::new(&path), SMALL).unwrap(), "hosts: []\n");
}
