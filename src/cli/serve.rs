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
}

impl Serve {
    pub fn run(self) -> Result<(), Failure> {
        // The configuration of somebody's zero touch that a power cut ended is nobody's.
        if self.config.as_ref().is_none_or(|c| *c == Place::default().config) {
            match mend(&Place::default()) {
                Ok(false) => {}
                Ok(true) => eprintln!("zero touch was cut off: the configuration of before is back (bothy ztp status)"),
                Err(f) => eprintln!("whether zero touch was cut off cannot be told: {f}"),
            }
        }
        let live = daemon::configuration(self.config.as_deref()).inspect_err(daemon::refused)?;
        Ok(daemon::serve(live)?)
    }
}
