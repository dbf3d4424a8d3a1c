//! What a start of bothy finds ordered, a reset or a restore: seen through before anything else, and then bothy starts once more.
//!
//! Never: opens the store for anybody.

use std::time::Duration;

use camino::Utf8Path;
use sd_notify::NotifyState;

use super::{
    daemon::say,
    ports::{Own, ports},
    reset, restore,
    settings::outside,
};
use crate::{
    config::{Config, LiveConfig},
    model::{
        domain::Layout,
        error::{Fault, Result},
    },
    reset::Hands,
};

pub fn is_ordered(data: &Utf8Path) -> Result<bool> {
    Ok(reset::is_ordered(data)? || restore::is_ordered(data))
}

pub fn see_through(live: &LiveConfig, config: &Config, layout: &Layout, own: &Own) -> Result<()> {
    if reset::is_ordered(&config.data_dir)? {
        return see_reset_through(live, config, layout, own);
    }
    let (certificate, key) = restore::identity(&config.data_dir, config)?;
    restore::finish(&config.data_dir, layout.store().as_std_path(), live.path(), (&certificate, &key))?;
    start()
}

/// Nothing else runs meanwhile.
fn see_reset_through(live: &LiveConfig, config: &Config, layout: &Layout, own: &Own) -> Result<()> {
    // The service manager's patience ends before that of a reset.
    say(&[NotifyState::Custom("EXTEND_TIMEOUT_USEC=300000000")]);
    let ports = ports(own, config, layout)?;
    let hands = Hands {
        hypervisor: ports.hypervisor,
        images: ports.images,
        fabric: ports.fabric,
        host: ports.host,
        hardware: ports.hardware,
        own_net: ports.own_net,
        controllers: ports.controllers,
        outside: outside(config),
    };
    let (store, beside) = (layout.store(), reset::beside(live.path()));
    let ground =
        reset::Ground { data: &config.data_dir, store: store.as_std_path(), configuration: &beside, patience: Duration::from_secs(30) };
    match reset::finish(&hands, &*ports.slots, &ground)? {
        Some(reset::End::Restarts) => {
            // A service manager that starts bothy again would only have it ask once more.
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        Some(reset::End::Anew) | None => start(),
    }
}

/// The same program with the same words, in the same process: what it held of the old configuration is gone.
pub fn start() -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "bothy".into());
    let failed = std::process::Command::new("/proc/self/exe").arg0(name).args(args).exec();
    Err(Fault::transient(format!("bothy cannot start anew: {failed}")).with_source(failed))
}
