//! Thresholds for the space in etcd's database and on its disk.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A database is nearly full from this percentage of its quota on.
const NEARLY_FULL: u64 = 80;
/// If the data in use is below this percentage of the quota, defragmentation gets the file well below [`NEARLY_FULL`].
const WORTH_IT: u64 = 75;
/// From this percentage of its quota on, the next writes fill the database.
const FULL: u64 = 95;
/// A disk with less free than this percentage is nearly full.
const LITTLE: u64 = 10;
/// A disk with more free bytes than this isn't nearly full, however large.
const PLENTY: u64 = 2 << 30;

/// The size of a member's database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSize {
    /// The size of the file, which the quota limits. Only defragmentation shrinks it.
    pub bytes: u64,
    /// The size of its content.
    pub in_use: u64,
    /// The member's quota; `None` before etcd 3.6, which doesn't report it.
    #[serde(default)]
    pub quota: Option<u64>,
}

/// How much room a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is enough.
    Enough,
    /// Little, but defragmentation frees some.
    Fragmented,
    /// Little, and the data fills it.
    Filled,
}

impl DatabaseSize {
    /// How much room there is. `quota` applies if the member doesn't report its own.
    pub fn room(self, quota: u64) -> Room {
        let quota = self.quota.unwrap_or(quota);
        if !reaches(self.bytes, quota, NEARLY_FULL) {
            Room::Enough
        } else if reaches(self.in_use, quota, WORTH_IT) {
            Room::Filled
        } else {
            Room::Fragmented
        }
    }

    /// Whether the next writes would raise the NOSPACE alarm.
    pub fn is_full(self, quota: u64) -> bool {
        reaches(self.bytes, self.quota.unwrap_or(quota), FULL)
    }

    /// Whether defragmentation would shrink the file by at least a twentieth.
    pub fn is_fragmented(self) -> bool {
        self.bytes.saturating_sub(self.in_use) > self.bytes / 20
    }

    /// For example `15.9 MiB of 16.0 MiB, 3.0 MiB of it in use`.
    pub fn describe(self, quota: u64) -> String {
        format!(
            "{} of {}, {} of it in use",
            Bytes(self.bytes),
            Bytes(self.quota.unwrap_or(quota)),
            Bytes(self.in_use)
        )
    }
}

fn reaches(bytes: u64, of: u64, hundredths: u64) -> bool {
    u128::from(bytes) * 100 >= u128::from(of) * u128::from(hundredths)
}

/// The file system with a member's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Its size.
    pub bytes: u64,
    /// The bytes that root can still write.
    pub free: u64,
}

impl DiskSpace {
    /// Whether it is nearly full: less than a tenth and less than 2 GiB is free.
    pub fn is_nearly_full(self) -> bool {
        self.free < PLENTY && !reaches(self.free, self.bytes, LITTLE)
    }
}

impl fmt::Display for DiskSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} free", Bytes(self.free), Bytes(self.bytes))
    }
}

/// Displays a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let fits = UNITS.into_iter().find(|(unit, _)| self.0 >= *unit);
        match fits {
            None => write!(f, "{} bytes", self.0),
            Some((unit, name)) => {
                let tenths = u128::from(self.0) * 10 / u128::from(unit);
                write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(bytes: u64, in_use: u64) -> DatabaseSize {
        DatabaseSize {
            bytes,
            in_use,
            quota: None,
        }
    }

    #[test]
    fn a_database_is_nearly_full_from_80_percent_of_its_quota() {
        let table = [
            (0, 0, Room::Enough),
            (799, 799, Room::Enough),
            (800, 749, Room::Fragmented),
            (800, 750, Room::Filled),
            (1000, 10, Room::Fragmented),
            (1100, 1000, Room::Filled),
        ];
        for (bytes, in_use, room) in table {
            assert_eq!(
                database(bytes, in_use).room(1000),
                room,
                "{bytes}, {in_use}"
            );
        }
    }

    #[test]
    fn the_members_own_quota_counts() {
        let raised = DatabaseSize {
            quota: Some(2000),
            ..database(1000, 1000)
        };
        assert_eq!(raised.room(1000), Room::Enough);
        assert!(!raised.is_full(1000) && database(1000, 1000).is_full(1000));
        assert!(database(950, 1).is_full(1000) && !database(949, 1).is_full(1000));
    }

    #[test]
    fn only_files_with_enough_to_gain_are_fragmented() {
        assert!(!database(1000, 950).is_fragmented());
        assert!(database(1000, 949).is_fragmented());
        assert!(!database(0, 0).is_fragmented());
    }

    #[test]
    fn a_disk_is_nearly_full_in_proportion_and_never_with_plenty() {
        let disk = |bytes, free| DiskSpace { bytes, free };
        assert!(disk(1000, 99).is_nearly_full());
        assert!(!disk(1000, 100).is_nearly_full());
        assert!(disk(100 << 30, PLENTY - 1).is_nearly_full());
        assert!(!disk(100 << 30, PLENTY).is_nearly_full());
    }

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let table = [
            (7, "7 bytes"),
            (1 << 10, "1.0 KiB"),
            (16 << 20, "16.0 MiB"),
            ((3 << 30) / 2, "1.5 GiB"),
        ];
        for (bytes, words) in table {
            assert_eq!(Bytes(bytes).to_string(), words);
        }
    }
}
