//! The command line: one file per subcommand, all of them clients of the daemon's HTTP API.
//!
//! Owns: arguments, tables, progress, exit codes. Never: opens the daemon's store (except
//! `store`), or decides anything the daemon should.

mod alarm;
mod audit;
mod backup;
mod bundle;
mod capacity;
mod centre;
mod chain;
mod change_package;
mod client;
mod completions;
mod config;
mod connect;
mod console;
mod desired;
mod down;
mod draw;
mod endpoint;
mod facts;
mod failure;
mod flavour;
mod follow;
mod guests;
mod hardware;
mod health;
mod host;
mod hostnet;
mod identity;
mod login;
mod logs;
mod measure;
mod modify;
mod names;
mod net;
mod nfvo;
mod notification;
mod ns;
mod nsd;
mod onboard;
mod op;
mod output;
mod package;
mod plan;
mod pm;
mod project;
mod reset;
mod resource;
mod scale;
mod screen;
mod sdn;
mod secret;
mod serve;
mod service;
mod snapshot;
mod store;
mod subscription;
mod support;
mod timeline;
mod token;
mod topology;
mod trust;
mod up;
mod update;
mod usage;
mod vnf;
mod vnf_config;
mod vnfm;
mod vnfpkg;
mod ztp;

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

use self::{
    client::{Client, Endpoint},
    failure::{Exit, Failure},
    output::Out,
};

#[derive(Parser)]
#[command(
    name = "bothy",
    version,
    about = "NFV orchestration for one edge box: VNF packages, network services, and the guests they run in",
    after_help = failure::EXIT_CODES,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Global {
    /// Print what the API answered, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    endpoint: EndpointArgs,
}

/// Without an endpoint the UNIX socket of the daemon on this host is used.
#[derive(Args)]
struct EndpointArgs {
    /// Another box: https://HOST[:PORT], or one behind a hub: https://HUB[:PORT]/boxes/SERIAL
    #[arg(long, global = true, env = "BOTHY_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// The token for that box
    #[arg(long, global = true, env = "BOTHY_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Trust certificates signed by those in this PEM file
    #[arg(long, global = true, env = "BOTHY_CACERT", value_name = "FILE")]
    cacert: Option<Utf8PathBuf>,
    /// Trust the one certificate with this SHA-256 fingerprint, as `bothy serve` shows it
    #[arg(long, global = true, env = "BOTHY_FINGERPRINT", conflicts_with = "cacert")]
    fingerprint: Option<String>,
    /// Show this client certificate (PEM, with --key)
    #[arg(long, global = true, env = "BOTHY_CERT", value_name = "FILE", requires = "key")]
    cert: Option<Utf8PathBuf>,
    /// Its private key (PEM)
    #[arg(long, global = true, env = "BOTHY_KEY", value_name = "FILE", requires = "cert")]
    key: Option<Utf8PathBuf>,
    /// Act in this project, if you reach over all of them
    #[arg(long, global = true, env = "BOTHY_PROJECT")]
    project: Option<String>,
    /// The daemon's UNIX socket on this host
    #[arg(
        long,
        global = true,
        env = "BOTHY_SOCKET",
        value_name = "PATH",
        default_value = "/run/bothy/bothy.sock",
        conflicts_with = "endpoint"
    )]
    socket: Utf8PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::Serve),
    /// Bring a folder of packages up as a network service: onboard, instantiate, wait, show
    Up(up::Up),
    /// Take a network service away
    Down(down::Down),
    /// What works and what does not
    Health,
    /// The box: capacity, what of it is promised, how guests run; its hardware, and how it is set up
    Host {
        #[command(subcommand)]
        what: Option<hardware::Host>,
    },
    /// Stop all guests because the host goes down; the next start of the host brings them back, or --undo
    HostShutdown(host::Shutdown),
    /// The box's own system: install another version, see how far it is, go back
    #[command(subcommand)]
    Update(update::UpdateCommand),
    /// Desired state: what the box's owner has signed that it shall run
    #[command(subcommand)]
    Desired(desired::Desired),
    /// VNF packages
    #[command(subcommand)]
    Vnfpkg(vnfpkg::VnfPkg),
    /// Network service descriptors
    #[command(subcommand)]
    Nsd(nsd::Nsd),
    /// Network services
    #[command(subcommand)]
    Ns(ns::Ns),
    /// VNF instances
    #[command(subcommand)]
    Vnf(vnf::Vnf),
    /// Operations: what is going on, what failed, and what to do about it
    #[command(subcommand)]
    Op(op::Op),
    /// Virtual links as they are on the switch
    #[command(subcommand)]
    Net(net::Net),
    /// Switches outside the box: who sets them, which ports functions of cards hang on, and the links there
    #[command(subcommand)]
    Sdn(sdn::Sdn),
    /// What is wrong with the box, its guests and services
    #[command(subcommand)]
    Alarm(alarm::Alarm),
    /// Service function chains: which traffic goes by which functions, and how much did
    #[command(subcommand)]
    Chain(chain::Chain),
    /// What is measured of VNFs and services, and the reports
    #[command(subcommand)]
    Pm(pm::Pm),
    /// Who is told of what, and by which API
    #[command(subcommand)]
    Subscription(subscription::Subscription),
    /// How far subscribers are, and notifications that were given up
    #[command(subcommand)]
    Notification(notification::Notification),
    /// Secrets for day-0 templates
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Users: people with a password or tokens
    #[command(subcommand)]
    User(identity::User),
    /// Clients: programs with a secret or certificates
    #[command(subcommand)]
    Client(identity::Client),
    /// Roles: the built-in ones, and those made here
    #[command(subcommand)]
    Role(identity::Role),
    /// Central NFVOs, which own the VNFs that they make and grant what is done to them
    #[command(subcommand)]
    Nfvo(nfvo::Nfvo),
    /// Foreign VNFMs, which have VNFs of this box's services
    #[command(subcommand)]
    Vnfm(vnfm::Vnfm),
    /// Projects and their quotas
    #[command(subcommand)]
    Project(project::Project),
    /// Tokens
    #[command(subcommand)]
    Token(token::Token),
    /// Get a token for another box by name and password, and keep it for the commands after
    Login(token::Login),
    /// Change your own password; the old and the new one are typed without an echo, or are two lines of stdin
    Passwd,
    /// Every change and refusal
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The daemon's certificate
    #[command(subcommand)]
    Tls(audit::Tls),
    /// Packages on disk, before they are onboarded
    #[command(subcommand)]
    Package(package::Package),
    /// The daemon's configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// The store: what it holds; verify and export it, by the daemon or on disk; import
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// The box in one file: its configuration, its services, what is on guests' disks
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Make this box another one, of which there is a backup
    Restore(backup::Restore),
    /// Tell why a resource is where it is
    Explain(support::Explain),
    /// Pack everything a support engineer asks for into one archive
    Support(support::Support),
    /// The centres that this box calls, and how each connection stands
    CallHome,
    /// This box as a centre: the boxes that call it
    #[command(subcommand)]
    Hub(centre::Hub),
    /// Zero touch: become what signed bootstrapping data says (RFC 8572)
    #[command(subcommand)]
    Ztp(ztp::Ztp),
    /// The page and the menu of the box's own console
    Screen(screen::Screen),
    /// Completions for a shell
    Completions(completions::Completions),
}

/// Parses, runs, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    match run(cli) {
        Ok(()) => Exit::Ok.into(),
        Err(f) => {
            f.tell();
            f.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let out = Out { json: cli.global.json };
    let endpoint = cli.global.endpoint;
    let client = move || {
        let project = endpoint.project.clone();
        Client::new(Endpoint::choose(endpoint)?, project)
    };
    match cli.command {
        Command::Serve(c) => c.run(),
        Command::Up(c) => c.run(&client()?, &out),
        Command::Down(c) => c.run(&client()?, &out),
        Command::Health => health::run(&client()?, &out),
        Command::Host { what } => hardware::run(what, &client()?, &out),
        Command::HostShutdown(c) => c.run(&client()?, &out),
        Command::Update(c) => c.run(&client()?, &out),
        Command::Desired(c) => c.run(&client()?, &out),
        Command::Package(c) => c.run(&out),
        Command::Vnfpkg(c) => c.run(&client()?, &out),
        Command::Nsd(c) => c.run(&client()?, &out),
        Command::Ns(c) => c.run(&client()?, &out),
        Command::Vnf(c) => c.run(&client()?, &out),
        Command::Op(c) => c.run(&client()?, &out),
        Command::Config(c) => c.run(client, &out),
        Command::Store(c) => c.run(client, &out),
        Command::Backup(c) => c.run(client, &out),
        Command::Restore(c) => c.run(&client()?, &out),
        Command::Net(c) => c.run(&client()?, &out),
        Command::Sdn(c) => c.run(&client()?, &out),
        Command::Alarm(c) => c.run(&client()?, &out),
        Command::Chain(c) => c.run(&client()?, &out),
        Command::Pm(c) => c.run(&client()?, &out),
        Command::Subscription(c) => c.run(&client()?, &out),
        Command::Notification(c) => c.run(&client()?, &out),
        Command::Secret(c) => c.run(&client()?, &out),
        Command::User(c) => c.run(&client()?, &out),
        Command::Client(c) => c.run(&client()?, &out),
        Command::Role(c) => c.run(&client()?, &out),
        Command::Nfvo(c) => c.run(&client()?, &out),
        Command::Vnfm(c) => c.run(&client()?, &out),
        Command::Project(c) => c.run(&client()?, &out),
        Command::Token(c) => c.run(&client()?, &out),
        Command::Login(c) => c.run(&client()?, &out),
        Command::Passwd => token::passwd(&client()?, &out),
        Command::Audit(c) => c.run(&client()?, &out),
        Command::Tls(c) => c.run(&client()?, &out),
        Command::Explain(c) => c.run(&client()?, &out),
        Command::Support(c) => c.run(&client()?, &out),
        Command::CallHome => centre::call_home(&client()?, &out),
        Command::Hub(c) => c.run(&client()?, &out),
        Command::Ztp(c) => c.run(&out),
        Command::Screen(c) => c.run(&client()?),
        Command::Completions(c) => c.run::<Cli>(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }
}
