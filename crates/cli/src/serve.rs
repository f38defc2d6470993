//! `fireside serve`.

use std::{
    fs,
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use fireside_server::{Server, Settings, SettingsError, StartError};
use tracing_subscriber::EnvFilter;

use crate::problem::Problem;

/// The file in the data folder that says where the server listens.
pub(crate) const ADDRESS_FILE: &str = "address";

/// Arguments of `fireside serve`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// Folder with all state; made if it is not there [default: fireside-data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// UDP address; port 0 takes a free one [default: 0.0.0.0:7777, with --dev 127.0.0.1:7777].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Makes a certificate (for clients to pin) and a signing key if there are none.
    #[arg(long)]
    dev: bool,
    /// Settings file (TOML); what is given here as an argument comes before it. Read again on SIGHUP.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the log on standard error looks. What is in it: FIRESIDE_LOG (for example `info`, `fireside_server=debug`).
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Runs a server until SIGTERM or Ctrl-C.
pub(crate) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    start_log(args.log);
    let settings = settings(&args).map_err(explain_settings)?;
    let data = settings.server.data.clone();
    let server = Server::start(settings).map_err(|error| explain(error, &args))?;
    let address = server.address();
    write_address(&data, address)?;
    // For scripts that wait for these lines.
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {address}")?;
    writeln!(out, "certificate sha256 {}", server.fingerprint())?;
    out.flush()?;
    drop(out);
    server.run_until_signal(move || settings_for_reload(&args))?;
    Ok(ExitCode::SUCCESS)
}

fn settings_for_reload(args: &ServeArgs) -> Result<Settings, SettingsError> {
    let settings = settings(args)?;
    settings.check()?;
    Ok(settings)
}

/// The file's settings with the arguments on top. Not checked yet: the arguments may complete them.
fn settings(args: &ServeArgs) -> Result<Settings, SettingsError> {
    let mut settings = match &args.config {
        None => Settings::default(),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|source| SettingsError::File {
                path: path.clone(),
                source,
            })?;
            toml::from_str(&text)
                .map_err(|error| SettingsError::Shape(format!("{}: {error}", path.display())))?
        }
    };
    settings.server.dev |= args.dev;
    if let Some(data) = &args.data {
        settings.server.data.clone_from(data);
    }
    match args.listen {
        Some(listen) => settings.server.listen = listen,
        // A development server is nobody else's unless it is said to be.
        None if args.config.is_none() && args.dev => {
            settings.server.listen =
                SocketAddr::from(([127, 0, 0, 1], settings.server.listen.port()));
        }
        None => {}
    }
    Ok(settings)
}

/// Whole or not at all: a client may be reading it.
fn write_address(data: &Path, address: SocketAddr) -> std::io::Result<()> {
    let new = data.join("address.new");
    fs::write(&new, format!("{address}\n"))?;
    fs::rename(new, data.join(ADDRESS_FILE))
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("FIRESIDE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,quinn=warn,quinn_proto=warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}

fn explain_settings(error: SettingsError) -> anyhow::Error {
    let expected =
        "a TOML file with the sections server, tls, tokens, limits, transport, store, drain";
    match error {
        SettingsError::Value { key, text } => Problem::error(
            format!("the settings do not fit: {key}"),
            text,
            "change it in the settings file, or use --dev for a server to try things with",
        ),
        other => Problem::error(
            other.to_string(),
            expected,
            "correct the file named by --config",
        ),
    }
}

fn explain(error: StartError, args: &ServeArgs) -> anyhow::Error {
    let wrong = error.to_string();
    match error {
        StartError::Settings(error) => explain_settings(error),
        StartError::InUse(path) => Problem::error(
            wrong,
            "one server per data folder",
            format!(
                "stop the other server, or give this one another --data than {}",
                path.display()
            ),
        ),
        StartError::Listen { address, .. } => Problem::error(
            wrong,
            "a free UDP port on an address of this machine",
            format!(
                "name another with --listen (port 0 takes a free one), or look who has it: ss -ulpn 'sport = :{}'",
                address.port()
            ),
        ),
        StartError::Data { .. } => Problem::error(
            wrong,
            "a folder that this user may write",
            "choose another with --data, or change its owner",
        ),
        StartError::Tokens(_) => Problem::error(
            wrong,
            "a key file with at least one [[key]]",
            if args.dev {
                "correct the file, or remove it to have a new one made"
            } else {
                "name it in the settings (tokens.keys), or use --dev to have one made"
            },
        ),
        StartError::Certificate(_) => Problem::error(
            wrong,
            "PEM files with a certificate chain and its key",
            "name them in the settings (tls.certificate, tls.key), or use --dev to have them made",
        ),
        _ => Problem::error(
            wrong,
            "a machine that can run the server",
            "run `fireside doctor`; it looks for the reason",
        ),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn args() -> ServeArgs {
        ServeArgs {
            data: None,
            listen: None,
            dev: false,
            config: None,
            log: LogFormat::Text,
        }
    }

    #[test]
    fn arguments_come_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("fireside.toml");
        fs::write(&config, "[server]\nlisten = \"1.2.3.4:5\"\ndata = \"elsewhere\"\n[limits]\nrate_direct_per_s = 7\n").unwrap();
        let with = ServeArgs {
            config: Some(config),
            dev: true,
            ..args()
        };
        let read = settings(&with).unwrap();
        assert_eq!(read.server.listen.to_string(), "1.2.3.4:5");
        assert_eq!((read.limits.rate_direct_per_s, read.server.dev), (7, true));
        let with = ServeArgs {
            listen: Some("127.0.0.1:9".parse().unwrap()),
            data: Some("here".into()),
            ..with
        };
        let read = settings(&with).unwrap();
        assert_eq!(read.server.listen.to_string(), "127.0.0.1:9");
        assert_eq!(read.server.data, Path::new("here"));
        let dev = settings(&ServeArgs {
            dev: true,
            ..args()
        })
        .unwrap();
        assert!(dev.server.listen.ip().is_loopback());
        assert!(!settings(&args()).unwrap().server.listen.ip().is_loopback());
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = explain_settings(settings_for_reload(&args()).unwrap_err());
        assert!(error.to_string().contains("--dev"), "{error}");
        let missing = ServeArgs {
            config: Some("/nowhere.toml".into()),
            ..args()
        };
        let error = explain_settings(settings(&missing).unwrap_err()).to_string();
        assert!(
            error.contains("/nowhere.toml") && error.contains("--config"),
            "{error}"
        );
    }
}
