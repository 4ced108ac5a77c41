//! `toso serve`: the centre's server, until it is told to stop.
//!
//! Nothing here writes to stderr but [`lines`], so that a log that nobody reads costs the server nothing but lines.

mod lines;

use std::io::{Read, Write as _};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use toso_bench::server::LISTENING;
use toso_server::{Part, RunningServer, Server, ServerConfig};
use tracing_subscriber::EnvFilter;

use self::lines::Lines;

use crate::args::{LogFormat, ServeArgs};
use crate::fail::Fail;
use crate::output;

/// What is logged unless RUST_LOG says otherwise.
/// Automerge opens a span, with its fields written out, for every column of every change; they took a fifteenth of the
/// time of merging, and its error texts may quote a document.
const LOG_DEFAULT: &str = "info,automerge=off";

/// The last lines have this long to come to a reader.
const LAST_LINES_TIME_MAX: Duration = Duration::from_secs(2);
/// A server that has lost a part has this long to stop in order: twice what its sessions get.
const BROKEN_STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// Reads that are still under way after the server has stopped have this long to end.
const READS_END_TIME_MAX: Duration = Duration::from_secs(1);

/// Runs the server.
pub(crate) fn run(args: ServeArgs) -> Result<(), Fail> {
    // Before the first thread, since threads take their mask from the thread that starts them.
    hear_signals()?;
    let lost = Arc::new(AtomicU64::new(0));
    let format = args.log_format;
    let lines = match start_log(format, &lost) {
        Ok(lines) => lines,
        Err(fail) => {
            let _ = std::io::stderr().write_all(&line(format, "ERROR", &format!("toso: {fail}")));
            return Err(fail.said());
        }
    };
    let outcome = serve(args, &lines, lost);
    if let Err(fail) = &outcome {
        lines.push(line(format, "ERROR", &format!("toso: {fail}")));
    }
    lines.finish(LAST_LINES_TIME_MAX);
    outcome.map_err(Fail::said)
}

/// A line that is none of the log's own, in the log's form: who collects the log as JSON reads every line of it as such.
fn line(format: LogFormat, level: &str, text: &str) -> Vec<u8> {
    match format {
        LogFormat::Text => format!("{text}\n"),
        LogFormat::Json => format!("{}\n", serde_json::json!({ "level": level, "fields": { "message": text } })),
    }
    .into_bytes()
}

fn serve(args: ServeArgs, lines: &Lines, log_lines_lost: Arc<AtomicU64>) -> Result<(), Fail> {
    let mut config = ServerConfig::new(args.data, listen_address(&args.listen)?);
    config.public_url = args.public_url;
    config.admin_from_anywhere = args.admin_from_anywhere;
    config.allowed_origins = args.allowed_origins;
    config.log_lines_lost = log_lines_lost;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let signals = Signals::listen()?;
        let server = Server::start(config).await?;
        // Where nobody can read it, the server serves all the same.
        let _ = output::print(&format!("{LISTENING}http://{}", server.addr()));
        // A program that started it knows the folder.
        if let Some(path) = server.admin_token_path().filter(|_| !args.stop_with_stdin) {
            lines.push(line(args.log_format, "INFO", &format!("admin token file: {}", path.display())));
        }
        tokio::select! {
            told = signals.told_to_stop(args.stop_with_stdin) => {
                told?;
                server.shutdown().await;
                Ok(())
            }
            part = server.part_lost() => Err(stop_without(part, server).await),
        }
    });
    runtime.shutdown_timeout(READS_END_TIME_MAX);
    outcome
}

/// Lets the signals through that tell a server to stop. A program inherits what its parent holds back, and some hold back
/// SIGTERM (whatever Swift's `Process` starts): such a server could only be killed.
fn hear_signals() -> Result<(), Fail> {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigSet, Signal};
        let heard: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        heard.thread_unblock().map_err(std::io::Error::from)?;
    }
    Ok(())
}

/// Stops a server that has lost a part, as far as it can.
async fn stop_without(part: Part, server: RunningServer) -> Fail {
    if tokio::time::timeout(BROKEN_STOP_TIME_MAX, server.shutdown()).await.is_err() {
        tracing::error!("the server could not stop in order");
    }
    Fail::new(format!(
        "a part of the server ended ({part}), so the server stopped; the lines above say why. Start it again: nothing \
         acknowledged is lost"
    ))
}

/// Sends log lines to a thread of their own, and what a panic says with them: where it was, since its words may quote a
/// document.
fn start_log(format: LogFormat, lost: &Arc<AtomicU64>) -> Result<Lines, Fail> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(text) => EnvFilter::try_new(text)
            .map_err(|error| Fail::usage(format!("{} cannot be read: {error}", EnvFilter::DEFAULT_ENV)))?,
        Err(_) => EnvFilter::new(LOG_DEFAULT),
    };
    let missing: lines::Missing = match format {
        LogFormat::Text => |lines| format!("{lines} line(s) of the log were lost before this one"),
        LogFormat::Json => |lines| {
            format!("{{\"level\":\"WARN\",\"fields\":{{\"message\":\"log lines were lost\",\"lines\":{lines}}}}}")
        },
    };
    let lines = Lines::start(std::io::stderr(), missing, Arc::clone(lost))?;
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(move || writer.clone());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(%place, thread = thread.name(), %backtrace, "a panic");
    }));
    Ok(lines)
}

/// The address to listen on: `127.0.0.1:7878`, `[::]:7878`, `localhost:7878`.
fn listen_address(text: &str) -> Result<SocketAddr, Fail> {
    let wrong = || Fail::usage(format!("{text:?} is no address to listen on; write HOST:PORT, such as 127.0.0.1:7878"));
    text.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)
}

/// What the system tells the process.
struct Signals {
    #[cfg(unix)]
    term: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hung_up: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> Result<Self, Fail> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { term: signal(SignalKind::terminate())?, hung_up: signal(SignalKind::hangup())? })
    }

    #[cfg(not(unix))]
    fn listen() -> Result<Self, Fail> {
        Ok(Self {})
    }

    /// Waits for Ctrl-C, a service manager's SIGTERM, or the end of standard input. A terminal that hangs up takes its
    /// lines with it and not the server.
    async fn told_to_stop(self, with_stdin: bool) -> Result<(), Fail> {
        let stdin = stdin_ended(with_stdin);
        #[cfg(unix)]
        {
            let Self { mut term, mut hung_up } = self;
            let hung_up = async {
                while hung_up.recv().await.is_some() {
                    tracing::warn!("the terminal has hung up; the server goes on, SIGTERM stops it");
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                result = tokio::signal::ctrl_c() => result?,
                _ = term.recv() => {}
                () = hung_up => {}
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
    fn who_starts_a_server_finds_its_admin_token() {
        assert_eq!(toso_bench::server::ADMIN_TOKEN_FILE, toso_server::trust::ADMIN_TOKEN_FILE);
    }

    #[test]
    fn a_line_beside_the_log_has_its_form() {
        assert_eq!(line(LogFormat::Text, "INFO", "a \"b\""), b"a \"b\"\n");
        let json: serde_json::Value = serde_json::from_slice(&line(LogFormat::Json, "INFO", "a \"b\"")).unwrap();
        assert_eq!(json, serde_json::json!({ "level": "INFO", "fields": { "message": "a \"b\"" } }));
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
