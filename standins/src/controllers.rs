//! placeholder
use crate::error::Result;
use crate::flags::Flags;
pub async fn controller_manager(_: &Flags) -> Result<()> {
    std::future::pending().await
}
pub async fn scheduler(_: &Flags) -> Result<()> {
    std::future::pending().await
}
