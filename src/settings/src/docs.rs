//! docs/configuration.md and env/default.env, generated from the table.

use super::source;
use super::table::{Default, GROUPS, Group, Kind, NOT_HONOURED, Setting};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from src/settings/src/table: change it there, then run
     UPDATE_DOCS=1 cargo test -p hakube-settings docs -->

No setting is required: by default, `hakube up` creates a cluster on the local cloud. A setting takes
its value from the first of these that has one:

1. a **flag**: `hakube up --zone europe-west1-c`
2. the **environment**: `KUBE_GCE_ZONE=europe-west1-c hakube up`
3. an **env file**: `hakube up --env-file prod.env`, with lines of `NAME=value`
4. the **profile** `env/<profile>.env`, built into hakube and chosen by the provider
5. the **default**

`hakube env` prints every setting with its value and origin. All invalid settings are reported at
once, before anything is created; the command exits with 2.

Variables have the same names as in kube-up, so an existing kube-up configuration keeps working. New
variables begin with `HAKUBE_`. An empty variable counts as unset. Booleans are `true` or `false`,
case-insensitive; kube-up treats `yes` and `1` as false, and hakube refuses them.

A shell can source an env file with the same result: `export`, quotes and comments are allowed, and
anything that a shell would expand, such as `$HOME`, is refused. `~/` in a path works. To start,
copy [env/default.env](../env/default.env), which lists every setting.
";

const NOT_HONOURED_INTRODUCTION: &str = "
## kube-up's variables without effect

Setting one of these prints a warning with the alternative.

| Variable | Instead |
|---|---|
";

/// docs/configuration.md.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in GROUPS {
        section(&mut page, group);
    }
    page.push_str(NOT_HONOURED_INTRODUCTION);
    for known in NOT_HONOURED {
        row(
            &mut page,
            &[format!("`{}`", known.variable), known.instead.to_owned()],
        );
    }
    page
}

fn section(page: &mut String, group: &Group) {
    page.push_str(&format!(
        "\n## {}\n\n{}\n\n| Setting | Default | Meaning | Valid |\n|---|---|---|---|\n",
        group.title, group.intro
    ));
    for setting in group.settings {
        row(
            page,
            &[
                names(setting),
                default(setting),
                setting.doc.to_owned(),
                form(setting.kind),
            ],
        );
    }
}

fn row(page: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    page.push_str(&format!("| {} |\n", cells.join(" | ")));
}

fn names(setting: &Setting) -> String {
    let names: Vec<String> = setting
        .variables()
        .chain(setting.flag)
        .map(|name| format!("`{name}`"))
        .collect();
    names.join("<br>")
}

/// The default, and each profile's default that differs.
fn default(setting: &Setting) -> String {
    let general = match setting.default {
        Default::Value(value) => format!("`{value}`"),
        Default::Derived(from) => format!("derived {from}"),
        Default::Unset(meaning) => meaning.to_owned(),
    };
    let mut cell = general.clone();
    for (profile, value) in source::profile_values(setting) {
        let value = format!("`{value}`");
        if value != general {
            cell.push_str(&format!("<br>{profile}: {value}"));
        }
    }
    cell
}

/// The valid form in Markdown, with literals as code.
fn form(kind: Kind) -> String {
    match kind {
        Kind::Choice(words) => format!("`{}`", words.join("`, `")),
        Kind::Bool => "`true`, `false`".to_owned(),
        Kind::Name => kind.form().replacen('[', "`[", 1) + "`",
        _ => kind.form(),
    }
}

/// env/default.env: every setting with its default, commented out.
pub fn env_file() -> String {
    let mut file = "\
# All settings with their defaults. Copy this file, uncomment and edit the settings to change, and
# pass it with --env-file. The other files here hold the profiles' defaults.
#
# Generated from src/settings/src/table: change it there, then run
#     UPDATE_DOCS=1 cargo test -p hakube-settings docs
"
    .to_owned();
    for group in GROUPS {
        file.push_str(&format!("\n\n# {}\n", group.title.to_uppercase()));
        comment(&mut file, group.intro);
        for setting in group.settings {
            let value = match setting.default {
                Default::Value(value) => value.to_owned(),
                Default::Derived(from) => format!("    # derived {from}"),
                Default::Unset(meaning) => format!("    # {meaning}"),
            };
            file.push('\n');
            comment(&mut file, setting.doc);
            file.push_str(&format!("#{}={value}\n", setting.key));
        }
    }
    file
}

/// Comment lines of at most 100 characters.
fn comment(file: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > 100 {
            file.push_str(&line);
            line = "\n#".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    file.push_str(&line);
    file.push('\n');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    /// Asserts that the committed file matches the table; `UPDATE_DOCS=1` updates it.
    fn assert_committed(path: &str, generated: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, generated).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == generated,
            "{} is out of date: run `UPDATE_DOCS=1 cargo test -p hakube-settings docs`",
            path.display()
        );
    }

    #[test]
    fn the_configuration_page_is_up_to_date() {
        assert_committed("docs/configuration.md", &super::markdown());
    }

    #[test]
    fn the_default_env_file_is_up_to_date() {
        assert_committed("env/default.env", &super::env_file());
    }
}
