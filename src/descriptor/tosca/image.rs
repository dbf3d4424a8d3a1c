//! Software images: the artifact of a VDU or a storage and what the descriptor says of it.
//!
//! Owns both forms: `sw_image_data` beside the artifact (up to SOL001 2.6.1) and properties of the
//! artifact itself (since 2.7.1). Never opens an image beyond its first bytes.

use smol_str::SmolStr;

use super::{at::At, load::Files};
use crate::{
    descriptor::{digest::Algorithm, verify::Claim},
    model::{
        size::{Bytes, MiB},
        vnfd::{ImageFormat, SwImage},
    },
};

const KNOWN: &[&str] = &[
    "name",
    "version",
    "provider",
    "checksum",
    "container_format",
    "disk_format",
    "min_disk",
    "min_ram",
    "size",
    "operating_system",
    "supported_virtualisation_environments",
    "sw_image",
];

/// An image and the size that the guest will see, when the file tells.
pub struct ReadImage {
    pub image: SwImage,
    pub virtual_size: Option<Bytes>,
}

const QCOW2: &[u8] = b"QFI\xfb";
/// Length of a version 3 header without extensions.
const QCOW2_HEADER: usize = 104;

/// The image of a node template, if it has one.
pub fn image(template: &At<'_>, files: &Files<'_>) -> Option<ReadImage> {
    let types = template.scope.types;
    let is_image = |at: &At<'_>| at.get("type").and_then(|t| t.text()).is_some_and(|t| types.is_a(&t, "tosca.artifacts.nfv.SwImage"));
    let all = template.get("artifacts").map(|a| a.entries()).unwrap_or_default();
    let artifact = all.iter().find(|(k, at)| is_image(at) || k.text == "sw_image").map(|(_, at)| at.clone());
    let data = template.property("sw_image_data");
    let artifact = match (artifact, &data) {
        (Some(a), _) => a,
        (None, None) => return None,
        (None, Some(d)) => {
            let hint = "add 'artifacts: { sw_image: { type: tosca.artifacts.nfv.SwImage, file: Files/images/NAME.qcow2 } }'";
            d.error_hint("describes an image, but the node has no artifact 'sw_image' that brings it", hint);
            return None;
        }
    };
    let says = artifact.get("properties").or(data);
    let id = template.me();
    let mut image = SwImage {
        name: id.clone(),
        id,
        version: SmolStr::default(),
        provider: SmolStr::default(),
        format: ImageFormat::Qcow2,
        path: SmolStr::default(),
        sha256: None,
        min_disk: MiB(0),
        min_ram: MiB(0),
    };
    let mut format = None;
    match &says {
        None => artifact.warn_hint("says nothing about the image", "give its name, version, checksum and disk_format as properties"),
        Some(s) => {
            s.known(KNOWN);
            image.name = s.need("name").and_then(|a| a.text()).unwrap_or(image.name);
            image.version = s.need("version").and_then(|a| a.text()).unwrap_or_default();
            image.provider = s.get("provider").and_then(|a| a.text()).unwrap_or_default();
            image.min_disk = s.get("min_disk").and_then(|a| a.size()).unwrap_or_default().mib();
            image.min_ram = s.get("min_ram").and_then(|a| a.size()).unwrap_or_default().mib();
            if let Some(c) = s.get("container_format")
                && let Some(t) = c.text()
                && !t.eq_ignore_ascii_case("bare")
            {
                c.error_hint(format!("'{t}' images are not run here"), "Bothy runs virtual machines from 'bare' images");
            }
            format = s.get("disk_format").map(|f| (disk_format(&f), f));
        }
    }
    let file = if artifact.is_map() { artifact.need("file")? } else { artifact.clone() };
    let name = file.text()?;
    if name.contains("://") {
        file.error_hint(format!("'{name}' is on the network"), "put the image into the package: boxes are offline");
        return None;
    }
    match files.resolve(&template.scope.file, &name) {
        Ok(path) => image.path = path,
        Err(wanted) => {
            let hint = files.suggest(&wanted).unwrap_or_else(|| "add the file to the package, or correct the path".to_owned());
            file.error_hint(format!("the image '{wanted}' is not in the package"), hint);
            return Some(ReadImage { image, virtual_size: None });
        }
    }
    if let Some(c) = says.as_ref().and_then(|s| s.get("checksum")) {
        claim(&c, &image.path, files);
    }
    let (found, virtual_size) = settle_format(&file, files, &image.path, format);
    image.format = found;
    Some(ReadImage { image, virtual_size })
}

fn disk_format(at: &At<'_>) -> Option<ImageFormat> {
    let text = at.text()?;
    match text.to_ascii_lowercase().as_str() {
        "qcow2" => Some(ImageFormat::Qcow2),
        "raw" => Some(ImageFormat::Raw),
        _ => {
            at.error_hint(format!("disk format '{text}' cannot be run"), "convert the image: qemu-img convert -O qcow2 OLD NEW");
            None
        }
    }
}

/// What the descriptor says and what the file's first bytes say must agree. Gives what the file is,
/// and its virtual size.
fn settle_format(
    file: &At<'_>,
    files: &Files<'_>,
    path: &str,
    said: Option<(Option<ImageFormat>, At<'_>)>,
) -> (ImageFormat, Option<Bytes>) {
    let head = match files.head(path, QCOW2_HEADER as u64) {
        Ok(head) => head,
        Err(f) => {
            file.error(f.text());
            return (ImageFormat::Raw, None);
        }
    };
    let (found, size) =
        if head.starts_with(QCOW2) { (ImageFormat::Qcow2, qcow2_size(file, path, &head)) } else { (ImageFormat::Raw, files.size(path)) };
    match said {
        Some((Some(said), at)) if said != found => match found {
            ImageFormat::Raw => at.error(format!("says qcow2, but '{path}' is not a qcow2 file")),
            ImageFormat::Qcow2 => at.error_hint(format!("says raw, but '{path}' is a qcow2 file"), "write disk_format: qcow2"),
        },
        Some(_) | None => {}
    }
    (found, size)
}

/// The virtual size of a qcow2 file. One that reads other files of the host is refused: it could
/// name any of them.
fn qcow2_size(file: &At<'_>, path: &str, head: &[u8]) -> Option<Bytes> {
    let be = |at: usize, n: usize| head.get(at..at + n).map(|b| b.iter().fold(0u64, |v, b| (v << 8) | u64::from(*b)));
    if be(8, 8)? != 0 {
        file.error_hint(format!("'{path}' has a backing file"), "make it whole: qemu-img convert -O qcow2 OLD NEW");
    }
    const EXTERNAL_DATA: u64 = 1 << 2;
    if be(4, 4)? >= 3 && be(72, 8)? & EXTERNAL_DATA != 0 {
        file.error_hint(format!("'{path}' keeps its data in another file"), "make it whole: qemu-img convert -O qcow2 OLD NEW");
    }
    be(24, 8).map(Bytes)
}

/// `{ algorithm, hash }`, or the bare hash of older descriptors.
fn claim(at: &At<'_>, path: &SmolStr, files: &Files<'_>) {
    let (algorithm, hash) = if at.is_map() {
        let Some(a) = at.need("algorithm") else { return };
        let Some(name) = a.text() else { return };
        let Some(algorithm) = Algorithm::parse(&name) else {
            a.error(format!("'{name}' is none of {}", Algorithm::NAMES.to_ascii_lowercase()));
            return;
        };
        let Some(h) = at.need("hash") else { return };
        (algorithm, h)
    } else {
        let len = at.text().map_or(0, |t| t.len());
        let all = [Algorithm::Sha224, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];
        let Some(algorithm) = all.into_iter().find(|a| a.hex_len() == len) else {
            at.error_hint("is not a checksum", "write 'checksum: { algorithm: sha-256, hash: ... }'");
            return;
        };
        (algorithm, at.clone())
    };
    let Some(hash) = hash.text() else { return };
    files.claim(Claim { file: path.clone(), algorithm, hash: hash.to_string(), pos: at.pos(), path: at.path.clone() });
}
