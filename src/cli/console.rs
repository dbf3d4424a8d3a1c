//! `bothy vnf console`: a guest's serial console in this terminal, or its VNC on a local port.
//!
//! Owns: the terminal's mode while a console is open, and its way back.

use std::{
    io::{IsTerminal as _, Read as _, Write as _, stdin, stdout},
    net::SocketAddr,
    os::fd::AsFd as _,
    time::Duration,
};

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{client::Client, failure::Failure, output::say};

const PROTOCOL: &str = "bothy-console";
/// Ctrl-], as in telnet and virsh.
const ESCAPE: u8 = 0x1d;
/// How long the answer to the last input is awaited when the input was no terminal.
const QUIET: Duration = Duration::from_secs(1);

/// The terminal in raw mode; as it was when this goes.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self, Failure> {
        let bad = |e: nix::Error| Failure::here("the terminal cannot be switched to raw mode", e);
        let before = tcgetattr(stdin().as_fd()).map_err(bad)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin().as_fd(), SetArg::TCSANOW, &raw).map_err(bad)?;
        Ok(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing is left to do when the terminal itself has gone.
        let _ = tcsetattr(stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}

/// Carries bytes until Ctrl-], a signal, or the end of the guest.
pub fn serial(client: &Client, path: &str, name: &str) -> Result<(), Failure> {
    let end = client.block_on(async {
        let mut stream = client.upgrade(path, PROTOCOL).await?;
        let terminal = stdin().is_terminal();
        if terminal {
            eprintln!("console of {name}; leave it with Ctrl-]");
        }
        let raw = terminal.then(Raw::enter).transpose()?;
        let mut keys = keys();
        let bad = |e: std::io::Error| Failure::here("cannot wait for signals", e);
        let (mut term, mut hup) = (signal(SignalKind::terminate()).map_err(bad)?, signal(SignalKind::hangup()).map_err(bad)?);
        let mut buffer = vec![0; 16 * 1024];
        let mut open = true;
        let end = loop {
            tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(0) => break "the guest's end was closed",
                    Ok(n) => {
                        let mut out = stdout().lock();
                        if out.write_all(&buffer[..n]).and_then(|()| out.flush()).is_err() {
                            break "nobody reads the output";
                        }
                    }
                    Err(_) => break "the connection broke off",
                },
                typed = keys.recv(), if open => match typed {
                    Some(bytes) => {
                        let leave = terminal.then(|| bytes.iter().position(|b| *b == ESCAPE)).flatten();
                        let bytes = &bytes[..leave.unwrap_or(bytes.len())];
                        if stream.write_all(bytes).await.is_err() {
                            break "the connection broke off";
                        }
                        if leave.is_some() {
                            break "left";
                        }
                    }
                    None => open = false,
                },
                () = tokio::time::sleep(QUIET), if !open => break "the input has ended",
                _ = term.recv() => break "terminated",
                _ = hup.recv() => break "the terminal has gone",
            }
        };
        drop(raw);
        Ok::<_, Failure>(end)
    })?;
    if stdin().is_terminal() {
        eprintln!("\nconsole of {name}: {end}");
    }
    Ok(())
}

/// What is typed. The thread that reads it ends with the process: a read cannot be called back.
fn keys() -> mpsc::Receiver<Vec<u8>> {
    let (post, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = stdin().lock().read(&mut buffer) {
            if post.blocking_send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    keys
}

/// Offers the guest's VNC on a local port, one viewer at a time, until it is interrupted.
pub fn vnc(client: &Client, path: &str, name: &str, listen: SocketAddr) -> Result<(), Failure> {
    client.block_on(async {
        // Asked once before anybody connects: a guest without VNC says so now.
        drop(client.upgrade(path, PROTOCOL).await?);
        let bad = |e: std::io::Error| Failure::here(format!("cannot listen on {listen}"), e);
        let listener = TcpListener::bind(listen).await.map_err(bad)?;
        say!("VNC of {name} at {}; end it with Ctrl-C", listener.local_addr().map_err(bad)?);
        loop {
            let (mut viewer, _) = listener.accept().await.map_err(bad)?;
            let mut guest = client.upgrade(path, PROTOCOL).await?;
            // A viewer that leaves is no failure.
            let _ = tokio::io::copy_bidirectional(&mut viewer, &mut guest).await;
        }
    })
}
