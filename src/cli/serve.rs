//! `bothy serve`

use camino::Utf8PathBuf;
use clap::Args;

use super::failure::Failure;
use crate::node::{
    daemon,
    ztp::{Place, mend},
};

/// Run the daemon in the foreground until SIGTERM; SIGHUP applies the configuration anew.
#[derive(Args)]
pub struct Serve {
    /// The configuration; without it /etc/bothy/bothy.toml if there is one, else the defaults
    #[arg(long, short, env = "BOTHY_CONFIG", value_name = "FILE")]
    config: Option<Utf8PathBuf>,
    /// The box's identity: idevid.pem, idevid.key, voucher-anchors.pem
    #[arg(long, value_name = "DIR", default_value = "/etc/bothy/ztp")]
    ztp_identity: Utf8PathBuf,
    /// What became of zero touch on this box
    /// [default: /var/lib/bothy/ztp, and where --config names another file, ztp in its data_dir]
    #[arg(long, value_name = "DIR")]
    ztp_state: Option<Utf8PathBuf>,
}

impl Serve {
    pub fn run(self) -> Result<(), Failure> {
        let usual = Place::default();
        let config = self.config.clone().unwrap_or_else(|| usual.config.clone());
        let at_its_place = config == usual.config;
        let state = self.ztp_state.or_else(|| at_its_place.then_some(usual.state));
        let at = |state: Utf8PathBuf| Place { work: state.join("work"), identity: self.ztp_identity, config, state };
        // The configuration of somebody's zero touch that a power cut ended is nobody's. That of another place is not touched.
        let place = state.map(at.clone());
        match place.as_ref().map(mend) {
            None | Some(Ok(false)) => {}
            Some(Ok(true)) => eprintln!("zero touch was cut off: the configuration of before is back (bothy ztp status)"),
            Some(Err(f)) => eprintln!("whether zero touch was cut off cannot be told: {f}"),
        }
        let live = daemon::configuration(self.config.as_deref()).inspect_err(daemon::refused)?;
        let place = place.unwrap_or_else(|| at(live.now().data_dir.join("ztp")));
        Ok(daemon::serve(live, place)?)
    }
}
