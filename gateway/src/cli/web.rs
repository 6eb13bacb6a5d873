//! `portcullis web`: how to log in to the control centre.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _, stderr, stdin};
use std::path::Path;

use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use super::{Exit, Failure, offline, output};
use crate::password::PasswordHash;
use crate::web::Token;

/// What can be asked about the control centre.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the token that logs in as an operator
    Token(Options),
    /// Hash a password from standard input, for `[[web_user]] password`
    Password(Options),
}

/// How it is printed.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command, file: &Path) -> Result<Exit, Failure> {
    match command {
        Command::Token(options) => token(options, file)?,
        Command::Password(options) => password(options)?,
    }
    Ok(Exit::Done)
}

fn token(options: &Options, file: &Path) -> Result<(), Failure> {
    let config = offline::config(file)?;
    let path = Token::path(&config.state_dir);
    let unreadable = |error: io::Error| Failure::Unavailable {
        text: format!("cannot read {}: {error}", path.display()),
        hint: match error.kind() {
            io::ErrorKind::NotFound => {
                "the daemon makes it when it starts with [web] in its configuration"
            }
            _ => "run this as root, or as the user of the daemon",
        }
        .to_owned(),
    };
    let token = fs::read_to_string(&path).map_err(unreadable)?;
    let token = token.trim();
    if options.json {
        return output::json(&json!({"token": token, "file": path}));
    }
    output::line(token)
}

fn password(options: &Options) -> Result<(), Failure> {
    let password = read_password()?;
    let hash = PasswordHash::of(&password).map_err(|fault| Failure::Usage(fault.to_string()))?;
    if options.json {
        return output::json(&json!({"password": hash.to_string()}));
    }
    output::line(format_args!("password = \"{hash}\""))
}

/// One line, which a terminal does not show.
fn read_password() -> Result<String, Failure> {
    let mut input = stdin().lock();
    let is_asked = input.is_terminal();
    let modes = is_asked.then(|| tcgetattr(&input).ok()).flatten();
    if is_asked {
        write!(stderr(), "Password: ")?;
        stderr().flush()?;
    }
    if let Some(modes) = &modes {
        let mut hidden = modes.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &hidden).map_err(io::Error::from)?;
    }
    let mut line = String::new();
    let read = input.read_line(&mut line);
    if let Some(modes) = &modes {
        tcsetattr(&input, OptionalActions::Now, modes).map_err(io::Error::from)?;
        writeln!(stderr())?;
    }
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
