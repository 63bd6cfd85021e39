//! `wast2erl FILE.wast` writes the script to standard output in Erlang's
//! external term format: what `binary_to_term/1` reads is a list of
//! `{Line, Directive}`.

mod directive;
mod form;
mod legacy;
mod term;
mod value;

use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("usage: wast2erl FILE.wast")]
    Usage,
    #[error("{path}: {source}")]
    Read {
        path: String,
        source: std::io::Error,
    },
    #[error("{path}: {source}")]
    Script { path: String, source: form::Error },
    #[error("standard output: {0}")]
    Write(#[from] std::io::Error),
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), Error> {
    let (Some(path), None) = (args.next(), args.next()) else {
        return Err(Error::Usage);
    };
    let script = std::fs::read_to_string(&path).map_err(|source| Error::Read {
        path: path.clone(),
        source,
    })?;
    let term = directive::script(&script).map_err(|source| Error::Script { path, source })?;
    std::io::stdout().lock().write_all(&term.to_external())?;
    Ok(())
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
