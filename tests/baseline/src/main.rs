#![doc = include_str!("../README.md")]
#![expect(
    clippy::print_stdout,
    reason = "the results are lines on standard output"
)]

mod accept;
mod commit;
mod frame;
mod groups;
mod net;
mod pairs;
mod relay;
mod ship;
mod stats;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::{Parser, Subcommand};

use crate::net::TransportArgs;

/// The product's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Raw quinn and raw SQLite, as limits to compare with.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    transport: TransportArgs,
    #[command(subcommand)]
    what: What,
}

/// What a load needs to know.
#[derive(Clone, Debug, clap::Args)]
struct LoadArgs {
    /// The server.
    #[arg(long)]
    connect: SocketAddr,
    /// The server's process, to count its processor time.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Length of the measured window, in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Not measured before it, in seconds.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Bytes of a payload, at least 24.
    #[arg(long, default_value_t = 200)]
    payload: usize,
    /// Client sockets; connections are spread over them.
    #[arg(long, default_value_t = 4)]
    sockets: usize,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Server: relays payloads.
    Relay {
        /// Commit each payload to SQLite in this folder first.
        #[arg(long)]
        db: Option<PathBuf>,
        /// Commit where the payload is read, without a thread between: one payload at a time has the shortest way.
        #[arg(long, requires = "db")]
        in_place: bool,
    },
    /// Server: accepts connections.
    Accept,
    /// Server: ships a file over every stream that is opened.
    Ship {
        /// Its bytes.
        file: PathBuf,
    },
    /// Load: one sender and one receiver a pair.
    Pairs {
        #[command(flatten)]
        load: LoadArgs,
        /// Pairs.
        #[arg(long, default_value_t = 100)]
        pairs: u32,
        /// Unacknowledged payloads per sender.
        #[arg(long, default_value_t = 8)]
        outstanding: usize,
    },
    /// Load: every payload goes to all members of a group.
    Groups {
        #[command(flatten)]
        load: LoadArgs,
        /// Groups.
        #[arg(long, default_value_t = 5)]
        groups: u32,
        /// Members of each.
        #[arg(long, default_value_t = 200)]
        members: u32,
        /// Members of each that send.
        #[arg(long, default_value_t = 8)]
        senders: u32,
        /// Payloads of a sender that not all have received.
        #[arg(long, default_value_t = 8)]
        outstanding: usize,
    },
    /// Load: one payload at a time from one client to another.
    Ping {
        #[command(flatten)]
        load: LoadArgs,
        /// Pause between payloads, in ms.
        #[arg(long, default_value_t = 5)]
        pause_ms: u64,
    },
    /// Load: handshakes.
    Handshakes {
        #[command(flatten)]
        load: LoadArgs,
        /// With a ticket of the handshake before.
        #[arg(long)]
        resumed: bool,
        /// Handshakes at once.
        #[arg(long, default_value_t = 32)]
        workers: usize,
    },
    /// Load: connections that do nothing.
    Idle {
        #[command(flatten)]
        load: LoadArgs,
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
    },
    /// Load: fetches what `ship` has and decodes it, again and again.
    Fetch {
        #[command(flatten)]
        load: LoadArgs,
        /// How often.
        #[arg(long, default_value_t = 5)]
        times: usize,
    },
    /// Inserts rows into SQLite and FTS5: u32 length of the rest, 16 bytes, u64, text; each number big-endian.
    Insert {
        /// The rows.
        file: PathBuf,
        /// Folder of the database.
        #[arg(long)]
        db: PathBuf,
        /// Rows a transaction.
        #[arg(long, default_value_t = 500)]
        batch: usize,
    },
    /// Durable rows a second of a plain SQLite writer.
    Sqlite {
        /// Folder of the database.
        #[arg(long)]
        db: PathBuf,
        /// Threads waiting for durability.
        #[arg(long, default_value_t = 64)]
        threads: usize,
        /// Length of the measured window, in seconds.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// Bytes of a payload.
        #[arg(long, default_value_t = 200)]
        payload: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let transport = Arc::new(args.transport.transport()?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let net = net::Net {
        args: args.transport,
        transport,
    };
    let result = match args.what {
        What::Relay { db, in_place } => runtime.block_on(relay::serve(&net, db, in_place)),
        What::Accept => runtime.block_on(accept::serve(&net)),
        What::Ship { file } => runtime.block_on(ship::serve(&net, &file)),
        What::Pairs {
            load,
            pairs,
            outstanding,
        } => runtime.block_on(pairs::load(&net, load, pairs, outstanding)),
        What::Groups {
            load,
            groups,
            members,
            senders,
            outstanding,
        } => runtime.block_on(groups::load(
            &net,
            load,
            groups::Shape {
                groups,
                members,
                senders,
                outstanding,
            },
        )),
        What::Ping { load, pause_ms } => pairs::ping(&net, &load, Duration::from_millis(pause_ms)),
        What::Handshakes {
            load,
            resumed,
            workers,
        } => runtime.block_on(accept::handshakes(&net, load, resumed, workers)),
        What::Idle { load, connections } => runtime.block_on(accept::idle(&net, load, connections)),
        What::Fetch { load, times } => runtime.block_on(ship::fetch(&net, &load, times)),
        What::Insert { file, db, batch } => ship::insert(&file, &db, batch),
        What::Sqlite {
            db,
            threads,
            seconds,
            payload,
        } => commit::bench(&db, threads, seconds, payload),
    };
    runtime.shutdown_background();
    println!("{}", result?);
    Ok(())
}
