//! The other side of zero touch, for those who have none: a manufacturer that gives boxes their identity and issues
//! vouchers, and an owner that says what a box shall be.
//!
//! Owns the keys' folder and the files that it hands out. For a fleet of one's own and for trying out; a product's
//! manufacturer keeps such keys in hardware.

use std::{fs, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::{CONVEYED, OWNER, VOUCHER};
use crate::{
    host::{
        durable,
        exec::Exec,
        openssl::{OpenSsl, block, certificates},
    },
    model::error::{Fault, Result},
    ztp::{
        Der,
        artefact::{self, Artefacts},
        conveyed::{Conveyed, Handling},
        voucher::Voucher,
    },
};

/// id-ct-animaJSONVoucher and id-ct-sztpConveyedInfoJSON
pub(super) const JSON_VOUCHER: &str = "1.2.840.113549.1.9.16.1.40";
pub(super) const JSON_CONVEYED: &str = "1.2.840.113549.1.9.16.1.43";
/// An IDevID is for the life of its device (IEEE 802.1AR 8.7); OpenSSL 3.0 takes days.
const FOR_LIFE: &str = "36500";

/// What a box shows its centre, as a server of TLS and as a client.
const OPERATIONAL: &str = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
/// It is renewed by another bootstrap, and by nothing else.
const OPERATIONAL_DAYS: &str = "3650";

pub struct Factory {
    folder: Utf8PathBuf,
}

/// What a stick shall hold.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub serial_number: String,
    /// `bothy.toml`, whole or in part.
    pub configuration: Option<(Handling, Vec<u8>)>,
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
    pub os_version: Option<String>,
    /// Bootstrap servers instead of all these.
    pub redirect: Vec<(String, u16)>,
    /// Whom their certificates must lead to; empty: they are strangers to the box.
    pub anchors: Vec<Der>,
    /// When the voucher ends.
    pub expires: Option<jiff::Timestamp>,
    /// A voucher of another manufacturer's, signed already.
    pub voucher: Option<Vec<u8>>,
    /// The request that the voucher answers, and no other.
    pub nonce: Option<Vec<u8>>,
    /// The box's certificate: then nobody else can read the stick.
    pub sealed_for: Option<Utf8PathBuf>,
}

impl Factory {
    pub fn open(folder: &Utf8Path) -> Factory {
        Factory { folder: folder.to_owned() }
    }

    /// Keys and certificates of manufacturer and owner; those that are there stay.
    pub fn init(&self) -> Result<()> {
        folder(&self.folder)?;
        let ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
        let end = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
        // Vouchers have an anchor of their own, which can issue nothing: under the manufacturer's every box could sign vouchers
        // for all others with its own key.
        for (name, subject, issuer, with) in [
            ("manufacturer", "/O=Bothy factory/CN=manufacturer of boxes", None, ca),
            ("vouchers", "/O=Bothy factory/CN=vouchers of the manufacturer", None, end),
            ("domain", "/O=Bothy factory/CN=domain of the owner", None, ca),
            ("owner", "/O=Bothy factory/CN=owner", Some("domain"), end),
            // Apart from the domain: whoever that one has certified may sign for the owner.
            ("operations", "/O=Bothy factory/CN=operational certificates of boxes", None, ca),
        ] {
            if fs::metadata(self.certificate(name)).is_ok_and(|m| m.len() > 0) {
                continue;
            }
            self.request(&self.key(name), subject, name)?;
            self.certify(name, issuer, with, &self.certificate(name))?;
        }
        Ok(())
    }

    /// The identity of a box: what goes into its identity folder. `request`: of a key that never leaves the box (PKCS#10,
    /// PEM); without one the key is made here and goes along.
    pub fn device(&self, serial_number: &str, request: Option<&Utf8Path>, out: &Utf8Path) -> Result<()> {
        self.ready()?;
        checked_serial(serial_number)?;
        folder(out)?;
        let name = format!("device-{serial_number}");
        let csr = self.folder.join(format!("{name}.csr"));
        match request {
            Some(path) => {
                self.proven(path, serial_number)?;
                fs::copy(path, &csr).map_err(|e| Fault::transient(format!("cannot read {path}: {e}")))?;
            }
            None if out.join("idevid.key").exists() => {
                return Err(Fault::conflict(format!("{out}/idevid.key is there already: it is a box's identity, and is not made anew")));
            }
            None => self.request(&out.join("idevid.key"), &format!("/CN=bothy/serialNumber={serial_number}"), &name)?,
        }
        let with = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyAgreement\nextendedKeyUsage=clientAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
        let certificate = out.join("idevid.pem");
        self.certify(&name, Some("manufacturer"), with, &certificate)?;
        let anchors =
            fs::read(self.certificate("vouchers")).map_err(|e| Fault::transient(format!("cannot read the vouchers' certificate: {e}")))?;
        durable::ensure_file(&out.join("voucher-anchors.pem"), &anchors, 0o644)
    }

    /// Signed bootstrapping data for one box, as files of a removable storage.
    pub fn stick(&self, wish: &Wish, out: &Utf8Path) -> Result<()> {
        let data = self.artefacts(wish)?;
        folder(out)?;
        let all = [(VOUCHER, data.voucher), (OWNER, data.owner_certificate), (CONVEYED, Some(data.conveyed))];
        all.into_iter().filter_map(|(n, b)| Some((n, b?))).try_for_each(|(n, b)| durable::ensure_file(&out.join(n), &b, 0o644))
    }

    /// The same for whoever hands it out otherwise.
    pub fn artefacts(&self, wish: &Wish) -> Result<Artefacts> {
        self.ready()?;
        checked_serial(&wish.serial_number)?;
        let cms = OpenSsl::new(self.folder.clone(), None);
        let one = |name: &str| -> Result<Der> {
            let path = self.certificate(name);
            let text = fs::read_to_string(&path).map_err(|e| Fault::transient(format!("cannot read {path}: {e}")))?;
            certificates(&text)?.pop().ok_or_else(|| Fault::conflict(format!("{path} holds no certificate")))
        };
        let conveyed = conveyed(wish, &cms)?;
        // Certificates are no secret, and a bag of them is not signed: only signed data is sealed.
        let sealed = |bytes: Vec<u8>| wish.sealed_for.as_ref().map_or(Ok(bytes.clone()), |to| cms.seal(&bytes, to));
        let sign = |content: &[u8], kind: &str, name: &str| cms.sign(content, kind, (&self.key(name), &self.certificate(name)));
        let voucher = match &wish.voucher {
            Some(v) => v.clone(),
            None => sealed(sign(&voucher(wish, &one("domain")?)?, JSON_VOUCHER, "vouchers")?)?,
        };
        Ok(Artefacts {
            voucher: Some(voucher),
            owner_certificate: Some(cms.bag(&[one("owner")?])?),
            conveyed: sealed(sign(&conveyed, JSON_CONVEYED, "owner")?)?,
        })
    }

    /// Whether it has the keys for operational certificates.
    pub fn certifies(&self) -> bool {
        self.key("operations").exists()
    }

    /// A box's operational certificate (PEM), for a request (PKCS#10, DER) that it has signed itself.
    pub fn operational(&self, serial_number: &str, request: &[u8]) -> Result<String> {
        if artefact::requested(request).is_none_or(|s| s != serial_number) {
            return Err(Fault::invalid(format!("the request for a certificate does not name the serial number {serial_number}, once")));
        }
        let name = format!("operational-{}", uuid::Uuid::new_v4().simple());
        let [csr, extensions, out] = ["csr", "ext", "pem"].map(|end| self.folder.join(format!("{name}.{end}")));
        durable::ensure_file(&csr, request, 0o600)?;
        durable::ensure_file(&extensions, OPERATIONAL.as_bytes(), 0o600)?;
        let made = openssl("x509")
            .args(["-req", "-inform", "DER", "-sha256", "-days", OPERATIONAL_DAYS, "-in", csr.as_str(), "-extfile", extensions.as_str()])
            .args(["-CA", self.certificate("operations").as_str(), "-CAkey", self.key("operations").as_str()])
            .args(["-set_serial", &format!("0x{}", uuid::Uuid::new_v4().simple()), "-out", out.as_str()])
            .run_any();
        let text = fs::read_to_string(&out);
        for gone in [&csr, &extensions, &out] {
            let _ = fs::remove_file(gone);
        }
        let made = made?;
        if !made.status.success() {
            return Err(
                Fault::invalid("the request for a certificate is not sound: its own key has not signed it").with_source(made.stderr)
            );
        }
        text.map_err(|e| Fault::transient(format!("cannot read {out}: {e}")))
    }

    fn key(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(format!("{name}.key"))
    }
    fn certificate(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    fn ready(&self) -> Result<()> {
        if self.certificate("owner").exists() {
            return Ok(());
        }
        Err(Fault::conflict(format!("{} is no factory yet: `bothy ztp factory init {}`", self.folder, self.folder)))
    }

    fn request(&self, key: &Utf8Path, subject: &str, name: &str) -> Result<()> {
        let csr = self.folder.join(format!("{name}.csr"));
        openssl("req")
            .args(["-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-utf8"])
            .args(["-subj", subject, "-keyout", key.as_str(), "-out", csr.as_str()])
            .run()
            .map(drop)
    }

    fn certify(&self, name: &str, issuer: Option<&str>, with: &str, out: &Utf8Path) -> Result<()> {
        let csr = self.folder.join(format!("{name}.csr"));
        let extensions = self.folder.join(format!("{name}.ext"));
        durable::ensure_file(&extensions, with.as_bytes(), 0o600)?;
        let mut how = openssl("x509").args([
            "-req",
            "-sha256",
            "-days",
            FOR_LIFE,
            "-in",
            csr.as_str(),
            "-extfile",
            extensions.as_str(),
            "-out",
            out.as_str(),
        ]);
        how = match issuer {
            None => how.args(["-key", self.key(name).as_str()]),
            Some(i) => how.args(["-CA", self.certificate(i).as_str(), "-CAkey", self.key(i).as_str(), "-CAcreateserial"]),
        };
        let made = how.run();
        for gone in [&csr, &extensions] {
            let _ = fs::remove_file(gone);
        }
        made.map(drop)
    }

    /// The request is signed by its own key (`x509 -req` looks), and names this serial number and no other: a certificate is
    /// not given on hearsay.
    fn proven(&self, request: &Utf8Path, serial_number: &str) -> Result<()> {
        let text = fs::read_to_string(request).map_err(|e| Fault::transient(format!("cannot read {request}: {e}")))?;
        let der = block(&text, "CERTIFICATE REQUEST")
            .ok_or_else(|| Fault::invalid(format!("{request} is no request for a certificate (PKCS#10, PEM)")))?;
        if artefact::requested(&der).is_some_and(|s| s == serial_number) {
            return Ok(());
        }
        Err(Fault::invalid(format!("{request}: its subject does not name the serial number {serial_number}, once")))
    }
}

/// A folder of the caller's own keeps its mode; a new one is root's.
fn folder(path: &Utf8Path) -> Result<()> {
    if path.is_dir() { Ok(()) } else { durable::ensure_folder(path, 0o700) }
}

/// The box's own half: a key that stays, and a request for its certificate.
pub fn request(serial_number: &str, identity: &Utf8Path) -> Result<String> {
    checked_serial(serial_number)?;
    folder(identity)?;
    let key = identity.join("idevid.key");
    if key.exists() {
        return Err(Fault::conflict(format!("{key} is there already: it is this box's identity, and is not made anew")));
    }
    let csr = identity.join("idevid.csr");
    openssl("req")
        .args(["-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"])
        .args(["-subj", &format!("/CN=bothy/serialNumber={serial_number}"), "-keyout", key.as_str(), "-out", csr.as_str()])
        .run()?;
    fs::read_to_string(&csr).map_err(|e| Fault::transient(format!("cannot read {csr}: {e}")))
}

fn openssl(what: &str) -> Exec {
    Exec::new("openssl").arg(what).limit(Duration::from_secs(30))
}

/// It stands in names of files, in a subject and on a label.
fn checked_serial(text: &str) -> Result<()> {
    let fine = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !text.starts_with('.');
    if fine { Ok(()) } else { Err(Fault::invalid(format!("serial number '{text}': 1 to 64 letters, digits, '-', '_' and '.'"))) }
}

/// What is handed out is read first as the box will read it.
fn voucher(wish: &Wish, domain: &Der) -> Result<Vec<u8>> {
    // `created-on` is a minute ago: clocks differ.
    let created = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(1);
    let mut v = Map::new();
    v.insert("created-on".into(), json!(created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
    if let Some(t) = wish.expires {
        v.insert("expires-on".into(), json!(t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
    }
    v.insert("assertion".into(), json!("verified"));
    v.insert("serial-number".into(), json!(wish.serial_number));
    v.insert("pinned-domain-cert".into(), json!(BASE64.encode(&domain.0)));
    if let Some(n) = &wish.nonce {
        v.insert("nonce".into(), json!(BASE64.encode(n)));
    }
    let bytes = json!({"ietf-voucher:voucher": v}).to_string().into_bytes();
    Voucher::read(&bytes)?;
    Ok(bytes)
}

fn conveyed(wish: &Wish, cms: &OpenSsl) -> Result<Vec<u8>> {
    let document = if wish.redirect.is_empty() {
        let mut o = Map::new();
        if let Some(v) = &wish.os_version {
            o.insert("boot-image".into(), json!({"os-name": "bothy", "os-version": v}));
        }
        let mut put = |name: &str, bytes: &[u8]| o.insert(name.into(), Value::String(BASE64.encode(bytes)));
        if let Some(s) = &wish.before {
            put("pre-configuration-script", s);
        }
        if let Some((_, text)) = &wish.configuration {
            put("configuration", text);
        }
        if let Some(s) = &wish.after {
            put("post-configuration-script", s);
        }
        if let Some((handling, _)) = &wish.configuration {
            let word = match handling {
                Handling::Merge => "merge",
                Handling::Replace => "replace",
            };
            o.insert("configuration-handling".into(), json!(word));
        }
        json!({"ietf-sztp-conveyed-info:onboarding-information": o})
    } else {
        let mut servers: Vec<Value> = wish.redirect.iter().map(|(address, port)| json!({"address": address, "port": port})).collect();
        if !wish.anchors.is_empty() {
            let bag = BASE64.encode(&cms.bag(&wish.anchors)?);
            servers.iter_mut().for_each(|s| s["trust-anchor"] = json!(bag));
        }
        json!({"ietf-sztp-conveyed-info:redirect-information": {"bootstrap-server": servers}})
    };
    let bytes = document.to_string().into_bytes();
    Conveyed::read(&bytes)?;
    Ok(bytes)
}
