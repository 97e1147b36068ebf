//! The outcome of a command.

use serde_json::Value;

/// The outcome of a command. Failed assertions print all its output.
#[derive(Debug)]
pub struct Outcome {
    /// The command, for messages.
    pub command: String,
    /// The exit code; `None` if a signal killed it.
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(self.exit, Some(code), "exit code of {self}");
        self
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        self.exited(0)
    }

    /// Asserts that stderr contains each of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "{word:?} isn't in stderr of {self}"
            );
        }
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout isn't JSON: {error}; {self}"))
    }

    /// Standard output as one JSON event per line.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let event = |line: &str| -> Value {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("not an event: {error}: {line:?}; {self}"))
        };
        self.stdout.lines().map(event).collect()
    }

    /// The last event, which is the summary.
    #[track_caller]
    pub fn summary(&self) -> Value {
        let last = self
            .events()
            .pop()
            .unwrap_or_else(|| panic!("no event in {self}"));
        assert_eq!(last["event"], "summary", "the last event of {self}");
        last
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            exit,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "`{command}` (exit {exit:?})\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}
