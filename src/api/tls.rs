//! The server's key and certificate: read, or made at the first start.

use std::{io::Write as _, net::IpAddr, os::unix::fs::OpenOptionsExt as _, sync::Arc};

use camino::Utf8Path;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256};

use crate::{
    config::Config,
    model::error::{Fault, Result},
};

pub struct Identity {
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, as `AB:CD:...`, for pinning.
    pub fingerprint: String,
    /// Made just now.
    pub fresh: bool,
}

/// Reads key and certificate; where the configuration names none and there are none yet, makes
/// them.
pub fn identity(config: &Config) -> Result<Identity> {
    let (cert, key) = config.tls_paths();
    let ours = config.tls.certificate.as_str().is_empty();
    let fresh = ours && !(cert.exists() && key.exists());
    if fresh {
        make(&cert, &key, config)?;
    }
    let bad = |what: &str, path: &Utf8Path, e: String| Fault::invalid(format!("{path} holds no usable {what}: {e}"));
    let chain = CertificateDer::pem_file_iter(&cert)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|e| bad("certificate", &cert, e.to_string()))?;
    let first = chain.first().ok_or_else(|| bad("certificate", &cert, "it is empty".into()))?;
    let fingerprint = fingerprint(first);
    let key_der = PrivateKeyDer::from_pem_file(&key).map_err(|e| bad("private key", &key, e.to_string()))?;
    let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Fault::bug(format!("TLS: {e}")))?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|e| bad("pair of certificate and key", &cert, e.to_string()))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity { config: Arc::new(tls), fingerprint, fresh })
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
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let signed = params.self_signed(&pair).map_err(bad)?;
    // The key first: a certificate without its key would look complete to the next start.
    write_private(key, &pair.serialize_pem())?;
    write_private(cert, &signed.pem())
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

fn write_private(path: &Utf8Path, text: &str) -> Result<()> {
    let save = || -> std::io::Result<()> {
        let dir = path.parent().unwrap_or(Utf8Path::new("/"));
        std::fs::create_dir_all(dir)?;
        let temp = path.with_extension("new");
        let mut f = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
        f.write_all(text.as_bytes())?;
        f.sync_all()?;
        std::fs::rename(&temp, path)?;
        std::fs::File::open(dir)?.sync_all()
    };
    save().map_err(|e| Fault::transient(format!("cannot write {path}: {e}")).with_source(e))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn the_first_start_makes_a_private_pair_and_the_next_keeps_it() {
        let dir = tempfile::tempdir().expect("dir");
        let data_dir = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("utf-8");
        let config = Config { data_dir, ..Config::default() };
        let first = identity(&config).expect("first");
        let second = identity(&config).expect("second");
        assert!(first.fresh && !second.fresh);
        assert_eq!(first.fingerprint, second.fingerprint);
        let (cert, key) = config.tls_paths();
        for p in [&cert, &key] {
            assert_eq!(std::fs::metadata(p).expect("meta").permissions().mode() & 0o777, 0o600, "{p}");
        }
        assert!(names(&config).contains(&"127.0.0.1".to_owned()));
        std::fs::write(&key, "-----BEGIN JUNK-----").expect("write");
        let fault = identity(&config).err().expect("a broken key").to_string();
        assert!(fault.contains("key.pem holds no usable private key"), "{fault}");
    }
}
