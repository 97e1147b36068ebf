//! The stand-ins as their own program, for tests and experiments: `hakube-stand-in kube-apiserver --…`, or
//! under a component's own name. Clusters run them as `hakube stand-in …`.

use std::ffi::OsString;
use std::path::Path;

fn main() -> std::process::ExitCode {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let component: Option<OsString> = Path::new(&program)
        .file_name()
        .filter(|name| {
            hakube_standins::COMPONENTS
                .iter()
                .any(|known| name == known)
        })
        .map(OsString::from);
    hakube_standins::run(component.into_iter().chain(args))
}
