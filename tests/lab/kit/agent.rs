//! Commands inside the box, over QEMU's guest agent: a line of JSON each way on a UNIX socket. Never:
//! what is run, or why.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use data_encoding::BASE64;
use serde_json::{Value, json};

/// How a command inside ended.
#[derive(Debug)]
pub struct Ended {
    /// None where a signal ended it.
    pub code: Option<i64>,
    pub out: String,
    pub err: String,
}

/// The agent answers at once, even in a busy box: one that says nothing for so long never will.
const ANSWER: Duration = Duration::from_secs(180);

/// Each conversation opens with a number of its own.
static MARK: AtomicU64 = AtomicU64::new(1);

/// One conversation; a new one begins after each reboot.
pub struct Agent {
    stream: UnixStream,
    lines: Receiver<String>,
}

impl Agent {
    /// Someone who answers within `patience`, or why not.
    pub fn meet(socket: &Path, patience: Duration) -> Result<Agent, String> {
        let stream = connect(socket, patience).map_err(|e| format!("{}: {e}", socket.display()))?;
        let lines = lines_of(&stream);
        let mut agent = Agent { stream, lines };
        // What an earlier conversation left unread ends with the answer to this number.
        let mark = MARK.fetch_add(1, Ordering::Relaxed);
        agent.say(&json!({ "execute": "guest-sync", "arguments": { "id": mark } }))?;
        let until = Instant::now() + patience;
        while agent.hear(until)?["return"].as_u64() != Some(mark) {}
        Ok(agent)
    }

    fn say(&mut self, what: &Value) -> Result<(), String> {
        writeln!(self.stream, "{what}").map_err(|e| format!("the guest agent's socket: {e}"))
    }
    fn hear(&mut self, until: Instant) -> Result<Value, String> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            // Bytes of a conversation cut short are no JSON, and nobody waits for them.
            Ok(line) => Ok(serde_json::from_str(&line).unwrap_or(Value::Null)),
            Err(RecvTimeoutError::Timeout) => Err("the guest agent does not answer".into()),
            Err(RecvTimeoutError::Disconnected) => Err("the guest agent's socket is closed: QEMU has ended".into()),
        }
    }
    fn ask(&mut self, execute: &str, arguments: Value, until: Instant) -> Result<Value, String> {
        self.say(&json!({ "execute": execute, "arguments": arguments }))?;
        let mut answer = self.hear(until)?;
        match answer.get("error") {
            Some(e) => Err(format!("{execute}: {e}")),
            None => Ok(answer["return"].take()),
        }
    }

    /// Runs a program inside to its end, with bytes on its standard input.
    pub fn run(&mut self, argv: &[&str], stdin: &[u8], patience: Duration) -> Result<Ended, String> {
        let until = Instant::now() + patience;
        let (path, arg) = argv.split_first().ok_or("no program")?;
        let call = json!({ "path": path, "arg": arg, "input-data": BASE64.encode(stdin), "capture-output": true });
        let answer = || Instant::now() + ANSWER.min(patience);
        let pid = self.ask("guest-exec", call, answer())?["pid"].take();
        // Each question costs the emulated box some milliseconds, so they get rarer.
        let mut pause = Duration::from_millis(20);
        loop {
            let status = self.ask("guest-exec-status", json!({ "pid": pid }), answer() + Duration::from_secs(10))?;
            if status["exited"] == true {
                let text = |key: &str| {
                    let bytes = BASE64.decode(status[key].as_str().unwrap_or_default().as_bytes()).unwrap_or_default();
                    String::from_utf8_lossy(&bytes).into_owned()
                };
                return Ok(Ended { code: status["exitcode"].as_i64(), out: text("out-data"), err: text("err-data") });
            }
            if Instant::now() > until {
                return Err(format!("not done after {} s", patience.as_secs()));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Starts a program of which no answer is wanted: the box goes down by it.
    pub fn start(&mut self, argv: &[&str]) -> Result<(), String> {
        let (path, arg) = argv.split_first().ok_or("no program")?;
        self.ask("guest-exec", json!({ "path": path, "arg": arg }), Instant::now() + Duration::from_secs(30)).map(|_| ())
    }
}

/// A QEMU that stands still itself takes nobody in, and a UNIX socket waits for that for ever.
pub fn connect(socket: &Path, patience: Duration) -> io::Result<UnixStream> {
    let (tx, rx) = mpsc::channel();
    let socket = socket.to_owned();
    thread::spawn(move || tx.send(UnixStream::connect(socket)));
    rx.recv_timeout(patience).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A thread reads, so that a deadline never cuts a line in two.
fn lines_of(stream: &UnixStream) -> Receiver<String> {
    let (tx, rx) = mpsc::channel();
    if let Ok(stream) = stream.try_clone() {
        thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                if tx.send(line).is_err() {
                    return;
                }
            }
        });
    }
    rx
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Ends the reader too.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}
