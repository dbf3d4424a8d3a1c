//! `bothy serve`

use camino::Utf8PathBuf;
use clap::Args;

use super::failure::Failure;
use crate::{
    model::error::Fault,
    node::{
        anew, daemon,
        ztp::{Place, is_unproven, mend, unfit},
    },
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
        let known = state.map(at.clone());
        if let Some(place) = &known {
            mended(place);
        }
        let read = || daemon::configuration(self.config.as_deref());
        let refused = |f: &Fault| match &known {
            Some(place) if is_unproven(place) => {}
            Some(_) | None => daemon::refused(f),
        };
        let live = match read().inspect_err(refused) {
            Err(f) if known.as_ref().is_some_and(|place| taken_back(place, &f)) => return Ok(anew::start()?),
            other => other?,
        };
        let (live, place) = match known {
            Some(place) => (live, place),
            None => {
                let place = at(live.now().data_dir.join("ztp"));
                (if mended(&place) { read().inspect_err(daemon::refused)? } else { live }, place)
            }
        };
        let tried = is_unproven(&place);
        match daemon::serve(live, place.clone()) {
            // It has not come up by what was conveyed, so that is not the box's configuration yet.
            Err(f) if tried && taken_back(&place, &f) => Ok(anew::start()?),
            other => Ok(other?),
        }
    }
}

/// What a power cut has ended is taken back.
fn mended(place: &Place) -> bool {
    match mend(place) {
        Ok(false) => false,
        Ok(true) => {
            eprintln!("zero touch was cut off: the configuration of before is back (bothy ztp status)");
            true
        }
        Err(f) => {
            eprintln!("whether zero touch was cut off cannot be told: {f}");
            false
        }
    }
}

fn taken_back(place: &Place, why: &Fault) -> bool {
    match unfit(place, why) {
        Ok(false) => false,
        Ok(true) => {
            eprintln!("bothy does not start by the conveyed configuration: that of before is back (bothy ztp status): {why}");
            true
        }
        Err(f) => {
            eprintln!("the configuration of before cannot be brought back: {f}");
            false
        }
    }
}
