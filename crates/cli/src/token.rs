//! `fireside token`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use fireside_protocol::{UserId, text::normalise_name};
use fireside_server::{Claims, Settings, TokenKeys};

use crate::problem::Problem;

/// Longest life of a token, in seconds: 10 years, for tests that should not need a new one.
const TTL_S_MAX: u64 = 10 * 365 * 24 * 3_600;

/// Arguments of `fireside token`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TokenArgs {
    /// The server's data folder: the key is in its token-keys.toml.
    #[arg(long, value_name = "DIR", default_value = "fireside-data")]
    data: PathBuf,
    /// Who: 1 to 64 bytes without control characters.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The name others see.
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,
    /// Roles, for example `staff`.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// How long it holds, in seconds.
    #[arg(long, value_name = "S", default_value_t = 24 * 3_600)]
    ttl: u64,
    /// The key, if the file has several.
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
}

/// Prints a token.
pub(crate) fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let user = parse_user(&args.user)?;
    if args.ttl == 0 || args.ttl > TTL_S_MAX {
        return Err(Problem::error(
            format!("--ttl {} is out of range", args.ttl),
            format!("1 to {TTL_S_MAX} seconds"),
            "give a time in seconds, for example 86400 for a day",
        ));
    }
    if !args.name.is_empty() {
        normalise_name(&args.name).map_err(|error| {
            Problem::error(
                format!("--name {:?}: {error}", args.name),
                "a name people can read",
                "choose another name",
            )
        })?;
    }
    let token = sign(
        &args.data,
        args.kid.as_deref(),
        &user,
        &args.name,
        &args.roles,
        args.ttl,
    )?;
    println!("{token}");
    Ok(ExitCode::SUCCESS)
}

/// A user id from an argument.
pub(crate) fn parse_user(text: &str) -> anyhow::Result<UserId> {
    UserId::new(text).map_err(|error| {
        Problem::error(
            format!("{text:?} is not a user"),
            error.to_string(),
            "give a name like `ada`",
        )
    })
}

/// Signs a token with the key in a server's data folder.
pub(crate) fn sign(
    data: &Path,
    kid: Option<&str>,
    user: &UserId,
    name: &str,
    roles: &[String],
    ttl_s: u64,
) -> anyhow::Result<String> {
    let path = Settings::dev(data).token_keys_path();
    let keys = TokenKeys::load(&path).map_err(|error| {
        Problem::error(
            format!("the signing key can not be read: {error}"),
            format!("the key file {} of a server", path.display()),
            format!("start the server once with `fireside serve --dev --data {}`, or name its folder with --data", data.display()),
        )
    })?;
    sign_with(&keys, kid, user, name, roles, ttl_s)
}

/// Signs a token with keys at hand.
pub(crate) fn sign_with(
    keys: &TokenKeys,
    kid: Option<&str>,
    user: &UserId,
    name: &str,
    roles: &[String],
    ttl_s: u64,
) -> anyhow::Result<String> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let claims = Claims {
        sub: user.as_str().to_owned(),
        exp: now + ttl_s,
        iat: now,
        name: name.to_owned(),
        roles: roles.to_vec(),
        ..Claims::default()
    };
    keys.sign(kid, &claims).map_err(|error| {
        let known: Vec<&str> = keys.kids().collect();
        Problem::error(
            format!("no token was made: {error}"),
            format!("a key that can sign; the file has: {}", known.join(", ")),
            "name one with --kid, or add a secret or private key to the file",
        )
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn tokens_hold_for_their_user_and_errors_help() {
        let folder = tempfile::tempdir().unwrap();
        let user = parse_user("ada").unwrap();
        let error = sign(folder.path(), None, &user, "", &[], 60)
            .unwrap_err()
            .to_string();
        assert!(error.contains("serve --dev"), "{error}");
        let keys =
            TokenKeys::load_or_make(&Settings::dev(folder.path()).token_keys_path()).unwrap();
        let token = sign(folder.path(), None, &user, "Ada", &[], 60).unwrap();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as u64;
        let identity = keys.verify(&token, now).unwrap();
        assert_eq!((identity.user, identity.name.as_str()), (user, "Ada"));
        assert!(parse_user("").is_err());
    }
}
