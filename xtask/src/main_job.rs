//! The main job as a step of ci: the README's own command, and the dispatch's figures in what it prints.

use std::path::Path;
use std::process::{Command, Stdio};

/// The README's command.
pub(crate) const ARGUMENTS: [&str; 6] = ["run", "--release", "--bin", "toso", "--", "demo"];

/// What the report must say under the list of 2022: Công văn 10528-CV/TWĐTN of 19/9/2022, figures of 7/9/2022.
const DISPATCH: [&str; 5] = [
    "\n52/63 tỉnh, thành phố đã có tổ\n",
    "\n48.538 tổ\n",
    "\n225.417 thành viên\n",
    "\n11 tỉnh, thành phố chưa có tổ:\n",
    "\n23 tỉnh, thành phố chưa hoàn thành đến cấp xã:\n",
];
/// And under the list of 2025, where the same teams stand in 34 provinces.
const UNDER_2025: [&str; 3] = ["năm 2025", "\n48.538 tổ\n", "\n225.417 thành viên\n"];

/// Runs the main job in `root` and holds its report against the dispatch.
pub(crate) fn run(root: &Path, cargo: &mut Command) -> Result<(), String> {
    cargo.current_dir(root).args(ARGUMENTS).stdout(Stdio::piped());
    let output = cargo.spawn().and_then(std::process::Child::wait_with_output);
    let output = output.map_err(|error| format!("cannot start cargo: {error}"))?;
    let report = String::from_utf8_lossy(&output.stdout);
    print!("{report}");
    if !output.status.success() {
        return Err(format!("cargo ended with {}; what is wrong stands above", output.status));
    }
    check(&report)
}

fn check(report: &str) -> Result<(), String> {
    let (then, now) = report
        .split_once("năm 2025")
        .map(|(then, now)| (then.to_owned(), format!("năm 2025{now}")))
        .ok_or("the report does not come under the list of 2025")?;
    let missing = DISPATCH
        .iter()
        .filter(|line| !then.contains(**line))
        .chain(UNDER_2025.iter().filter(|line| !now.contains(**line)))
        .map(|line| line.trim())
        .collect::<Vec<_>>();
    if missing.is_empty() { Ok(()) } else { Err(format!("the report does not say: {}", missing.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> String {
        format!("Danh mục năm 2022\n{}\n{}", DISPATCH.join("x"), UNDER_2025.join("x"))
    }

    #[test]
    fn the_dispatchs_figures_pass() {
        assert_eq!(check(&report()), Ok(()));
    }

    #[test]
    fn another_figure_is_named() {
        let wrong = report().replacen("48.538", "48.537", 1);
        assert_eq!(check(&wrong), Err("the report does not say: 48.538 tổ".to_owned()));
        assert!(check(&report().replace("225.417", "1225.417")).is_err(), "a longer number is another number");
        assert!(check("").is_err());
        assert!(check(&report().replace("năm 2025", "")).is_err());
    }
}
