//! placeholder
use std::path::PathBuf;
/// x
pub fn unpacked() -> PathBuf {
    PathBuf::new()
}
