//! Clients that write continuously, a new object each time, and log what was acknowledged.

use crate::lab::{ENDPOINT, Lab};
use std::fmt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// Prints when each write started, and the name of each acknowledged one; each line has the time in
/// milliseconds. Arguments: the path prefix of the key files, the prefix of names, the file that ends it,
/// and servers to use in turn.
const WRITER: &str = r#"
stem=$1 name=$2 stop=$3
shift 3
n=0
while [ ! -e "$stop" ]; do
    n=$((n + 1))
    server=$1
    shift
    set -- "$@" "$server"
    if curl --silent --fail --output /dev/null --max-time 3 --cacert "$stem.ca" --cert "$stem.crt" --key "$stem.key" \
        --request POST --header 'Content-Type: application/json' \
        --data "{\"metadata\":{\"name\":\"$name-$n\",\"labels\":{\"chaos\":\"yes\"}}}" \
        "https://$server/api/v1/namespaces/default/configmaps"
    then echo "$(date +%s%3N) $name-$n"; else echo "$(date +%s%3N) -"; fi
    sleep 0.2
done
"#;

pub struct Writers {
    stop: PathBuf,
    clients: Vec<(&'static str, Child, PathBuf)>,
}

pub struct Book {
    client: &'static str,
    attempts: usize,
    pub acknowledged: Vec<String>,
    longest_gap_ms: u64,
}

impl Writers {
    /// One through the endpoint, one to each API server in turn.
    pub fn start(lab: &Lab, replicas: &[&str]) -> Self {
        let stem = lab.keys_of_admin();
        let stop = lab.file("stop-chaos");
        let direct = replicas
            .iter()
            .map(|name| format!("{}:6443", lab.host(name).address()));
        let targets = [
            ("through-endpoint", vec![format!("{ENDPOINT}:6443")]),
            ("to-replicas", direct.collect()),
        ];
        let clients = targets.into_iter().map(|(name, servers)| {
            let said = lab.file(name);
            let child = lab
                .command_in("sh")
                .args(["-c", WRITER, "writer", stem.to_str().unwrap(), name])
                .arg(&stop)
                .args(servers)
                .stdin(Stdio::null())
                .stdout(std::fs::File::create(&said).unwrap())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            (name, child, said)
        });
        Self {
            clients: clients.collect(),
            stop,
        }
    }

    pub fn end(self) -> Vec<Book> {
        std::fs::write(&self.stop, "").unwrap();
        let books = self.clients.into_iter().map(|(client, mut child, said)| {
            child.wait().unwrap();
            let said = std::fs::read_to_string(said).unwrap();
            let lines: Vec<(u64, &str)> = said
                .lines()
                .filter_map(|line| line.split_once(' '))
                .map(|(time, name)| (time.parse().unwrap(), name))
                .collect();
            let acknowledged: Vec<_> = lines.iter().filter(|(_, name)| *name != "-").collect();
            Book {
                client,
                attempts: lines.len(),
                longest_gap_ms: acknowledged
                    .windows(2)
                    .map(|pair| pair[1].0 - pair[0].0)
                    .max()
                    .unwrap_or_default(),
                acknowledged: acknowledged
                    .iter()
                    .map(|(_, name)| (*name).to_owned())
                    .collect(),
            }
        });
        books.collect()
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.acknowledged.len() as f64 / self.attempts.max(1) as f64;
        write!(
            f,
            "writes {}: {} of {} acknowledged ({share:.1} %), longest gap {:.1} s",
            self.client,
            self.acknowledged.len(),
            self.attempts,
            self.longest_gap_ms as f64 / 1000.0
        )
    }
}
