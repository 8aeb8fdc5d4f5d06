//! Hashing of files in one pass.

use crate::host::run::hex;
use alloc::{string::String, vec};
use md5::Md5;
use md5::digest::Digest as _;
use sha2::Sha256;
use sha2::digest::Digest as _;
use std::{fs::File, io::Read, path::Path};

/// Digests of one file, lower-case hexadecimal.
pub(super) struct Hashes {
    pub(super) sha256: String,
    pub(super) md5: Option<String>,
}

/// Hashes a file; MD5 only where it is asked for.
pub(super) fn hash(path: &Path, with_md5: bool) -> std::io::Result<Hashes> {
    let mut file = File::open(path)?;
    let mut sha256 = Sha256::new();
    let mut md5 = with_md5.then(Md5::new);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..n).filter(|b| !b.is_empty()) else { break };
        sha256.update(read);
        if let Some(md5) = &mut md5 {
            md5.update(read);
        }
    }
    Ok(Hashes { sha256: hex(&sha256.finalize()), md5: md5.map(|m| hex(&m.finalize())) })
}
