//! Any configuration file: read, or refused with faults that say where they are.

use std::fs;

use gateway::config::Config;
use tempfile::TempDir;

pub(crate) fn run(octets: &[u8]) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("portcullis.toml");
    fs::write(&file, octets).expect("a file");
    let first = Config::load(&file);
    assert_eq!(first, Config::load(&file), "read twice");
    match first {
        Ok((config, _)) => assert_eq!(config.file, file),
        Err(faults) => {
            assert!(!faults.0.is_empty(), "refused without a reason");
            let shown = faults.to_string();
            assert!(shown.contains("portcullis.toml"), "{shown}");
        }
    }
}
