//! Programs that are run for their answer, each with a deadline.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use crate::doctor::Failure;

/// The most that a program's answer is read of.
const MOST: u64 = 1 << 30;

/// Until when a program may run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    end: Instant,
    seconds: u64,
}

impl Deadline {
    /// So many seconds from now on.
    pub(super) fn of(seconds: u64) -> Self {
        let end = Instant::now() + Duration::from_secs(seconds);
        Self { end, seconds }
    }

    /// How many seconds it gave at first.
    pub(super) fn seconds(self) -> u64 {
        self.seconds
    }

    fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

/// What a program prints, or why there is no answer. It is killed when it takes too long.
pub(super) fn ask(command: &mut Command, deadline: Deadline) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::Message(format!("{name} can't be run: {error}")))?;
    let stdout = read(child.stdout.take());
    let stderr = read(child.stderr.take());
    let late = Failure::Late(deadline.seconds);
    let status = wait(&mut child, deadline).ok_or_else(|| late.clone())?;
    // A program that this one started may have the pipe still open: its end is not waited for
    // beyond the deadline either.
    let printed = stdout.recv_timeout(deadline.left()).map_err(|_| late)?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&printed).into_owned());
    }
    let reply = stderr.recv_timeout(deadline.left()).unwrap_or_default();
    let reply = String::from_utf8_lossy(&reply);
    let last = reply.trim().lines().last().unwrap_or_default();
    Err(Failure::Message(format!("{name} failed: {last}")))
}

/// Reads a pipe to its end in a thread of its own, so that a full pipe stops nobody.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is all there is to judge.
            drop(pipe.take(MOST).read_to_end(&mut bytes));
        }
        drop(sender.send(bytes));
    });
    receiver
}

/// How a program ended; `None` where it had to be killed.
fn wait(child: &mut Child, deadline: Deadline) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if deadline.left().is_zero() {
            // It may just have ended by itself; then there is nothing to kill.
            drop(child.kill());
            drop(child.wait());
            return None;
        }
        std::thread::sleep(Duration::from_millis(5).min(deadline.left()));
    }
}
