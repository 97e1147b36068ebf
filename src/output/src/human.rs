//! Events for people: plain lines on stderr, with a spinner for each running step on a terminal.

use super::event::PlannedStep;
use super::{Event, Reporter, StepEvent, Summary, print};
use hakube_error::Error;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Reports events to people.
pub struct Human {
    bars: MultiProgress,
    running: Mutex<BTreeMap<String, ProgressBar>>,
    terminal: bool,
    plan_is_data: bool,
}

impl Default for Human {
    fn default() -> Self {
        Self {
            bars: MultiProgress::new(),
            running: Mutex::default(),
            terminal: std::io::stderr().is_terminal(),
            plan_is_data: false,
        }
    }
}

impl Human {
    /// For a command that was run to show its plan, which goes to stdout.
    pub fn with_plan_as_data() -> Self {
        Self {
            plan_is_data: true,
            ..Self::default()
        }
    }

    fn line(&self, text: &str) {
        if self.terminal {
            // The bars move down for it. Errors of a closed terminal are ignored.
            let _ = self.bars.println(text);
        } else {
            super::print_note(text);
        }
    }

    fn start(&self, step: &StepEvent) {
        if !self.terminal {
            return;
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.set_message(step.says.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.bars().insert(step.step.clone(), bar);
    }

    /// Shows a bar on a terminal, otherwise one line when it is done.
    fn download(&self, file: &str, done: u64, of: Option<u64>) {
        let is_done = of == Some(done);
        if self.terminal {
            let mut bars = self.bars();
            let bar = bars.entry(format!("download/{file}")).or_insert_with(|| {
                let bar = self.bars.add(ProgressBar::new(of.unwrap_or_default()));
                let template = "  {msg:24} {bar:30} {bytes}/{total_bytes} {eta:.dim}";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                bar.set_message(file.to_owned());
                bar
            });
            bar.set_position(done);
            if is_done {
                bar.finish_and_clear();
            }
        }
        if is_done {
            self.line(&format!("  ✓ downloaded {file} ({} MB)", done / 1_000_000));
        }
    }

    fn end(&self, step: &StepEvent) {
        if let Some(bar) = self.bars().remove(&step.step) {
            bar.finish_and_clear();
        }
    }

    fn bars(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, ProgressBar>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for Human {
    fn event(&self, event: &Event) {
        match event {
            Event::Plan { steps } if self.plan_is_data => print(&plan_text(steps)),
            Event::Plan { steps } => self.line(plan_text(steps).trim_end()),
            Event::StepStarted(step) => self.start(step),
            Event::StepProgress { step, done, of } => {
                if let Some(bar) = self.bars().get(&step.step) {
                    bar.set_message(format!("{}: {done} of {of}", step.says));
                }
            }
            Event::Download { file, done, of } => self.download(file, *done, *of),
            Event::StepFinished { step, seconds } => {
                self.end(step);
                self.line(&format!("  ✓ {} ({})", step.says, duration(*seconds)));
            }
            Event::StepRetried { step, error } => {
                self.line(&format!("  … {}: {error}; retrying", step.says))
            }
            Event::StepFailed { step, error } => {
                self.end(step);
                self.line(&format!("  ✗ {}: {error}", step.says));
            }
            Event::Note { text } => self.line(&format!("note: {text}")),
            Event::Warning { text } => self.line(&format!("warning: {text}")),
            Event::EndpointGap { milliseconds: 0 } => {
                self.line("  the endpoint responded throughout")
            }
            Event::EndpointGap { milliseconds } => {
                self.line(&format!(
                    "  the endpoint didn't respond for {milliseconds} ms while its address moved"
                ));
            }
            Event::Backends { endpoint, backends } => {
                self.line(&format!(
                    "the load balancer at {endpoint} should forward TCP to these, with health check https /readyz:"
                ));
                for backend in backends {
                    self.line(&format!("  {backend}"));
                }
            }
            Event::Error { .. } => {}
            Event::Summary(summary) => self.line(&summary_text(summary)),
        }
    }
}

fn summary_text(summary: &Summary) -> String {
    let Summary {
        operation,
        ok,
        seconds,
        steps,
        api_calls,
        ..
    } = summary;
    let outcome = if *ok { "done" } else { "failed" };
    format!(
        "{operation}: {outcome} in {}, {steps} steps, {api_calls} API calls",
        duration(*seconds)
    )
}

fn plan_text(steps: &[PlannedStep]) -> String {
    if steps.is_empty() {
        return "Nothing to do.".to_owned();
    }
    let count = steps.len();
    let s = if count == 1 { "" } else { "s" };
    let mut text = format!("Plan: {count} step{s}\n");
    for (index, step) in steps.iter().enumerate() {
        let _ = write!(text, "{:>4}. {}", index + 1, step.says);
        if let Some(change) = step.quorum {
            let _ = write!(text, "  [etcd: {}]", change.after);
        }
        text.push('\n');
    }
    text
}

/// Formats seconds for people.
fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!(
            "{:.0} min {:.0} s",
            (seconds / 60.0).floor(),
            seconds % 60.0
        )
    }
}

/// An error with its causes and hints, one a line.
pub(super) fn error_text(error: &Error) -> String {
    let mut text = format!("error: {}\n", error.message);
    for cause in &error.causes {
        let _ = writeln!(
            text,
            "  because: {}",
            cause.trim_end().replace('\n', "\n           ")
        );
    }
    for hint in &error.hints {
        let _ = writeln!(text, "  next: {hint}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_lists_causes_and_hints() {
        let error = Error::refused("without m-a etcd would lose its quorum")
            .because("now: 2 of 3")
            .hint("hakube status");
        assert_eq!(
            error_text(&error),
            "error: without m-a etcd would lose its quorum\n  because: now: 2 of 3\n  next: hakube status\n"
        );
    }

    #[test]
    fn durations_have_a_suitable_unit() {
        let table = [
            (0.0421, "42 ms"),
            (1.25, "1.2 s"),
            (119.94, "119.9 s"),
            (301.0, "5 min 1 s"),
        ];
        for (seconds, said) in table {
            assert_eq!(duration(seconds), said);
        }
    }
}
