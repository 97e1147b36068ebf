//! The stand-ins by themselves, for tests and for trying things out:
//! `hakube-stand-in kube-apiserver --…`. Clusters run them as `hakube stand-in …`.

fn main() -> std::process::ExitCode {
    hakube_standins::run(std::env::args_os().skip(1))
}
