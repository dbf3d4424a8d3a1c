//! What the firmware says of Secure Boot, by the variables that the kernel shows in efivarfs (UEFI 2.10, 3.3).
//!
//! Never: who vouches for what the boot loader has loaded.

use std::io::ErrorKind;

use camino::Utf8PathBuf;

use super::facts::Tree;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecureBoot {
    On,
    Off,
    /// It has no keys yet, and takes any: nothing is verified.
    Setup,
    /// No UEFI, or one without it.
    Absent,
    Unknown,
}

pub(super) fn secure_boot(tree: &Tree) -> SecureBoot {
    match (flag(tree, "SecureBoot"), flag(tree, "SetupMode")) {
        (Err(ErrorKind::NotFound), _) => SecureBoot::Absent,
        (Err(_), _) => SecureBoot::Unknown,
        // In setup mode nobody's keys count, whatever else is said.
        (Ok(_), Ok(true)) => SecureBoot::Setup,
        (Ok(true), _) => SecureBoot::On,
        (Ok(false), _) => SecureBoot::Off,
    }
}

/// Below the root: the global variable of this name.
pub(super) fn path(variable: &str) -> Utf8PathBuf {
    format!("sys/firmware/efi/efivars/{variable}-8be4df61-93ca-11d2-aa0d-00e098032b8c").into()
}

/// Four bytes of attributes, then one that is 0 or 1.
fn flag(tree: &Tree, variable: &str) -> Result<bool, ErrorKind> {
    match std::fs::read(tree.path(path(variable))).map_err(|e| e.kind())?[..] {
        [_, _, _, _, value @ (0 | 1)] => Ok(value == 1),
        _ => Err(ErrorKind::InvalidData),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firmware_is_believed_only_where_it_says_so() {
        const ON: &[u8] = &[6, 0, 0, 0, 1];
        const OFF: &[u8] = &[6, 0, 0, 0, 0];
        for (secure_boot_is, setup_mode, want) in [
            (None, None, SecureBoot::Absent),
            (None, Some(ON), SecureBoot::Absent),
            (Some(OFF), Some(OFF), SecureBoot::Off),
            (Some(OFF), Some(ON), SecureBoot::Setup),
            (Some(ON), Some(ON), SecureBoot::Setup),
            (Some(ON), Some(OFF), SecureBoot::On),
            (Some(ON), None, SecureBoot::On),
            (Some(&[1][..]), Some(OFF), SecureBoot::Unknown),
            (Some(&[6, 0, 0, 0, 2][..]), None, SecureBoot::Unknown),
            (Some(&[6, 0, 0, 0, 1, 0][..]), None, SecureBoot::Unknown),
        ] {
            let dir = tempfile::tempdir().expect("folder");
            let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("UTF-8");
            for (variable, bytes) in [("SecureBoot", secure_boot_is), ("SetupMode", setup_mode)] {
                let at = root.join(path(variable));
                std::fs::create_dir_all(at.parent().expect("parent")).expect("folder");
                if let Some(bytes) = bytes {
                    std::fs::write(at, bytes).expect("written");
                }
            }
            assert_eq!(secure_boot(&Tree::new(root)), want, "{secure_boot_is:?} {setup_mode:?}");
        }
    }
}
