//! Files of packages on their way out: whole archives and archives of some with byte ranges, single files, descriptors.
//!
//! Never: where the files are; the catalogue's records and the layout say that.

use std::{
    io::{BufWriter, Cursor, Read as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG},
    },
    response::{IntoResponse as _, Response},
};
use camino::{Utf8Path, Utf8PathBuf};
use hyper::body::Frame;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    sync::{Semaphore, mpsc},
};

use super::{
    Services,
    conditional::{file_tag, not_modified, range},
    problem::{Answer, Problem},
    routes::accepts,
    upload::{LOOK_EVERY, no_room},
};
use crate::model::{
    domain::Layout,
    error::{Fault, Result},
    package::PackageFile,
    size,
};

const PIECE: usize = 256 * 1024;

/// The archive's manifest; 404 where it has none.
pub async fn manifest(headers: &HeaderMap, layout: &Layout, files: &[PackageFile], path: Option<&str>) -> Answer<Response> {
    let Some(path) = path else {
        return Ok(Problem::new(StatusCode::NOT_FOUND, "the archive has no manifest").into_response());
    };
    let found = files.iter().find(|f| f.path == path).ok_or_else(|| Fault::bug("the manifest is not among the files"))?;
    file(headers, layout, found, "text/plain").await
}

/// A file of the content-addressed store: an artefact, or a base image.
fn place(layout: &Layout, f: &PackageFile) -> Utf8PathBuf {
    let artefact = layout.artifact(&f.sha256);
    if artefact.exists() { artefact } else { layout.image(&f.sha256) }
}

/// 200 or 206 with a file, streamed.
pub async fn file(headers: &HeaderMap, layout: &Layout, f: &PackageFile, media_type: &str) -> Answer<Response> {
    let path = place(layout, f);
    let gone = |e: std::io::Error| -> Box<Problem> {
        Fault::transient(format!("the file {} is not in the store of this box: onboard the package again", f.path)).with_source(e).into()
    };
    let open = tokio::fs::File::open(&path).await.map_err(gone)?;
    let size = open.metadata().await.map_err(gone)?.len();
    ranged(headers, open, size, media_type, file_tag(&f.sha256), gone).await
}

/// 200 or 206 with what is in an open file.
async fn ranged(
    headers: &HeaderMap,
    mut open: tokio::fs::File,
    size: u64,
    media_type: &str,
    tag: HeaderValue,
    gone: impl Fn(std::io::Error) -> Box<Problem>,
) -> Answer<Response> {
    if not_modified(headers, &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().insert(ETAG, tag);
        return Ok(response);
    }
    let wanted = range(headers, size, &tag)?;
    let (from, length) = wanted.as_ref().map_or((0, size), |r| (*r.start(), r.end() - r.start() + 1));
    open.seek(SeekFrom::Start(from)).await.map_err(gone)?;
    let mut response = Response::new(stream(open, length));
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, header(media_type));
    head.insert(CONTENT_LENGTH, HeaderValue::from(length));
    head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    head.insert(ETAG, tag);
    if let Some(r) = wanted {
        head.insert(CONTENT_RANGE, header(&format!("bytes {}-{}/{size}", r.start(), r.end())));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// 200 or 206 with an archive of these files, made for this answer: the same each time, so that ranges fit together. HEAD has none
/// made, and says no length.
pub async fn archive(method: &Method, headers: &HeaderMap, s: &Services, of: Vec<PackageFile>) -> Answer<Response> {
    /// Each writes as much as its files have.
    static AT_ONCE: Semaphore = Semaphore::const_new(2);
    // Stored one after the other, they make one file.
    let mut names = Sha256::new();
    of.iter().for_each(|f| {
        names.update(f.path.as_bytes());
        names.update([0]);
        names.update(f.sha256);
    });
    let tag = file_tag(&names.finalize().into());
    if *method == Method::HEAD {
        let (_, nothing) = mpsc::channel(1);
        let mut response = Response::new(Body::new(Pieces(nothing)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
        response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        response.headers_mut().insert(ETAG, tag);
        return Ok(response);
    }
    let turn = AT_ONCE.acquire().await.map_err(|_| Fault::bug("no archive is made any more"))?;
    let nfvo = s.nfvo.clone();
    let packed = tokio::task::spawn_blocking(move || {
        // Its turn ends with the packing, which a client that hangs up does not end.
        let _turn = turn;
        let room = |wanted| nfvo.vnfm().room_for("for the archive of artefacts", size::Bytes(wanted));
        room(of.iter().map(|f| f.size.0).sum()).and_then(|()| pack(nfvo.vnfm().layout(), &of, room)).map_err(no_room)
    });
    let (file, size) = packed.await.map_err(|_| Box::new(Problem::from(Fault::bug("making an archive failed"))))??;
    let gone = |e: std::io::Error| -> Box<Problem> { Fault::transient("the archive of artefacts cannot be read").with_source(e).into() };
    ranged(headers, tokio::fs::File::from_std(file), size, "application/zip", tag, gone).await
}

/// In a file that has no name any more: it goes with its last reader. `room` is asked again as it grows.
fn pack(layout: &Layout, of: &[PackageFile], room: impl Fn(u64) -> Result<()>) -> Result<(std::fs::File, u64)> {
    let bad = |e: std::io::Error| Fault::transient("the archive of artefacts cannot be written").with_source(e);
    let odd = |e: zip::result::ZipError| Fault::transient("the archive of artefacts cannot be written").with_source(e);
    let path = layout.uploads().join(format!("artefacts-{}", uuid::Uuid::new_v4().simple()));
    let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(bad)?;
    std::fs::remove_file(&path).map_err(bad)?;
    let mut zip = zip::ZipWriter::new(BufWriter::with_capacity(PIECE, file));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut unlooked = 0;
    for f in of {
        let gone = |e: std::io::Error| {
            Fault::transient(format!("the file {} is not in the store of this box: onboard the package again", f.path)).with_source(e)
        };
        let mut from = std::fs::File::open(place(layout, f)).map_err(gone)?;
        zip.start_file(f.path.as_str(), options.large_file(f.size.0 > u64::from(u32::MAX))).map_err(odd)?;
        loop {
            let copied = std::io::copy(&mut std::io::Read::by_ref(&mut from).take(LOOK_EVERY), &mut zip).map_err(bad)?;
            if copied == 0 {
                break;
            }
            unlooked += copied;
            if unlooked >= LOOK_EVERY {
                room(unlooked)?;
                unlooked = 0;
            }
        }
    }
    let file = zip.finish().map_err(odd)?.into_inner().map_err(|e| bad(e.into_error()))?;
    let size = file.metadata().map_err(bad)?.len();
    Ok((file, size))
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// `length` bytes of a file as a body, two pieces ahead of the network.
pub fn stream(mut file: tokio::fs::File, length: u64) -> Body {
    let (to_net, pieces) = mpsc::channel(2);
    tokio::spawn(async move {
        let mut left = length;
        while left > 0 {
            let mut piece = vec![0u8; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            let read = match file.read(&mut piece).await {
                Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    piece.truncate(n);
                    left -= n as u64;
                    Ok(Bytes::from(piece))
                }
                Err(e) => Err(e),
            };
            let broken = read.is_err();
            // The client may be gone; then nobody wants the rest.
            if to_net.send(read).await.is_err() || broken {
                return;
            }
        }
    });
    Body::new(Pieces(pieces))
}

/// A body that another task or thread fills.
pub struct Pieces(pub mpsc::Receiver<std::io::Result<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|p| p.map(|r| r.map(Frame::data)))
    }
}

/// One file of a package, by its path in it.
pub async fn artefact(headers: &HeaderMap, layout: &Layout, files: &[PackageFile], path: &str) -> Answer<Response> {
    let f = files
        .iter()
        .find(|f| f.path == path)
        .ok_or_else(|| Box::new(Problem::new(StatusCode::NOT_FOUND, format!("there is no file '{path}' in the package"))))?;
    let media_type = if f.media_type.is_empty() { "application/octet-stream" } else { &f.media_type };
    file(headers, layout, f, media_type).await
}

/// A descriptor: its one file as text, or all of its files as a ZIP archive (SOL005 9.4.4.3.2).
/// A client that insists on text gets 406 for a descriptor of several files.
pub fn descriptor(headers: &HeaderMap, layout: &Layout, files: &[PackageFile], main: &str) -> Answer<Response> {
    let of: Vec<&PackageFile> = files.iter().filter(|f| belongs(&f.path, main)).collect();
    let served: &[&str] = if of.len() == 1 { &["text/plain", "application/zip"] } else { &["application/zip"] };
    let chosen = accepts(headers, served)?;
    let body = if chosen == "text/plain" { read(layout, of.first().copied())? } else { zipped(layout, files, &of)? };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, header(chosen));
    Ok(response)
}

/// The main file and the YAML beside or below it, which it may import.
fn belongs(path: &str, main: &str) -> bool {
    let folder = Utf8Path::new(main).parent().map_or("", Utf8Path::as_str);
    let is_yaml = matches!(Utf8Path::new(path).extension(), Some("yaml" | "yml"));
    path == main || (is_yaml && !folder.is_empty() && path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

fn read(layout: &Layout, f: Option<&PackageFile>) -> Result<Vec<u8>> {
    let f = f.ok_or_else(|| Fault::bug("a descriptor without a main file"))?;
    std::fs::read(place(layout, f)).map_err(|e| {
        Fault::transient(format!("the file {} is not in the store of this box: onboard the package again", f.path)).with_source(e)
    })
}

fn zipped(layout: &Layout, files: &[PackageFile], of: &[&PackageFile]) -> Result<Vec<u8>> {
    let bad = |e: zip::result::ZipError| Fault::bug("the descriptor cannot be packed").with_source(e);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    // TOSCA.meta says which of them is the main one.
    let meta = files.iter().filter(|f| f.path == "TOSCA-Metadata/TOSCA.meta");
    for f in meta.chain(of.iter().copied()) {
        zip.start_file(f.path.as_str(), options).map_err(bad)?;
        zip.write_all(&read(layout, Some(f))?).map_err(|e| Fault::bug("the descriptor cannot be packed").with_source(e))?;
    }
    Ok(zip.finish().map_err(bad)?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_asked_for_again_while_an_archive_grows() {
        let temp = tempfile::tempdir().expect("dir");
        let root = Utf8Path::from_path(temp.path()).expect("UTF-8");
        let layout = Layout::new(root);
        std::fs::create_dir_all(layout.uploads()).expect("made");
        let f = PackageFile { path: "Files/a".into(), sha256: [7; 32], size: size::Bytes(LOOK_EVERY + 1), media_type: "".into() };
        let at = layout.artifact(&f.sha256);
        std::fs::create_dir_all(at.parent().expect("a folder")).expect("made");
        std::fs::File::create(&at).and_then(|f| f.set_len(LOOK_EVERY + 1)).expect("sparse");
        let asked = std::cell::Cell::new(0);
        let (_, size) = pack(&layout, std::slice::from_ref(&f), |_| {
            asked.set(asked.get() + 1);
            Ok(())
        })
        .expect("packed");
        assert!(size > LOOK_EVERY && asked.get() == 1, "{size}, {} times", asked.get());
        let full = pack(&layout, &[f], |_| Err(Fault::capacity("none left"))).map(drop).expect_err("no room");
        assert_eq!(full.detail(), "none left");
        assert_eq!(std::fs::read_dir(layout.uploads()).expect("folder").count(), 0);
    }

    #[test]
    fn a_descriptor_is_its_main_file_and_the_yaml_below_it() {
        for (path, main, is) in [
            ("Definitions/a.yaml", "Definitions/a.yaml", true),
            ("Definitions/types/b.yml", "Definitions/a.yaml", true),
            ("Definitions/a.json", "Definitions/a.yaml", false),
            ("DefinitionsX/b.yaml", "Definitions/a.yaml", false),
            ("Files/day0.yaml", "Definitions/a.yaml", false),
            ("a.yaml", "a.yaml", true),
            ("other.yaml", "a.yaml", false),
        ] {
            assert_eq!(belongs(path, main), is, "{path} of {main}");
        }
    }
}
