//! The server's key and certificate, and whose clients' certificates are believed: read, or made at the
//! first start, and replaced while connections come in.

use std::{
    io::Write as _,
    net::IpAddr,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use camino::{Utf8Path, Utf8PathBuf};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject as _},
    server::danger::ClientCertVerifier,
    version::{TLS12, TLS13},
};
use sha2::{Digest as _, Sha256};

use super::revoked::Clients;
use crate::{
    config::Config,
    model::error::{Fault, Result},
};

/// The server's side of TLS as it is now. New files, or a pair handed in over the API, count for the next
/// connection; what cannot be used is refused, and what was there stays.
pub struct Rotating {
    files: Files,
    now: RwLock<Loaded>,
    /// Who shows the pair elsewhere.
    told: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    fingerprint: String,
    /// How the files were when they were read.
    seen: Vec<Option<Seen>>,
    /// How they were when they could not be used: told once.
    refused: Option<Vec<Option<Seen>>>,
}

type Seen = (u64, u64, i64, i64);

/// Where the parts are.
#[derive(Debug, Clone)]
struct Files {
    certificate: Utf8PathBuf,
    key: Utf8PathBuf,
    /// CAs that sign clients' certificates; no others are believed, not even the system's.
    client_ca: Option<Utf8PathBuf>,
    client_crl: Option<Utf8PathBuf>,
    /// For a connection to a centre: without a certificate of its own nobody is spoken to, and in HTTP/2.
    centre: bool,
}

/// The server's side of TLS towards one centre, read anew for each connection.
pub struct ForCentre(Files);

impl ForCentre {
    /// `ca`: whoever signs the centre's certificate, and nobody else. `crl`: what is revoked; empty: nobody says.
    pub fn new(certificate: Utf8PathBuf, key: Utf8PathBuf, ca: Utf8PathBuf, crl: &Utf8Path) -> ForCentre {
        let client_crl = (!crl.as_str().is_empty()).then(|| crl.to_owned());
        ForCentre(Files { certificate, key, client_ca: Some(ca), client_crl, centre: true })
    }
    pub fn load(&self) -> Result<Arc<ServerConfig>> {
        self.0.load().map(|l| l.config)
    }
}

impl Files {
    fn of(config: &Config) -> Files {
        let (certificate, key) = config.tls_paths();
        let given = |p: &Utf8PathBuf| (!p.as_str().is_empty()).then(|| p.clone());
        Files { certificate, key, client_ca: given(&config.tls.client_ca), client_crl: given(&config.tls.client_crl), centre: false }
    }

    fn seen(&self) -> Vec<Option<Seen>> {
        let all = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref(), self.client_crl.as_ref()];
        let look = |p: &Utf8PathBuf| std::fs::metadata(p).ok().map(|m| (m.ino(), m.len(), m.mtime(), m.mtime_nsec()));
        all.into_iter().map(|p| p.and_then(look)).collect()
    }

    fn load(&self) -> Result<Loaded> {
        // Looked at first: what changes while it is read is read again.
        let seen = self.seen();
        let pair = Pair { certificate: read(&self.certificate)?, key: read(&self.key)? };
        let (config, fingerprint) = self.server(&pair)?;
        Ok(Loaded { config: Arc::new(config), fingerprint, seen, refused: None })
    }

    fn server(&self, pair: &Pair) -> Result<(ServerConfig, String)> {
        let bad = |what: &str, path: &Utf8Path, e: String| Fault::invalid(format!("{path} holds no usable {what}: {e}"));
        let chain = CertificateDer::pem_slice_iter(&pair.certificate)
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| bad("certificate", &self.certificate, e.to_string()))?;
        let first = chain.first().ok_or_else(|| bad("certificate", &self.certificate, "it is empty".into()))?;
        let fingerprint = fingerprint(first);
        let key = PrivateKeyDer::from_pem_slice(&pair.key).map_err(|e| bad("private key", &self.key, e.to_string()))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|e| Fault::bug(format!("TLS: {e}")))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => builder.with_client_cert_verifier(self.clients(ca)?),
        };
        let mut tls =
            builder.with_single_cert(chain, key).map_err(|e| bad("pair of certificate and key", &self.certificate, e.to_string()))?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        if !self.centre {
            tls.alpn_protocols.push(b"http/1.1".to_vec());
        }
        Ok((tls, fingerprint))
    }

    /// Certificates are asked for, and may be left out but by a centre; one that is shown must be good.
    fn clients(&self, ca: &Utf8Path) -> Result<Arc<dyn ClientCertVerifier>> {
        let bad = |what: &str, path: &Utf8Path, e: String| Fault::invalid(format!("{path} holds no usable {what}: {e}"));
        let mut roots = RootCertStore::empty();
        for c in CertificateDer::pem_slice_iter(&read(ca)?) {
            let c = c.map_err(|e| bad("CA certificate", ca, e.to_string()))?;
            roots.add(c).map_err(|e| bad("CA certificate", ca, e.to_string()))?;
        }
        let mut crls = Vec::new();
        if let Some(path) = &self.client_crl {
            for c in CertificateRevocationListDer::pem_slice_iter(&read(path)?) {
                crls.push(c.map_err(|e| bad("revocation list", path, e.to_string()))?);
            }
            if crls.is_empty() {
                return Err(bad("revocation list", path, "it is empty".into()));
            }
        }
        let clients = Clients::new(roots, crls, self.centre);
        Ok(Arc::new(clients.map_err(|e| bad("set of client CAs and revocation lists", ca, e.to_string()))?))
    }
}

/// Certificates and key as PEM. It has no `Debug`, so that no log can hold it.
pub struct Pair {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

fn read(path: &Utf8Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Fault::invalid(format!("{path} cannot be read: {e}")).with_source(e))
}

impl Rotating {
    /// Reads key and certificate; where the configuration names none and there are none yet, makes them, and
    /// says so.
    pub fn open(config: &Config) -> Result<(Rotating, bool)> {
        let files = Files::of(config);
        let ours = config.tls.certificate.as_str().is_empty();
        let fresh = ours && !(files.certificate.exists() && files.key.exists());
        if fresh {
            make(&files.certificate, &files.key, config)?;
        }
        let now = RwLock::new(files.load()?);
        Ok((Rotating { files, now, told: Mutex::default() }, fresh))
    }

    /// Called when the files were taken up anew.
    pub fn on_change(&self, f: impl Fn() + Send + Sync + 'static) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(f));
    }

    pub fn now(&self) -> Arc<ServerConfig> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// SHA-256 of the certificate, as `AB:CD:...`, for pinning.
    pub fn fingerprint(&self) -> String {
        self.now.read().unwrap_or_else(PoisonError::into_inner).fingerprint.clone()
    }

    /// Takes the files up anew; the fingerprint as it is then.
    pub fn reload(&self) -> Result<String> {
        let next = self.files.load()?;
        let fingerprint = next.fingerprint.clone();
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = next;
        self.told.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|f| f());
        Ok(fingerprint)
    }

    /// The same if a file has changed since; asked every second. A pair that is half replaced is taken up
    /// when it is whole.
    pub fn look(&self) {
        let seen = self.files.seen();
        {
            let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
            if now.seen == seen || now.refused.as_ref() == Some(&seen) {
                return;
            }
        }
        match self.reload() {
            Ok(fingerprint) => tracing::info!(fingerprint, "certificates are taken up anew"),
            Err(fault) => {
                tracing::warn!(%fault, "changed certificates cannot be used; the ones before stay");
                self.now.write().unwrap_or_else(PoisonError::into_inner).refused = Some(seen);
            }
        }
    }

    /// Puts a new pair in the place of the old one, on disk too. A pair that does not fit is refused whole.
    pub fn replace(&self, pair: &Pair) -> Result<String> {
        self.files.server(pair)?;
        write_private(&self.files.key, &pair.key)?;
        write_private(&self.files.certificate, &pair.certificate)?;
        self.reload()
    }

    /// How many client CAs are pinned, and whether a revocation list is.
    pub fn clients(&self) -> (Option<&Utf8Path>, Option<&Utf8Path>) {
        (self.files.client_ca.as_deref(), self.files.client_crl.as_deref())
    }
}

pub fn fingerprint(cert: &CertificateDer<'_>) -> String {
    Sha256::digest(cert).iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

fn make(cert: &Utf8Path, key: &Utf8Path, config: &Config) -> Result<()> {
    let bad = |e: rcgen::Error| Fault::bug("cannot make a key and certificate").with_source(e);
    let pair = KeyPair::generate().map_err(bad)?;
    let names = names(config);
    let mut params = CertificateParams::new(names.clone()).map_err(|e| Fault::invalid(format!("tls.names: {e}")))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("bothy", |n| n.as_str()));
    // The box's clock may be years off when this is made, so the dates are fixed and wide.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // As a client it is shown to subscribers of notifications that ask for one.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let signed = params.self_signed(&pair).map_err(bad)?;
    // The key first: a certificate without its key would look complete to the next start.
    write_private(key, pair.serialize_pem().as_bytes())?;
    write_private(cert, signed.pem().as_bytes())
}

/// The names a client may know the box by.
fn names(config: &Config) -> Vec<String> {
    let host = nix::unistd::gethostname().ok().and_then(|h| h.into_string().ok());
    let addresses = nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(|i| {
        let a = i.address?;
        let v4 = a.as_sockaddr_in().map(|s| IpAddr::V4(s.ip()));
        v4.or_else(|| a.as_sockaddr_in6().map(|s| IpAddr::V6(s.ip())))
    });
    let link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v) if v.is_unicast_link_local());
    let mut all: Vec<String> = host.into_iter().filter(|h| !h.is_empty()).collect();
    all.push("localhost".into());
    all.extend(config.tls.names.iter().map(ToString::to_string));
    all.extend(addresses.filter(|ip| !link_local(ip)).map(|ip| ip.to_string()));
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|n| seen.insert(n.clone()));
    all
}

fn write_private(path: &Utf8Path, text: &[u8]) -> Result<()> {
    let save = || -> std::io::Result<()> {
        let dir = path.parent().unwrap_or(Utf8Path::new("/"));
        std::fs::create_dir_all(dir)?;
        let temp = path.with_extension("new");
        let mut f = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
        f.write_all(text)?;
        f.sync_all()?;
        std::fs::rename(&temp, path)?;
        std::fs::File::open(dir)?.sync_all()
    };
    save().map_err(|e| Fault::transient(format!("cannot write {path}: {e}")).with_source(e))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn config(dir: &tempfile::TempDir) -> Config {
        Config { data_dir: Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("utf-8"), ..Config::default() }
    }

    fn pair() -> Pair {
        let key = KeyPair::generate().expect("key");
        let cert = CertificateParams::new(vec!["localhost".into()]).expect("params").self_signed(&key).expect("cert");
        Pair { certificate: cert.pem().into_bytes(), key: key.serialize_pem().into_bytes() }
    }

    #[test]
    fn the_first_start_makes_a_private_pair_and_the_next_keeps_it() {
        let dir = tempfile::tempdir().expect("dir");
        let config = config(&dir);
        let (first, fresh) = Rotating::open(&config).expect("first");
        let (second, again) = Rotating::open(&config).expect("second");
        assert!(fresh && !again);
        assert_eq!(first.fingerprint(), second.fingerprint());
        let (cert, key) = config.tls_paths();
        for p in [&cert, &key] {
            assert_eq!(std::fs::metadata(p).expect("meta").permissions().mode() & 0o777, 0o600, "{p}");
        }
        assert!(names(&config).contains(&"127.0.0.1".to_owned()));
        std::fs::write(&key, "-----BEGIN JUNK-----").expect("write");
        let fault = Rotating::open(&config).err().expect("a broken key").to_string();
        assert!(fault.contains("key.pem holds no usable private key"), "{fault}");
    }

    #[test]
    fn changed_files_are_taken_up_when_they_fit_and_not_before() {
        let dir = tempfile::tempdir().expect("dir");
        let config = config(&dir);
        let (tls, _) = Rotating::open(&config).expect("open");
        let (cert, key) = config.tls_paths();
        let before = tls.fingerprint();
        let next = pair();
        std::fs::write(&cert, &next.certificate).expect("write");
        tls.look();
        assert_eq!(tls.fingerprint(), before, "the certificate of another key");
        std::fs::write(&key, &next.key).expect("write");
        tls.look();
        let after = tls.fingerprint();
        assert_ne!(after, before);
        tls.look();
        assert_eq!(tls.fingerprint(), after);
    }

    #[test]
    fn a_pair_handed_in_is_kept_whole_or_refused_whole() {
        let dir = tempfile::tempdir().expect("dir");
        let config = config(&dir);
        let (tls, _) = Rotating::open(&config).expect("open");
        let (a, b) = (pair(), pair());
        let before = tls.fingerprint();
        assert!(tls.replace(&Pair { certificate: a.certificate.clone(), key: b.key }).is_err());
        assert_eq!((tls.fingerprint(), Rotating::open(&config).expect("open").0.fingerprint()), (before.clone(), before.clone()));
        let after = tls.replace(&a).expect("a pair");
        assert_ne!(after, before);
        assert_eq!(Rotating::open(&config).expect("open").0.fingerprint(), after, "it outlives a restart");
    }
}
