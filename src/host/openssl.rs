//! CMS by OpenSSL's own program: signatures, envelopes, and what a factory does with its keys.
//!
//! By argv, since the formats are many and old and its readers have met them all; and nothing of it is in the
//! binary. Trust comes from the files it is given: the host's own authorities are shut out by name. Never:
//! decides whom to believe.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::BASE64;

use super::exec::Exec;
use crate::{
    model::error::{Fault, Result},
    ztp::port::{Cms, Der, Signed, SignedBy},
};

const LIMIT: Duration = Duration::from_secs(30);

/// With the key that is this device's own, for what is encrypted for it.
#[derive(Debug, Clone)]
pub struct OpenSsl {
    /// Where its files lie for as long as it runs: a folder of root's.
    work: Utf8PathBuf,
    /// Private key and certificate, PEM.
    own: Option<(Utf8PathBuf, Utf8PathBuf)>,
}

impl OpenSsl {
    pub fn new(work: Utf8PathBuf, own: Option<(Utf8PathBuf, Utf8PathBuf)>) -> Self {
        OpenSsl { work, own }
    }

    /// Signed data with the content in it. `kind`: its type, dotted.
    pub fn sign(&self, content: &[u8], kind: &str, signer: (&Utf8Path, &Utf8Path)) -> Result<Vec<u8>> {
        let dir = Folder::new(&self.work)?;
        let (key, certificate) = signer;
        let (from, to) = (dir.put("in", content)?, dir.at("out"));
        run(openssl("cms").args(["-sign", "-binary", "-nodetach", "-outform", "DER", "-md", "sha256", "-econtent_type", kind]).args([
            "-in",
            from.as_str(),
            "-signer",
            certificate.as_str(),
            "-inkey",
            key.as_str(),
            "-out",
            to.as_str(),
        ]))?;
        dir.get("out")
    }

    /// What only the holder of this certificate's key can open.
    pub fn seal(&self, content: &[u8], certificate: &Utf8Path) -> Result<Vec<u8>> {
        let dir = Folder::new(&self.work)?;
        let (from, to) = (dir.put("in", content)?, dir.at("out"));
        run(openssl("cms").args(["-encrypt", "-binary", "-aes-256-cbc", "-outform", "DER"]).args([
            "-in",
            from.as_str(),
            "-out",
            to.as_str(),
            certificate.as_str(),
        ]))?;
        dir.get("out")
    }

    /// Certificates, signed by nobody: how an owner certificate travels.
    pub fn bag(&self, certificates: &[Der]) -> Result<Vec<u8>> {
        let dir = Folder::new(&self.work)?;
        let from = dir.put("certificates.pem", pem(certificates).as_bytes())?;
        let to = dir.at("out");
        run(openssl("crl2pkcs7").args(["-nocrl", "-outform", "DER", "-certfile", from.as_str(), "-out", to.as_str()]))?;
        dir.get("out")
    }
}

impl Cms for OpenSsl {
    fn verified(&self, signed: &[u8], by: &SignedBy<'_>) -> Result<Signed> {
        let dir = Folder::new(&self.work)?;
        let (from, content, signer) = (dir.put("in", signed)?, dir.at("content"), dir.at("signer.pem"));
        let anchors = dir.put("anchors.pem", pem(by.anchors).as_bytes())?;
        let verify = || {
            openssl("cms").args([
                "-verify",
                "-binary",
                "-inform",
                "DER",
                "-in",
                from.as_str(),
                "-out",
                content.as_str(),
                "-signer",
                signer.as_str(),
            ])
        };
        // An anchor need not be a root; what else this host trusts does not count, nor do weak keys and digests.
        let chain = |how: Exec| {
            let how = how.args([
                "-purpose",
                "any",
                "-partial_chain",
                "-auth_level",
                "2",
                "-no-CApath",
                "-no-CAstore",
                "-CAfile",
                anchors.as_str(),
            ]);
            match by.at {
                Some(at) => how.args(["-attime", &(at.0 / 1000).to_string()]),
                None => how.arg("-no_check_time"),
            }
        };
        match by.signer {
            None => run(chain(verify()))?,
            // First that the certificate leads to an anchor by those in between, then that it is the one that has signed: of
            // certificates beside the message OpenSSL 3.0 builds no chain.
            Some(one) => {
                let (own, between) =
                    (dir.put("own.pem", pem(std::slice::from_ref(one)).as_bytes())?, dir.put("between.pem", pem(by.between).as_bytes())?);
                run(chain(openssl("verify")).args(["-untrusted", between.as_str(), own.as_str()]))?;
                run(verify().args(["-noverify", "-nointern", "-certfile", own.as_str()]))?;
            }
        }
        let signers = certificates(&String::from_utf8_lossy(&dir.get("signer.pem")?))?;
        let [signer] = <[Der; 1]>::try_from(signers).map_err(|all| Fault::invalid(format!("signed by {}, and not by one", all.len())))?;
        Ok(Signed { content: dir.get("content")?, signer })
    }

    fn opened(&self, enveloped: &[u8]) -> Result<Vec<u8>> {
        let (key, certificate) =
            self.own.as_ref().ok_or_else(|| Fault::conflict("it is encrypted, and this device has no key of its own (IDevID)"))?;
        let dir = Folder::new(&self.work)?;
        let (from, to) = (dir.put("in", enveloped)?, dir.at("out"));
        run(openssl("cms").args(["-decrypt", "-binary", "-inform", "DER", "-in", from.as_str(), "-out", to.as_str()]).args([
            "-inkey",
            key.as_str(),
            "-recip",
            certificate.as_str(),
        ]))?;
        dir.get("out")
    }
}

fn openssl(what: &str) -> Exec {
    Exec::new("openssl").arg(what).limit(LIMIT)
}

/// A refusal of its is about the data, not about the host.
fn run(how: Exec) -> Result<()> {
    let out = how.run_any()?;
    if out.status.success() {
        return Ok(());
    }
    // `error 10 at 0 depth lookup: certificate has expired`, of `verify`.
    let why = out.stderr.lines().find_map(|l| l.split_once(" depth lookup: ")).map(|(_, why)| why);
    // `error:17000064:CMS routines:cms_signerinfo_verify_cert:certificate verify error:…:Verify error: certificate has expired`
    let why = why.or_else(|| out.stderr.lines().find_map(|l| l.split("Verify error: ").nth(1)));
    let last = || out.stderr.lines().rfind(|l| l.contains(":error:") || l.starts_with("Error")).unwrap_or("openssl gave up").trim();
    let short = |line: &str| line.split(':').filter(|p| !p.is_empty()).nth(4).map_or(line.to_owned(), str::to_owned);
    Err(Fault::forbidden(why.map_or_else(|| short(last()), str::to_owned)).with_source(out.stderr))
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// RFC 7468.
pub fn pem(all: &[Der]) -> String {
    let mut text = String::new();
    for c in all {
        text += BEGIN;
        for (i, ch) in BASE64.encode(&c.0).chars().enumerate() {
            if i % 64 == 0 {
                text.push('\n');
            }
            text.push(ch);
        }
        text += "\n";
        text += END;
        text.push('\n');
    }
    text
}

/// All certificates of a PEM file, in its order.
pub fn certificates(text: &str) -> Result<Vec<Der>> {
    let blocks = text.split(BEGIN).skip(1);
    blocks
        .map(|b| {
            let body: String = b.split(END).next().unwrap_or_default().split_whitespace().collect();
            BASE64.decode(body.as_bytes()).map(Der).map_err(|_| Fault::invalid("a certificate (PEM) is no base64"))
        })
        .collect()
}

/// The first block of that name in a PEM file.
pub fn block(text: &str, name: &str) -> Option<Vec<u8>> {
    let rest = text.split_once(&format!("-----BEGIN {name}-----"))?.1;
    let body: String = rest.split_once(&format!("-----END {name}-----"))?.0.split_whitespace().collect();
    BASE64.decode(body.as_bytes()).ok()
}

/// A folder of its own, gone with it.
struct Folder(Utf8PathBuf);

impl Folder {
    fn new(work: &Utf8Path) -> Result<Folder> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cms-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = work.join(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|e| Fault::bug(format!("cannot make {path}")).with_source(e))?;
        Ok(Folder(path))
    }
    fn at(&self, name: &str) -> Utf8PathBuf {
        self.0.join(name)
    }
    fn put(&self, name: &str, bytes: &[u8]) -> Result<Utf8PathBuf> {
        let path = self.at(name);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.as_mut()
            .map_err(|e| std::io::Error::new(e.kind(), e.to_string()))
            .and_then(|f| f.write_all(bytes))
            .map_err(|e| Fault::bug(format!("cannot write {path}")).with_source(e))?;
        Ok(path)
    }
    fn get(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.at(name);
        fs::read(&path).map_err(|e| Fault::bug(format!("cannot read {path}")).with_source(e))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
