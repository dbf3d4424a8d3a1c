//! The daemon: configuration, log, folders, store, TLS, listeners; then signals until the end.
//!
//! Owns: the order of start and stop. Never: domain logic.
use std::{
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    sync::Arc,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use sd_notify::NotifyState;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

use crate::{
    abroad::Abroad,
    access::Access,
    api::{
        self, Services,
        blocking::Pool,
        places::Sources,
        server::{Server, bind_local},
        tls::{ForCentre, Rotating},
        upload,
    },
    backup::{Backups, Restores},
    central::{self, Granter, Offline},
    config::{Config, GrantOffline, LiveConfig, LogFormat, LogLevel, ReferencePoint},
    desired,
    host::{
        ballast::Ballast,
        clock::{OsDice, SystemClock, boot_id},
        nft::Filter,
    },
    hostnet::Door,
    lcm::engine::Settings,
    model::{
        domain::Layout,
        error::{Fault, Result},
    },
    node::{
        account, anew,
        centre::{bootstrap, centres, hub},
        conditions::conditions,
        core::{Build, Core},
        desired::Keeper,
        ears::Ears,
        log::Tail,
        ports::{Own, ports},
        reset, restore,
        settings::{access_settings, desired as desired_host, openings, outside, rules, taken, uplinks},
        system::open_store,
        ztp,
    },
    notify::{self, Notifier},
    own,
    reset::Resets,
    store::{Options, Store},
    update::{self, Begun, How, Pace, leave_word},
    vnfm::Vnfm,
};

/// Read when no other file is named, if it is there.
pub const CONFIG_PATH: &str = "/etc/bothy/bothy.toml";

/// The configuration a daemon starts with.
pub fn configuration(named: Option<&Utf8Path>) -> Result<LiveConfig> {
    let path = match named {
        Some(p) => Some(std::path::absolute(p).ok().and_then(|p| Utf8PathBuf::from_path_buf(p).ok()).unwrap_or_else(|| p.to_owned())),
        None => Some(Utf8PathBuf::from(CONFIG_PATH)).filter(|p| p.exists()),
    };
    let config = match &path {
        Some(p) => LiveConfig::read(p).map_err(|refusal| Fault::invalid(refusal.to_string()))?,
        None => Config::default(),
    };
    Ok(LiveConfig::new(path, config))
}

/// A configuration that this version refuses, where this boot is a trial, sends the box back: nobody can mend it meanwhile.
pub fn refused(fault: &Fault) {
    let config = Config::default();
    let slots = Own::new(&config, &Layout::new(config.data_dir.clone())).slots();
    if leave_word(&*slots, fault)
        && let Err(fault) = slots.restart()
    {
        tracing::error!("the box does not restart: {fault:?}");
    }
}

/// Why a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Told,
    /// Zero touch has brought another configuration, or a reset or a restore is ordered.
    Anew,
}

/// Runs the daemon until a signal ends it; it may begin anew by itself, in the same process.
pub fn serve(live: LiveConfig, place: ztp::Place) -> Result<()> {
    let (data, config) = (live.now().data_dir.clone(), live.path().map(ToOwned::to_owned));
    match as_configured(live, place) {
        // Where another daemon runs, it has come up by it.
        Err(f) if Store::free(data.join("store")).is_ok() && restore::unfit(&data, config.as_deref(), &f)? => anew::start(),
        other => other,
    }
}

fn as_configured(live: LiveConfig, place: ztp::Place) -> Result<()> {
    let config = live.now();
    let tail = init_log(&live, &config)?;
    raise_files();
    make_folders(&config)?;
    Ballast::new(&Layout::new(config.data_dir.clone())).relieve()?;
    let layout = Layout::new(config.data_dir.clone());
    let own = Own::new(&config, &layout);
    let slots = own.slots();
    let dir = config.data_dir.join("store");
    // The record of updates is whose the store is.
    Store::free(&dir)?;
    let limit = Duration::from_secs(config.update.trial_s);
    let begun = update::begin(&*slots, own.hardware().boot_args(), limit)?;
    // Not in a trial, whose store is a copy; the old system sees to it.
    if begun.how == How::Plain && anew::is_ordered(&config.data_dir)? {
        return anew::see_through(&live, &config, &layout, &own);
    }
    reset::forget_wipe(&config.data_dir)?;
    // Whatever keeps a trial from coming up, the old system shall know.
    let ended = serve_begun(live, &config, tail, layout, &own, begun, dir, place).inspect_err(|fault| {
        let _ = leave_word(&*slots, fault);
    })?;
    match ended {
        Ended::Told => Ok(()),
        Ended::Anew => anew::start(),
    }
}

#[allow(clippy::too_many_arguments)]
fn serve_begun(
    live: LiveConfig,
    config: &Config,
    tail: Tail,
    layout: Layout,
    own: &Own,
    begun: Begun,
    store: Utf8PathBuf,
    place: ztp::Place,
) -> Result<Ended> {
    let limit = Duration::from_secs(config.update.trial_s);
    let store = open_store(store, Options::default(), &begun, &*own.slots())?;
    // Only now: the store's lock says that no other daemon uses this folder.
    upload::prepare(config)
        .map_err(|e| Fault::transient(format!("cannot empty the folder {}: {e}", upload::folder(config))).with_source(e))?;
    for note in store.notes() {
        tracing::warn!(note, "the store was repaired when it was opened");
    }
    let calls = config.limits.calls as usize;
    // Two threads carry the sockets; the core runs on blocking threads that end when idle.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(512 * 1024)
        .max_blocking_threads(calls + 8)
        .thread_keep_alive(Duration::from_secs(5))
        .thread_name("bothy")
        .enable_all()
        .build()
        .map_err(|e| Fault::transient(format!("cannot start threads: {e}")).with_source(e))?;
    let core = Core::start(Build {
        ports: ports(own, config, &layout)?,
        store,
        layout,
        rules: rules(config)?,
        desired: desired_host(config),
        outside: outside(config),
        uplinks: uplinks(config)?,
        taken: taken(config),
        pace: Pace { limit: begun.left(limit), ..Pace::default() },
        begun,
        socket: Some(config.socket_path()),
        clock: Arc::new(SystemClock::default()),
        dice: Arc::new(OsDice),
        engine: Settings {
            host_workers: config.lcm.workers as usize,
            transient_budget: Duration::from_secs(config.lcm.patience_s),
            boot: boot_id(),
            ..Settings::default()
        },
    })?;
    let (vnfm, host, switches) = (core.vnfm().clone(), core.host.clone(), core.outside.clone());
    live.on_change(move |c| {
        host.set_desired(desired_host(c));
        switches.configure(outside(c));
        match rules(c) {
            Ok(r) => vnfm.set_rules(r),
            Err(fault) => tracing::error!("the rules stay as they were: {fault:?}"),
        }
    });
    let ended = runtime.block_on(run(live, config, core.clone(), tail, place));
    runtime.shutdown_timeout(Duration::from_secs(5));
    core.stop();
    ended
}

async fn run(live: LiveConfig, config: &Config, core: Arc<Core>, tail: Tail, place: ztp::Place) -> Result<Ended> {
    let (tls, fresh) = Rotating::open(config)?;
    let tls = Arc::new(tls);
    core.watch()?;
    let notifier = notifier(config, &core)?;
    let shows = notifier.clone();
    tls.on_change(move || shows.show_anew());
    let begun = Instant::now();
    let (store, clock) = (core.nfvo.vnfm().store().clone(), core.nfvo.vnfm().clock().clone());
    let (access, provisioned) = Access::open(store, clock, Box::new(move || begun.elapsed()), access_settings(config))?;
    let access = Arc::new(access);
    account::keep(core.vnfm(), &access);
    let changed = access.clone();
    live.on_change(move |c| changed.set_settings(access_settings(c)));
    let (watcher, granted, indicators) = (core.clone(), core.vnfm().clone(), core.indicators.clone());
    let call_home = Arc::new(centres(config, core.nfvo.vnfm().clock()));
    let hub = hub(config, &live, core.vnfm().store().clone(), core.nfvo.vnfm().clock()).await?;
    let bootstrap = match &hub {
        Some(h) => bootstrap(config, h.clone()).await?,
        None => None,
    };
    let (centres, boxes, ztp_state) = (call_home.clone(), hub.clone(), place.state.clone());
    let (anew, again) = (Arc::new(tokio::sync::Notify::new()), core.ports.clone());
    let told = anew.clone();
    let reset = Arc::new(Resets::new(
        core.vnfm().store().clone(),
        core.update().clone(),
        (again.slots, again.own_net),
        core.vnfm().clock().clone(),
        reset::files(&config.data_dir),
        Box::new(move || told.notify_one()),
    ));
    let keeper =
        Arc::new(Keeper::new(core.nfvo.clone(), core.host.clone(), place.identity.join("idevid.pem"), desired::Settings::default()));
    // The simulated box has no kernel to be shut.
    let is_box = core.ports.slots.running()?.is_some();
    let door = (!config.sim.enabled).then(|| Arc::new(Door::new(Arc::new(Filter::default()), openings(config, is_box))));
    let (told, shown) = (anew.clone(), tls.clone());
    let parts = restore::parts(&core, live.path().map(ToOwned::to_owned), config, Box::new(move || shown.fingerprint()));
    let restores = Arc::new(Restores::new(parts.clone(), restore::house(&core, Box::new(move || told.notify_one()))));
    let (origin, shut) = (restores.clone(), door.clone());
    if let Some(door) = door.clone() {
        live.on_change(move |c| door.set(openings(c, is_box)));
    }
    if restore::is_returning(&config.data_dir) {
        restore::return_soon(&core);
    }
    let services = Arc::new(Services {
        notify: notifier.clone(),
        alarms: core.alarms.clone(),
        pm: core.pm.clone(),
        config: live,
        access,
        tls: tls.clone(),
        pool: writing_to(core.vnfm().store(), Pool::new(config.limits.calls as usize)),
        nfvo: core.nfvo.clone(),
        host: core.host.clone(),
        update: core.update().clone(),
        own_net: core.own_net().clone(),
        desired: keeper.state().clone(),
        reset,
        backup: Arc::new(Backups::new(parts)),
        restore: restores,
        call_home,
        hub,
        ztp: Box::new(move || ztp::status(&ztp_state)),
        look: Box::new(move |missing| watcher.look_again(missing)),
        health: Box::new(move || {
            let mut all = conditions(&core);
            all.extend(centres.condition());
            all.extend(origin.condition());
            all.extend(shut.as_ref().and_then(|d| d.condition()));
            all.extend(boxes.as_ref().map(|h| h.condition()));
            all
        }),
        log: Box::new(move || tail.text()),
        started: Instant::now(),
    });

    let often = own::Settings { pause: Duration::from_millis(250), longest: Duration::from_secs(30) };
    let errands = own::Errands::start(granted.clone(), services.notify.clone(), often);
    let tellers = own::indicators::Indicators::start(granted.clone(), services.notify.clone(), INDICATORS);
    let told = tellers.clone();
    indicators.on_own(move |vnf| told.told(vnf));
    let abroad = Abroad::new(services.notify.clone());
    granted.connect_managers(abroad.clone());
    let ears = Ears::start(granted.clone(), services.access.clone(), services.alarms.clone());
    let granter = granter(granted, &services);
    keeper.start(&services)?;
    api::system_bundle::go_on(&services);
    let connections = config.limits.connections as usize;
    let each = match config.limits.connections_per_source as usize {
        0 => connections / 4,
        most => most,
    };
    let mut server = Server::new((&config.limits).into(), connections, Sources::new(each, true));
    server.tell(services.access.clone());
    for l in &config.listen {
        let listener = TcpListener::bind(l.address)
            .await
            .map_err(|e| Fault::transient(format!("cannot listen on {}: {e}; see [[listen]]", l.address)).with_source(e))?;
        server.listen_tls(listener, tls.clone(), api::router(&services, &l.reference_points));
        tracing::info!(address = %l.address, "serving HTTPS");
    }
    let socket = config.socket_path();
    let local = bind_local(&socket).await?;
    // Not before all is there that a configuration may have wrong: what was conveyed can be taken back until then, accounts cannot.
    let provisioned = ztp::enrol(&place, &services.access) || provisioned;
    for (c, centre) in config.call_home.iter().zip(services.call_home.centres()) {
        let (certificate, key) =
            if c.certificate.as_str().is_empty() { config.tls_paths() } else { (c.certificate.clone(), c.key.clone()) };
        let shown = ForCentre::new(certificate, key, c.ca.clone(), &config.tls.client_crl);
        let router = api::router(&services, &c.reference_points);
        server.call_home(centre.clone(), shown, Duration::from_secs(c.keep_alive_s), router);
    }
    let everything = ReferencePoint::TOGETHER;
    server.listen_local(local, api::router(&services, everything));
    tracing::info!(%socket, fingerprint = tls.fingerprint(), fresh, "ready");
    let first = config.run_dir.join("first-start");
    if provisioned {
        crate::host::durable::remove(&first)?;
    } else {
        announce(&services.access, &tls.fingerprint(), &first)?;
    }
    // Whoever hears that it is ready may end it at once.
    let signals = Signals::heard()?;
    say(&[NotifyState::Ready]);

    if let Err(fault) = restore::proven(&config.data_dir) {
        tracing::error!("that the restored configuration has proved itself cannot be written down: {fault:?}");
    }
    if let Err(fault) = ztp::proven(&place) {
        tracing::error!("that bothy has come up by the conveyed configuration is not noted: {fault:?}");
    }
    let claimed = config.ztp.enabled.then(|| place.clone());
    let done = anew.clone();
    let looks = ztp::by_itself(place, &config.ztp, services.access.clone(), move || done.notify_one());
    // A box that cannot look for its owner still serves.
    let looks = looks.unwrap_or_else(|fault| {
        tracing::error!("zero touch does not begin: {fault:?}");
        None
    });
    let ended = until_told(signals, &services, door, &first, claimed, &anew).await?;
    drop(looks);
    match NotifyState::monotonic_usec_now().ok().filter(|_| ended == Ended::Anew) {
        // The service manager would end what it takes to be stopping.
        Some(now) => say(&[NotifyState::Reloading, now]),
        None => say(&[NotifyState::Stopping]),
    }
    let drain = services.config.now().limits.drain_s;
    tracing::info!(seconds = drain, "stopping: requests under way may finish");
    // They last as long as their clients wish, and are not waited for.
    services.nfvo.vnfm().links().stop_captures();
    server.drain(Duration::from_secs(drain)).await;
    drop(bootstrap);
    if let Some(h) = &services.hub {
        h.stop();
    }
    errands.stop();
    tellers.stop();
    let _ = tokio::task::spawn_blocking(move || keeper.stop()).await;
    granter.stop();
    drop(ears);
    abroad.stop();
    notifier.stop();
    let _ = std::fs::remove_file(&socket);
    tracing::info!("stopped");
    Ok(ended)
}

/// Takes up the delivery of notifications.
fn notifier(config: &Config, core: &Arc<Core>) -> Result<Arc<Notifier>> {
    let (certificate, key) = config.tls_paths();
    let settings = notify::Settings {
        timeout: Duration::from_secs(config.notify.timeout_s),
        attempts: u32::try_from(config.notify.attempts).unwrap_or(u32::MAX),
        backlog: config.notify.backlog,
        pause: Duration::from_millis(250),
        longest: Duration::from_secs(60),
    };
    let nfvo = core.nfvo.clone();
    let render = Box::new(move |s: &_, e: &_| api::convert::notification::render(&nfvo, s, e));
    let tls = notify::Tls::new(&config.notify.ca, &certificate, &key)?;
    Notifier::start(core.vnfm().store().clone(), core.vnfm().clock().clone(), render, settings, tls)
}

/// How often VNFs are asked for what they tell of themselves: as often as their guests are.
const INDICATORS: Duration = Duration::from_secs(10);

/// Takes up the asking for grants.
fn granter(vnfm: Arc<Vnfm>, services: &Arc<Services>) -> Granter {
    let of = services.clone();
    let offline = move || match of.config.now().lcm.grant_offline {
        GrantOffline::Wait => Offline::Wait,
        GrantOffline::AllowHeal => Offline::AllowHeal,
    };
    let settings = central::Settings {
        pause: Duration::from_millis(250),
        longest: Duration::from_secs(30),
        offline: Box::new(offline),
        reread: api::convert::relaid::read,
    };
    Granter::start(vnfm, services.notify.clone(), settings)
}

/// How often it is asked whether the store still takes writes.
const STORE_CHECK: Duration = Duration::from_secs(1);
/// Each how many of these a barrier is asked for, which finds a disk that failed while nobody wrote.
const BARRIER_EACH: u32 = 5;
/// Each how many of these it is asked whether the rules of what reaches the box are those that they should be.
const DOOR_EACH: u32 = 60;

/// From when they are heard on, none of them ends the process by itself.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn heard() -> Result<Signals> {
        let on = |kind| signal(kind).map_err(|e| Fault::transient(format!("cannot wait for signals: {e}")).with_source(e));
        Ok(Signals { term: on(SignalKind::terminate())?, int: on(SignalKind::interrupt())?, hup: on(SignalKind::hangup())? })
    }
}

/// Waits for the signal that ends the daemon, or for the word that it begins `anew`; takes the configuration up anew on SIGHUP.
/// `first`: what the box's screen shows until it has an administrator. `claimed`: where it is kept that it has one.
async fn until_told(
    Signals { mut term, mut int, mut hup }: Signals,
    services: &Arc<Services>,
    door: Option<Arc<Door>>,
    first: &Utf8Path,
    mut claimed: Option<ztp::Place>,
    anew: &tokio::sync::Notify,
) -> Result<Ended> {
    let mut is_shown = first.exists();
    let mut checks = tokio::time::interval(STORE_CHECK);
    checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count = 0u32;
    loop {
        tokio::select! {
            _ = checks.tick() => {
                if let Some(door) = door.clone().filter(|_| count.is_multiple_of(DOOR_EACH)) {
                    drop(tokio::task::spawn_blocking(move || door.look()));
                }
                count = count.wrapping_add(1);
                services.tls.look();
                if is_shown && services.access.is_claimed() {
                    crate::host::durable::remove(first)?;
                    is_shown = false;
                }
                if let Some(place) = claimed.take_if(|_| services.access.is_claimed())
                    && let Err(fault) = ztp::keep_claimed(&place)
                {
                    tracing::error!("that this box has an administrator is not kept for zero touch: {fault:?}");
                }
                let store = services.nfvo.vnfm().store().clone();
                let sound = if count.is_multiple_of(BARRIER_EACH) {
                    tokio::task::spawn_blocking(move || store.settle()).await
                } else {
                    Ok(store.check())
                };
                // A store that failed once (a full disk) takes no more writes: a new start mends it,
                // and the service manager sees to that.
                if let Ok(Err(fault)) = sound {
                    return Err(fault.context("the store has failed, and bothy ends to be started anew"));
                }
            }
            _ = term.recv() => return Ok(Ended::Told),
            _ = int.recv() => return Ok(Ended::Told),
            () = anew.notified() => {
                tracing::info!("bothy begins anew");
                return Ok(Ended::Anew);
            }
            _ = hup.recv() => {
                if let Ok(now) = NotifyState::monotonic_usec_now() {
                    say(&[NotifyState::Reloading, now]);
                }
                match services.config.reload() {
                    Ok(c) => {
                        tracing::info!(live = ?c.live, restart = ?c.restart, "configuration applied");
                        account::configuration(&services.access, None);
                    }
                    Err(refusal) => {
                        tracing::error!(%refusal, "configuration not applied");
                        account::configuration(&services.access, Some(&refusal));
                    }
                }
                say(&[NotifyState::Ready]);
            }
        }
    }
}

/// The first token, in the clear, once: to whoever watches the first start, never to the log.
/// `file`: for the box's own screen, until the next start of Bothy or of the box.
fn announce(access: &Access, fingerprint: &str, file: &Utf8Path) -> Result<()> {
    let token = access.bootstrap()?;
    crate::host::durable::ensure_file(file, token.reveal().as_bytes(), 0o600)?;
    println!(
        "\nThis box has no administrator yet. Its token, shown this one time:\n\n    {}\n\n\
         Certificate fingerprint (SHA-256):\n\n    {fingerprint}\n\n\
         From elsewhere: bothy --endpoint https://THIS-BOX:9443 --fingerprint ... --token ... health\n",
        token.reveal()
    );
    Ok(())
}

pub(super) fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// As many files as the host lets it have: each box of a hub is one, and the usual 1024 are for programs that wait for few.
fn raise_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it was");
    }
}

fn make_folders(config: &Config) -> Result<()> {
    let bad = |dir: &Utf8Path, e: std::io::Error| Fault::transient(format!("cannot make the folder {dir}: {e}")).with_source(e);
    std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&config.data_dir).map_err(|e| bad(&config.data_dir, e))?;
    // Guests' disks lie below it, so it can be passed through; what is secret is 0600 itself.
    std::fs::set_permissions(&config.data_dir, std::fs::Permissions::from_mode(0o711)).map_err(|e| bad(&config.data_dir, e))?;
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&config.run_dir).map_err(|e| bad(&config.run_dir, e))?;
    for dir in Layout::new(config.data_dir.clone()).folders() {
        std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&dir).map_err(|e| bad(&dir, e))?;
    }
    Ok(())
}

/// `BOTHY_LOG` takes levels by target (`warn,bothy=debug`) and wins over `log.level`.
fn filter(level: LogLevel) -> Targets {
    let said = std::env::var("BOTHY_LOG").ok().and_then(|s| s.parse().ok());
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    said.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN).with_target("bothy", level))
}

fn init_log(live: &LiveConfig, config: &Config) -> Result<Tail> {
    let tail = Tail::default();
    let kept = tail.clone();
    let (layer, handle) = reload::Layer::new(filter(config.log.level));
    let base = Registry::default().with(layer);
    let fmt = tracing_subscriber::fmt::layer().with_writer(move || kept.tee());
    let done = match config.log.format {
        LogFormat::Json => base.with(fmt.json().flatten_event(true).with_ansi(false)).try_init(),
        LogFormat::Human => {
            let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            base.with(fmt.with_target(false).with_ansi(terminal)).try_init()
        }
    };
    done.map_err(|e| Fault::bug(format!("the log was begun twice: {e}")))?;
    live.on_change(move |c| {
        if let Err(error) = handle.reload(filter(c.log.level)) {
            tracing::warn!(%error, "the log's level stays as it was");
        }
    });
    std::panic::set_hook(Box::new(|info| {
        let at = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let thread = std::thread::current();
        tracing::error!(at, thread = thread.name().unwrap_or(""), "panic: {}", text.unwrap_or("without words"));
    }));
    Ok(tail)
}

/// Who waits for the store's disk knows of the calls that are being worked on.
fn writing_to(store: &Store, pool: Pool) -> Pool {
    let store = store.clone();
    pool.around(move |job| store.while_coming(job))
}
