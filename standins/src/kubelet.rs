//! placeholder
use crate::error::Result;
use crate::flags::Flags;
use crate::version::Version;
pub async fn run(_: &Flags, _: Version) -> Result<()> {
    std::future::pending().await
}
