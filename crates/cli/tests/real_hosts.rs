//! Do real hosts come up, take programs, and go without leaving anything behind, also after a crash? Needs root; says so and does
//! nothing without.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder for the labs' files that nobody else uses, and a scenario in it.
struct Place {
    folder: PathBuf,
}

impl Place {
    /// `None` where real hosts cannot be made; says why.
    fn new(name: &str) -> Option<Place> {
        if !narrows_namespaces::permitted() {
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let scenario = "[host.client]\n[host.server]\n[link.path]\nbetween = [\"client\", \"server\"]\ndelay = \"2ms\"\n";
        std::fs::write(folder.join("pair.toml"), scenario).expect("a scenario");
        Some(Place { folder })
    }

    fn narrows(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
        command.arg("lab").args(arguments).current_dir(&self.folder).env("XDG_RUNTIME_DIR", &self.folder);
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.narrows(arguments).output().expect("the binary runs")
    }

    fn up(&self) -> Child {
        let mut up =
            self.narrows(&["up", "pair.toml"]).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut line = String::new();
        let out = up.stdout.as_mut().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert!(line.contains("pair is up"), "{line:?}");
        up
    }

    /// A program on the server that would run for a minute.
    fn program(&self) -> Child {
        let mut sleep = self.narrows(&["exec", "server", "sleep", "60"]).spawn().expect("the binary runs");
        let name = format!("/proc/{}/comm", sleep.id());
        let begin = Instant::now();
        while std::fs::read_to_string(&name).is_ok_and(|name| name.trim() != "sleep") {
            assert!(begin.elapsed() < Duration::from_secs(10), "it does not begin");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(sleep.try_wait().expect("a status").is_none(), "it runs");
        sleep
    }

    fn labs(&self) -> usize {
        std::fs::read_dir(self.folder.join("narrows")).map_or(0, Iterator::count)
    }
}

/// The program's end, which somebody else has seen to.
fn ended(program: &mut Child) -> ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = program.try_wait().expect("a status") {
            return status;
        }
        if begin.elapsed() > Duration::from_secs(10) {
            program.kill().expect("it can be ended");
            panic!("it still runs");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn programs_run_on_hosts_and_end_with_the_lab() {
    let Some(place) = Place::new("real-hosts") else { return };
    let mut up = place.up();
    let told = place.output(&[
        "exec",
        "client",
        "sh",
        "-c",
        "echo $NARROWS_CLIENT $NARROWS_SERVER; cat /proc/net/dev",
    ]);
    let told = text(&told.stdout);
    assert!(told.starts_with("10.0.0.1 10.0.0.2\n"), "{told}");
    assert!(told.contains("eth0:") && told.contains("lo:"), "{told}");
    let lost = place.output(&["exec", "client", "sh", "-c", "exit 7"]);
    assert_eq!(lost.status.code(), Some(7), "the program's own status");
    let unknown = place.output(&["exec", "clint", "true"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("`clint`"), "{}", text(&unknown.stderr));
    match place.narrows(&["exec", "client", "ping", "-c", "1", "-W", "5", "10.0.0.2"]).output() {
        Ok(ping) if ping.status.success() => {
            let page = text(&ping.stdout);
            let time = page.split("time=").nth(1).and_then(|rest| rest.split_whitespace().next());
            let milliseconds: f64 = time.and_then(|time| time.parse().ok()).expect("a round trip");
            assert!(milliseconds >= 4.0, "two links' delay: {page}");
        }
        _ => eprintln!("skipped: no packet sent, as there is no ping"),
    }
    let mut program = place.program();
    let down = place.output(&["down"]);
    assert!(down.status.success(), "{}", text(&down.stderr));
    assert!(!ended(&mut program).success());
    assert!(ended(&mut up).success());
    assert_eq!(place.labs(), 0);
    let nothing = place.output(&["down"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("no lab is running"));
}

#[test]
fn what_a_crash_leaves_goes_with_down() {
    let Some(place) = Place::new("real-hosts-crash") else { return };
    let mut up = place.up();
    let mut program = place.program();
    up.kill().expect("it can be ended");
    ended(&mut up);
    assert!(program.try_wait().expect("a status").is_none(), "nobody has ended it yet");
    let exec = place.output(&["exec", "client", "true"]);
    assert_eq!(exec.status.code(), Some(2), "there is no lab to run on");
    let down = place.output(&["down"]);
    assert!(down.status.success(), "{}", text(&down.stderr));
    assert!(text(&down.stdout).contains("1 program"), "{}", text(&down.stdout));
    assert!(!ended(&mut program).success());
    assert_eq!(place.labs(), 0);
    // Without programs nothing is left that anybody would have to clear.
    let mut again = place.up();
    again.kill().expect("it can be ended");
    ended(&mut again);
    assert_eq!(place.output(&["down"]).status.code(), Some(2));
    assert_eq!(place.labs(), 0);
}
