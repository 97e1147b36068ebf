//! The output of `--help`: people learn the commands from it, and scripts rely on the flags.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use assert_cmd::Command;

fn hakube(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("hakube").unwrap();
    // The widest text, whatever the terminal.
    command.env_clear().env("COLUMNS", "100").args(args);
    command
}

fn help(args: &[&str]) -> String {
    let mut command = hakube(args);
    let output = command
        .arg("--help")
        .assert()
        .success()
        .stderr("")
        .get_output()
        .stdout
        .clone();
    String::from_utf8(output).unwrap()
}

/// The names in a help text's list of commands.
fn commands(help: &str) -> Vec<String> {
    let list = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let names = list.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Every command's help, and that of its subcommands, in order.
fn all(path: &[&str], text: &mut String) {
    let help = help(path);
    let name = [&["hakube"], path].concat().join(" ");
    text.push_str(&format!("$ {name} --help\n{help}\n"));
    for command in commands(&help) {
        all(&[path, &[command.as_str()]].concat(), text);
    }
}

#[test]
fn of_hakube() {
    insta::assert_snapshot!(help(&[]));
}

#[test]
fn of_every_command() {
    for command in commands(&help(&[])) {
        let mut text = String::new();
        all(&[&command], &mut text);
        insta::assert_snapshot!(command, text);
    }
}

/// Internal commands, which only other programs run, are hidden.
#[test]
fn inner_commands_are_hidden() {
    let text = help(&[]) + &help(&["local"]);
    for inner in ["stand-in", "init"] {
        assert!(!text.contains(&format!("  {inner}")), "{text}");
    }
}

#[test]
fn a_misspelt_command_is_bad_input_and_gets_a_suggestion() {
    let output = hakube(&["replicat"])
        .assert()
        .code(2)
        .stdout("")
        .get_output()
        .stderr
        .clone();
    let said = String::from_utf8(output).unwrap();
    assert!(said.contains("replicate"), "{said}");
}
