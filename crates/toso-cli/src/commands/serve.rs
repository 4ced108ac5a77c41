//! `toso serve`: the centre's server, until it is told to stop.

use std::io::Read;
use std::net::{SocketAddr, ToSocketAddrs};

use toso_bench::server::LISTENING;
use toso_server::{Server, ServerConfig};
use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, ServeArgs};
use crate::fail::Fail;
use crate::output;

/// What is logged unless RUST_LOG says otherwise.
/// Automerge opens a span, with its fields written out, for every column of every change; they took a fifteenth of the
/// time of merging, and its error texts may quote a document.
const LOG_DEFAULT: &str = "info,automerge=off";

/// Runs the server.
pub(crate) fn run(args: ServeArgs) -> Result<(), Fail> {
    start_log(args.log_format)?;
    let mut config = ServerConfig::new(args.data, listen_address(&args.listen)?);
    config.public_url = args.public_url;
    config.admin_from_anywhere = args.admin_from_anywhere;
    config.allowed_origins = args.allowed_origins;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start(config).await?;
        output::print(&format!("{LISTENING}http://{}", server.addr()))?;
        // A program that started it knows the folder.
        if let Some(path) = server.admin_token_path().filter(|_| !args.stop_with_stdin) {
            eprintln!("admin token file: {}", path.display());
        }
        told_to_stop(args.stop_with_stdin).await?;
        server.shutdown().await;
        Ok(())
    })
}

fn start_log(format: LogFormat) -> Result<(), Fail> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(text) => EnvFilter::try_new(text)
            .map_err(|error| Fail::usage(format!("{} cannot be read: {error}", EnvFilter::DEFAULT_ENV)))?,
        Err(_) => EnvFilter::new(LOG_DEFAULT),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// The address to listen on: `127.0.0.1:7878`, `[::]:7878`, `localhost:7878`.
fn listen_address(text: &str) -> Result<SocketAddr, Fail> {
    let wrong = || Fail::usage(format!("{text:?} is no address to listen on; write HOST:PORT, such as 127.0.0.1:7878"));
    text.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)
}

/// Waits for Ctrl-C, a service manager's SIGTERM, or the end of standard input.
async fn told_to_stop(with_stdin: bool) -> Result<(), Fail> {
    let stdin = stdin_ended(with_stdin);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result?,
            _ = term.recv() => {}
            () = stdin => {}
        }
    }
    #[cfg(not(unix))]
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        () = stdin => {}
    }
    Ok(())
}

/// Ends when standard input does, or never.
async fn stdin_ended(asked: bool) {
    let (ended, wait) = tokio::sync::oneshot::channel();
    if asked {
        // A thread of its own: a runtime would wait for a blocking read when it stops.
        std::thread::spawn(move || {
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            let _ = ended.send(());
        });
        let _ = wait.await;
    } else {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_starts_a_server_finds_its_admin_token() {
        assert_eq!(toso_bench::server::ADMIN_TOKEN_FILE, toso_server::trust::ADMIN_TOKEN_FILE);
    }

    #[test]
    fn addresses_to_listen_on() {
        assert_eq!(listen_address("127.0.0.1:7878").unwrap(), "127.0.0.1:7878".parse().unwrap());
        assert_eq!(listen_address("[::1]:0").unwrap(), "[::1]:0".parse().unwrap());
        for wrong in ["", "127.0.0.1", "127.0.0.1:99999", "http://127.0.0.1:80"] {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
    }
}
