//! What the head of an image file says it is. Pure.
//!
//! Owns the checks that make an uploaded image harmless: it is the format it is said to be, and it
//! refers to no other file of the host. Never: opens a file.
//!
//! Offsets and bits are those of QEMU's `docs/interop/qcow2.rst`.

use crate::{
    model::{
        error::{Fault, Result},
        size::Bytes,
        vnfd::ImageFormat,
    },
    vim::port::{IMAGE_HEAD, ImageInfo},
};

/// As much of a file as `inspect` looks at: one cluster of the default size.
pub(super) const HEAD: usize = IMAGE_HEAD as usize;
/// No disk of a guest is larger; a header that says so is broken or malicious.
const MAX_VIRTUAL: u64 = 1 << 46;

const MAGIC: &[u8; 4] = b"QFI\xfb";
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
/// dirty, corrupt, data file, compression type, extended L2.
const KNOWN: u64 = 0b1_1111;
const EXT_END: u32 = 0;
const EXT_DATA_FILE: u32 = 0x4441_5441;
const EXT_ENCRYPTION: u32 = 0x0537_be77;

/// Magics of files that people upload as raw by mistake.
const OTHERS: [(&[u8], &str); 8] = [
    (MAGIC, "a qcow2 image"),
    (b"KDMV", "a VMDK image"),
    (b"vhdxfile", "a VHDX image"),
    (b"QED\0", "a QED image"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"PK\x03\x04", "a zip archive"),
];

fn u32_at(head: &[u8], at: usize) -> Option<u32> {
    head.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}
fn u64_at(head: &[u8], at: usize) -> Option<u64> {
    head.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_be_bytes)
}

/// What the image is, or every reason why it is not usable as `format`. `head` is the beginning of
/// a file of `size` bytes.
pub(super) fn inspect(head: &[u8], size: u64, format: ImageFormat) -> Result<ImageInfo> {
    let virtual_size = match format {
        ImageFormat::Raw => raw(head, size)?,
        ImageFormat::Qcow2 => qcow2(head, size)?,
    };
    Ok(ImageInfo { format, virtual_size: Bytes(virtual_size).mib(), size: Bytes(size) })
}

fn raw(head: &[u8], size: u64) -> Result<u64> {
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(Fault::invalid(format!("the image is said to be raw, but it is {what}: correct disk_format or convert the file")));
    }
    if size == 0 {
        return Err(Fault::invalid("the image is an empty file"));
    }
    Ok(size)
}

fn qcow2(head: &[u8], size: u64) -> Result<u64> {
    if !head.starts_with(MAGIC) {
        let is = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)).map_or("something else", |(_, what)| what);
        return Err(Fault::invalid(format!("the image is said to be qcow2, but it is {is}: correct disk_format or convert the file")));
    }
    let Some(header) = Header::read(head) else {
        return Err(Fault::invalid("the qcow2 image ends within its header: the file is cut off"));
    };
    let reasons = header.reasons(head, size);
    if reasons.is_empty() {
        return Ok(header.virtual_size);
    }
    Err(Fault::invalid("the qcow2 image cannot be used").with_reasons(reasons))
}

struct Header {
    version: u32,
    backing_offset: u64,
    backing_len: u32,
    cluster_bits: u32,
    virtual_size: u64,
    crypt: u32,
    l1_entries: u32,
    l1_offset: u64,
    incompatible: u64,
    length: u32,
}

impl Header {
    fn read(head: &[u8]) -> Option<Header> {
        let version = u32_at(head, 4)?;
        let v3 = version >= 3;
        Some(Header {
            version,
            backing_offset: u64_at(head, 8)?,
            backing_len: u32_at(head, 16)?,
            cluster_bits: u32_at(head, 20)?,
            virtual_size: u64_at(head, 24)?,
            crypt: u32_at(head, 32)?,
            l1_entries: u32_at(head, 36)?,
            l1_offset: u64_at(head, 40)?,
            incompatible: if v3 { u64_at(head, 72)? } else { 0 },
            length: if v3 { u32_at(head, 100)? } else { 72 },
        })
    }

    fn backing<'a>(&self, head: &'a [u8]) -> Option<std::borrow::Cow<'a, str>> {
        let at = usize::try_from(self.backing_offset).ok().filter(|&at| at > 0)?;
        let name = head.get(at..at.checked_add(self.backing_len as usize)?).unwrap_or_default();
        Some(String::from_utf8_lossy(name))
    }

    fn reasons(&self, head: &[u8], size: u64) -> Vec<String> {
        if !(2..=3).contains(&self.version) {
            return vec![format!("it is of version {}; Bothy knows 2 and 3", self.version)];
        }
        let mut no = Vec::new();
        if let Some(name) = self.backing(head) {
            no.push(format!("it is an overlay on another file ('{name}'): flatten it with qemu-img convert"));
        }
        let extensions = self.extensions(head);
        if self.incompatible & DATA_FILE != 0 || extensions.contains(&EXT_DATA_FILE) {
            no.push("its data is in another file: flatten it with qemu-img convert".into());
        }
        if self.crypt != 0 || extensions.contains(&EXT_ENCRYPTION) {
            no.push("it is encrypted: decrypt it with qemu-img convert".into());
        }
        if self.incompatible & CORRUPT != 0 {
            no.push("it is marked corrupt: repair it with qemu-img check -r".into());
        }
        if self.incompatible & !KNOWN != 0 {
            no.push(format!("it needs features that Bothy does not know (bits {:#x})", self.incompatible & !KNOWN));
        }
        if self.virtual_size == 0 || self.virtual_size > MAX_VIRTUAL {
            no.push(format!("its virtual size is {} bytes; 1 to {MAX_VIRTUAL} are sensible", self.virtual_size));
        }
        if !(9..=21).contains(&self.cluster_bits) {
            no.push(format!("its cluster size is 2^{}; 2^9 to 2^21 are allowed", self.cluster_bits));
            return no;
        }
        // An L2 table is one cluster; extended entries have 16 bytes.
        let entry_bits = if self.incompatible & (1 << 4) != 0 { 4 } else { 3 };
        let per_l1 = 1u64 << (2 * self.cluster_bits - entry_bits);
        if u64::from(self.l1_entries) < self.virtual_size.div_ceil(per_l1) {
            no.push("its table of clusters is shorter than its virtual size".into());
        }
        let end = self.l1_offset.checked_add(u64::from(self.l1_entries) * 8);
        if end.is_none_or(|end| end > size) {
            no.push(format!("the file is cut off: {size} bytes, but its table of clusters ends behind that"));
        }
        no
    }

    /// Types of the header extensions.
    fn extensions(&self, head: &[u8]) -> Vec<u32> {
        let mut found = Vec::new();
        let mut at = self.length as usize;
        while let (Some(kind), Some(len)) = (u32_at(head, at), u32_at(head, at.saturating_add(4)))
            && kind != EXT_END
        {
            found.push(kind);
            at = at.saturating_add(8).saturating_add((len as usize).next_multiple_of(8));
        }
        found
    }
}

/// The backing file that an overlay names, if `head` is one of qcow2.
pub(super) fn backing_name(head: &[u8]) -> Option<String> {
    let header = head.starts_with(MAGIC).then(|| Header::read(head)).flatten()?;
    header.backing(head).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::size::MiB;

    const GOOD: u64 = 64 << 20;

    fn header() -> Vec<u8> {
        let mut h = vec![0; 512];
        h[..4].copy_from_slice(MAGIC);
        let put = |h: &mut Vec<u8>, at: usize, b: &[u8]| h[at..at + b.len()].copy_from_slice(b);
        put(&mut h, 4, &3u32.to_be_bytes());
        put(&mut h, 20, &16u32.to_be_bytes());
        put(&mut h, 24, &GOOD.to_be_bytes());
        put(&mut h, 36, &1u32.to_be_bytes());
        put(&mut h, 40, &(3u64 << 16).to_be_bytes());
        put(&mut h, 100, &104u32.to_be_bytes());
        h
    }

    #[test]
    fn each_trick_of_a_header_is_named() {
        let file = 4 << 16;
        assert_eq!(inspect(&header(), file, ImageFormat::Qcow2).expect("good").virtual_size, MiB(64));
        for (at, bytes, says) in [
            (4, vec![0, 0, 0, 4], "version 4"),
            (8, vec![0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3], "overlay on another file"),
            (20, vec![0, 0, 0, 60], "cluster size"),
            (24, vec![0xff; 8], "virtual size"),
            (24, vec![0; 8], "virtual size"),
            (24, vec![0, 0, 0x10, 0, 0, 0, 0, 0], "table of clusters is shorter"),
            (32, vec![0, 0, 0, 2], "encrypted"),
            (36, vec![0xff; 4], "cut off"),
            (40, vec![0xff; 8], "cut off"),
            (79, vec![0b10], "corrupt"),
            (79, vec![0b100], "another file"),
            (78, vec![1], "features"),
            (104, vec![0x44, 0x41, 0x54, 0x41, 0, 0, 0, 1, b'x'], "another file"),
            (104, vec![0x05, 0x37, 0xbe, 0x77, 0, 0, 0, 0], "encrypted"),
        ] {
            let mut bad = header();
            bad[at..at + bytes.len()].copy_from_slice(&bytes);
            let e = inspect(&bad, file, ImageFormat::Qcow2).expect_err(says);
            assert!(e.detail().contains(says), "{says}: {e}");
        }
    }

    #[test]
    fn a_second_trick_does_not_hide_behind_the_first() {
        let mut bad = header();
        bad[15] = 200;
        bad[35] = 1;
        assert_eq!(inspect(&bad, 4 << 16, ImageFormat::Qcow2).expect_err("bad").reasons().len(), 2);
    }

    #[test]
    fn any_cut_of_the_header_is_refused_without_a_panic() {
        let good = header();
        for n in 0..104 {
            assert!(inspect(&good[..n], n as u64, ImageFormat::Qcow2).is_err(), "{n}");
        }
    }

    #[test]
    fn a_file_is_what_it_is_said_to_be() {
        for (head, format, says) in [
            (&b"KDMV...."[..], ImageFormat::Raw, "VMDK"),
            (b"QFI\xfb", ImageFormat::Raw, "qcow2"),
            (b"\x1f\x8b\x08", ImageFormat::Qcow2, "gzip"),
            (b"\x00\x00\x00\x00", ImageFormat::Qcow2, "something else"),
            (b"", ImageFormat::Raw, "empty"),
        ] {
            let e = inspect(head, head.len() as u64, format).expect_err(says);
            assert!(e.text().contains(says), "{says}: {e}");
        }
        assert_eq!(inspect(&[0; 512], 3 << 20, ImageFormat::Raw).expect("raw").virtual_size, MiB(3));
    }
}
