//! Machine sizes in this provider's notation: `2x4GiB`.

use std::fmt;
use std::str::FromStr;

/// A machine's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The number of CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} isn't a valid machine size: give CPUs and memory, such as 2x4GiB or 1x1536MiB"
            )
        };
        let (cpus, memory) = text.split_once('x').ok_or_else(wrong)?;
        let (number, mib) = memory
            .strip_suffix("GiB")
            .map(|number| (number, 1024))
            .or_else(|| memory.strip_suffix("MiB").map(|number| (number, 1)))
            .ok_or_else(wrong)?;
        // `parse` would accept a sign.
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(cpus) || !digits(number) {
            return Err(wrong());
        }
        let cpus: u32 = cpus.parse().map_err(|_| wrong())?;
        let memory_mib = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(mib))
            .ok_or_else(wrong)?;
        if cpus == 0 || memory_mib == 0 {
            return Err(wrong());
        }
        Ok(Self { cpus, memory_mib })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.memory_mib % 1024 {
            0 => write!(f, "{}x{}GiB", self.cpus, self.memory_mib / 1024),
            _ => write!(f, "{}x{}MiB", self.cpus, self.memory_mib),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_cpus_and_memory() {
        let read = |text: &str| text.parse::<Size>().map(|size| size.to_string());
        assert_eq!(read("2x4GiB").unwrap(), "2x4GiB");
        assert_eq!(read("1x1536MiB").unwrap(), "1x1536MiB");
        assert_eq!(read("1x2048MiB").unwrap(), "1x2GiB");
        for wrong in [
            "",
            "2",
            "2x",
            "x4GiB",
            "0x4GiB",
            "2x0GiB",
            "2x4",
            "2x4GB",
            "2x-4GiB",
            "+2x4GiB",
            "2x4.5GiB",
            "e2-standard-2",
            "2x99999999999999999999GiB",
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("2x4GiB"), "{error}");
        }
    }
}
