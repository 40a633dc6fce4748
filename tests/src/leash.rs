//! A program that cannot outlive the test that started it.
//!
//! A small shell stands between: it ends the program (SIGTERM, SIGKILL five seconds later) when
//! its standard input closes, which the kernel sees to however the test ends, and the kernel ends
//! the program should the shell itself be killed. So a Ctrl-C, a runner's time limit or a
//! `kill -9` leave nothing running, and the threads of the test do not matter.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::watch;

/// Prints the program's process id and then all that it says, on one stream. The shell gives that
/// stream away, so that it ends with the program.
const SHELL: &str = r#"
trap '' INT TERM HUP
(trap - INT TERM HUP; echo "$BASHPID"; exec setpriv --pdeathsig KILL -- "$@") </dev/null 2>&1 &
exec >/dev/null 2>&1
read -r _
kill -TERM %1
for _ in {1..100}; do kill -0 %1 || exit; sleep 0.05; done
kill -KILL %1
wait
"#;

/// How much of a long log is kept, in lines: the end of it.
const KEPT: usize = 2000;

/// A running program, which is stopped and waited for when this is dropped.
#[derive(Debug)]
pub(crate) struct Leash {
    shell: Child,
    name: String,
    pid: u32,
    log: watch::Receiver<Log>,
}

/// What the program has said on standard output and standard error.
#[derive(Debug, Default)]
struct Log {
    lines: Vec<String>,
    has_ended: bool,
}

impl Leash {
    /// Starts a program: its arguments, environment and folder are taken from `command`, its
    /// standard input is empty.
    pub(crate) fn start(command: &Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut shell = Command::new("bash");
        shell.args(["-c", SHELL, "leash"]);
        shell.arg(command.get_program()).args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(variable, value),
                None => shell.env_remove(variable),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        let mut shell = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting a shell for {name}"))?;

        let mut said = BufReader::new(shell.stdout.take().context("the shell has an output")?);
        let mut pid = String::new();
        said.read_line(&mut pid)?;
        let pid = pid
            .trim()
            .parse()
            .with_context(|| format!("process id of {name}: {pid:?}"))?;
        let (sender, log) = watch::channel(Log::default());
        std::thread::spawn(move || keep(said, &sender));
        Ok(Self {
            shell,
            name,
            pid,
            log,
        })
    }

    /// The program's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the program has said a line of which `find` makes something. The error, after
    /// `within` or when the program has ended, shows what it said instead.
    pub(crate) async fn says<T>(
        &self,
        within: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let mut found = None;
        let mut log = self.log.clone();
        let seen = log.wait_for(|log| {
            found = log.lines.iter().find_map(|line| find(line));
            found.is_some() || log.has_ended
        });
        let is_late = tokio::time::timeout(within, seen).await.is_err();
        match found {
            Some(found) => Ok(found),
            None if is_late => bail!(
                "{} did not say so within {within:?}:\n{}",
                self.name,
                self.log()
            ),
            None => bail!("{} ended, having said:\n{}", self.name, self.log()),
        }
    }

    /// Waits until the program has ended, however that came.
    pub(crate) async fn ends(&self) -> Result<()> {
        self.log.clone().wait_for(|log| log.has_ended).await?;
        Ok(())
    }

    /// What the program has said so far.
    pub(crate) fn log(&self) -> String {
        self.log.borrow().lines.join("\n")
    }
}

fn keep(said: impl Read, log: &watch::Sender<Log>) {
    for line in BufReader::new(said).split(b'\n').map_while(Result::ok) {
        log.send_modify(|log| {
            if log.lines.len() == KEPT {
                log.lines.remove(0);
            }
            log.lines.push(String::from_utf8_lossy(&line).into_owned());
        });
    }
    log.send_modify(|log| log.has_ended = true);
}

impl Drop for Leash {
    /// Stops the program, and prints what it said: a runner shows that only of a test that fails.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let ended = self.shell.wait();
        eprintln!(
            "{}, process {}, {ended:?}:\n{}",
            self.name,
            self.pid,
            self.log()
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn is_running(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn ends_even_a_program_that_will_not_listen() {
        let stubborn = shell("trap '' TERM; echo ready; while :; do sleep 1; done");
        let leash = Leash::start(&stubborn).unwrap();
        let pid = leash.pid();
        leash
            .says(SOON, |line| (line == "ready").then_some(()))
            .await
            .unwrap();
        assert!(is_running(pid));
        drop(leash);
        assert!(!is_running(pid));
    }

    #[tokio::test]
    async fn shows_the_last_words_of_a_program_that_ends_early() {
        let mut command = shell("echo \"$WORD\" >&2; pwd; exit 3");
        command.env("WORD", "no such file").current_dir("/usr");
        let leash = Leash::start(&command).unwrap();
        let error = leash.says(SOON, |_| None::<()>).await.unwrap_err();
        let error = error.to_string();
        assert!(error.ends_with("no such file\n/usr"), "{error}");
    }

    /// What the kernel does for a test that is killed: the shell's input closes (the first test),
    /// or, where the shell is killed as well, this.
    #[tokio::test]
    async fn nothing_outlives_the_shell() {
        let leash = Leash::start(&shell("echo ready; exec sleep 600")).unwrap();
        leash
            .says(SOON, |line| (line == "ready").then_some(()))
            .await
            .unwrap();
        let killed = Command::new("kill")
            .args(["-KILL", &leash.shell.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        // The stream ends when the last process that holds it is gone.
        let error = leash.says(SOON, |_| None::<()>).await.unwrap_err();
        assert!(error.to_string().contains("ended"), "{error}");
    }
}
