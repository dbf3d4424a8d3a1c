//! The layer table: each room, and the rooms it may name. What is not here is not allowed.
//!
//! A row's key is a room or one file of it; the rows that match a file add up. An entry is a room or a
//! path into one (`vim::port`: only the port traits and their words).

/// Room or file below `src`, and what it may name of the crate.
pub const MAY_NAME: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sol", &[]),
    ("config", &["model"]),
    ("descriptor", &["model"]),
    ("store", &["model"]),
    ("lcm", &["model", "store"]),
    ("access", &["model", "store"]),
    ("sdn", &["model"]),
    ("vim", &["model", "store", "sdn"]),
    ("vnfm", &["model", "descriptor", "store", "lcm", "vim", "sdn"]),
    ("nfvo", &["model", "descriptor", "store", "lcm", "vim", "sdn", "vnfm"]),
    // It makes services by the calls that the API makes, and remembers which are its own.
    // The host is set up by its owner.
    ("desired", &["model", "store", "lcm::timeline", "nfvo", "vnfm", "vim::setup"]),
    // Of the host's set-up the boot loader's block: arguments and slots are tried by one and the same trial.
    ("update", &["model", "vim::setup"]),
    ("hostnet", &["model", "store"]),
    // It takes back what others have made, so it knows all ports; what it keeps of a host's set-up it undoes by its owner.
    ("reset", &["model", "store", "vim::port", "vim::setup", "vim::outside", "sdn::port", "sdn::connector", "hostnet::port", "update"]),
    ("backup", &["model", "store", "vim::port"]),
    // Adapters: the model, and the ports they implement. Only `node` knows them.
    ("libvirt", &["model", "vim::port", "sdn::port"]),
    ("host", &["model", "vim::port", "sdn::port", "update::port", "hostnet", "ztp::port"]),
    ("ovs", &["model", "vim::port", "sdn::port", "sdn::link", "sdn::chain", "sdn::handover"]),
    ("sim", &["model", "vim::port", "sdn::port", "sdn::link", "sdn::chain", "sdn::connector", "update::port", "hostnet"]),
    // What is behind `sdn::connector`, one file each. Open vSwitch outside is spoken to by the same client, and
    // REST APIs by the client that calls subscribers.
    ("controllers", &["model", "sdn::connector", "ovs", "notify::web"]),
    // On top.
    // Bodies of notifications are handed in by `node`: only who is told, and when, is known here.
    ("notify", &["model", "store", "tls"]),
    // Faults to alarms, over records: the adapters are asked by `node`.
    ("ops", &["model", "store", "vim::port"]),
    // The client of central NFVOs: it says what is asked, and what an answer means is the VNFM's to say.
    ("central", &["model", "sol", "notify", "vnfm"]),
    // The client of VNFs' own interfaces: it asks, and what an answer means is the VNFM's to say.
    ("own", &["model", "sol", "notify", "vnfm"]),
    // The client of foreign VNFMs: what is asked next, and what an answer means, is said behind its port.
    ("abroad", &["model", "sol", "notify", "vnfm::abroad::port"]),
    // Files and signatures of TLS, for all who are at one end of it.
    ("tls", &[]),
    // What may be believed is pure; keys and files are behind `ztp::port`, and in `node`.
    ("ztp", &["model"]),
    // The box's side of call-home: how its centres stand. Sockets are in `api`.
    ("call_home", &["model"]),
    // The centre's side. Of a certificate it wants the names; who may drive which box is asked in `api`. What it keeps are the
    // documents that it hands out.
    ("hub", &["model", "store", "access::certificate", "tls", "ztp::rpc", "ztp::report"]),
    (
        "api",
        &[
            "model",
            "access",
            "backup",
            "call_home",
            "config",
            "sol",
            "descriptor",
            "desired",
            "lcm",
            "vim",
            "vnfm",
            "nfvo",
            "notify",
            "ops",
            "own",
            "update",
            "hostnet",
            "hub",
            "ztp::status",
            "reset",
        ],
    ),
    // What support and `explain` show: records as they are, ports as the switches have them.
    ("api/admin", &["ztp::report", "store::Store", "sdn::port", "sdn::chain", "sdn::connector", "sdn::underlay"]),
    (
        "node",
        &[
            "abroad",
            "access",
            "api",
            "backup",
            "call_home",
            "central",
            "config",
            "controllers",
            "descriptor",
            "desired",
            "host",
            "hostnet",
            "hub",
            "lcm",
            "libvirt",
            "model",
            "nfvo",
            "notify",
            "ops",
            "ovs",
            "own",
            "reset",
            "sdn",
            "sim",
            "store",
            "tls",
            "update",
            "vim",
            "vnfm",
            "ztp",
        ],
    ),
    ("cli", &["model", "config", "descriptor", "tls"]),
    // Before there is a daemon's configuration there may be no daemon to ask.
    ("cli/ztp.rs", &["node", "ztp", "host::openssl"]),
    ("cli/store.rs", &["store"]),
    // A backup is looked at where it lies.
    ("cli/backup.rs", &["backup"]),
    ("cli/serve.rs", &["node"]),
    ("main.rs", &["cli"]),
    ("lib.rs", &[]),
];

/// What test code may name besides: the in-memory twins that stand in for the adapters.
pub const TESTS_MAY_NAME: &[&str] = &["sim", "store"];

/// A foreign crate, who may name it, and why nobody else.
pub const FOREIGN: &[(&str, &[&str], &str)] = &[
    ("sled", &["store"], "records leave the store as our own types"),
    ("postcard", &["store"], "the form of a record is the store's affair"),
    ("argon2", &["access", "backup/seal.rs"], "passwords are checked in one place, two at a time; a backup is sealed by one"),
    ("virt", &["libvirt"], "its connections can panic when they go; one room owns them"),
    ("imago", &["host"], "disks are made behind the port Images"),
    ("netlink_packet_core", &["host"], "the host's links are changed behind the port HostNet"),
    (
        "nix",
        &[
            "host",
            "libvirt",
            "ovs",
            // A controller is told by a signal that its file is another one.
            "controllers",
            "store",
            "node",
            "cli",
            // O_NOFOLLOW when a package folder is read.
            "descriptor/archive.rs",
            // Who is at the other end of the UNIX socket; the names in a first certificate.
            "api/server.rs",
            "api/tls.rs",
        ],
        "planners and handlers decide; the host's calls are for adapters",
    ),
    ("tokio", &["api", "notify", "central", "own", "abroad", "hub", "node", "cli"], "async at the shell, plain code in the core"),
    ("axum", &["api", "cli/client.rs"], "HTTP ends at the API"),
    // Subscribers are called from `notify`.
    // Bootstrap servers are met before there is an API.
    ("hyper", &["api", "notify", "central", "own", "abroad", "hub", "cli", "node/ztp"], "HTTP ends at the API"),
    ("rustls", &["api", "notify", "hub", "cli", "node/ztp", "tls"], "TLS ends at the API"),
    (
        "serde_json",
        &[
            "api",
            "sol",
            "cli",
            "node",
            "descriptor",
            "desired",
            // OVSDB speaks JSON, and so does OpenStack's network_data.json.
            "ovs",
            "vnfm/day0",
            // Guests' agents speak it too.
            "libvirt/agent.rs",
            "central",
            "own",
            "abroad",
            // What boxes say of their health.
            "hub",
            "ztp",
            // RAUC says in JSON what a bundle is.
            "host/rauc.rs",
            // RESTCONF and ONOS speak JSON.
            "controllers",
            // The answer of an OAuth2 token endpoint.
            "notify/client.rs",
        ],
        "the core speaks the model's types",
    ),
    ("quick_xml", &["libvirt", "sim"], "domain XML is the hypervisor's form, and its twin shows one too"),
];
