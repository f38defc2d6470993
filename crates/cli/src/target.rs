//! Which server, as whom: from a development server's folder, or by address and token.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use fireside_client::{ClientConfig, Trust};
use fireside_protocol::UserId;
use fireside_server::certificate::fingerprint_in;

use crate::{
    problem::Problem,
    serve::ADDRESS_FILE,
    token::{parse_user, sign},
};

/// Life of a token made from a development server's folder, in seconds.
const DEV_TOKEN_TTL_S: u64 = 24 * 3_600;

/// Which server, as whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct TargetArgs {
    /// A development server's data folder: address, certificate and signing key are read from it.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "fingerprint", "token"])]
    pub(crate) dev_data: Option<PathBuf>,
    /// The server, as host:port.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "dev_data")]
    pub(crate) server: Option<String>,
    /// SHA-256 of the server's certificate, as `fireside serve` prints it; without it, it must be signed by an authority of the web.
    #[arg(long, value_name = "HEX")]
    pub(crate) fingerprint: Option<String>,
    /// The login token.
    #[arg(
        long,
        env = "FIRESIDE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(crate) token: Option<String>,
    /// Who to be (with --dev-data).
    #[arg(long, value_name = "NAME", required_unless_present = "token")]
    pub(crate) user: Option<String>,
}

impl TargetArgs {
    /// Settings of a client, and who it is.
    pub(crate) fn config(&self) -> anyhow::Result<(ClientConfig, UserId)> {
        let mut config = match &self.dev_data {
            Some(data) => {
                let user = parse_user(self.user.as_deref().unwrap_or_default())?;
                let mut config = dev_config(data)?;
                config.token = sign(data, None, &user, "", &[], DEV_TOKEN_TTL_S)?;
                config.user = Some(user);
                config
            }
            None => {
                let server = self.server.clone().unwrap_or_default();
                let trust = match &self.fingerprint {
                    Some(hex) => Trust::Pinned(parse_fingerprint(hex)?),
                    None => Trust::Roots,
                };
                let token = self.token.clone().unwrap_or_default();
                let mut config = ClientConfig::new(server, trust, token.trim());
                config.user = Some(user_of(&config.token)?);
                config
            }
        };
        config.agent = concat!("fireside-chat/", env!("CARGO_PKG_VERSION")).to_owned();
        let user = config
            .user
            .clone()
            .ok_or_else(|| anyhow::anyhow!("no user"))?;
        Ok((config, user))
    }

    /// Another token, when the one there is ends; `None`: this program can not make one.
    pub(crate) fn new_token(&self, user: &UserId) -> Option<String> {
        sign(
            self.dev_data.as_deref()?,
            None,
            user,
            "",
            &[],
            DEV_TOKEN_TTL_S,
        )
        .ok()
    }
}

fn dev_config(data: &Path) -> anyhow::Result<ClientConfig> {
    let path = data.join(ADDRESS_FILE);
    let start = format!("start it: fireside serve --dev --data {}", data.display());
    let address = fs::read_to_string(&path).map_err(|error| {
        Problem::error(
            format!("{}: {error}", path.display()),
            "the data folder of a server that has run",
            start.clone(),
        )
    })?;
    let fingerprint = fingerprint_in(data).map_err(|error| {
        Problem::error(
            error.to_string(),
            "the certificate that the server made",
            start,
        )
    })?;
    Ok(ClientConfig::new(
        reachable(address.trim()),
        Trust::Pinned(fingerprint.0),
        String::new(),
    ))
}

/// A server on all addresses is reached on this machine's own.
fn reachable(address: &str) -> String {
    match address.parse::<std::net::SocketAddr>() {
        Ok(mut address) if address.ip().is_unspecified() => {
            let own = if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            };
            address.set_ip(own);
            address.to_string()
        }
        _ => address.to_owned(),
    }
}

/// 64 hexadecimal digits, with or without colons.
pub(crate) fn parse_fingerprint(text: &str) -> anyhow::Result<[u8; 32]> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| *c != ':')
        .map_while(|c| c.to_digit(16))
        .collect();
    let length = text.chars().filter(|c| *c != ':').count();
    let mut bytes = [0; 32];
    if digits.len() != 64 || length != 64 {
        return Err(Problem::error(
            format!("{text:?} is not a fingerprint"),
            "64 hexadecimal digits, colons between them if you like",
            "copy the line `certificate sha256 …` that the server printed",
        ));
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8);
    }
    Ok(bytes)
}

/// The `sub` of a token. Not checked: the server does that.
fn user_of(token: &str) -> anyhow::Result<UserId> {
    if token.is_empty() {
        return Err(Problem::error(
            "no token to log in with",
            "the login token of a user, with --token or in FIRESIDE_TOKEN",
            "make one with `fireside token`, or name a development server's folder: --dev-data DIR --user NAME",
        ));
    }
    let sub = || {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
        UserId::new(claims.get("sub")?.as_str()?).ok()
    };
    sub().ok_or_else(|| {
        Problem::error(
            "the token is not one",
            "a JWT whose `sub` is a user id",
            "make one with `fireside token`, or ask the game's backend",
        )
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn fingerprints() {
        let hex = "0123456789abcdef".repeat(4);
        let bytes = parse_fingerprint(&hex).unwrap();
        assert_eq!(bytes[..4], [0x01, 0x23, 0x45, 0x67]);
        let colons: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(parse_fingerprint(&colons.join(":")).unwrap(), bytes);
        for bad in [
            "",
            "12",
            &hex[1..],
            &format!("{hex}0"),
            &hex.replace('f', "g"),
        ] {
            assert!(parse_fingerprint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_user_is_in_the_token() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"小明","exp":1}"#);
        assert_eq!(user_of(&format!("x.{payload}.y")).unwrap().as_str(), "小明");
        assert!(user_of("nonsense").is_err());
        let missing = user_of("").unwrap_err().to_string();
        assert!(missing.contains("no token"), "{missing}");
    }

    #[test]
    fn any_address_is_this_machine() {
        assert_eq!(reachable("0.0.0.0:5"), "127.0.0.1:5");
        assert_eq!(reachable("[::]:5"), "[::1]:5");
        assert_eq!(reachable("10.1.2.3:5"), "10.1.2.3:5");
    }
}
