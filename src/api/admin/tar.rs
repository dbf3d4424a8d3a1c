//! A tar archive (POSIX ustar) of plain files, written piece by piece. Reads nothing.

const BLOCK: usize = 512;

/// One file, with its header and padding. Names are ASCII of at most 100 bytes; a longer one is cut
/// at its front, where paths are alike.
pub fn entry(name: &str, content: &[u8], modified_s: u64) -> Vec<u8> {
    let mut head = [0u8; BLOCK];
    let from = name.len().saturating_sub(100);
    put(&mut head, 0, &name.as_bytes()[from..]);
    put(&mut head, 100, b"0000600\0");
    put(&mut head, 108, b"0000000\0");
    put(&mut head, 116, b"0000000\0");
    put(&mut head, 124, format!("{:011o}\0", content.len()).as_bytes());
    put(&mut head, 136, format!("{modified_s:011o}\0").as_bytes());
    // The sum counts its own field as blanks.
    put(&mut head, 148, b"        ");
    put(&mut head, 156, b"0");
    put(&mut head, 257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
    put(&mut head, 148, format!("{sum:06o}\0 ").as_bytes());
    let mut out = head.to_vec();
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    out
}

/// What ends an archive.
pub fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}

fn put(head: &mut [u8; BLOCK], at: usize, text: &[u8]) {
    for (slot, byte) in head.iter_mut().skip(at).zip(text) {
        *slot = *byte;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn tar_reads_what_is_written() {
        let mut all = entry("support/a.json", b"{}", 1_777_636_800);
        all.extend(entry(&format!("support/{}.txt", "n".repeat(120)), &[b'x'; 513], 0));
        all.extend(entry("support/empty", b"", 0));
        all.extend(end());
        let spawned = Command::new("tar").args(["-tvf", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut tar) = spawned else {
            assert!(std::env::var("BOTHY_REQUIRE").is_err(), "needs tar");
            return println!("SKIP: needs tar");
        };
        tar.stdin.take().expect("stdin").write_all(&all).expect("write");
        let out = tar.wait_with_output().expect("tar");
        assert!(out.status.success());
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(text.contains("support/a.json") && text.contains(" 513 ") && text.contains("support/empty"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
