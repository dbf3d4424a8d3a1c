//! Secrets at rest.
//!
//! Owns the key file and the sealed form: `[1][nonce 12][ChaCha20-Poly1305 of the secret and its tag]`. What a secret
//! belongs to is authenticated with it, so one record's secret does not open in another's place. Never: logs, keeps or
//! prints a secret; stores the key in the store (an export holds sealed secrets only).

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};

use super::{database::io_fault, disk::Disk};
use crate::model::error::{Fault, Result};

const FORMAT: u8 = 1;
const KEY_LEN: usize = 32;

/// Seals and opens with the box's key.
pub struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Sealer {
    /// Reads the key file, or makes it (0600) where there is none. Says whether it was made.
    pub(super) fn open(path: &Path, disk: &dyn Disk) -> Result<(Sealer, bool)> {
        let random = SystemRandom::new();
        match fs::read(path) {
            Ok(bytes) => {
                let mode = fs::metadata(path).map_err(|e| io_fault("read", path, e))?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(Fault::forbidden(format!(
                        "the key file {} may be read by others (mode {:03o}): run `chmod 600` on it, and renew the secrets if others were on this box",
                        path.display(),
                        mode & 0o777
                    )));
                }
                Ok((Sealer { key: key_of(&bytes, path)?, random }, false))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; KEY_LEN];
                random.fill(&mut bytes).map_err(|_| no_random())?;
                write_key(path, &bytes, disk).map_err(|e| io_fault("write", path, e))?;
                Ok((Sealer { key: key_of(&bytes, path)?, random }, true))
            }
            Err(e) => Err(io_fault("read", path, e)),
        }
    }

    /// Seals `secret`; `owner` (the record's key, say) must be given again to open it.
    pub fn seal(&self, owner: &[u8], secret: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| no_random())?;
        let mut body = secret.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(owner), &mut body)
            .map_err(|_| Fault::bug("a secret could not be sealed"))?;
        Ok([&[FORMAT][..], &nonce, &body].concat())
    }

    /// The secret, if it was sealed by this box's key for this owner.
    pub fn open_sealed(&self, owner: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let refused = || {
            Fault::conflict(
                "a stored secret cannot be opened: it was sealed with another key (is seal.key the one of this store?) or for another record; set the secret anew",
            )
        };
        let (nonce, body) = sealed.strip_prefix(&[FORMAT]).and_then(|s| s.split_first_chunk::<NONCE_LEN>()).ok_or_else(refused)?;
        let mut body = body.to_vec();
        let open = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(owner), &mut body).map_err(|_| refused())?;
        let len = open.len();
        body.truncate(len);
        Ok(body)
    }
}

fn key_of(bytes: &[u8], path: &Path) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).map_err(|_| {
        Fault::invalid(format!(
            "the key file {} has {} bytes instead of {KEY_LEN}: put the right one back from its backup",
            path.display(),
            bytes.len()
        ))
    })?;
    Ok(LessSafeKey::new(key))
}

fn no_random() -> Fault {
    Fault::transient("the kernel gives no random bytes")
}

fn write_key(path: &Path, bytes: &[u8], disk: &dyn Disk) -> io::Result<()> {
    let temp = path.with_extension("tmp");
    match fs::remove_file(&temp) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => (),
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temp)?.write_all(bytes)?;
    disk.sync_file(&temp)?;
    fs::rename(&temp, path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::error::Kind, store::disk::RealDisk};

    fn sealer(dir: &Path) -> (Sealer, bool) {
        Sealer::open(&dir.join("seal.key"), &RealDisk).expect("a key")
    }

    #[test]
    fn a_secret_opens_only_for_its_owner_and_with_its_key() {
        let dir = tempfile::tempdir().expect("a folder");
        let (s, made) = sealer(dir.path());
        assert!(made);
        let sealed = s.seal(b"vnf 1", b"hunter2").expect("seals");
        assert!(!sealed.windows(7).any(|w| w == b"hunter2"));
        assert_ne!(sealed, s.seal(b"vnf 1", b"hunter2").expect("seals"), "a nonce is used once");
        let (again, made) = sealer(dir.path());
        assert!(!made);
        assert_eq!(again.open_sealed(b"vnf 1", &sealed).expect("opens"), b"hunter2");
        let other_dir = tempfile::tempdir().expect("a folder");
        let (other, _) = sealer(other_dir.path());
        let mut bent = sealed.clone();
        *bent.last_mut().expect("bytes") ^= 1;
        for (who, owner, what) in
            [(&again, &b"vnf 2"[..], &sealed), (&other, b"vnf 1", &sealed), (&again, b"vnf 1", &bent), (&again, b"vnf 1", &vec![])]
        {
            assert_eq!(who.open_sealed(owner, what).expect_err("refused").kind(), Kind::Conflict);
        }
    }

    #[test]
    fn a_key_file_others_may_read_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("seal.key");
        sealer(dir.path());
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert_eq!(Sealer::open(&path, &RealDisk).err().map(|f| f.kind()), Some(Kind::Forbidden));
    }
}
