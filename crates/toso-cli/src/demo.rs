//! `toso demo`: the whole way once, as a visitor sees it.
//!
//! The server is a process of its own, the same binary: so its memory can be told apart, and it dies with the demo
//! however that ends (it stops when its standard input does).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use toso_bench::process::Process;
use toso_bench::server::ServerProcess;

use crate::args::{AdminArgs, DemoArgs, NationalArgs, ReachArgs, ReportArgs, ReportFormat};
use crate::commands;
use crate::fail::Fail;
use crate::output;

/// Devices online at the same time.
const ONLINE: usize = 64;
/// The unit lists that the report is read under, and how it says so.
const LISTS: [(&str, &str); 2] = [("2022", "Danh mục năm 2022"), ("2025", "Danh mục từ 1/7/2025")];
/// Time between two looks at whether the server still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Server, simulation, report.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Fail> {
    let folder = tempfile::Builder::new().prefix("toso-demo-").tempdir()?;
    let data = folder.path().join("server");
    let server = ServerProcess::start(&data).map_err(Fail::of_bench)?;
    let (url, admin) = (server.url().to_owned(), server.admin_token_file());
    let stage = Stage::watch_interrupt(server, folder.path(), args.keep)?;

    let result = show(args, &url, &admin);
    stage.tell_memory();
    if args.keep && result.is_ok() {
        let kept = folder.keep();
        output::say(&format!("server: {url}"));
        output::say(&format!("data folder: {}", kept.join("server").display()));
        output::say(&format!("admin token file: {}", admin.display()));
        output::say("press Ctrl-C to stop the server; the folder stays");
        return stage.wait();
    }
    stage.stop();
    result
}

fn show(args: &DemoArgs, url: &str, admin: &Path) -> Result<(), Fail> {
    let outcome = commands::simulate::national(&NationalArgs {
        admin: AdminArgs { server: url.to_owned(), reach: ReachArgs::default(), admin_token_file: admin.to_owned() },
        devices: None,
        seed: args.seed,
        online: ONLINE,
    })?;
    for (list, title) in LISTS {
        output::print(&format!("== {title} ==\n"))?;
        commands::report::run(&ReportArgs {
            reach: ReachArgs::default(),
            server: url.to_owned(),
            token_file: admin.to_owned(),
            list: list.to_owned(),
            unit: None,
            format: ReportFormat::Text,
            raw: false,
        })?;
        output::print("\n")?;
    }
    if outcome.recorded == outcome.counted {
        return Ok(());
    }
    let (recorded, counted) = (outcome.recorded, outcome.counted);
    Err(Fail::new(format!(
        "{} teams and {} members were recorded, the centre counts {} and {}; this is a fault of the register",
        recorded.teams, recorded.members, counted.teams, counted.members,
    )))
}

/// The running server, and what Ctrl-C does to it.
struct Stage {
    server: Arc<Mutex<ServerProcess>>,
    /// Set once everything has been shown: Ctrl-C is the ordinary end then.
    shown: Arc<AtomicBool>,
}

impl Stage {
    /// From now on Ctrl-C stops the server, and removes the folder unless it is to be kept.
    fn watch_interrupt(server: ServerProcess, folder: &Path, keep: bool) -> Result<Self, Fail> {
        let stage = Self { server: Arc::new(Mutex::new(server)), shown: Arc::default() };
        let (server, shown) = (Arc::clone(&stage.server), Arc::clone(&stage.shown));
        let folder: PathBuf = folder.to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            if runtime.block_on(interrupted()).is_err() {
                return;
            }
            server.lock().stop();
            let shown = shown.load(Ordering::Relaxed);
            if !(keep && shown) {
                let _ = std::fs::remove_dir_all(&folder);
            }
            // 130 is how shells report an interrupted command.
            std::process::exit(if shown { 0 } else { 130 });
        });
        Ok(stage)
    }

    /// The most memory that each process has had.
    fn tell_memory(&self) {
        let told = |process: Process| {
            process.memory_peak_bytes().map_or_else(|| "unknown".to_owned(), |bytes| format!("{} MiB", bytes >> 20))
        };
        let server = self.server.lock().process();
        let devices = Process::own();
        output::say(&format!("peak memory: server {}, all devices {}", told(server), told(devices)));
    }

    fn stop(&self) {
        self.server.lock().stop();
    }

    /// Until Ctrl-C, or until the server ends by itself.
    fn wait(&self) -> Result<(), Fail> {
        self.shown.store(true, Ordering::Relaxed);
        loop {
            std::thread::sleep(LOOK_EVERY);
            if let Some(status) = self.server.lock().ended()? {
                return if status.success() { Ok(()) } else { Err(Fail::new(format!("the server ended: {status}"))) };
            }
        }
    }
}

/// Ctrl-C, or a service manager's SIGTERM.
async fn interrupted() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = term.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
